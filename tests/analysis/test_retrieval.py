from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.retrieval import retrieval_hit_rate, retrieval_reciprocal_rank

from pareja.analysis import retrieval
from pareja.analysis.retrieval import _median_draws
from pareja.analysis.significance import Floats, Indices
from pareja.errors import AnalysisError


def brute_force(scores: Floats, right: Floats, k: int) -> tuple[float, float, float]:
    """Hit, reciprocal rank and rank of the first right answer, over every order of ties."""
    outcomes = []
    for order in permutations(range(len(scores))):
        ranked = sorted(order, key=lambda place: -scores[place])
        outcomes.append(1 + min(ranked.index(place) for place in np.flatnonzero(right).tolist()))
    ranks = np.array(outcomes, dtype=np.float64)
    return float((ranks <= k).mean()), float((1 / ranks).mean()), float(ranks.mean())


def test_a_hand_worked_matrix() -> None:
    similarity = [[0.9, 0.2, 0.1], [0.8, 0.7, 0.3], [0.4, 0.6, 0.5]]
    forward, backward = retrieval(similarity, [0, 1, 2], ks=(1, 2, 3))
    assert forward.ranks.tolist() == [1, 2, 2]
    assert backward.ranks.tolist() == [1, 1, 1]
    assert [forward.recall[k].value for k in (1, 2, 3)] == pytest.approx([1 / 3, 1, 1])
    assert forward.mrr.value == pytest.approx(2 / 3)
    assert (forward.median_rank.value, backward.median_rank.value) == (2, 1)
    assert forward.chance_recall == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1})
    assert forward.chance_mrr == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert forward.chance_median_rank == 2


def test_ties_and_several_captions_by_hand() -> None:
    # Picture 0 has captions 0 and 1, picture 1 caption 2, picture 2 none.
    similarity = [[0.5, 0.5, 0.5, 0.9], [0.1, 0.1, 0.3, 0.3], [0.5, 0.0, 0.0, 0.0]]
    forward, backward = retrieval(similarity, [0, 0, 1, 1], ks=(1, 2))
    assert (forward.n_queries, forward.n_candidates) == (2, 4)
    assert (backward.n_queries, backward.n_candidates) == (4, 3)
    # One above, then two right ones among three.
    assert forward.ranks.tolist() == pytest.approx([1 + 4 / 3, 1])
    assert forward.recall[1].value == pytest.approx(1 / 2)
    assert forward.recall[2].value == pytest.approx((2 / 3 + 1) / 2)
    assert forward.mrr.value == pytest.approx((2 / 3 / 2 + 1 / 3 / 3 + 1) / 2)
    # Caption 0 ties picture 0 with picture 2; captions 2 and 3 prefer picture 0.
    assert backward.ranks.tolist() == [1.5, 1, 2, 2]
    # Two right ones among four: the first is at 1, 2, 3 with 3/6, 2/6, 1/6.
    assert forward.chance_recall[1] == pytest.approx(1 / 2)
    assert forward.chance_mrr == pytest.approx(3 / 6 + 2 / 6 / 2 + 1 / 6 / 3)
    assert forward.chance_median_rank == 1.5


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_expectation_over_ties_equals_enumeration(draw: st.DataObject) -> None:
    n_images = draw.draw(st.integers(1, 3))
    owner = draw.draw(st.lists(st.integers(0, n_images - 1), min_size=1, max_size=5))
    size = (n_images, len(owner))
    levels = draw.draw(
        st.lists(st.integers(0, 2), min_size=size[0] * size[1], max_size=size[0] * size[1])
    )
    similarity = np.array(levels, dtype=np.float64).reshape(size) / 7
    k = draw.draw(st.integers(1, 6))
    own = np.array(owner)[None, :] == np.arange(n_images)[:, None]
    directions = ((similarity, own), (similarity.T, own.T))
    for found, (scores, right) in zip(
        retrieval(similarity, owner, ks=(k,), resamples=2), directions, strict=True
    ):
        expected = [
            brute_force(row, mask, k) for row, mask in zip(scores, right, strict=True) if mask.any()
        ]
        hits, reciprocals, ranks = zip(*expected, strict=True)
        assert found.recall[k].value == pytest.approx(np.mean(hits), abs=1e-12)
        assert found.mrr.value == pytest.approx(np.mean(reciprocals), abs=1e-12)
        assert found.ranks == pytest.approx(np.array(ranks), abs=1e-12)
        constant = retrieval(np.ones(size), owner, ks=(k,), resamples=2)
        same = constant[0] if found.direction == "image_to_text" else constant[1]
        assert same.recall[k].value == pytest.approx(found.chance_recall[k], abs=1e-12)
        assert same.mrr.value == pytest.approx(found.chance_mrr, abs=1e-12)


@pytest.mark.parametrize("captions_each", [1, 3])
def test_agreement_with_torchmetrics(captions_each: int) -> None:
    rng = np.random.default_rng(5)
    n = 17
    owner = np.repeat(np.arange(n), captions_each)
    similarity = rng.standard_normal((n, len(owner)))
    own = owner[None, :] == np.arange(n)[:, None]
    forward, backward = retrieval(similarity, owner, ks=(1, 5))
    for found, scores, right in (
        (forward, similarity, own),
        (backward, similarity.T, own.T),
    ):
        # torchmetrics takes scores that are not positive as not retrieved.
        queries = [
            (torch.tensor(row - scores.min() + 1), torch.tensor(mask))
            for row, mask in zip(scores, right, strict=True)
        ]
        # It computes 1 / rank in float32.
        ranks = [round(1 / float(retrieval_reciprocal_rank(*query))) for query in queries]
        assert found.ranks.tolist() == ranks
        assert found.mrr.value == pytest.approx(np.mean(1 / np.array(ranks)), abs=1e-12)
        for k in (1, 5):
            hits = [float(retrieval_hit_rate(*query, top_k=k)) for query in queries]
            assert found.recall[k].value == pytest.approx(np.mean(hits), abs=1e-12)


def test_chance_is_the_mean_over_random_matrices() -> None:
    rng = np.random.default_rng(0)
    owner = np.array([0, 0, 0, 1, 2, 2])
    found = [
        retrieval(rng.standard_normal((4, 6)), owner, ks=(1, 2), resamples=2) for _ in range(500)
    ]
    for direction in (0, 1):
        scores = [pair[direction] for pair in found]
        for k in (1, 2):
            mean = np.mean([score.recall[k].value for score in scores])
            assert mean == pytest.approx(scores[0].chance_recall[k], abs=0.05)
        mean = np.mean([score.mrr.value for score in scores])
        assert mean == pytest.approx(scores[0].chance_mrr, abs=0.05)
        ranks = np.concatenate([score.ranks for score in scores])
        assert np.mean(ranks < scores[0].chance_median_rank) <= 0.54
        assert np.mean(ranks > scores[0].chance_median_rank) <= 0.54


def test_equal_captions_tie_in_spite_of_rounding() -> None:
    similarity = np.array([[0.1 + 0.2, 0.3], [0.3, 0.1 + 0.2]])
    forward, _ = retrieval(similarity, [0, 1])
    assert forward.ranks.tolist() == [1.5, 1.5]


def test_order_of_pictures_does_not_matter_but_the_seed_repeats() -> None:
    rng = np.random.default_rng(2)
    owner: Indices = np.repeat(np.arange(8), 2)
    similarity = rng.standard_normal((8, 16))
    order = rng.permutation(8)
    columns = (order[:, None] * 2 + np.arange(2)).ravel()
    first = retrieval(similarity, owner)
    moved = retrieval(similarity[order][:, columns], owner)
    again = retrieval(similarity, owner)
    for a, b, c in zip(first, moved, again, strict=True):
        assert a.mrr.value == pytest.approx(b.mrr.value, abs=1e-12)
        assert a.recall[5].value == pytest.approx(b.recall[5].value, abs=1e-12)
        assert a.recall == c.recall
        assert a.median_rank == c.median_rank


def test_as_many_answers_as_candidates_leave_nothing_uncertain() -> None:
    forward, backward = retrieval(np.eye(6), np.arange(6), ks=(5, 6), resamples=50)
    for scores in (forward, backward):
        assert scores.recall[5].low < scores.recall[6].low == scores.recall[6].value == 1.0


def test_one_picture_scores_one_as_chance_does() -> None:
    for found in retrieval([[0.3]], [0]):
        assert found.recall[10].value == found.chance_recall[10] == 1
        assert found.mrr.value == found.chance_mrr == 1
        assert found.median_rank.low == found.median_rank.high == 1


def test_weighted_median_is_that_of_the_repeated_sample() -> None:
    rng = np.random.default_rng(1)
    ranks = rng.integers(1, 9, size=11).astype(np.float64)
    weights = rng.integers(0, 3, size=(40, 11))
    weights[:, 0] += 1
    expected = [np.median(np.repeat(ranks, row)) for row in weights]
    assert _median_draws(ranks, weights.astype(np.float64), np.arange(11)).tolist() == expected


@pytest.mark.parametrize(
    ("similarity", "owner", "ks", "message"),
    [
        ([[1.0, 2.0]], [0], (1,), r"1|2"),
        ([[1.0]], [1], (1,), r"owner\[0\] is 1"),
        ([[float("nan")]], [0], (1,), "finite"),
        ([[1.0]], [0], (0,), "k must be at least 1"),
        ([[1.0]], [0], (), "ks"),
        ([1.0], [0], (1,), r"shape \(1,\)"),
        (np.empty((0, 3)), [0, 0, 0], (1,), r"\(0, 3\)"),
        ([[1.0]], [0.0], (1,), "owner"),
        ([["a"]], [0], (1,), "numbers"),
    ],
)
def test_bad_input(similarity: object, owner: object, ks: tuple[int, ...], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        retrieval(similarity, owner, ks=ks)  # type: ignore[arg-type]
