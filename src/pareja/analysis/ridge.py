"""Ridge regression from one space to another (Hoerl and Kennard 1970)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pareja.analysis.significance import Floats

_STRENGTHS = np.logspace(-3, 3, 13)


def ridge_penalty(u: Floats, s: Floats, wanted: Floats) -> float | None:
    """Return the penalty whose leave-one-out error is smallest; None where all inputs are equal.

    Parameters
    ----------
    u, s
        Left singular vectors ``(n, k)`` and singular values ``(k,)`` of the centred inputs.
    wanted
        The centred targets, ``(n, dim)``.
    """
    eigenvalues = s * s
    mean = float(eigenvalues.sum()) / (len(u) - 1)
    if mean <= 0:
        return None
    turned = u.T @ wanted
    errors = []
    for strength in _STRENGTHS * mean:
        kept = eigenvalues / (eigenvalues + strength)
        # Leave-one-out errors without refitting; 1/n is the intercept's share of the leverage
        # (Allen 1974, PRESS; Hastie et al. 2009, equation 7.64).
        leverage = 1 / len(u) + (u * u) @ kept
        residual = (wanted - u @ (kept[:, None] * turned)) / (1 - leverage)[:, None]
        errors.append(float((residual * residual).sum()))
    return float(_STRENGTHS[int(np.argmin(errors))]) * mean


@dataclass(frozen=True)
class RidgeMap:
    """``(x - input_mean) @ matrix`` is near ``y - target_mean``.

    Parameters
    ----------
    matrix
        ``(input_dim, target_dim)``; zeros where all inputs are equal.
    input_mean, target_mean
        ``(input_dim,)`` and ``(target_dim,)``.
    """

    matrix: Floats
    input_mean: Floats
    target_mean: Floats


def ridge_map(inputs: Floats, targets: Floats) -> RidgeMap:
    """Fit a linear map whose penalty is chosen by leave-one-out.

    Parameters
    ----------
    inputs, targets
        Pairs of rows, ``(n, input_dim)`` and ``(n, target_dim)``, at least two.

    Examples
    --------
    >>> x = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    >>> found = ridge_map(x, 2 * x[:, :1])
    >>> bool(found.matrix[0, 0] > 1 > 0 > found.matrix[1, 0])
    True
    """
    input_mean, target_mean = inputs.mean(axis=0), targets.mean(axis=0)
    u, s, v = np.linalg.svd(inputs - input_mean, full_matrices=False)
    wanted = targets - target_mean
    penalty = ridge_penalty(u, s, wanted)
    if penalty is None:
        matrix: Floats = np.zeros((inputs.shape[1], targets.shape[1]))
    else:
        matrix = v.T @ ((s / (s * s + penalty))[:, None] * (u.T @ wanted))
    return RidgeMap(matrix, input_mean, target_mean)
