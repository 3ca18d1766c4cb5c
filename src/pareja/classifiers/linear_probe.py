"""The linear probe: multinomial logistic regression on embeddings."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from pareja.analysis.significance import Floats
from pareja.classifiers.learned import Linear
from pareja.classifiers.shots import Shots

_MOST_STEPS = 1000


def linear_probe(shots: Shots, *, strength: float) -> Linear:
    """Fit a logistic regression.

    Parameters
    ----------
    shots
        What to learn from.
    strength
        How much the examples count against the penalty, above 0; scikit-learn's ``C``.

    Returns
    -------
    Linear
        Weights and bias that minimise ``strength * loss + |weights|^2 / 2``, with the cross
        entropy of the examples, in which all labels count the same, as loss (Radford et al. 2021,
        appendix A.3, fit the same by L-BFGS).
    """
    # The best weights lie in the span of the pictures, whose axes are far fewer than those of
    # the space: in its coordinates nothing changes but the time.
    axes, low = in_span(shots.images)
    width = low.shape[1]
    values = shots.values
    n = len(low)
    # Both terms divided by their common factor, so that one tolerance fits all strengths.
    penalty = 1 / (strength * n)

    def objective(flat: Floats) -> tuple[float, Floats]:
        table = flat.reshape(shots.n_labels, width + 1)
        weights = table[:, :width]
        loss, slope = cross_entropy(low @ weights.T + table[:, width], values)
        gradient = np.empty_like(table)
        gradient[:, :width] = slope.T @ low / n + penalty * weights
        gradient[:, width] = slope.sum(axis=0) / n
        return loss / n + penalty / 2 * float((weights**2).sum()), gradient.ravel()

    start = np.zeros(shots.n_labels * (width + 1))
    found = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MOST_STEPS, "gtol": 1e-7, "ftol": 1e-12},
    )
    table = found.x.reshape(shots.n_labels, width + 1)
    return Linear(
        (table[:, :width] @ axes.T).astype(np.float32), table[:, width].astype(np.float32)
    )


def in_span(rows: Floats) -> tuple[Floats, Floats]:
    """Return orthonormal axes ``(dim, r)`` of the rows' span and the rows in them ``(n, r)``."""
    axes, triangle = np.linalg.qr(np.asarray(rows, np.float64).T)
    return axes, triangle.T


def cross_entropy(logits: Floats, values: Floats) -> tuple[float, Floats]:
    """Return the cross entropy, and its derivative by the logits.

    Parameters
    ----------
    logits
        ``(n, k)``.
    values
        One-hot labels times the weight of each row, ``(n, k)``.
    """
    # scipy.special.log_softmax takes longer to start than this takes in all.
    logs = logits - logits.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    slope: Floats = np.exp(logs) * values.sum(axis=1, keepdims=True) - values
    return -float((values * logs).sum()), slope
