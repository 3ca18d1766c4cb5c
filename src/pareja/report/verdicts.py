"""Which sentence a verdict calls for; `pareja.analysis.verdicts` decides."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from pareja.analysis.categories import CategoryScores
from pareja.analysis.classification import ClassificationScores
from pareja.analysis.comparison import Comparison
from pareja.analysis.modality import DualScores, PromptScores
from pareja.analysis.retrieval import DIRECTIONS, Direction
from pareja.analysis.significance import PermutationTest
from pareja.analysis.verdicts import Outcome, apart, by_interval, correlated, of_agreement, of_test
from pareja.report.readings import Reading
from pareja.tasks.encoder_measures import EncoderResult
from pareja.tasks.study import StudyResult

Ending = Literal["both", "one_image_to_text", "one_text_to_image", "neither", "opposed"]


def matches(reading: Reading) -> Outcome:
    """Return whether matched pairs are closer than mismatched ones, or farther apart."""
    return of_test(reading.matching.test)


def found(reading: Reading) -> list[Direction]:
    """Return the directions in which R@1 is shown to be above chance."""
    return [d for d in DIRECTIONS if of_test(reading.first_place[d]) == "above"]


def ending(comparison: Comparison) -> tuple[Ending, Literal["a", "b"]]:
    """Return how a comparison ends, and which encoder the sentence puts first.

    Where neither is better, the first is the encoder with more hits.
    """
    better = {"above": "a", "below": "b"}
    i, t = (better.get(of_agreement(comparison.agreement[d])) for d in DIRECTIONS)
    if i and t:
        return ("both" if i == t else "opposed"), ("a" if i == "a" else "b")
    if i:
        return "one_image_to_text", ("a" if i == "a" else "b")
    if t:
        return "one_text_to_image", ("a" if t == "a" else "b")
    total = sum(agreement.difference.value for agreement in comparison.agreement.values())
    return "neither", ("b" if total < 0 else "a")


def correlation_key(comparison: Comparison) -> str:
    """Return the wording for the rank correlation of the matched similarities."""
    outcome = correlated(comparison.matched_spearman, comparison.matched_p)
    return {
        "above": "same_pairs",
        "below": "opposite_pairs",
        "not_shown": "unrelated_pairs",
        "undefined": "undefined_pairs",
    }[outcome]


def extremes(categories: Iterable[CategoryScores]) -> tuple[CategoryScores, CategoryScores]:
    """Return the category with the highest and the one with the lowest R@1, picture to caption."""
    ordered = sorted(categories, key=lambda scores: -scores.image_to_text.value)
    return ordered[0], ordered[-1]


def beside_guessing(scores: ClassificationScores) -> Outcome | Literal["rarer"]:
    """Return where an accuracy lies beside guessing at random and saying the commonest label.

    ``"rarer"``: below the commonest label's share, but not below guessing at random.
    """
    if by_interval(scores.top1, scores.chance_top1) == "below":
        return "below"
    side = by_interval(scores.top1, scores.majority)
    return "rarer" if side == "below" else side


def geometry_tests(encoder: EncoderResult) -> dict[str, PermutationTest]:
    """Return the three tests of an encoder's geometry by name."""
    geometry = encoder.geometry
    return {"rsa": geometry.rsa, "cka": geometry.cka, "mutual_knn": geometry.mutual_knn}


def moved_by(dual: DualScores, direction: Direction) -> list[PromptScores]:
    """Return the templates whose R@1 leaves a gap to that of the bare caption."""
    bare, *others = dual.prompts
    return [scores for scores in others if apart(scores.recall[direction], bare.recall[direction])]


def p_values(result: StudyResult) -> list[float]:
    """Return every p-value that the report shows, each once."""
    shown: list[float] = []
    for encoder in result.encoders:
        for scores in encoder.bridges or (encoder,):
            shown.append(scores.matching.test.p_value)
            shown += [test.p_value for test in scores.first_place.values()]
        shown += [test.p_value for test in geometry_tests(encoder).values()]
        shown += [encoder.dual.gap.p_value] if encoder.dual else []
    for comparison in result.comparisons:
        shown += [comparison.matched_p, comparison.matrix_p]
        shown += [agreement.p_value for agreement in comparison.agreement.values()]
    for other in result.others:
        shown += [agreement.p_value for agreement in other.comparison.agreement.values()]
    return [p for p in shown if math.isfinite(p)]
