from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pareja.analysis.rejection import choose_threshold, rejection
from pareja.errors import AnalysisError


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=15),
    st.lists(st.integers(0, 9), min_size=1, max_size=15),
)
def test_auroc_agrees_with_scikit_learn_also_with_ties(ins: list[int], outs: list[int]) -> None:
    certainty = np.array(ins + outs) / 10
    known = np.array([True] * len(ins) + [False] * len(outs))
    scores = rejection(certainty, known, 0.5, resamples=20)
    assert scores.auroc.value == pytest.approx(roc_auc_score(known, certainty))
    assert scores.kept.value == pytest.approx(np.mean(np.array(ins) >= 5))
    assert scores.refused.value == pytest.approx(np.mean(np.array(outs) < 5))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=15),
    st.lists(st.integers(0, 9), min_size=1, max_size=15),
)
def test_no_other_threshold_separates_better(ins: list[int], outs: list[int]) -> None:
    certainty = np.array(ins + outs) / 10
    known = np.array([True] * len(ins) + [False] * len(outs))

    def gain(threshold: float) -> float:
        return float(
            (certainty[known] >= threshold).mean() + (certainty[~known] < threshold).mean()
        )

    chosen = gain(choose_threshold(certainty, known))
    assert chosen >= max(gain(t) for t in np.arange(-0.05, 1.1, 0.05)) - 1e-12


def test_without_unknown_pictures_nearly_all_are_kept() -> None:
    certainty = np.linspace(0, 1, 101)
    assert choose_threshold(certainty, np.ones(101, bool)) == pytest.approx(0.05)


def test_more_pairs_of_the_same_pictures_say_nothing_new() -> None:
    rng = np.random.default_rng(0)
    certainty, known = rng.random(30), rng.random(30) < 0.5
    once = rejection(certainty, known, 0.5, picture=np.arange(30), resamples=200)
    often = rejection(
        np.repeat(certainty, 9),
        np.repeat(known, 9),
        0.5,
        picture=np.repeat(np.arange(30), 9),
        resamples=200,
    )
    for measure in ("auroc", "kept", "refused"):
        one, other = getattr(once, measure), getattr(often, measure)
        assert (other.low, other.high) == pytest.approx((one.low, one.high))
    with pytest.raises(AnalysisError, match="one number a certainty"):
        rejection(certainty, known, 0.5, picture=[1, 2])


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(AnalysisError, match="none of 2 is without one"):
        rejection([0.1, 0.2], [True, True], 0.5)
    with pytest.raises(AnalysisError, match="got none"):
        choose_threshold([0.1], [False])
    with pytest.raises(AnalysisError, match="shapes"):
        rejection([0.1], [True, False], 0.5)
