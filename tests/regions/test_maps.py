from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pareja.regions.maps import boxes, peak, relative

WHOLE = (0.0, 0.0, 60.0, 60.0)
SIZE = (60, 60)


def _heat(*warm: tuple[int, int], side: int = 6) -> np.ndarray:
    heat = np.zeros((side, side), np.float32)
    for row, col in warm:
        heat[row, col] = 1
    return heat


@pytest.mark.parametrize(("row", "col"), [(0, 0), (0, 5), (5, 0), (5, 5), (2, 3)])
def test_one_warm_cell_is_one_box_around_it(row: int, col: int) -> None:
    (box,) = boxes(_heat((row, col)), WHOLE, SIZE, 0.4)
    assert box.score == pytest.approx(0.4)
    assert peak(_heat((row, col)), WHOLE, SIZE) == (10 * col + 5, 10 * row + 5)
    # Bilinear, so that the rim of the neighbours belongs to it, but never all of them.
    assert abs(box.left + box.width / 2 - (10 * col + 5)) <= 5
    assert abs(box.top + box.height / 2 - (10 * row + 5)) <= 5
    assert 10 <= box.width <= 20
    assert 10 <= box.height <= 20


def test_two_things_are_two_boxes_best_first() -> None:
    heat = _heat((0, 0), (5, 5))
    heat[5, 5] = 0.8
    first, second = boxes(heat, WHOLE, SIZE, 0.5)
    assert (first.left, first.top) == (0, 0)
    assert (second.left + second.width, second.top + second.height) == SIZE
    assert second.score < first.score == pytest.approx(0.5)


def test_an_echo_is_no_box() -> None:
    heat = _heat((0, 0), (5, 5))
    heat[5, 5] = 0.4
    assert len(boxes(heat, WHOLE, SIZE, 0.5)) == 1


def test_a_negative_score_keeps_its_order() -> None:
    heat = _heat((0, 0), (5, 5))
    heat[5, 5] = 0.8
    first, second = boxes(heat, WHOLE, SIZE, -0.5)
    assert first.score == pytest.approx(-0.5)
    assert second.score < -0.5


def test_a_map_of_a_crop_lies_in_the_middle_of_the_picture() -> None:
    (box,) = boxes(_heat((0, 0)), (100.0, 50.0, 60.0, 60.0), (260, 160), 1)
    assert (box.left, box.top) == (100, 50)


def test_what_lies_outside_of_the_picture_is_cut_off() -> None:
    seen = (-30.0, 0.0, 60.0, 60.0)
    (box,) = boxes(_heat((2, 2), (2, 3)), seen, (30, 60), 1)
    assert box.left == 0
    assert peak(_heat((2, 0)), seen, (30, 60)) == (0, 25)
    assert boxes(_heat((2, 0)), seen, (30, 60), 1) == ()


def test_places_that_are_all_alike_have_no_box() -> None:
    assert boxes(np.full((6, 6), 0.3, np.float32), WHOLE, SIZE, 1) == ()
    assert boxes(np.full((1, 1), 0.3, np.float32), WHOLE, (1, 1), 1) == ()
    assert not relative(np.full((4, 4), -2, np.float32)).any()


@given(arrays(np.float32, (5, 7), elements=st.floats(-1, 1, width=16)))
def test_boxes_are_in_the_picture_and_hold_the_warmest_place(heat: np.ndarray) -> None:
    found = boxes(heat, (0.0, 0.0, 70.0, 50.0), (70, 50), 0.9)
    for box in found:
        assert 0 <= box.left < box.left + box.width <= 70
        assert 0 <= box.top < box.top + box.height <= 50
        assert box.score <= 0.9 + 1e-6
    assert (found != ()) == bool(relative(heat, 8).any())
