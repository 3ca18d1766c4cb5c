from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pareja.analysis import Comparison, compare
from pareja.analysis.comparison import hit_agreement
from pareja.analysis.significance import Floats
from pareja.errors import AnalysisError


def quick(a: Floats, b: Floats, owner: list[int], resamples: int = 50) -> Comparison:
    return compare("a", "b", a, b, owner, permutations=99, resamples=resamples)


def test_agreement_by_hand() -> None:
    a = np.eye(4)
    b = np.eye(4)
    b[0] = [0.2, 0.9, 0, 0]
    b[3] = [0.5, 0, 0, 0.5]
    found = compare("a", "b", a, b, range(4), ["x", "x", "y", "y"])
    forward = found.agreement["image_to_text"]
    counts = (forward.both, forward.only_a, forward.only_b, forward.neither)
    assert counts == pytest.approx((2.5, 1.5, 0, 0))
    assert forward.difference.value == pytest.approx(1.5 / 4)
    # Caption 0 now prefers picture 3; the others still find their own.
    backward = found.agreement["text_to_image"]
    assert (backward.both, backward.only_a) == (3, 1)
    assert backward.p_value == 1
    assert {name: one.value for name, one in found.category_differences.items()} == {
        "x": pytest.approx((1 + 1) / 4),
        "y": pytest.approx(0.5 / 4),
    }
    assert [(d.image, d.rank_a, d.rank_b) for d in found.disagreements] == [(0, 1, 2), (3, 1, 1.5)]


def test_mcnemar_agrees_with_scipys_binomial() -> None:
    a, b = np.eye(9), np.eye(9)
    for lost in range(6):
        b[lost, (lost + 1) % 9] = 2
    a[7, 0] = 2
    found = quick(a, b, list(range(9))).agreement["image_to_text"]
    assert (found.only_a, found.only_b) == (6, 1)
    assert found.p_value == pytest.approx(stats.binomtest(6, 7).pvalue, abs=1e-12)
    assert found.difference.low < 5 / 9 < found.difference.high


def test_correlations_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    owner = [0, 0, 1, 2, 2, 4]
    a = rng.integers(0, 6, size=(5, 6)).astype(np.float64)
    b = a + rng.integers(0, 6, size=(5, 6))
    found = quick(a, b, owner)
    x, y = (side[owner, range(6)] for side in (a, b))
    assert found.matched_a.tolist() == x.tolist()
    assert found.matched_spearman.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    whole = stats.spearmanr(a.ravel(), b.ravel()).statistic
    assert found.matrix_spearman.value == pytest.approx(whole, abs=1e-12)
    assert found.matrix_spearman.low <= whole <= found.matrix_spearman.high


def test_p_of_the_matched_agrees_with_scipys_permutations() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.standard_normal((2, 7, 7))
    b[range(7), range(7)] += a[range(7), range(7)]
    found = compare("a", "b", a, b, range(7), permutations=20000, resamples=2)

    def spearman(x: Floats) -> float:
        return float(stats.spearmanr(x, found.matched_b).statistic)

    exact = stats.permutation_test(
        (found.matched_a,), spearman, permutation_type="pairings", n_resamples=5039
    )
    assert found.matched_p == pytest.approx(exact.pvalue, abs=0.02)


def test_the_same_encoder_twice() -> None:
    a = np.random.default_rng(1).standard_normal((12, 12))
    found = quick(a, 7 * a - 3, list(range(12)))
    assert found.matched_spearman.value == found.matrix_spearman.value == 1
    assert found.matched_p == found.matrix_p == 0.02
    assert found.disagreements == ()
    both = found.agreement["text_to_image"]
    assert (both.difference.value, both.p_value, both.only_a) == (0, 1, 0)
    assert found.category_differences == {}


def test_the_diagonal_alone_is_no_agreement_of_matrices() -> None:
    rng = np.random.default_rng(2)
    p = []
    for _ in range(60):
        a, b = rng.standard_normal((2, 8, 8)) + 4 * np.eye(8)
        found = quick(a, b, list(range(8)), resamples=2)
        p.append((found.matched_p, found.matrix_p))
    assert np.mean(np.array(p) <= 0.1, axis=0) == pytest.approx([0.1, 0.1], abs=0.12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**16))
def test_order_of_pictures_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, 6, 6))
    order = rng.permutation(6)
    first = quick(a, b, list(range(6)))
    second = quick(a[np.ix_(order, order)], b[np.ix_(order, order)], list(range(6)))
    for name in ("matched_spearman", "matrix_spearman"):
        value = getattr(first, name).value
        assert getattr(second, name).value == pytest.approx(value, abs=1e-12)
    assert first.agreement["image_to_text"].both == second.agreement["image_to_text"].both


def test_constant_similarities_have_no_correlation() -> None:
    found = quick(np.ones((4, 4)), np.eye(4), [0, 1, 2, 2])
    assert (found.matched_spearman.value, found.matrix_spearman.value) == (0, 0)
    assert (found.matched_p, found.matrix_p) == (1, 1)


def test_bad_input() -> None:
    with pytest.raises(AnalysisError, match=r"\(2, 2\) and \(3, 2\)"):
        quick(np.eye(2), np.eye(3)[:, :2], [0, 1])
    with pytest.raises(AnalysisError, match="image_categories"):
        compare("a", "b", np.eye(2), np.eye(2), [0, 1], ["x"])


def test_hits_on_several_captions_change_places_by_picture() -> None:
    gains = np.array([3, 2, 3, -1, 2, 0, 1, 3])
    pictures = np.repeat(np.arange(8), 3)
    hits_a = (np.arange(3)[None, :] < gains[:, None]).astype(float).ravel()
    hits_b = (np.arange(3)[None, :] < -gains[:, None]).astype(float).ravel()
    found = hit_agreement(hits_a, hits_b, pictures, 99, 0)
    every = np.array(list(product([-1, 1], repeat=8))) @ gains
    exact = 2 * np.mean(every >= gains.sum())
    assert found.p_value == pytest.approx(exact, abs=0.01)
    # As independent captions, 14 against 1 would be ten times as telling.
    assert found.p_value > 10 * stats.binomtest(1, 15).pvalue


def test_captions_written_twice_prove_no_more() -> None:
    a, b = np.array([1.0] * 5 + [0.0] * 5), np.array([0.0] * 5 + [0.0] * 5)
    once = hit_agreement(a, b, np.arange(10), 99, 0).p_value
    twice = hit_agreement(np.repeat(a, 5), np.repeat(b, 5), np.repeat(np.arange(10), 5), 99, 0)
    assert once == pytest.approx(2 / 32)
    assert twice.p_value == pytest.approx(once, abs=0.01)
