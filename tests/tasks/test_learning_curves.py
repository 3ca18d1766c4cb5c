from __future__ import annotations

import numpy as np
import pytest
from tests.classifiers.few_shot_points import LABELS, points

from pareja.classifiers.few_shot import METHODS, Method
from pareja.embedding.pipeline import Progress
from pareja.errors import LabelError
from pareja.tasks.learning_curves import (
    draw_split,
    learning_curves,
    taking_part,
    try_split,
    usual_shots,
)


@pytest.mark.parametrize("method", METHODS)
def test_labels_of_tests_decide_nothing(method: Method) -> None:
    sample = points(each=9)
    split = draw_split(sample.answers, 4, (0, 0))
    before = try_split(method, 4, split, sample.images, sample.answers, sample.prior)
    shuffled = sample.answers.copy()
    shuffled[split.tests] = np.random.default_rng(0).permutation(shuffled[split.tests])
    assert (shuffled != sample.answers).any()
    after = try_split(method, 4, split, sample.images, shuffled, sample.prior)
    assert before.learned.settings == after.learned.settings
    np.testing.assert_array_equal(before.predicted, after.predicted)


@pytest.mark.parametrize("method", METHODS)
def test_tests_decide_nothing_about_what_is_learned(method: Method) -> None:
    sample = points(each=9)
    split = draw_split(sample.answers, 4, (0, 0))
    images = sample.images.copy()
    images[split.tests] = np.roll(images[split.tests], 5, axis=1)
    ours, theirs = (
        try_split(method, 4, split, seen, sample.answers, sample.prior).learned
        for seen in (sample.images, images)
    )
    asked = points(each=2, seed=8)
    assert ours.settings == theirs.settings
    np.testing.assert_array_equal(
        ours.probabilities(asked.images, asked.prior),
        theirs.probabilities(asked.images, asked.prior),
    )


def test_a_split_keeps_examples_and_tests_apart() -> None:
    answers = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1])
    split = draw_split(answers, 3, (0, 1))
    assert set(split.examples(3)) | set(split.tests) == set(range(9))
    assert not set(split.examples(3)) & set(split.tests)
    assert set(split.examples(1)) < set(split.examples(2)) < set(split.examples(3))
    for label in (0, 1):
        assert (answers[split.examples(2)] == label).sum() == 2
    others = [draw_split(answers, 3, (0, draw)).tests.tolist() for draw in range(8)]
    assert len({tuple(tests) for tests in others}) > 1


def test_more_examples_are_better_and_better_than_poor_words() -> None:
    sample = points(each=25, noise=1.5, words=1.2, dim=20)
    reports: list[Progress] = []
    curves = learning_curves(
        sample.images,
        sample.answers,
        LABELS,
        sample.prior,
        methods=["prototype", "tip-adapter"],
        shots=[1, 4, 16],
        seeds=5,
        resamples=300,
        progress=reports.append,
    )
    assert curves.zero_shot is not None
    for method in ("prototype", "tip-adapter"):
        own = [point for point in curves.points if point.method == method]
        assert [point.shots for point in own] == [1, 4, 16]
        values = [point.scores.balanced.value for point in own]
        assert values == sorted(values)
        gain = own[-1].scores.gain
        assert gain is not None
        assert gain.value == pytest.approx(values[-1] - curves.zero_shot.balanced.value)
        assert gain.low > 0
        assert len(own[0].settings) == 5
    assert curves.n_tests == 4 * (25 - 16)
    assert [report.done for report in reports] == [1, 2, 3, 4, 5]
    assert curves.zero_shot.gain is None


def test_without_words_there_is_no_baseline() -> None:
    sample = points()
    curves = learning_curves(
        sample.images, sample.answers, LABELS, None, methods=["knn"], shots=[2], seeds=2
    )
    assert curves.zero_shot is None
    assert curves.points[0].scores.gain is None


def test_the_same_seed_gives_the_same_curves() -> None:
    sample = points(noise=2.0)

    def told(seed: int) -> list[float]:
        curves = learning_curves(
            sample.images,
            sample.answers,
            LABELS,
            sample.prior,
            methods=["prototype"],
            shots=[1, 2],
            seeds=3,
            seed=seed,
        )
        return [point.scores.balanced.value for point in curves.points]

    assert told(0) == told(0) != told(1)


def test_usual_shots_leave_no_label_behind() -> None:
    assert usual_shots(np.array([70, 28, 14, 5, 4, 1])) == (1, 2, 4)
    assert usual_shots(np.array([70, 17])) == (1, 2, 4, 8, 16)
    with pytest.raises(LabelError, match="1 of 3 labels has"):
        usual_shots(np.array([70, 3, 4]))


def test_labels_with_too_few_pictures_stay_out() -> None:
    names = ["cat", "dog", "owl"]
    assert taking_part(names, np.array([9, 5, 4]), [1, 4]) == ((0, 1), (2,))
    with pytest.raises(LabelError, match=r"more shots than pictures: 8 .* 'cat' with 9 and 'dog'"):
        taking_part(names, np.array([9, 5, 4]), [1, 8])
    for shots in ([], [0, 2]):
        with pytest.raises(LabelError, match="from 1 on"):
            taking_part(names, np.array([9, 5, 4]), shots)


def test_a_label_with_too_few_pictures_is_named() -> None:
    sample = points()
    kept = np.arange(len(sample.answers)) != 0
    with pytest.raises(LabelError, match="'cat' has 5 pictures"):
        learning_curves(
            sample.images[kept],
            sample.answers[kept],
            LABELS,
            None,
            methods=["knn"],
            shots=[5],
        )
