from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity as reference

from pareja.analysis import cosine_similarity, normalise, random_projection_similarity
from pareja.errors import AnalysisError


def test_cosine_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    images, captions = rng.standard_normal((5, 7)), rng.standard_normal((3, 7))
    found = cosine_similarity(images, 1000 * captions)
    assert found == pytest.approx(reference(images, captions), abs=1e-12)


def test_rows_of_any_magnitude_get_length_one_and_zeros_stay() -> None:
    rows = normalise([[3e200, 4e200], [3e-200, 4e-200], [0.0, 0.0]])
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0.6, 0.8], [0, 0]]))


def test_different_dimensions_are_refused_with_both_shapes() -> None:
    with pytest.raises(AnalysisError, match=r"\(2, 3\).*\(2, 4\)"):
        cosine_similarity(np.ones((2, 3)), np.ones((2, 4)))


def test_random_projection_keeps_each_space_and_says_nothing_across() -> None:
    rng = np.random.default_rng(1)
    images, captions = rng.standard_normal((4, 60)), rng.standard_normal((4, 30))
    drawn = np.array(
        [random_projection_similarity(images, captions, seed=seed) for seed in range(400)]
    )
    assert drawn.shape == (400, 4, 4)
    assert np.abs(drawn).max() <= 1
    assert drawn.mean(axis=0) == pytest.approx(np.zeros((4, 4)), abs=0.05)
    assert drawn.std(axis=0) == pytest.approx(np.full((4, 4), 1 / np.sqrt(30)), abs=0.03)
    assert (drawn[3] == random_projection_similarity(images, captions, seed=3)).all()
    with pytest.raises(AnalysisError, match="dim must be at least 1"):
        random_projection_similarity(images, captions, dim=0, seed=0)
