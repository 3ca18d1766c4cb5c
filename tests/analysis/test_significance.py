from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pareja.analysis.significance import (
    chunks,
    grouped_pairings,
    paired_difference,
    percentile_interval,
    permutation_p_value,
    permutation_test,
    ratio_draws,
    resample_counts,
    share_interval,
)


def test_resampling_draws_n_of_n() -> None:
    counts = resample_counts(7, 4000, seed=1)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(7), abs=0.06)
    assert (counts == resample_counts(7, 4000, seed=1)).all()
    assert not (counts == resample_counts(7, 4000, seed=2)).all()


def test_share_interval_is_wilsons_for_independent_hits() -> None:
    hits = np.repeat([1.0, 0.0], [300, 200])
    draws = ratio_draws(resample_counts(500, 4000, seed=0), hits, np.ones(500))
    found = share_interval(0.6, draws, 500)
    wilson = stats.binomtest(300, 500).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=0.003)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_share_interval_does_not_collapse_at_the_ends(value: float) -> None:
    found = share_interval(value, np.full(50, value), 20)
    wilson = stats.binomtest(round(20 * value), 20).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_share_interval_grows_with_captions_that_agree() -> None:
    pictures = np.random.default_rng(0).integers(0, 2, 40).astype(np.float64)
    pictures[:20] = 1
    counts = resample_counts(40, 2000, seed=0)
    alone = share_interval(pictures.mean(), ratio_draws(counts, pictures, np.ones(40)), 40)
    five = share_interval(pictures.mean(), ratio_draws(counts, 5 * pictures, np.full(40, 5.0)), 40)
    assert five == alone


def test_percentile_interval_has_the_width_of_t() -> None:
    sample = np.random.default_rng(3).standard_normal(20)
    draws = ratio_draws(resample_counts(20, 50000, seed=0), sample, np.ones(20))
    found = percentile_interval(float(sample.mean()), draws, 20)
    exact = stats.t(19, sample.mean(), stats.sem(sample)).interval(0.95)
    assert (found.low, found.high) == pytest.approx(exact, abs=0.05)


def test_intervals_of_what_cannot_vary() -> None:
    assert percentile_interval(0.4, np.full(9, np.nan), 3).high == 0.4
    assert percentile_interval(0.4, np.array([0.1, 0.9]), 1).low == 0.4
    assert share_interval(1.0, np.array([np.nan]), 4).low == pytest.approx(0.51, abs=0.01)


def test_paired_difference_is_never_certain() -> None:
    found = paired_difference(np.zeros(20), np.ones(20), 2000, seed=0)
    assert found.value == 0
    assert -0.25 < found.low < -0.05
    assert 0.05 < found.high < 0.25
    all_won = paired_difference(np.ones(20), np.ones(20), 2000, seed=0)
    assert (all_won.value, all_won.high) == (1, 1)
    assert 0.6 < all_won.low < 0.9


@pytest.mark.parametrize("two_sided", [False, True])
def test_p_value_agrees_with_scipy(two_sided: bool) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 7))

    def statistic(a: np.ndarray) -> float:
        return float(a @ y)

    other = stats.permutation_test(
        (x,),
        statistic,
        permutation_type="pairings",
        n_resamples=999,
        alternative="two-sided" if two_sided else "greater",
        vectorized=False,
        rng=np.random.default_rng(0),
    )
    found = permutation_p_value(
        float(x @ y), np.asarray(other.null_distribution), two_sided=two_sided
    )
    assert found == pytest.approx(other.pvalue, abs=1e-12)


def test_p_value_counts_equal_sums_of_another_order_as_equal() -> None:
    assert permutation_p_value(0.1 + 0.2 + 0.3, np.array([0.3 + 0.2 + 0.1])) == 1
    assert permutation_p_value(1.0, np.zeros(99)) == 0.01
    assert permutation_p_value(-1.0, np.zeros(99), two_sided=True) == 0.02


def test_permutation_test_reports_its_null() -> None:
    found = permutation_test(0.5, np.linspace(-1, 1, 41))
    assert found.null_mean == pytest.approx(0)
    assert found.permutations == 41
    assert (found.null_low, found.null_high) == pytest.approx((-0.95, 0.95))
    assert found.p_value == 12 / 42


def test_grouped_pairings_carry_groups_whole() -> None:
    groups = np.array([2, 0, 2, 0, 1, 4, 4])
    members, moved = grouped_pairings(groups, 6, 500, seed=3)
    assert (np.sort(members, axis=1) == np.arange(7)).all()
    assert (np.sort(moved, axis=1) == np.arange(6)).all()
    for one, group in zip(members, moved, strict=True):
        assert (groups[one] == group[groups]).all()
    # Groups 0, 2 and 4 have two members each, in 3! orders times 2 inside each; 3 and 5 are empty.
    assert len(np.unique(members, axis=0)) == 48
    assert (moved[:, 1] == 1).all()
    assert set(moved[:, 3].tolist()) == {3, 5}


def test_chunks_cover_everything_once() -> None:
    parts = list(chunks(10, 1 << 19))
    assert [part.stop - part.start for part in parts] == [2] * 5
    assert parts[-1].stop == 10
