"""How well labels were predicted, and how well the probabilities knew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.calibration import Reliability, calibration, hits_among
from pareja.analysis.comparison import Agreement, hit_agreement
from pareja.analysis.label_means import mean_interval, ratio
from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    ratio_draws,
    resample_counts,
    share_interval,
)
from pareja.analysis.validation import checked_count, checked_rows
from pareja.decimals import counted
from pareja.errors import AnalysisError


@dataclass(frozen=True)
class ClassScores:
    """One label's results, each in [0, 1].

    Parameters
    ----------
    label
        Its name.
    n_images
        How many pictures have it.
    precision
        Share of the pictures taken for it that are it; None where none is taken for it.
    recall
        Share of its pictures that are taken for it; None where it has no pictures.
    f1
        Harmonic mean of the two; None where it has neither pictures nor predictions.
    """

    label: str
    n_images: int
    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None


@dataclass(frozen=True)
class ClassificationScores:
    """How well labels were predicted.

    Parameters
    ----------
    labels
        The labels, in the order of the columns.
    n_images
        How many pictures were classified.
    top1, top5
        Share of pictures whose label is the most probable one, or among the five most probable
        (ties by expectation), in [0, 1]. With no more labels than that, 1 whatever the pictures.
    chance_top1, chance_top5
        What guessing at random scores: 1/k and min(1, 5/k) with k labels.
    majority
        Share of the most frequent label: what always guessing it would score.
    balanced_accuracy
        Mean recall over the labels that have pictures (Brodersen et al. 2010), in [0, 1]; 1/k by
        chance, also where one label has most of the pictures.
    macro_f1
        Mean F1 over the labels that have pictures or predictions, in [0, 1].
    ece
        Expected calibration error, in [0, 1].
    honest_ece
        What it would be on average if the confidences were exactly right.
    classes
        Results by label.
    confusion
        Counts ``(k, k)``: row = true label, column = predicted label. Ties share the count.
    reliability
        The bins behind `ece`.
    correct
        For each picture the probability that it counts as right, ``(n_images,)``: 0 or 1, or a
        fraction where several labels tie.
    """

    labels: tuple[str, ...]
    n_images: int
    top1: Estimate
    top5: Estimate
    chance_top1: float
    chance_top5: float
    majority: float
    balanced_accuracy: Estimate
    macro_f1: Estimate
    ece: Estimate
    honest_ece: float
    classes: tuple[ClassScores, ...]
    confusion: Floats
    reliability: Reliability
    correct: Floats


def classification(
    probabilities: ArrayLike,
    truth: ArrayLike,
    labels: Sequence[str],
    *,
    bins: int = 15,
    resamples: int = 2000,
    seed: int = 0,
) -> ClassificationScores:
    """Measure predicted probabilities against the truth.

    Parameters
    ----------
    probabilities
        Shape ``(n_images, k)``, in [0, 1]. Rows need not sum to 1: sigmoid scores work too.
    truth
        Index of each picture's label, shape ``(n_images,)``.
    labels
        Names of the k labels.
    bins
        How many bins of confidence `ece` has.
    resamples, seed
        Of the bootstrap over pictures behind every interval.

    Returns
    -------
    ClassificationScores
        Every measure with its value under chance.

    Raises
    ------
    AnalysisError
        If the shapes do not agree, a probability is outside [0, 1], or an index names no label.

    Notes
    -----
    Intervals of shares are those of `share_interval`; that of a label's recall rests on its own
    pictures only, and those of means over labels are
    `pareja.analysis.label_means.mean_interval`. ECE is biased upwards, and each bootstrap sample
    by as much again: its interval mirrors the draws at the value (Davison and Hinkley 1997,
    equation 5.6), and begins at 0 where honest confidences would often do as badly.

    Examples
    --------
    >>> scores = classification([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], [0, 1, 1], ["cat", "dog"])
    >>> round(scores.top1.value, 3), scores.chance_top1, scores.confusion.tolist()
    (0.667, 0.5, [[1.0, 0.0], [1.0, 1.0]])
    """
    scores, answers = _checked(probabilities, truth, labels)
    checked_count("bins", bins)
    checked_count("resamples", resamples)
    n, k = scores.shape
    counts = resample_counts(n, resamples, seed)
    everyone = np.ones((1, n))
    hits = {depth: hits_among(scores, answers, depth) for depth in (1, 5)}
    top1, top5 = (
        share_interval(float(hit.mean()), ratio_draws(counts, hit, everyone[0]), n)
        if depth < k
        else Estimate(1.0, 1.0, 1.0)
        for depth, hit in hits.items()
    )
    best = scores == scores.max(axis=1, keepdims=True)
    predicted = best / best.sum(axis=1, keepdims=True)
    true_hot = (answers[:, None] == np.arange(k)).astype(np.float64)
    whole, drawn = (
        _Tally(weights @ true_hot, weights @ predicted, weights @ (true_hot * predicted))
        for weights in (everyone, counts)
    )

    calibrated = calibration(scores.max(axis=1), hits[1], bins=bins, resamples=resamples, seed=seed)
    return ClassificationScores(
        labels=tuple(labels),
        n_images=n,
        top1=top1,
        top5=top5,
        chance_top1=1 / k,
        chance_top5=min(1.0, 5 / k),
        majority=float(whole.members.max() / n),
        balanced_accuracy=mean_interval(
            whole.recall[0], drawn.recall, whole.members[0], independent=True
        ),
        # As many pictures as a label has, or as few as it has predictions.
        macro_f1=mean_interval(whole.f1[0], drawn.f1, (whole.members + whole.claims)[0] / 2),
        ece=calibrated.ece,
        honest_ece=calibrated.honest_ece,
        classes=tuple(_class_scores(label, c, whole, drawn) for c, label in enumerate(labels)),
        confusion=true_hot.T @ predicted,
        reliability=calibrated.reliability,
        correct=hits[1],
    )


def compare_classifiers(
    correct_a: ArrayLike, correct_b: ArrayLike, *, resamples: int = 2000, seed: int = 0
) -> Agreement:
    """Test whether one of two classifiers is right more often on the same pictures.

    Parameters
    ----------
    correct_a, correct_b
        `ClassificationScores.correct` of both, shape ``(n_images,)``, in [0, 1].
    resamples, seed
        Of the paired bootstrap over pictures.

    Returns
    -------
    Agreement
        Counts, the difference of accuracies with its interval, and the exact test of McNemar
        (1947), whose p is 1 where the two never differ.

    Raises
    ------
    AnalysisError
        If the two are not of the same length, or empty.

    Examples
    --------
    >>> compare_classifiers([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]).p_value
    0.0625
    """
    a, b = np.asarray(correct_a, dtype=np.float64), np.asarray(correct_b, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        raise AnalysisError(
            f"two classifiers are compared on the same pictures, got results of shapes {a.shape} "
            f"and {b.shape}"
        )
    return hit_agreement(a, b, np.arange(len(a)), resamples, seed)


@dataclass(frozen=True)
class _Tally:
    """Weighted counts by label, each ``(draws, k)``: pictures, predictions, and right ones."""

    members: Floats
    claims: Floats
    hits: Floats

    @property
    def precision(self) -> Floats:
        return ratio(self.hits, self.claims)

    @property
    def recall(self) -> Floats:
        return ratio(self.hits, self.members)

    @property
    def f1(self) -> Floats:
        return ratio(2 * self.hits, self.members + self.claims)


def _class_scores(label: str, c: int, whole: _Tally, drawn: _Tally) -> ClassScores:
    members, claims = float(whole.members[0, c]), float(whole.claims[0, c])

    def estimate(measure: str, units: float) -> Estimate | None:
        if units <= 0:
            return None
        value = float(getattr(whole, measure)[0, c])
        return share_interval(value, getattr(drawn, measure)[:, c], max(1, round(units)))

    return ClassScores(
        label=label,
        n_images=int(members),
        precision=estimate("precision", claims),
        recall=estimate("recall", members),
        # Its numerator counts every right picture twice.
        f1=estimate("f1", (members + claims) / 2),
    )


def _checked(
    probabilities: ArrayLike, truth: ArrayLike, labels: Sequence[str]
) -> tuple[Floats, Indices]:
    """Return both arrays, or say what does not fit."""
    scores = checked_rows("probabilities", probabilities)
    n, k = scores.shape
    answers = np.asarray(truth)
    if scores.min() < 0 or scores.max() > 1 + 1e-6:
        raise AnalysisError(
            f"probabilities must lie in [0, 1], got {scores.min():.3g} to {scores.max():.3g}"
        )
    if answers.shape != (n,) or not np.issubdtype(answers.dtype, np.integer):
        raise AnalysisError(
            f"truth must hold the index of a label for each of {n} pictures, got shape "
            f"{answers.shape} of {answers.dtype}"
        )
    if len(labels) != k or answers.min() < 0 or answers.max() >= k:
        raise AnalysisError(
            f"{counted(len(labels), 'label')} and truth from {answers.min()} to {answers.max()} do "
            f"not fit {k} columns"
        )
    return scores, answers.astype(np.intp)
