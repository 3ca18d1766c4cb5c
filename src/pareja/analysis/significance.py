"""Estimates with intervals, permutation tests, and the arithmetic they share.

Pictures are the unit of everything here. A picture is drawn, or paired anew, together with all its
captions, because captions of one picture are no independent observations. Every draw comes from
``numpy.random.default_rng(seed)``: the same seed gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from pareja.decimals import decimals

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

LEVEL = 0.95
"""Confidence level of every interval."""

_CHUNK = 1 << 20
# Two sums of the same numbers in another order differ in their last bits. Without this slack a
# permutation that reproduces the observed pairing would count as "did worse".
_SLACK = 1e-10


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval.

    Parameters
    ----------
    value
        The number itself.
    low, high
        Ends of the interval, ``low <= value <= high``; all equal where nothing can vary.
    level
        The interval's confidence level, such as 0.95.

    Examples
    --------
    >>> print(Estimate(0.5, -0.001, 0.75))
    0.50 [0.00, 0.75]
    """

    value: float
    low: float
    high: float
    level: float = LEVEL

    def __str__(self) -> str:
        return f"{decimals(self.value)} [{decimals(self.low)}, {decimals(self.high)}]"


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


# Every measure of a study draws the same samples, which takes longer than most of what is done with
# them.
@lru_cache(maxsize=1)
def resample_counts(units: int, resamples: int, seed: int) -> Floats:
    """Draw bootstrap samples, as how often each unit is in each.

    Parameters
    ----------
    units
        How many pictures there are.
    resamples
        How many samples to draw; each holds ``units`` pictures.
    seed
        Seed of the draw.

    Returns
    -------
    Floats
        Counts, shape ``(resamples, units)``; every row sums to ``units``. Read-only: the last
        samples are kept for whoever asks for the same again.

    Notes
    -----
    Efron and Tibshirani (1993), chapter 6. Most statistics are functions of weighted sums over
    pictures, which turns the whole bootstrap into one matrix product with these counts.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(units, np.full(units, 1 / units), size=resamples)
    counts: Floats = drawn.astype(np.float64)
    counts.flags.writeable = False
    return counts


def ratio_draws(counts: Floats, numerator: Floats, denominator: Floats) -> Floats:
    """Return the bootstrap draws of ``sum(numerator) / sum(denominator)``.

    Parameters
    ----------
    counts
        From `resample_counts`, shape ``(resamples, units)``.
    numerator, denominator
        Each unit's share of the two sums, shape ``(units,)``.

    Returns
    -------
    Floats
        Shape ``(resamples,)``.
    """
    drawn: Floats = (counts @ numerator) / (counts @ denominator)
    return drawn


def summed(units: Indices, numbers: Floats) -> Floats:
    """Return the sum of the numbers of each unit, shape ``(units.max() + 1,)``."""
    sums: Floats = np.bincount(units, numbers).astype(np.float64)
    return sums


def percentile_interval(value: float, draws: Floats, units: int) -> Estimate:
    """Return the expanded percentile interval of an unbounded statistic.

    Parameters
    ----------
    value
        The statistic of the whole sample.
    draws
        Its bootstrap draws, shape ``(resamples,)``; not a number where a resample has no value,
        which happens to samples of two or three pictures, and such draws are left out.
    units
        How many pictures were resampled.

    Returns
    -------
    Estimate
        Interval at `LEVEL`.

    Notes
    -----
    The plain percentile interval is too short by about ``sqrt((n-1)/n)`` times the ratio of a
    normal to a t quantile: 9 % at n = 20. Hesterberg (2015), "What teachers should know about the
    bootstrap", section 4.2, reads the quantiles further out by that amount.
    """
    draws = draws[np.isfinite(draws)]
    if units < 2 or not draws.size:
        return Estimate(value, value, value)
    tail = ndtr(np.sqrt(units / (units - 1)) * stdtrit(units - 1, (1 - LEVEL) / 2))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def share_interval(value: float, draws: Floats, units: int) -> Estimate:
    """Return the score interval of a statistic in [0, 1], by its bootstrap variance.

    Parameters
    ----------
    value
        The statistic of the whole sample, in [0, 1].
    draws
        Its bootstrap draws, shape ``(resamples,)``.
    units
        How many pictures were resampled.

    Returns
    -------
    Estimate
        Interval at `LEVEL`, inside [0, 1].

    Notes
    -----
    With 20 pictures a bootstrap of hits cannot leave 0 or 1 once it is there, and its percentiles
    cover too rarely beside them. Wilson's (1927) score interval does not collapse. It is written
    for independent hits and misses; the number of these that would vary as much as the bootstrap
    does, ``value (1 - value) / variance``, takes the place of n (Korn and Graubard 1998 do the
    same for clustered surveys). It is at most ``3 * units``, the value for numbers spread evenly
    over [0, 1], and ``units`` where the draws do not vary. ``benchmarks/interval_coverage.py``
    measures how often the interval holds the truth.
    """
    draws = draws[np.isfinite(draws)]
    variance = float(draws.var()) * units / (units - 1) if units > 1 and draws.size else 0.0
    spread = value * (1 - value)
    # A variance of 1e-33 is rounding, not evidence.
    trials = min(3.0 * units, spread / variance) if variance > 1e-18 else float(units)
    z = float(ndtri((1 + LEVEL) / 2))
    centre = (value + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * np.sqrt(spread / trials + (z / trials) ** 2 / 4)
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return Estimate(value, min(value, low), max(value, high))


def paired_difference(gains: Floats, queries: Floats, resamples: int, seed: int) -> Estimate:
    """Return the mean difference between two systems on the same queries, with its interval.

    Parameters
    ----------
    gains
        For each picture the sum over its queries of score a minus score b, shape ``(units,)``;
        each difference in [-1, 1].
    queries
        How many queries each picture has, shape ``(units,)``, at least one in all.
    resamples, seed
        Of the bootstrap over pictures.

    Returns
    -------
    Estimate
        In [-1, 1]; 0 where neither is better.

    Notes
    -----
    Where the two never differ, a plain bootstrap would claim certainty. One imagined picture that
    a wins and one that b wins are added to the sample that is resampled (not to the value), as
    Agresti and Min (2005) and Bonett and Price (2012) do for paired proportions.
    """
    value = float(gains.sum() / queries.sum())
    typical = queries.mean()
    units = len(gains) + 2
    draws = ratio_draws(
        resample_counts(units, resamples, seed),
        np.concatenate([gains, [typical, -typical]]),
        np.concatenate([queries, [typical, typical]]),
    )
    return percentile_interval(value, np.clip(draws, -1, 1), units)


def permutation_p_value(
    statistic: float, null: Floats, *, two_sided: bool = False, scale: float = 0.0
) -> float:
    """Return ``(C + 1) / (permutations + 1)``.

    Parameters
    ----------
    statistic
        The observed value.
    null
        The same under random pairings, shape ``(permutations,)``.
    two_sided
        False: C counts the permutations that reach at least the observed value. True: twice the
        smaller of both tails, at most 1.
    scale
        For a difference, the size of what was subtracted: where nothing is left but rounding
        errors of such numbers, all pairings are level.

    Returns
    -------
    float
        In (0, 1]. Uniform under chance, up to ties (Phipson and Smyth 2010).

    Examples
    --------
    >>> permutation_p_value(2.0, np.array([0.0, 1.0, 2.0]))
    0.5
    """
    slack = _SLACK * max(abs(statistic), float(np.abs(null).max()), scale)
    above = (int(np.count_nonzero(null >= statistic - slack)) + 1) / (null.size + 1)
    if not two_sided:
        return above
    below = (int(np.count_nonzero(null <= statistic + slack)) + 1) / (null.size + 1)
    return min(1.0, 2 * min(above, below))


def permutation_test(
    statistic: float, null: Floats, *, two_sided: bool = False, scale: float = 0.0
) -> PermutationTest:
    """Test a statistic that is large when the pairing matters.

    Parameters
    ----------
    statistic
        The observed value.
    null
        The same under random pairings, shape ``(permutations,)``.
    two_sided
        Whether a statistic far below chance counts as much as one far above.
    scale
        For a difference, the size of what was subtracted.

    Returns
    -------
    PermutationTest
        With `permutation_p_value` and the middle 95 % of ``null``.
    """
    low, high = np.quantile(null, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return PermutationTest(
        statistic=statistic,
        p_value=permutation_p_value(statistic, null, two_sided=two_sided, scale=scale),
        null_mean=float(null.mean()),
        null_low=float(low),
        null_high=float(high),
        permutations=null.size,
    )


def grouped_pairings(
    groups: Indices, n_groups: int, permutations: int, seed: int
) -> tuple[Indices, Indices]:
    """Draw permutations of members that carry whole groups to groups of the same size.

    Parameters
    ----------
    groups
        For each member the group it belongs to, shape ``(members,)``.
    n_groups
        How many groups there are; some may be empty.
    permutations, seed
        How many to draw, and the seed.

    Returns
    -------
    members, groups : tuple[Indices, Indices]
        ``members[p, m]`` takes the place of member m in permutation p, shape
        ``(permutations, members)``; ``groups[p, g]`` takes the place of group g, shape
        ``(permutations, n_groups)``.

    Notes
    -----
    These permutations form a group under composition, so a test by them is exact wherever one by
    all permutations is.
    """
    generator = np.random.default_rng(seed)
    sizes = np.bincount(groups, minlength=n_groups)
    ordered = np.argsort(groups, kind="stable")
    starts = np.cumsum(sizes) - sizes
    moved_members = np.empty((permutations, len(groups)), dtype=np.intp)
    moved_groups = np.empty((permutations, n_groups), dtype=np.intp)
    for size in np.unique(sizes):
        alike = np.flatnonzero(sizes == size)
        members = ordered[starts[alike][:, None] + np.arange(size)]
        order = generator.permuted(np.tile(np.arange(len(alike)), (permutations, 1)), axis=1)
        moved_groups[:, alike] = alike[order]
        shuffled = generator.permuted(members[order], axis=2) if size else members[order]
        moved_members[:, members.ravel()] = shuffled.reshape(permutations, members.size)
    return moved_members, moved_groups


def chunks(total: int, cost: int) -> Iterator[slice]:
    """Yield slices of ``range(total)`` whose arrays of ``cost`` numbers an item stay in cache."""
    step = max(1, _CHUNK // max(1, cost))
    for start in range(0, total, step):
        yield slice(start, min(total, start + step))
