from __future__ import annotations

import numpy as np
import pytest

from pareja.analysis.modality import caption_calibration, modality_gap
from pareja.analysis.similarity import normalise
from pareja.errors import AnalysisError


def test_the_gap_is_the_distance_of_the_means() -> None:
    images = np.array([[1.0, 0.0], [0.0, 1.0]])
    captions = np.array([[-1.0, 0.0], [0.0, 1.0]])
    gap = modality_gap(images, captions, [0, 1], permutations=99, seed=0)
    assert gap.statistic == pytest.approx(1.0)
    # Only the first picture moves when it changes places, so every draw gives the same distance.
    assert gap.p_value == 1


def test_several_captions_of_a_picture_count_as_their_mean() -> None:
    images = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    captions = np.array([[0.0, 1.0], [0.0, -1.0], [1.0, 0.0]])
    gap = modality_gap(images, captions, [0, 0, 1], permutations=9, seed=0)
    # Differences (1, 0) and (-1, 1); the third picture has no caption.
    assert gap.statistic == pytest.approx(0.5)


@pytest.mark.parametrize("shift", [0.0, 1.5])
@pytest.mark.parametrize("seed", range(10))
def test_a_shift_between_the_modalities_is_told_from_none(seed: int, shift: float) -> None:
    draw = np.random.default_rng(seed)
    points = draw.normal(size=(40, 8))
    noise = draw.normal(size=(40, 8))
    images, captions = normalise(points + noise), normalise(points - noise + shift)
    gap = modality_gap(images, captions, np.arange(40), permutations=199, seed=1)
    assert 0 <= gap.statistic <= 2
    if shift:
        assert gap.p_value == pytest.approx(1 / 200)
        assert gap.statistic > gap.null_high
    else:
        assert gap.p_value > 1 / 200


def test_p_is_uniform_where_there_is_no_gap() -> None:
    p_values = []
    for seed in range(300):
        draw = np.random.default_rng(seed)
        images, captions = (normalise(draw.normal(size=(12, 4))) for _ in range(2))
        p_values.append(
            modality_gap(images, captions, np.arange(12), permutations=199, seed=seed).p_value
        )
    assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


def test_spaces_of_different_length_have_no_gap() -> None:
    with pytest.raises(AnalysisError, match="3 dimensions, captions 2"):
        modality_gap(np.eye(3), np.eye(3)[:, :2], [0, 1, 2], permutations=9, seed=0)


def test_softmax_confidence_is_shared_and_sigmoid_is_not() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    shared = caption_calibration(logits, [0, 1], loss="softmax", resamples=50)
    confidence = np.array([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-1))])
    assert shared.ece.value == pytest.approx(1 - confidence.mean())
    single = caption_calibration(np.array([[-3.0, -9.0], [-9.0, -3.0]]), [0, 1], loss="sigmoid")
    assert single.ece.value == pytest.approx(1 - 1 / (1 + np.exp(3)))


def test_captions_of_one_picture_act_together() -> None:
    logits = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5]])
    shared = caption_calibration(logits, [0, 0, 1], loss="softmax", resamples=50)
    total = 2 + np.exp(0.5)
    # Both pictures lean to the first one's two captions together, and one of them is right.
    assert shared.correct.mean() == pytest.approx(0.5)
    assert shared.ece.value == pytest.approx(abs(2 / total - 0.5))
    apart = caption_calibration(logits, [0, 0, 1], loss="sigmoid", resamples=50)
    assert apart.ece.value == pytest.approx(1 / (1 + np.exp(-0.5)) - 0.5)


def test_pictures_without_captions_take_no_part() -> None:
    logits = np.array([[3.0, 0.0], [9.0, 9.0], [0.0, 3.0]])
    scores = caption_calibration(logits, [0, 2], loss="softmax", resamples=50)
    assert len(scores.correct) == 2
    assert scores.correct.mean() == 1
