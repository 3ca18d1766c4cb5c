from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import (
    average_precision_score,
    f1_score,
)

from pareja.analysis.multilabel import multilabel
from pareja.errors import AnalysisError


@pytest.mark.parametrize("digits", [6, 1])
def test_agrees_with_scikit_learn(digits: int) -> None:
    rng = np.random.default_rng(4)
    truth = rng.random((50, 4)) < [0.5, 0.3, 0.1, 0.6]
    # Rounded to one digit, many probabilities are equal.
    p = np.round(np.clip(0.35 * truth + 0.65 * rng.random((50, 4)), 0, 1), digits)
    scores = multilabel(p, truth, ["a", "b", "c", "d"], resamples=200)
    assert scores.mean_average_precision.value == pytest.approx(
        average_precision_score(truth, p, average="macro")
    )
    assert scores.micro_f1.value == pytest.approx(f1_score(truth, p >= 0.5, average="micro"))
    assert scores.macro_f1.value == pytest.approx(f1_score(truth, p >= 0.5, average="macro"))
    assert scores.chance_map == pytest.approx(truth.mean())
    low, high = scores.mean_average_precision.low, scores.mean_average_precision.high
    assert 0 < low < scores.mean_average_precision.value < high < 1


def test_labels_without_pictures_are_left_out() -> None:
    scores = multilabel([[0.9, 0.2], [0.1, 0.1]], [[1, 0], [0, 0]], ["a", "b"])
    assert scores.average_precision == {"a": 1.0}
    assert scores.mean_average_precision.value == 1


def test_micro_f1_rests_on_the_pictures_that_have_or_get_a_label() -> None:
    truth = np.zeros((100, 1))
    truth[:3] = 1
    found = multilabel(truth, truth, ["a"], resamples=100).micro_f1
    assert found.low == pytest.approx(binomtest(3, 3).proportion_ci(method="wilson").low)


def test_truth_must_fit() -> None:
    with pytest.raises(AnalysisError, match="at least one picture must have a label"):
        multilabel([[0.9]], [[0]], ["a"])
