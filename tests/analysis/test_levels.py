from __future__ import annotations

import numpy as np
import pytest

from pareja.analysis.levels import Levels
from pareja.analysis.significance import Floats


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("digits", [1, 9])
def test_places_are_those_of_a_search(dtype: type[np.floating], digits: int) -> None:
    rng = np.random.default_rng(digits)
    levels: Floats = np.sort(rng.standard_normal(200).round(digits)).astype(dtype)
    values = np.concatenate([rng.standard_normal(3000).round(digits), levels, [-1e30, 1e30]])
    values = values.astype(dtype)
    expected = np.searchsorted(levels, values) + np.searchsorted(levels, values, "right")
    assert np.array_equal(Levels(levels).places(values), expected)


def test_a_single_level() -> None:
    assert Levels(np.array([2.0, 2.0])).places(np.array([1.0, 2.0, 3.0])).tolist() == [0, 2, 4]
