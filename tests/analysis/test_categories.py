from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pareja.analysis import by_category
from pareja.errors import AnalysisError


def test_a_hand_worked_table_with_a_tie_and_two_captions() -> None:
    # Pictures 0 and 1 are birds, 2 is a castle; picture 1 has captions 1 and 2.
    similarity = [
        [0.9, 0.1, 0.1, 0.2],
        [0.3, 0.6, 0.1, 0.6],
        [0.8, 0.2, 0.4, 0.5],
    ]
    scores, confusion = by_category(similarity, [0, 1, 1, 2], ["bird", "bird", "castle"])
    bird, castle = scores
    assert (bird.category, bird.n_images) == ("bird", 2)
    assert bird.image_to_text.value == pytest.approx((1 + 0.5) / 2)
    assert bird.text_to_image.value == pytest.approx((1 + 1 + 0) / 3)
    assert bird.matched_mean == pytest.approx((0.9 + 0.6 + 0.1) / 3)
    assert bird.mismatched_mean == pytest.approx((0.1 + 0.1 + 0.2 + 0.3 + 0.6) / 5)
    assert (castle.image_to_text.value, castle.text_to_image.value) == (0, 0)
    assert castle.matched_mean == 0.5
    assert confusion.categories == ("bird", "castle")
    assert confusion.image_to_text.tolist() == [[1.5, 0.5], [1, 0]]
    assert confusion.text_to_image.tolist() == [[2, 1], [1, 0]]


def test_intervals_of_five_pictures_are_wilsons() -> None:
    similarity = np.eye(10)
    similarity[:2] = np.roll(similarity[:2], 3, axis=1)
    scores, _ = by_category(similarity, np.arange(10), ["a"] * 5 + ["b"] * 5)
    wilson = stats.binomtest(5, 5).proportion_ci(method="wilson")
    assert scores[1].image_to_text.low == pytest.approx(wilson.low)
    assert scores[0].image_to_text.value == 0.6
    assert scores[0].image_to_text.high - scores[0].image_to_text.low > 0.5


def test_pictures_without_category_or_caption_are_candidates_only() -> None:
    similarity = np.array([[0.1, 0.2], [0.3, 0.1], [0.0, 0.9], [0.5, 0.5]])
    scores, confusion = by_category(similarity, [0, 1], ["a", "a", "b", None])
    assert [one.category for one in scores] == ["a"]
    assert scores[0].n_images == 2
    assert scores[0].text_to_image.value == 0
    assert confusion.categories == ("a", "b")
    assert confusion.image_to_text.tolist() == [[2, 0], [1, 0]]
    # Caption 0 is closest to the picture without category.
    assert confusion.text_to_image.tolist() == [[0, 1], [0, 0]]


def test_bad_input() -> None:
    with pytest.raises(AnalysisError, match="each of 2 pictures, got 1"):
        by_category(np.eye(2), [0, 1], ["a"])
    with pytest.raises(AnalysisError, match="none of the 2 pictures"):
        by_category(np.eye(2), [0, 1], [None, None])
    with pytest.raises(AnalysisError, match="at least 2 pictures"):
        by_category([[1.0]], [0], ["a"])
