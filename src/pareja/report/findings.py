"""The findings of the summary: three to five sentences that the numbers decide."""

from __future__ import annotations

from collections.abc import Iterator

from pareja.analysis.comparison import Comparison
from pareja.analysis.retrieval import DIRECTIONS, RetrievalScores
from pareja.analysis.significance import Estimate
from pareja.analysis.verdicts import apart, significant
from pareja.report.frame import Frame
from pareja.report.readings import Reading, telling
from pareja.report.verdicts import ending, extremes, found, geometry_tests, matches
from pareja.words.spans import Inline


def findings(frame: Frame) -> Iterator[Inline]:
    """Yield what the study shows, at most one finding of each sort, the strongest encoder first."""
    ranked = sorted(
        (r for r in frame.shown if r.bridge == r.encoder.bridge), key=_hits, reverse=True
    )
    duals = [reading for reading in ranked if reading.bridge is None]
    pairs = [reading for reading in frame.shown if reading.bridge == "random_projection"]
    if duals:
        yield _dual(frame, duals[0])
    if pairs:
        yield _pair(frame, pairs[0])
        yield _bridge(frame, telling(frame.shown, pairs[0].encoder))
    if not (duals and pairs):
        yield _geometry(frame, (duals or pairs)[0])
    comparison = _leading_comparison(frame, ranked)
    if comparison is not None:
        yield compare_sentence(frame, comparison)
    best = (duals or pairs)[0].encoder
    if best.categories and len(frame.result.encoders) <= 2:
        yield _categories(frame, (duals or pairs)[0])


def _hits(reading: Reading) -> float:
    return sum(reading.retrieval(direction).recall[1].value for direction in DIRECTIONS)


def _expected(scores: RetrievalScores) -> float:
    return scores.chance_recall[1] * scores.n_queries


def hits(scores: RetrievalScores) -> float:
    """Return how many queries have the right answer first; ties make fractions."""
    return scores.recall[1].value * scores.n_queries


def _dual(frame: Frame, reading: Reading) -> Inline:
    words = frame.words
    i, t = reading.image_to_text, reading.text_to_image
    return words(
        f"finding.dual_{_strength(reading)}",
        name=reading.encoder.name,
        hits_i=words.amount(hits(i)),
        n_i=words.integer(i.n_queries),
        r_i=words.interval(i.recall[1]),
        hits_t=words.amount(hits(t)),
        n_t=words.integer(t.n_queries),
        r_t=words.interval(t.recall[1]),
        chance=words.once(words.amount(_expected(i)), words.amount(_expected(t))),
        **_numbers(frame, reading),
    )


def _strength(reading: Reading) -> str:
    """Return what a reading shows, from ``below`` chance over ``closer`` pairs to ``above``."""
    above = len(found(reading))
    if matches(reading) == "below":
        return "below"
    if above:
        return ("half", "above")[above - 1]
    return "closer" if matches(reading) == "above" else "chance"


def _numbers(frame: Frame, reading: Reading) -> dict[str, str]:
    """Return the numbers that decide about a reading."""
    words = frame.words
    return {
        "auc": words.interval(reading.matching.auc),
        "half": words.number(0.5),
        "p": words.p(reading.matching.test.p_value),
        "p_i": words.p(reading.first_place["image_to_text"].p_value),
        "p_t": words.p(reading.first_place["text_to_image"].p_value),
    }


def _pair(frame: Frame, reading: Reading) -> Inline:
    return frame.words(
        f"finding.pair_{'chance' if matches(reading) == 'not_shown' else 'off'}",
        name=reading.encoder.name,
        **_numbers(frame, reading),
    )


def _bridge(frame: Frame, reading: Reading) -> Inline:
    words = frame.words
    return words(
        f"finding.bridge_{_strength(reading)}",
        name=reading.encoder.name,
        n=words.integer(len(frame.result.dataset)),
        r_i=words.interval(reading.image_to_text.recall[1]),
        r_t=words.interval(reading.text_to_image.recall[1]),
        chance=frame.chance(reading),
        **_numbers(frame, reading),
    )


def _geometry(frame: Frame, reading: Reading) -> Inline:
    words = frame.words
    tests = geometry_tests(reading.encoder)
    shown = {name: test for name, test in tests.items() if significant(test.p_value)}
    listed = [
        words.text(
            "geometry_section.value",
            measure=words.text(f"geometry.{name}"),
            value=words.number(test.statistic),
            p=words.p(test.p_value),
        )
        for name, test in (shown or tests).items()
    ]
    verdict = "alike" if shown else "chance"
    return words(
        f"finding.geometry_{verdict}", name=reading.encoder.name, shown=words.listing(listed)
    )


def _leading_comparison(frame: Frame, ranked: list[Reading]) -> Comparison | None:
    """Return the comparison of the two encoders with the most hits."""
    names = list(dict.fromkeys(reading.encoder.name for reading in ranked))[:2]
    for comparison in frame.result.comparisons:
        if {comparison.a, comparison.b} == set(names):
            return comparison
    return None


def compare_sentence(frame: Frame, comparison: Comparison) -> Inline:
    """Return which of two encoders finds more, or that this is within chance."""
    words = frame.words
    verdict, first = ending(comparison)
    names = {"a": comparison.a, "b": comparison.b}
    winner = names.pop(first)
    (loser,) = names.values()
    differences = {
        direction: comparison.agreement[direction].difference for direction in DIRECTIONS
    }
    if first == "b":
        differences = {
            direction: Estimate(-d.value, -d.high, -d.low, d.level)
            for direction, d in differences.items()
        }
    return words(
        f"compare.{verdict}",
        winner=winner,
        loser=loser,
        d_i=words.interval(differences["image_to_text"]),
        d_t=words.interval(differences["text_to_image"]),
        p_i=words.p(comparison.agreement["image_to_text"].p_value),
        p_t=words.p(comparison.agreement["text_to_image"].p_value),
    )


def _categories(frame: Frame, reading: Reading) -> Inline:
    words = frame.words
    best, worst = extremes(reading.encoder.categories)
    verdict = "chance"
    if best.image_to_text.value == worst.image_to_text.value:
        verdict = "same"
    elif apart(best.image_to_text, worst.image_to_text):
        verdict = "apart"
    return words(
        f"finding.categories_{verdict}",
        name=reading.encoder.name,
        best=best.category,
        worst=worst.category,
        r_best=words.interval(best.image_to_text),
        r_worst=words.interval(worst.image_to_text),
    )
