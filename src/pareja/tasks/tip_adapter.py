"""Tip-Adapter: zero-shot logits, corrected by the examples that a picture resembles.

Zhang et al. (2022), "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from pareja.analysis.significance import Floats
from pareja.tasks.classifiers import Cache
from pareja.tasks.linear_probe import cross_entropy, in_span
from pareja.tasks.shots import Shots

_MOST_STEPS = 200


def tip_adapter(shots: Shots, *, weight: float, beta: float) -> Cache:
    """Make the examples a cache; nothing is trained (section 3.1).

    Parameters
    ----------
    shots
        What to learn from.
    weight
        How much the examples say beside the words, above 0; with 1 the logits of both spread as
        much over the labels.
    beta
        How fast an example's say falls with its distance, above 0; 5.5 in the paper.

    Notes
    -----
    The paper's alpha belongs to CLIP's logit scale of 100 and to how close CLIP's pictures lie to
    each other. Here alpha is `weight` times the ratio of the two spreads on the examples, each of
    which sits out its own turn, so that one `weight` means the same with every encoder.
    """
    cache = Cache(shots.images.astype(np.float32), shots.values.astype(np.float32), 1.0, beta)
    others = cache.logits(cache.keys) - cache.values
    spread, own = shots.prior.std(axis=1).mean(), others.std(axis=1).mean()
    balance = float(spread / own) if spread > 0 and own > 0 else 1.0
    return replace(cache, alpha=weight * balance)


def tip_adapter_f(shots: Shots, *, weight: float, beta: float, anchor: float) -> Cache:
    """Make the examples a cache and tune its keys (section 3.2, Tip-Adapter-F).

    Parameters
    ----------
    shots
        What to learn from.
    weight, beta
        As `tip_adapter` takes them.
    anchor
        How firmly the keys are held where they were, above 0.

    Notes
    -----
    The paper tunes by AdamW on augmented pictures, for 20 passes. On embeddings there is nothing
    to augment, and an example is its own key's perfect match, from which nothing can be learned.
    So each example is told from the keys of the others, those of its own label counting
    ``n / (n - 1)`` as much to make up for the one that is missing; a label's only example keeps
    its own. Beside the mean cross entropy stands ``anchor |keys - examples|^2 / 2``, instead of
    stopping early; L-BFGS then needs no step size, no schedule and no seed.
    """
    start = tip_adapter(shots, weight=weight, beta=beta)
    # Every step is a combination of the examples, so the keys never leave their span.
    axes, low = in_span(shots.images)
    values = shots.values
    n = len(low)
    others = _counting(shots)

    def objective(flat: Floats) -> tuple[float, Floats]:
        keys = flat.reshape(low.shape)
        closeness = start.alpha * others * np.exp(beta * (low @ keys.T - 1))
        loss, slope = cross_entropy(shots.prior + closeness @ values, values)
        moved = keys - low
        pull = beta * (slope @ values.T) * closeness / n
        return loss / n + anchor / 2 * float((moved**2).sum()), (
            pull.T @ low + anchor * moved
        ).ravel()

    found = minimize(
        objective, low.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS}
    )
    keys = found.x.reshape(low.shape) @ axes.T
    return replace(start, keys=keys.astype(np.float32))


def _counting(shots: Shots) -> Floats:
    """Return how much key j counts for example i while keys are tuned, ``(n, n)``."""
    own = shots.counts[shots.answers].astype(np.float64)
    alike = shots.answers[:, None] == shots.answers
    makes_up = np.divide(own, own - 1, out=np.ones_like(own), where=own > 1)
    counting = np.where(alike, makes_up[:, None], 1.0)
    np.fill_diagonal(counting, own == 1)
    return counting
