"""How much a few examples help: zero-shot and few-shot methods over numbers of shots."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pareja.analysis.repeated import RepeatedAccuracy, repeated_accuracy
from pareja.analysis.significance import Floats, Indices
from pareja.classifiers.few_shot import Learned, Method, Settings, learn
from pareja.decimals import counted
from pareja.embedding.pipeline import OnProgress, Progress
from pareja.encoders.protocols import Embeddings
from pareja.errors import LabelError

USUAL_SHOTS = (1, 2, 4, 8, 16)
"""The numbers of shots of the CLIP paper's figure 6 and of Tip-Adapter's tables."""

LEAST = 5
"""Pictures that a label needs to take part unless the shots are named."""


@dataclass(frozen=True)
class Split:
    """One draw of examples; all other pictures are tests.

    Parameters
    ----------
    order
        The examples of each label, in the order of the draw, ``(k, most)``.
    tests
        The pictures that are never examples, rising, ``(n_tests,)``: the same for every number of
        shots, so that the numbers can be compared.
    """

    order: Indices
    tests: Indices

    def examples(self, shots: int) -> Indices:
        """Return the first `shots` examples of every label, ``(k * shots,)``."""
        chosen: Indices = self.order[:, :shots].ravel()
        return chosen


@dataclass(frozen=True)
class Trial:
    """What one method made of one split.

    Parameters
    ----------
    predicted
        Index of the label that each test was taken for, ``(n_tests,)``.
    learned
        The rule and its settings.
    """

    predicted: Indices
    learned: Learned


@dataclass(frozen=True)
class LearningPoint:
    """One method with one number of examples a label.

    Parameters
    ----------
    method, shots
        Which.
    scores
        Over all splits; ``gain`` is over zero-shot, where that is known.
    settings
        The hyperparameters that were chosen in each split.
    """

    method: Method
    shots: int
    scores: RepeatedAccuracy
    settings: tuple[Settings, ...]


@dataclass(frozen=True)
class LearningCurves:
    """Accuracy over numbers of examples.

    Parameters
    ----------
    labels
        Those that took part.
    shots
        The numbers of examples a label, rising.
    seeds
        How many splits were drawn.
    n_images
        Pictures with one of the labels.
    n_tests
        Tests in each split.
    zero_shot
        Words alone, in the same tests; None where there are none.
    points
        Method by method, shots rising.
    """

    labels: tuple[str, ...]
    shots: tuple[int, ...]
    seeds: int
    n_images: int
    n_tests: int
    zero_shot: RepeatedAccuracy | None
    points: tuple[LearningPoint, ...]


def usual_shots(counts: Indices) -> tuple[int, ...]:
    """Return those of `USUAL_SHOTS` that every label with `LEAST` pictures allows.

    Parameters
    ----------
    counts
        How many pictures each label has, ``(n_labels,)``.

    Raises
    ------
    LabelError
        If fewer than two labels have so many.

    Examples
    --------
    >>> usual_shots(np.array([70, 12, 4]))
    (1, 2, 4, 8)
    """
    enough = counts[counts >= LEAST]
    if len(enough) < 2:
        raise LabelError(
            f"{len(enough)} of {counted(len(counts), 'label')} has at least {LEAST} pictures, and "
            "two are needed: four examples and a test. Add pictures, or pass `shots=[1]` or "
            "`shots=[1, 2]`."
        )
    return tuple(shots for shots in USUAL_SHOTS if shots < enough.min())


def taking_part(
    labels: Sequence[str], counts: Indices, shots: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which labels have a picture more than the most shots, and which have not.

    Parameters
    ----------
    labels
        Their names.
    counts
        How many pictures each has, ``(n_labels,)``.
    shots
        Numbers of examples a label.

    Raises
    ------
    LabelError
        If fewer than two have, or a number of shots is not positive.
    """
    if not shots or min(shots) < 1:
        raise LabelError(f"shots must be numbers from 1 on, got {', '.join(map(str, shots))}.")
    most = max(shots)
    inside = tuple(int(i) for i in np.flatnonzero(counts > most))
    if len(inside) < 2:
        ranked = np.argsort(-counts, kind="stable")[:2]
        known = " and ".join(f"{labels[i]!r} with {counts[i]}" for i in ranked)
        raise LabelError(
            f"more shots than pictures: {counted(most, 'shot')} and a test need labels with at "
            f"least {most + 1} pictures, and two such labels. The most have {known}. "
            "Pass fewer `shots`, or add pictures."
        )
    return inside, tuple(int(i) for i in np.flatnonzero(counts <= most))


def draw_split(answers: Indices, most: int, seed: Sequence[int]) -> Split:
    """Draw examples.

    Parameters
    ----------
    answers
        Index of each picture's label, ``(n,)``; each of more than `most` pictures.
    most
        How many examples of each label.
    seed
        Of the draw.
    """
    generator = np.random.default_rng(seed)
    order = np.array(
        [
            generator.permutation(np.flatnonzero(answers == label))[:most]
            for label in range(int(answers.max()) + 1)
        ]
    )
    tests = np.setdiff1d(np.arange(len(answers)), order)
    return Split(order, tests)


def try_split(
    method: Method,
    shots: int,
    split: Split,
    images: Embeddings,
    answers: Indices,
    prior: Floats,
) -> Trial:
    """Learn from the examples of a split and tell what the tests show.

    Parameters
    ----------
    method, shots, split
        How, from how many examples, and which.
    images
        Embeddings of all pictures, ``(n, dim)``.
    answers
        Index of each picture's label, ``(n,)``; those of tests are not looked at.
    prior
        Zero-shot logits, ``(n, k)``; zeros where no words are known.
    """
    chosen = split.examples(shots)
    learned = learn(method, images[chosen], answers[chosen], prior[chosen])
    shares = learned.probabilities(images[split.tests], prior[split.tests])
    return Trial(shares.argmax(axis=1), learned)


def learning_curves(
    images: Embeddings,
    answers: Indices,
    labels: Sequence[str],
    prior: Floats | None,
    *,
    methods: Sequence[Method],
    shots: Sequence[int] = USUAL_SHOTS,
    seeds: int = 10,
    seed: int = 0,
    resamples: int = 2000,
    progress: OnProgress | None = None,
) -> LearningCurves:
    """Measure methods over numbers of examples.

    Parameters
    ----------
    images
        Embeddings that are learned from, ``(n, dim)``.
    answers
        Index of each picture's label, ``(n,)``; every label has more pictures than the most shots.
    labels
        The k labels.
    prior
        Zero-shot logits, ``(n, k)``, of whichever encoder; None where there are no words.
    methods
        Which.
    shots
        Numbers of examples a label.
    seeds
        How many times examples are drawn.
    seed, resamples
        Of the draws and of the bootstrap behind the intervals.
    progress
        Called after each split.

    Raises
    ------
    LabelError
        If a label has no picture more than the most shots.
    """
    counts = np.bincount(answers, minlength=len(labels))
    numbers = tuple(sorted(set(shots)))
    _, outside = taking_part(labels, counts, numbers)
    if outside:
        raise LabelError(
            f"{labels[outside[0]]!r} has {counted(counts[outside[0]], 'picture')}, and "
            f"{counted(numbers[-1], 'shot')} and a test need more. Leave it out, or pass "
            "fewer `shots`."
        )
    words = np.zeros((len(answers), len(labels))) if prior is None else prior
    tested = np.zeros((seeds, len(answers)), dtype=bool)
    correct = {(m, s): np.zeros_like(tested) for m in methods for s in numbers}
    chosen: dict[tuple[Method, int], list[Settings]] = {key: [] for key in correct}
    start = time.perf_counter()
    for row in range(seeds):
        split = draw_split(answers, numbers[-1], (seed, row))
        tested[row, split.tests] = True
        for method, number in correct:
            trial = try_split(method, number, split, images, answers, words)
            correct[method, number][row, split.tests] = trial.predicted == answers[split.tests]
            chosen[method, number].append(trial.learned.settings)
        if progress is not None:
            rate = (row + 1) / max(time.perf_counter() - start, 1e-9)
            progress(Progress(row + 1, seeds, 0, rate, (seeds - row - 1) / rate))
    right = None if prior is None else np.tile(prior.argmax(axis=1) == answers, (seeds, 1))

    def summary(hits: np.typing.NDArray[np.bool_], *, beside: bool) -> RepeatedAccuracy:
        return repeated_accuracy(
            hits,
            tested,
            answers,
            baseline=right if beside else None,
            resamples=resamples,
            seed=seed,
        )

    return LearningCurves(
        labels=tuple(labels),
        shots=numbers,
        seeds=seeds,
        n_images=len(answers),
        n_tests=int(tested[0].sum()),
        zero_shot=None if right is None else summary(right, beside=False),
        points=tuple(
            LearningPoint(*key, summary(hits, beside=True), tuple(chosen[key]))
            for key, hits in correct.items()
        ),
    )
