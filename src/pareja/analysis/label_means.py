"""Means over labels, each label counting the same however few pictures it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.significance import Estimate, Floats, Indices, share_interval


def ratio(numerator: Floats, denominator: Floats | Indices) -> Floats:
    """Divide two arrays of one shape, giving NaN where there is nothing to divide by."""
    blank = np.full(numerator.shape, np.nan)
    quotient: Floats = np.divide(numerator, denominator, out=blank, where=denominator > 0)
    return quotient


def mean_interval(
    values: Floats, draws: Floats, units: Floats, *, independent: bool = False
) -> Estimate:
    """Return the mean of a measure over labels, with an interval that the rare labels widen.

    Parameters
    ----------
    values
        The measure of each label in the whole sample, in [0, 1], ``(k,)``; labels with NaN do not
        count.
    draws
        Its bootstrap draws, ``(resamples, k)``.
    units
        How many pictures each label's measure rests on, ``(k,)``.
    independent
        Whether no picture counts for two labels, as in recalls.

    Returns
    -------
    Estimate
        Interval at `pareja.analysis.significance.LEVEL`, inside [0, 1].

    Notes
    -----
    A bootstrap over all pictures does not see how little is known of a label with three pictures,
    all of them right. Each label therefore has the interval of its own pictures
    (`share_interval`), and their distances from the values are put together as standard errors
    are, the lower ones for the lower end and the upper ones for the upper end (MOVER: Zou and
    Donner 2008; with correlations, Zou 2007)::

        low = mean - sqrt(sum_cd r_cd (v_c - l_c) (v_d - l_d)) / k

    The correlations r are those of the draws, at least 0. Where draws do not vary, r is
    ``1 / (k - 1)``: a mistake takes from two of the k labels. Of many labels with three pictures
    each, most are at 1, from where nothing leads further up: the score interval of the mean over
    all pictures holds there, and the wider of both ends is taken.
    ``benchmarks/interval_coverage.py`` measures how often the interval holds the truth.
    """
    present = np.flatnonzero(np.isfinite(values))
    chosen = values[present]
    ends = [
        share_interval(float(values[c]), draws[:, c], max(1, round(float(units[c]))))
        for c in present
    ]
    below = chosen - np.array([end.low for end in ends])
    above = np.array([end.high for end in ends]) - chosen
    together = np.eye(len(present)) if independent else _correlations(draws[:, present])
    mean = float(chosen.mean())
    low, high = (
        float(np.sqrt(max(0.0, away @ together @ away))) / len(present) for away in (below, above)
    )
    whole = share_interval(mean, _means(draws[:, present]), round(float(units[present].sum())))
    return Estimate(
        mean, max(0.0, min(mean - low, whole.low)), min(1.0, max(mean + high, whole.high))
    )


def _means(draws: Floats) -> Floats:
    """Return the mean of each draw over the labels that it holds, ``(resamples,)``."""
    present = np.isfinite(draws)
    return ratio(np.where(present, draws, 0.0).sum(axis=1), present.sum(axis=1))


def _correlations(draws: Floats) -> Floats:
    """Return the correlations of the labels' draws, ``(k, k)``, at least 0."""
    k = draws.shape[1]
    centred = draws - np.nanmean(draws, axis=0)
    known = np.isfinite(centred)
    centred = np.where(known, centred, 0.0)
    spread: NDArray[np.float64] = np.sqrt((centred**2).sum(axis=0))
    scale = np.outer(spread, spread)
    together: Floats = np.divide(
        centred.T @ centred, scale, out=np.full((k, k), 1 / max(1, k - 1)), where=scale > 1e-12
    )
    np.fill_diagonal(together, 1.0)
    return np.maximum(together, 0.0)
