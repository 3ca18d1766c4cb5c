from __future__ import annotations

import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pareja.analysis import matching
from pareja.analysis.matching import _few, _many
from pareja.analysis.significance import percentile_interval, resample_counts
from pareja.errors import AnalysisError


def test_a_hand_worked_matrix_with_a_tie() -> None:
    found = matching([[0.9, 0.2], [0.5, 0.5]], [0, 1])
    assert found.matched.tolist() == [0.9, 0.5]
    assert sorted(found.mismatched.tolist()) == [0.2, 0.5]
    assert found.difference.value == pytest.approx(0.35)
    # 0.9 beats both, 0.5 beats 0.2 and ties with 0.5.
    assert found.auc.value == pytest.approx(3.5 / 4)


def test_auc_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    owner = np.array([0, 0, 1, 2, 4, 4, 4])
    similarity = rng.integers(0, 9, size=(5, 7)) / 9
    labels = owner[None, :] == np.arange(5)[:, None]
    expected = roc_auc_score(labels.ravel(), similarity.ravel())
    assert matching(similarity, owner).auc.value == pytest.approx(expected, abs=1e-12)


def test_permutation_p_approaches_that_of_all_pairings() -> None:
    rng = np.random.default_rng(4)
    owner = np.array([0, 0, 1, 2, 3, 3])
    similarity = rng.standard_normal((5, 6))
    similarity[owner, np.arange(6)] += 0.7

    def statistic(pairing: tuple[int, ...]) -> float:
        own = np.array(pairing)[owner][None, :] == np.arange(5)[:, None]
        return float(similarity[own].mean() - similarity[~own].mean())

    null = np.array([statistic(pairing) for pairing in permutations(range(5))])
    observed = statistic((0, 1, 2, 3, 4))
    tails = np.mean(null >= observed - 1e-12), np.mean(null <= observed + 1e-12)
    exact = 2 * min(tails)
    test = matching(similarity, owner, permutations=40000).test
    assert test.statistic == pytest.approx(observed, abs=1e-12)
    assert test.p_value == pytest.approx(exact, abs=0.01)
    assert test.null_mean == pytest.approx(null.mean(), abs=0.01)


def test_bootstrap_weighs_as_the_repeated_sample_would() -> None:
    rng = np.random.default_rng(8)
    similarity = rng.standard_normal((15, 15)) + np.eye(15)
    drawn = rng.multinomial(15, np.full(15, 1 / 15), size=2000)
    differences = []
    for count in drawn:
        pictures = np.repeat(np.arange(15), count)
        sample = similarity[np.ix_(pictures, pictures)]
        copies = pictures[:, None] == pictures[None, :]
        differences.append(np.diag(sample).mean() - sample[~copies].mean())
    found = matching(similarity, np.arange(15), resamples=2000).difference
    expected = percentile_interval(found.value, np.array(differences), 15)
    assert found.low == pytest.approx(expected.low, abs=0.1)
    assert found.high == pytest.approx(expected.high, abs=0.1)


@pytest.mark.parametrize("digits", [1, 12])
def test_many_pictures_by_influence_agree_with_their_pairs(digits: int) -> None:
    rng = np.random.default_rng(5)
    owner = rng.permutation(np.repeat(np.arange(80), rng.integers(0, 4, 80)))
    similarity = rng.standard_normal((80, len(owner))).round(digits)
    similarity[owner, np.arange(len(owner))] += 1
    counts = resample_counts(80, 300, 0)
    value, draws = _few(similarity, owner, counts)
    fast_value, fast_draws = _many(similarity, owner, counts)
    labels = owner[None, :] == np.arange(80)[:, None]
    assert fast_value == pytest.approx(roc_auc_score(labels.ravel(), similarity.ravel()))
    assert fast_value == pytest.approx(value, abs=1e-12)
    assert np.corrcoef(fast_draws, draws)[0, 1] > 0.98
    assert fast_draws.std() == pytest.approx(draws.std(), rel=0.05)


def test_the_difference_of_many_pictures_agrees_with_their_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    owner = rng.permutation(np.repeat(np.arange(80), rng.integers(0, 4, 80)))
    similarity = rng.standard_normal((80, len(owner)))
    similarity[owner, np.arange(len(owner))] += 1
    fast = matching(similarity, owner, permutations=1).difference
    monkeypatch.setattr(sys.modules["pareja.analysis.matching"], "_FEW", 80)
    exact = matching(similarity, owner, permutations=1).difference
    assert fast.value == exact.value
    assert (fast.low, fast.high) != (exact.low, exact.high)
    width = exact.high - exact.low
    assert fast.low == pytest.approx(exact.low, abs=0.05 * width)
    assert fast.high == pytest.approx(exact.high, abs=0.05 * width)


def test_influence_is_the_derivative_of_the_auc() -> None:
    rng = np.random.default_rng(6)
    owner = np.array([0, 0, 1, 2, 4, 4, 4])
    similarity = rng.integers(0, 9, size=(5, 7)) / 9
    step = 1e-6
    nudged = np.ones((5, 5)) + step * np.eye(5)
    value, exact = _few(similarity, owner, nudged)
    _, linear = _many(similarity, owner, nudged)
    np.testing.assert_allclose((linear - value) / step, (exact - value) / step, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**16), st.floats(0.1, 50), st.floats(-5, 5))
def test_auc_ignores_order_scale_and_shift(n: int, seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    similarity = rng.standard_normal((n, n))
    order = rng.permutation(n)
    first = matching(similarity, np.arange(n), permutations=19, resamples=9)
    second = matching(
        scale * similarity[np.ix_(order, order)] + shift,
        np.arange(n),
        permutations=19,
        resamples=9,
    )
    assert second.auc.value == pytest.approx(first.auc.value, abs=1e-9)
    assert second.difference.value == pytest.approx(scale * first.difference.value, abs=1e-9)
    assert 1 / 20 <= second.test.p_value <= 1


def test_perfect_and_constant() -> None:
    perfect = matching(np.eye(8), np.arange(8))
    assert perfect.auc.value == 1
    assert 0.6 < perfect.auc.low < perfect.auc.high == 1
    assert perfect.test.p_value < 0.001
    constant = matching(np.full((8, 8), 0.3), np.arange(8))
    assert (constant.auc.value, constant.test.p_value) == (0.5, 1)
    assert constant.difference.value == pytest.approx(0)


def test_p_is_uniform_under_chance() -> None:
    rng = np.random.default_rng(6)
    found = [
        matching(rng.standard_normal((9, 9)), np.arange(9), permutations=99, resamples=2)
        for _ in range(300)
    ]
    values = np.array([scores.test.p_value for scores in found])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(values <= level) == pytest.approx(level, abs=0.09)


def test_one_picture_has_no_mismatch() -> None:
    with pytest.raises(AnalysisError, match="at least 2 pictures"):
        matching([[0.4, 0.2]], [0, 0])


def test_draws_are_refused_when_there_are_none() -> None:
    with pytest.raises(AnalysisError, match="permutations must be at least 1, got 0"):
        matching(np.eye(3), [0, 1, 2], permutations=0)
    with pytest.raises(AnalysisError, match="resamples"):
        matching(np.eye(3), [0, 1, 2], resamples=0)


@pytest.mark.parametrize("level", [0.1, 1 / 3, -7.0, 0.0])
def test_equal_similarities_are_ties_and_no_finding(level: float) -> None:
    scores = matching(np.full((9, 9), level), np.arange(9), permutations=999, resamples=99)
    assert scores.test.p_value == 1
