"""What a number allows one to say: the only place that decides.

One rule holds everywhere:

- Where a question has a test, **its p decides**, at 0.05. The interval beside it says how large
  the difference may be, and decides nothing. At the edge the two may disagree, because they are
  made in different ways: an exact test counts discordant pairs, a bootstrap resamples pictures.
- Where a number has no test, **its interval decides**: the reference has to lie outside it. Two
  numbers that have no test between them differ where their intervals leave a gap, which asks for
  more than a test would.

Both are read as they are printed, p to three decimals and intervals to two, so that whoever reads
a verdict can see it in the numbers beside it.

Every verdict has three outcomes, because a number far below its reference is as much of a finding
as one far above it: captions that were swapped look like that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from pareja.analysis.calibration import Reliability
from pareja.analysis.comparison import Agreement
from pareja.analysis.significance import Estimate, PermutationTest
from pareja.decimals import decimals

ALPHA = 0.05
"""The p below which a difference counts as shown."""

Outcome = Literal["above", "below", "not_shown"]
"""On which side of its reference a number is shown to lie, if on any."""


def significant(p_value: float) -> bool:
    """Return whether a p-value, to three decimals, is below 0.05; False for NaN."""
    return round(float(p_value), 3) < ALPHA


def by_test(p_value: float, effect: float) -> Outcome:
    """Decide a question that has a test.

    Parameters
    ----------
    p_value
        Of the test, in (0, 1]; NaN shows nothing.
    effect
        What was observed minus what chance gives: its sign is the side.

    Examples
    --------
    >>> by_test(0.01, 0.3), by_test(0.01, -0.3), by_test(0.2, 0.3)
    ('above', 'below', 'not_shown')
    """
    if not significant(p_value) or not effect:
        return "not_shown"
    return "above" if effect > 0 else "below"


def by_interval(estimate: Estimate, reference: float = 0.0) -> Outcome:
    """Decide a question that has no test, by the interval.

    Parameters
    ----------
    estimate
        The number with its interval.
    reference
        What it is held against; an end that prints like it excludes nothing.

    Examples
    --------
    >>> by_interval(Estimate(0.2, 0.1, 0.3)), by_interval(Estimate(0.2, 0.1, 0.3), 0.15)
    ('above', 'not_shown')
    """
    if _printed(estimate.low) > _printed(reference):
        return "above"
    return "below" if _printed(estimate.high) < _printed(reference) else "not_shown"


def of_test(test: PermutationTest) -> Outcome:
    """Decide by a permutation test: on which side of random pairing the statistic lies."""
    return by_test(test.p_value, test.statistic - test.null_mean)


def of_agreement(agreement: Agreement) -> Outcome:
    """Decide which of two systems is right more often: ``"above"`` is the first.

    McNemar's test decides; the paired interval says by how much.

    Examples
    --------
    >>> from pareja.analysis.classification import compare_classifiers
    >>> a = [1] * 10 + [0] * 2 + [1] * 38
    >>> b = [0] * 10 + [1] * 2 + [1] * 38
    >>> agreement = compare_classifiers(a, b)
    >>> round(agreement.p_value, 4), of_agreement(agreement)
    (0.0386, 'above')
    """
    return by_test(agreement.p_value, agreement.only_a - agreement.only_b)


def apart(first: Estimate, second: Estimate) -> bool:
    """Return whether two intervals leave a gap between them."""
    higher, lower = (first, second) if first.low > second.low else (second, first)
    return _printed(higher.low) > _printed(lower.high)


def _printed(value: float) -> float:
    return float(decimals(value))


def correlated(estimate: Estimate, p_value: float) -> Outcome | Literal["undefined"]:
    """Decide about a correlation with a two-sided test; NaN is undefined."""
    return by_test(p_value, estimate.value) if math.isfinite(estimate.value) else "undefined"


def mean_confidence(reliability: Reliability) -> tuple[float, float]:
    """Return the mean confidence over all pictures, and the share that was right."""
    count, filled = reliability.count, reliability.count > 0
    return (
        float(np.average(reliability.confidence[filled], weights=count[filled])),
        float(np.average(reliability.accuracy[filled], weights=count[filled])),
    )


def calibrated(ece: Estimate, reliability: Reliability) -> Literal["honest", "over", "under"]:
    """Decide whether a calibration error is more than honest confidences would have.

    The interval of the error begins at 0 where they would often do as badly.
    """
    if by_interval(ece) != "above":
        return "honest"
    confidence, accuracy = mean_confidence(reliability)
    return "over" if confidence > accuracy else "under"


def corrected(p_values: Sequence[float]) -> tuple[float, int]:
    """Return Bonferroni's threshold for several tests, and how many of them are below it."""
    threshold = ALPHA / max(len(p_values), 1)
    return threshold, sum(p < threshold for p in p_values)


def expected_by_chance(tests: int) -> float:
    """Return how many of so many tests would fall below 0.05 by chance alone."""
    return ALPHA * tests


def smallest_p(permutations: int, *, two_sided: bool = True) -> float:
    """Return the smallest p that a permutation test of so many random pairings can give."""
    return (2 if two_sided else 1) / (permutations + 1)
