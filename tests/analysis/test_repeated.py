from __future__ import annotations

import numpy as np
import pytest

from pareja.analysis.classification import classification
from pareja.analysis.repeated import repeated_accuracy
from pareja.errors import AnalysisError


def test_by_hand() -> None:
    correct = np.array([[True, True, False, True], [True, False, False, False]])
    tested = np.array([[True, True, True, False], [True, True, False, True]])
    found = repeated_accuracy(correct, tested, np.array([0, 0, 1, 1]))
    assert found.accuracy.value == pytest.approx(3 / 6)
    # Three of four tests of the first label, none of two of the second.
    assert found.balanced.value == pytest.approx((3 / 4 + 0) / 2)
    assert found.gain is None


def test_one_split_is_an_ordinary_classification() -> None:
    generator = np.random.default_rng(0)
    shares = generator.random((40, 3))
    answers = generator.integers(0, 3, 40)
    correct = (shares.argmax(axis=1) == answers)[None]
    found = repeated_accuracy(correct, np.ones_like(correct), answers, resamples=4000)
    scores = classification(shares, answers, ["a", "b", "c"], resamples=4000)
    assert found.accuracy.value == pytest.approx(scores.top1.value)
    assert found.balanced.value == pytest.approx(scores.balanced_accuracy.value)
    assert found.balanced.low == pytest.approx(scores.balanced_accuracy.low, abs=0.02)
    assert found.balanced.high == pytest.approx(scores.balanced_accuracy.high, abs=0.02)


def test_what_was_not_tested_does_not_count() -> None:
    generator = np.random.default_rng(1)
    correct, tested = generator.random((2, 5, 12)) < 0.6
    answers = np.repeat([0, 1, 2], 4)
    assert repeated_accuracy(correct, tested, answers) == repeated_accuracy(
        correct | ~tested, tested, answers
    )


def test_one_test_a_label_shows_no_gain() -> None:
    right = np.ones((1, 4), bool)
    wrong = ~right
    found = repeated_accuracy(right, ~wrong, np.arange(4), baseline=wrong, seed=1)
    assert found.gain is not None
    assert found.gain.value == 1
    assert found.gain.low < 0 < found.gain.high


def test_the_gain_over_oneself_is_nothing() -> None:
    correct = np.random.default_rng(2).random((5, 12)) < 0.6
    found = repeated_accuracy(
        correct, np.ones_like(correct), np.repeat([0, 1, 2], 4), baseline=correct
    )
    assert found.gain is not None
    assert found.gain.value == 0
    # Four pictures of a label, all the same: that says little of the next ones.
    assert -0.6 < found.gain.low < -0.1
    assert 0.1 < found.gain.high < 0.6


def test_splits_and_pictures_both_widen_the_interval() -> None:
    answers = np.zeros(50, dtype=np.intp)
    generator = np.random.default_rng(3)
    even = generator.random((10, 50)) < 0.7
    by_split = np.tile((generator.random(10) < 0.7)[:, None], (1, 50))
    by_picture = np.tile(generator.random(50) < 0.7, (10, 1))

    def width(correct: np.typing.NDArray[np.bool_]) -> float:
        found = repeated_accuracy(correct, np.ones_like(correct), answers).accuracy
        return found.high - found.low

    assert width(even) < width(by_picture) < width(by_split)


@pytest.mark.parametrize(
    ("correct", "tested"),
    [
        (np.ones((2, 3), bool), np.ones((2, 4), bool)),
        (np.ones((2, 4), bool), np.ones((2, 4), bool)),
        (np.ones((2, 3), bool), np.zeros((2, 3), bool)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    correct: np.typing.NDArray[np.bool_], tested: np.typing.NDArray[np.bool_]
) -> None:
    with pytest.raises(AnalysisError, match="one row a split"):
        repeated_accuracy(correct, tested, np.array([0, 1, 1]))
