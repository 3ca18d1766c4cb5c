from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)
from torchmetrics.functional.classification import multiclass_calibration_error

from pareja.analysis.classification import classification, compare_classifiers
from pareja.errors import AnalysisError

NAMES = ["a", "b", "c", "d", "e", "f", "g"]


def predicted(seed: int, n: int = 80, k: int = 7) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k))
    truth = rng.integers(0, k - 1, n)
    logits[np.arange(n), truth] += 1.0
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn_and_torchmetrics(seed: int) -> None:
    probabilities, truth = predicted(seed)
    scores = classification(probabilities, truth, NAMES, resamples=50)
    best = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, best, labels=range(7), zero_division=np.nan
    )
    assert scores.top1.value == pytest.approx((best == truth).mean())
    assert scores.top5.value == pytest.approx(
        top_k_accuracy_score(truth, probabilities, k=5, labels=range(7))
    )
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert scores.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(truth, best))
    assert scores.macro_f1.value == pytest.approx(f1_score(truth, best, average="macro"))
    np.testing.assert_array_equal(scores.confusion, confusion_matrix(truth, best, labels=range(7)))
    for c, found in enumerate(scores.classes):
        assert found.n_images == support[c]
        expected = (precision[c], recall[c], f1[c])
        for estimate, value in zip(
            (found.precision, found.recall, found.f1), expected, strict=True
        ):
            assert (np.nan if estimate is None else estimate.value) == pytest.approx(
                value, nan_ok=True
            )
    ece = multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(truth), num_classes=7, n_bins=15
    )
    assert scores.ece.value == pytest.approx(float(ece), abs=1e-6)


def test_by_hand() -> None:
    scores = classification(
        [[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.55, 0.45]], [0, 1, 1, 0], ["cat", "dog"], bins=2
    )
    assert scores.top1.value == 0.75
    assert scores.majority == 0.5
    assert scores.confusion.tolist() == [[2, 0], [1, 1]]
    # All confidences lie in the upper bin: |0.6625 - 0.75|.
    assert scores.ece.value == pytest.approx(0.0875)
    np.testing.assert_array_equal(scores.reliability.count, [0, 4])
    assert np.isnan(scores.reliability.accuracy[0])
    assert scores.reliability.accuracy[1] == 0.75
    assert scores.classes[0].precision is not None
    assert scores.classes[0].precision.value == pytest.approx(2 / 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 7), st.integers(1, 20), st.randoms(use_true_random=False))
def test_equal_probabilities_score_what_chance_does(k: int, n: int, random: object) -> None:
    truth = np.arange(n) % k
    scores = classification(np.full((n, k), 1 / k), truth, NAMES[:k], resamples=20)
    assert scores.top1.value == pytest.approx(scores.chance_top1)
    assert scores.top5.value == pytest.approx(scores.chance_top5)
    assert scores.confusion.sum() == pytest.approx(n)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_labels_and_of_pictures_changes_nothing(seed: int) -> None:
    probabilities, truth = predicted(seed, n=25)
    rng = np.random.default_rng(seed + 1)
    columns, rows = rng.permutation(7), rng.permutation(25)
    place = np.argsort(columns)
    a = classification(probabilities, truth, NAMES, resamples=20)
    b = classification(
        probabilities[rows][:, columns],
        place[truth[rows]],
        [NAMES[c] for c in columns],
        resamples=20,
    )
    for measure in ("top1", "top5", "balanced_accuracy", "macro_f1", "ece"):
        assert getattr(a, measure).value == pytest.approx(getattr(b, measure).value)
    np.testing.assert_allclose(a.confusion[np.ix_(columns, columns)], b.confusion)
    np.testing.assert_allclose(a.correct[rows], b.correct)


def test_certain_and_right_is_perfect() -> None:
    scores = classification(np.eye(7)[[0, 3, 5]], [0, 3, 5], NAMES)
    assert scores.top1.value == scores.balanced_accuracy.value == scores.macro_f1.value == 1
    assert scores.ece.value == scores.honest_ece == 0
    assert scores.top1.low < 1
    assert scores.classes[1].recall is None


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    held = {"accuracy": 0, "ece": 0}
    runs, n = 60, 50
    for run in range(runs):
        logits = 1.5 * rng.normal(size=(n, 4))
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        truth = np.array([rng.choice(4, p=row) for row in p])
        scores = classification(p, truth, NAMES[:4], resamples=200, seed=run)
        # The probabilities are honest: ECE is 0, and accuracy is the mean confidence, 0.65.
        held["ece"] += scores.ece.low == 0
        held["accuracy"] += scores.top1.low <= 0.65 <= scores.top1.high
    assert held["ece"] >= 0.88 * runs
    assert held["accuracy"] >= 0.88 * runs


@pytest.mark.parametrize(("k", "certain"), [(5, True), (6, False)])
def test_the_first_five_of_five_labels_are_no_finding(k: int, certain: bool) -> None:
    scores = classification(np.eye(k), np.arange(k), NAMES[:k], resamples=50)
    assert scores.top5.value == 1.0
    assert (scores.top5.low == 1.0) is certain


def test_mcnemar_is_exact() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random(60) < 0.8, rng.random(60) < 0.6
    found = compare_classifiers(a, b)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p_value == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    statsmodels = pytest.importorskip("statsmodels.stats.contingency_tables")
    table = [[int((a & b).sum()), only_a], [only_b, int((~a & ~b).sum())]]
    assert found.p_value == pytest.approx(statsmodels.mcnemar(table, exact=True).pvalue)
    assert found.difference.low <= a.mean() - b.mean() <= found.difference.high
    assert compare_classifiers(b, a).p_value == found.p_value
    assert compare_classifiers(a, a).p_value == 1


@pytest.mark.parametrize(
    ("probabilities", "truth", "labels", "message"),
    [
        ([[0.5, 1.5]], [0], ["a", "b"], r"must lie in \[0, 1\], got 0.5 to 1.5"),
        ([[0.5, 0.5]], [2], ["a", "b"], "truth from 2 to 2 do not fit 2 columns"),
        ([[0.5, 0.5]], [0], ["a"], "1 label and"),
        ([[0.5, 0.5]], [0.5], ["a", "b"], "index of a label"),
        ([[0.5, np.nan]], [0], ["a", "b"], "must be finite"),
    ],
)
def test_arrays_that_do_not_fit_are_named(
    probabilities: list[list[float]], truth: list[float], labels: list[str], message: str
) -> None:
    with pytest.raises(AnalysisError, match=message):
        classification(probabilities, truth, labels)


def test_classifiers_of_different_pictures_are_not_compared() -> None:
    with pytest.raises(AnalysisError, match=r"shapes \(2,\) and \(3,\)"):
        compare_classifiers([1, 0], [1, 0, 1])
