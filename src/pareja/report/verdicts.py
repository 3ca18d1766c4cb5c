"""What may be said of a number: the only place where the report decides between its sentences.

A difference counts as shown only where the interval leaves chance out *and*, where there is a test,
its p is below 0.05; otherwise it is within chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np

from pareja.analysis.categories import CategoryScores
from pareja.analysis.classification import Reliability
from pareja.analysis.comparison import Agreement, Comparison
from pareja.analysis.modality import DualScores, PromptScores
from pareja.analysis.retrieval import Direction
from pareja.analysis.significance import Estimate, PermutationTest
from pareja.report.readings import Reading
from pareja.tasks.study import EncoderResult, StudyResult

ALPHA = 0.05

Outcome = Literal["both", "one_image_to_text", "one_text_to_image", "neither", "opposed"]


def significant(p_value: float) -> bool:
    """Return whether a p-value is below 0.05; False for NaN."""
    return bool(p_value < ALPHA)


def beats_chance(reading: Reading, direction: Direction) -> bool:
    """Return whether R@1 is above chance, and can be seen to be.

    The interval has to clear chance in the two decimals that are printed: three hits where one is
    expected would pass by a hair, yet come by luck in 8 % of cases. And one of several intervals
    may clear chance alone, so matched pairs must be closer than mismatched ones as well.
    """
    scores = reading.retrieval(direction)
    clear = round(scores.recall[1].low, 2) > round(scores.chance_recall[1], 2)
    return clear and matches(reading)


def matches(reading: Reading) -> bool:
    """Return whether matched pairs are closer than mismatched ones."""
    return significant(reading.matching.test.p_value) and bool(reading.matching.difference.low > 0)


def better(agreement: Agreement) -> Literal["a", "b"] | None:
    """Return which encoder has the higher R@1, or None where that is within chance."""
    if not significant(agreement.p_value):
        return None
    if agreement.difference.low > 0:
        return "a"
    return "b" if agreement.difference.high < 0 else None


def outcome(comparison: Comparison) -> tuple[Outcome, Literal["a", "b"]]:
    """Return how a comparison ends, and which encoder the sentence puts first.

    Where neither is better, the first is the one with more hits.
    """
    i = better(comparison.agreement["image_to_text"])
    t = better(comparison.agreement["text_to_image"])
    if i and t:
        return ("both" if i == t else "opposed"), i
    if i:
        return "one_image_to_text", i
    if t:
        return "one_text_to_image", t
    total = sum(agreement.difference.value for agreement in comparison.agreement.values())
    return "neither", ("b" if total < 0 else "a")


def correlation_outcome(
    comparison: Comparison,
) -> Literal["same_pairs", "opposite_pairs", "unrelated_pairs", "undefined_pairs"]:
    """Return what the rank correlation of the matched similarities allows to say."""
    rho = comparison.matched_spearman
    if not math.isfinite(rho.value):
        return "undefined_pairs"
    if significant(comparison.matched_p) and rho.low > 0:
        return "same_pairs"
    if significant(comparison.matched_p) and rho.high < 0:
        return "opposite_pairs"
    return "unrelated_pairs"


def apart(first: Estimate, second: Estimate) -> bool:
    """Return whether two intervals leave a gap between them."""
    return bool(first.low > second.high or second.low > first.high)


def extremes(categories: Iterable[CategoryScores]) -> tuple[CategoryScores, CategoryScores]:
    """Return the category with the highest and the one with the lowest R@1, picture to caption."""
    ordered = sorted(categories, key=lambda scores: -scores.image_to_text.value)
    return ordered[0], ordered[-1]


def geometry_tests(encoder: EncoderResult) -> dict[str, PermutationTest]:
    """Return the three tests of an encoder's geometry by name."""
    geometry = encoder.geometry
    return {"rsa": geometry.rsa, "cka": geometry.cka, "mutual_knn": geometry.mutual_knn}


def mean_confidence(reliability: Reliability) -> tuple[float, float]:
    """Return the mean confidence over all pictures, and the share that was right."""
    count, filled = reliability.count, reliability.count > 0
    return (
        float(np.average(reliability.confidence[filled], weights=count[filled])),
        float(np.average(reliability.accuracy[filled], weights=count[filled])),
    )


def calibration_outcome(dual: DualScores) -> Literal["honest", "over", "under"]:
    """Return whether the calibration error is more than honest confidences would score.

    The interval of the error begins at 0 where they would often do as badly.
    """
    if round(dual.ece.low, 2) == 0:
        return "honest"
    confidence, accuracy = mean_confidence(dual.reliability)
    return "over" if confidence > accuracy else "under"


def moved_by(dual: DualScores, direction: Direction) -> list[PromptScores]:
    """Return the templates whose R@1 leaves a gap to that of the bare caption."""
    bare, *others = dual.prompts
    return [scores for scores in others if apart(scores.recall[direction], bare.recall[direction])]


def p_values(result: StudyResult) -> list[float]:
    """Return every p-value that the report shows, each once."""
    found: list[float] = []
    for encoder in result.encoders:
        shown = [bridge.matching for bridge in encoder.bridges] or [encoder.matching]
        found += [matching.test.p_value for matching in shown]
        found += [test.p_value for test in geometry_tests(encoder).values()]
        found += [encoder.dual.gap.p_value] if encoder.dual else []
    for comparison in result.comparisons:
        found += [comparison.matched_p, comparison.matrix_p]
        found += [agreement.p_value for agreement in comparison.agreement.values()]
    return [p for p in found if math.isfinite(p)]
