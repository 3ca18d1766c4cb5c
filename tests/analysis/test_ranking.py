from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from pareja.analysis.ranking import ndcg_difference, ranking
from pareja.analysis.significance import paired_difference
from pareja.errors import AnalysisError


def test_hand_worked_numbers() -> None:
    scores = ranking(
        [[False, True, True, False, False], [True, False, False, False, False]], [3, 1]
    )
    assert scores.n_queries == 2
    assert {k: value.value for k, value in scores.precision.items()} == pytest.approx(
        {1: 1 / 2, 3: (2 / 3 + 1 / 3) / 2, 5: (2 / 5 + 1 / 5) / 2}
    )
    assert scores.mrr.value == pytest.approx((1 / 2 + 1) / 2)
    gain = 1 / math.log2(3) + 1 / math.log2(4)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert scores.ndcg_by_query == pytest.approx([gain / ideal, 1.0])
    assert scores.reciprocal_rank_by_query == pytest.approx([0.5, 1.0])


def test_what_was_not_found_counts() -> None:
    short = ranking([[True]], [5], cutoffs=[1, 3])
    assert short.precision[1].value == 1
    assert short.precision[3].value == pytest.approx(1 / 3)
    assert short.ndcg.value < 0.5
    assert ranking([[]], [2]).mrr.value == 0


@given(
    st.lists(st.lists(st.booleans(), min_size=20, max_size=20), min_size=1, max_size=8),
    st.integers(1, 20),
)
def test_agrees_with_scikit_learn(found: list[list[bool]], cutoff: int) -> None:
    found = [row if any(row) else [*row[:-1], True] for row in found]
    scores = ranking(found, [sum(row) for row in found], ndcg_at=cutoff, resamples=100)
    order = np.tile(np.arange(20, 0, -1), (len(found), 1))
    assert scores.ndcg.value == pytest.approx(
        ndcg_score(np.array(found, float), order, k=cutoff), abs=1e-12
    )


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=9), min_size=1, max_size=12))
def test_intervals_hold_the_mean_and_stay_in_range(found: list[list[bool]]) -> None:
    scores = ranking(found, [max(1, sum(row)) for row in found], resamples=100)
    for estimate in [*scores.precision.values(), scores.ndcg, scores.mrr]:
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_more_queries_make_shorter_intervals() -> None:
    rows = [[True, False, False, False, False], [False] * 5]
    few = ranking(rows * 4, [1] * 8).precision[1]
    many = ranking(rows * 100, [1] * 200).precision[1]
    assert many.high - many.low < (few.high - few.low) / 2


@pytest.mark.parametrize(
    ("relevance", "relevant", "message"),
    [
        ([], [], "at least one query"),
        ([[True]], [1, 1], "one of each"),
        ([[True, True]], [1], "at least as many as were found"),
        ([[False]], [0], "at least one"),
    ],
)
def test_impossible_input_is_refused(
    relevance: list[list[bool]], relevant: list[int], message: str
) -> None:
    with pytest.raises(AnalysisError, match=message):
        ranking(relevance, relevant)


def test_a_cutoff_of_nothing_is_refused() -> None:
    with pytest.raises(AnalysisError, match="cutoffs"):
        ranking([[True]], [1], cutoffs=[0])


def test_two_systems_are_compared_query_by_query() -> None:
    first = ranking([[True, False], [True, False], [False, True]], [1, 1, 1])
    second = ranking([[False, True], [True, False], [False, True]], [1, 1, 1])
    found = ndcg_difference(first, second, resamples=500, seed=3)
    gains = np.array([1 - 1 / math.log2(3), 0, 0])
    assert found.value == pytest.approx(gains.mean())
    assert found == paired_difference(gains, np.ones(3), 500, 3)
    back = ndcg_difference(second, first, resamples=500, seed=3)
    assert back.value == pytest.approx(-found.value)


def test_scores_of_other_queries_or_depths_are_not_compared() -> None:
    one, two = ranking([[True]], [1]), ranking([[True], [True]], [1, 1])
    with pytest.raises(AnalysisError, match="same queries"):
        ndcg_difference(one, two)
    with pytest.raises(AnalysisError, match="nDCG@3"):
        ndcg_difference(one, ranking([[True]], [1], ndcg_at=3))
