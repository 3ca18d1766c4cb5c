"""Means over labels know how little is known of a rare label."""

from __future__ import annotations

import numpy as np
import pytest

from pareja.analysis.classification import classification
from pareja.analysis.label_means import mean_interval
from pareja.analysis.significance import share_interval


def test_one_picture_of_a_label_that_is_right_proves_little() -> None:
    answers = np.array([0] * 99 + [1])
    scores = classification(np.eye(2)[answers], answers, ["often", "rare"])
    rare = scores.classes[1].recall
    assert rare is not None
    # Half of the mean is a recall that may well be 0.21.
    assert scores.balanced_accuracy.value == 1
    assert scores.balanced_accuracy.low <= 0.5 + rare.low / 2 + 0.01
    assert scores.macro_f1.low <= scores.balanced_accuracy.low + 0.01


def test_one_label_has_its_own_interval() -> None:
    draws = np.random.default_rng(0).binomial(20, 0.7, (2000, 1)) / 20
    alone = share_interval(0.7, draws[:, 0], 20)
    mean = mean_interval(np.array([0.7]), draws, np.array([20.0]))
    assert (mean.low, mean.high) == pytest.approx((alone.low, alone.high))


def test_independent_labels_of_one_size_have_the_interval_of_all_their_pictures() -> None:
    rng = np.random.default_rng(1)
    draws = rng.binomial(40, 0.6, (4000, 4)) / 40
    mean = mean_interval(np.full(4, 0.6), draws, np.full(4, 40.0), independent=True)
    alone = share_interval(0.6, draws[:, 0], 40)
    assert mean.high - mean.low == pytest.approx((alone.high - alone.low) / 2, rel=0.06)


def test_labels_that_move_together_widen_the_mean() -> None:
    rng = np.random.default_rng(2)
    one = rng.binomial(40, 0.6, (4000, 1)) / 40
    together = mean_interval(np.full(4, 0.6), np.tile(one, (1, 4)), np.full(4, 40.0))
    alone = share_interval(0.6, one[:, 0], 40)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.06)


def test_a_label_without_pictures_does_not_count() -> None:
    draws = np.full((100, 2), np.nan)
    draws[:, 0] = 0.5
    with_it = mean_interval(np.array([0.5, np.nan]), draws, np.array([10.0, 0.0]))
    without = mean_interval(np.array([0.5]), draws[:, :1], np.array([10.0]))
    assert with_it == without
