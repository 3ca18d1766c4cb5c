from __future__ import annotations

import numpy as np
import pytest

from pareja.analysis.pointing import pointing
from pareja.errors import AnalysisError


def test_shares_are_over_things_and_intervals_over_pictures() -> None:
    scores = pointing([5, 5, 9, 9], [1, 1, 0, 0], [0, 0, 0, 1], [0.1, 0.1, 0.2, 0.4])
    assert (scores.n_pictures, scores.n_things) == (2, 4)
    assert scores.hits.value == 0.5
    assert scores.centre.value == 0.25
    assert scores.random == pytest.approx(0.2)
    # Two pictures that are all right and all wrong: a resample may be all of one.
    assert scores.hits.low < 0.1
    assert scores.hits.high > 0.9


def test_the_centre_is_compared_on_the_same_things() -> None:
    scores = pointing(range(4), [1, 1, 0, 1], [1, 0, 0, 1], [0.1] * 4)
    assert scores.above_centre.value == 0.25
    assert scores.above_centre.low <= 0
    assert scores.n_off_centre == 2
    assert scores.off_centre is not None
    assert scores.off_centre.value == 0.5
    assert pointing([0, 1], [1, 0], [1, 1], [0.1, 0.1]).off_centre is None


@pytest.mark.parametrize("pictures", [1, 3])
def test_a_few_pictures_do_not_show_that_a_model_beats_the_centre(pictures: int) -> None:
    right, wrong = np.ones(pictures), np.zeros(pictures)
    scores = pointing(np.arange(pictures), right, wrong, wrong + 0.1)
    assert scores.above_centre.value == 1
    assert scores.above_centre.low < 0.3
    level = pointing(np.arange(pictures), right, right, wrong + 0.1).above_centre
    assert level.low < 0 < level.high


def test_a_random_place_hits_as_often_as_the_boxes_cover() -> None:
    rng = np.random.default_rng(0)
    hits = rng.random(1000) < 0.3
    scores = pointing(np.arange(1000), hits, hits, np.full(1000, 0.3))
    assert scores.hits.low < scores.random < scores.hits.high


@pytest.mark.parametrize("lengths", [(0, 0, 0, 0), (2, 1, 2, 2)])
def test_nothing_or_parts_of_different_lengths_are_refused(lengths: tuple[int, ...]) -> None:
    with pytest.raises(AnalysisError, match="of one length and not empty"):
        pointing(*(np.zeros(length) for length in lengths))
