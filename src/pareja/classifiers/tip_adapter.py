"""Tip-Adapter: zero-shot logits, corrected by the examples that a picture resembles.

Zhang et al. (2022), "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from pareja.analysis.significance import Floats
from pareja.arrays import unit
from pareja.classifiers.learned import Cache
from pareja.classifiers.linear_probe import cross_entropy, in_span
from pareja.classifiers.shots import Shots

_MOST_STEPS = 200


def tip_adapter(shots: Shots, *, weight: float, beta: float) -> Cache:
    """Make the examples a cache; nothing is trained (section 3.1).

    Parameters
    ----------
    shots
        What to learn from.
    weight
        How much the examples say beside the words, above 0; with 1 the logits of both spread as
        much over the labels that a picture does not have.
    beta
        How fast an example's say falls with its distance, above 0; 5.5 in the paper.

    Notes
    -----
    The paper's alpha belongs to CLIP's logit scale of 100 and to how close CLIP's pictures lie to
    each other. Here alpha is `weight` times the ratio of the two spreads, so that one `weight`
    means the same with every encoder. An example's own label is left out of both: the example
    itself is among its keys, and with one example it has no other.
    """
    cache = Cache(shots.images.astype(np.float32), shots.values.astype(np.float32), 1.0, beta)
    spread, own = _spread(shots.prior, shots), _spread(cache.logits(cache.keys), shots)
    balance = spread / own if spread > 0 and own > 0 else 1.0
    return replace(cache, alpha=weight * balance)


def _spread(logits: Floats, shots: Shots) -> float:
    """Return the standard deviation of the logits of wrong labels."""
    wrong = np.arange(shots.n_labels) != shots.answers[:, None]
    others = logits[wrong].reshape(len(logits), -1)
    if shots.n_labels > 2:
        # What all labels of a picture have in common does not count in a softmax.
        others = others - others.mean(axis=1, keepdims=True)
    return float(others.std())


def tip_adapter_f(shots: Shots, *, weight: float, beta: float, anchor: float) -> Cache:
    """Make the examples a cache and tune its keys (section 3.2, Tip-Adapter-F).

    Parameters
    ----------
    shots
        What to learn from.
    weight
        How much the examples count beside the words, above 0.
    beta
        How fast an example's say falls with its distance, above 0.
    anchor
        How firmly the keys are held where they were, above 0.

    Notes
    -----
    The paper tunes by AdamW on augmented pictures, for 20 passes. On embeddings there is nothing
    to augment, and an example is its own key's perfect match, from which nothing can be learned.
    So each example is told from the keys of the others, those of its own label counting
    ``n / (n - 1)`` as much to make up for the one that is missing; a label's only example keeps
    its own. Beside the mean cross entropy stands ``anchor |keys - examples|^2 / 2``, instead of
    stopping early; L-BFGS then needs no step size, no schedule and no seed. Keys stay of length 1,
    so that what is compared remains a cosine and cannot grow without limit.
    """
    start = tip_adapter(shots, weight=weight, beta=beta)
    # Every step is a combination of the examples, so the keys never leave their span.
    axes, low = in_span(shots.images)
    values = shots.values
    n = len(low)
    others = _counting(shots)

    def objective(flat: Floats) -> tuple[float, Floats]:
        free = flat.reshape(low.shape)
        lengths = np.linalg.norm(free, axis=1, keepdims=True)
        keys = free / lengths
        closeness = start.alpha * others * np.exp(beta * (low @ keys.T - 1))
        loss, slope = cross_entropy(shots.prior + closeness @ values, values)
        moved = keys - low
        pull = (beta / n * (slope @ values.T) * closeness).T @ low + anchor * moved
        pull -= (pull * keys).sum(axis=1, keepdims=True) * keys
        return loss / n + anchor / 2 * float((moved**2).sum()), (pull / lengths).ravel()

    found = minimize(
        objective, low.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS}
    )
    keys = unit(found.x.reshape(low.shape)) @ axes.T
    return replace(start, keys=keys.astype(np.float32))


def _counting(shots: Shots) -> Floats:
    """Return how much key j counts for example i while keys are tuned, ``(n, n)``."""
    own = shots.counts[shots.answers].astype(np.float64)
    alike = shots.answers[:, None] == shots.answers
    makes_up = np.divide(own, own - 1, out=np.ones_like(own), where=own > 1)
    counting = np.where(alike, makes_up[:, None], 1.0)
    np.fill_diagonal(counting, own == 1)
    return counting
