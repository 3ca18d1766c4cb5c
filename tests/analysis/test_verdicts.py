"""One rule decides: a test where there is one, otherwise the interval."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pareja.analysis.classification import compare_classifiers
from pareja.analysis.first_place import first_place
from pareja.analysis.significance import Estimate, PermutationTest
from pareja.analysis.verdicts import (
    by_interval,
    by_test,
    corrected,
    correlated,
    of_agreement,
    of_test,
)

SOURCE = Path(__file__).parents[2] / "src" / "pareja"


@pytest.mark.parametrize(
    ("p_value", "effect", "outcome"),
    [
        (0.049, 0.1, "above"),
        (0.049, -0.1, "below"),
        (0.05, 0.1, "not_shown"),
        # Prints as 0.050.
        (0.0499, 0.1, "not_shown"),
        (float("nan"), 0.1, "not_shown"),
        (0.001, 0.0, "not_shown"),
    ],
)
def test_a_test_has_three_outcomes(p_value: float, effect: float, outcome: str) -> None:
    assert by_test(p_value, effect) == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.1, 0.3, "above"),
        (-0.3, -0.1, "below"),
        (0.0, 0.3, "not_shown"),
        (-0.1, 0.3, "not_shown"),
        # An end that prints as 0.00 excludes nothing.
        (0.004, 0.3, "not_shown"),
        (-0.3, -0.004, "not_shown"),
    ],
)
def test_an_interval_has_three_outcomes(low: float, high: float, outcome: str) -> None:
    assert by_interval(Estimate((low + high) / 2, low, high)) == outcome


def test_the_test_decides_where_the_interval_touches_zero() -> None:
    a = np.array([1] * 10 + [0] * 2 + [1] * 38)
    b = np.array([0] * 10 + [1] * 2 + [1] * 38)
    agreement = compare_classifiers(a, b)
    assert agreement.difference.low <= 0.01
    assert (of_agreement(agreement), of_agreement(compare_classifiers(b, a))) == ("above", "below")


def test_a_statistic_below_random_pairing_is_below() -> None:
    test = PermutationTest(-0.4, 0.002, 0.0, -0.1, 0.1, 999)
    assert of_test(test) == "below"


def test_an_undefined_correlation_is_no_finding() -> None:
    assert correlated(Estimate(float("nan"), float("nan"), float("nan")), 0.001) == "undefined"


def test_bonferroni_divides_by_the_number_of_tests() -> None:
    assert corrected([0.001, 0.02, 0.04, 0.5]) == (0.0125, 1)


def test_three_hits_among_twenty_come_by_luck() -> None:
    # P(at least 3 fixed points of a random permutation) is 0.080.
    nearest = np.roll(np.eye(20), 1, axis=1)
    nearest[:3] = np.eye(20)[:3]
    test = first_place(nearest, np.arange(20), permutations=9999)["image_to_text"]
    assert test.statistic == pytest.approx(3 / 20)
    assert test.p_value == pytest.approx(0.080, abs=0.012)


def test_ties_share_the_first_place() -> None:
    tests = first_place(np.zeros((4, 4)), np.arange(4), permutations=99)
    assert tests["image_to_text"].statistic == pytest.approx(1 / 4)
    assert tests["text_to_image"].p_value == 1


def test_several_captions_of_a_picture_are_paired_anew_together() -> None:
    # All ten captions of two pictures are right: two independent hits, not ten.
    owner = np.repeat(np.arange(6), 5)
    similarity = (owner[None, :] == np.arange(6)[:, None]).astype(float)
    similarity[2:] = 0.5
    test = first_place(similarity, owner, permutations=9999)["text_to_image"]
    # Both are paired with themselves in one of 30 random pairings.
    assert test.p_value == pytest.approx(1 / 30, abs=0.006)


def test_no_other_module_has_a_threshold_of_its_own() -> None:
    rule = re.compile(
        r"ALPHA\s*=|[<>]=?\s*ALPHA|p_value\s*[<>]|\.low\s*>\s*0|\.high\s*<\s*0|\.low\s*>\s*max\("
    )
    found = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*")
        if path.suffix in {".py", ".jinja"} and rule.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["analysis/verdicts.py"]


def test_no_sentence_has_the_threshold_written_into_it() -> None:
    words = (SOURCE / "words").glob("*.toml")
    written = [path.name for path in words if re.search(r"0[.,]05", path.read_text("utf-8"))]
    assert written == []
