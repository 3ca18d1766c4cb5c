"""Estimates with intervals, permutation tests, and the arithmetic they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval.

    Parameters
    ----------
    value
        The number itself.
    low, high
        Ends of the interval, ``low <= high``; both equal to ``value`` where nothing can vary.
    level
        The interval's confidence level, such as 0.95.
    """

    value: float
    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class PermutationTest:
    """A statistic beside its distribution when the pairing is random.

    Parameters
    ----------
    statistic
        The observed value.
    p_value
        ``(C + 1) / (permutations + 1)`` with C the number of permutations that did at least as
        well (Phipson and Smyth 2010); never 0.
    null_mean, null_low, null_high
        Mean, 2.5 % and 97.5 % quantile of the statistic under random pairing.
    permutations
        How many random pairings were drawn.
    """

    statistic: float
    p_value: float
    null_mean: float
    null_low: float
    null_high: float
    permutations: int
