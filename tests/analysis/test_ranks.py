from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pareja.analysis import ranks
from pareja.analysis.ranks import Ranked, matrix_correlation, spearman
from pareja.analysis.significance import Floats, Indices


def test_weighted_spearman_is_that_of_the_repeated_sample() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 6, size=(2, 30))
    weights = rng.integers(0, 3, size=30)
    expected = stats.spearmanr(np.repeat(x, weights), np.repeat(y, weights)).statistic
    places = [np.unique(values, return_inverse=True)[1] for values in (x, y)]
    found = spearman(places[0], places[1], weights.astype(np.float64))
    assert found == pytest.approx(expected, abs=1e-12)
    assert spearman(np.zeros(30, dtype=np.intp), places[1], np.ones(30)) == 0


def weighted(a: Floats, b: Floats, owner: Indices, counts: Floats) -> float:
    """Correlate the entries, each as often as a sample with these pictures holds it."""
    rows, columns = np.indices(a.shape).reshape(2, -1)
    weights = counts[rows] * np.where(owner[columns] != rows, counts[owner[columns]], 1.0)
    return spearman(Ranked.of(a.ravel()).places, Ranked.of(b.ravel()).places, weights)


@pytest.mark.parametrize("levels", [4, 1000])
def test_influence_is_the_slope_of_the_correlation(levels: int) -> None:
    rng = np.random.default_rng(levels)
    owner = np.array([0, 0, 1, 2, 3, 3, 3, 5, 4])
    a = rng.integers(0, levels, size=(6, 9)).astype(np.float64)
    b = a + rng.integers(0, levels, size=(6, 9))
    found = matrix_correlation(Ranked.of(a), Ranked.of(b), owner)
    assert found.value == pytest.approx(stats.spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-12)
    for picture in range(6):
        step = 1e-5 * (np.arange(6) == picture)
        slope = (weighted(a, b, owner, 1 + step) - weighted(a, b, owner, 1 - step)) / 2e-5
        assert found.influence[picture] == pytest.approx(slope, abs=1e-8)


def test_a_constant_matrix_has_no_correlation() -> None:
    found = matrix_correlation(Ranked.of(np.ones((3, 3))), Ranked.of(np.eye(3)), np.arange(3))
    assert (found.value, found.influence.tolist()) == (0, [0, 0, 0])


def test_large_arrays_are_ranked_on_a_fine_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).standard_normal((200, 100))
    exact = Ranked.of(values).ranks()
    monkeypatch.setattr(ranks, "_MOST_SORTED", 1000)
    fine = Ranked.of(values)
    assert fine.places.dtype == np.int32
    assert fine.ranks() == pytest.approx(exact, abs=2)
    assert stats.pearsonr(fine.ranks().ravel(), exact.ravel()).statistic > 1 - 1e-9
    # One number far out leaves all the others on one step of the grid.
    values[0, 0] = 1e12
    assert np.array_equal(Ranked.of(values).ranks().ravel(), stats.rankdata(values) - 10000.5)
