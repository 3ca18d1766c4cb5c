from __future__ import annotations

import numpy as np
import pytest

from pareja.analysis.significance import Floats
from pareja.analysis.validation import levelled


def slowly(matrix: Floats) -> Floats:
    """Walk through the sorted entries, and give one that is close to the last the same value."""
    tolerance = 1e-12 * np.abs(matrix).max()
    result = matrix.ravel().copy()
    order = np.argsort(result, kind="stable")
    last = level = result[order[0]]
    for place in order:
        if result[place] - last > tolerance:
            level = result[place]
        last, result[place] = result[place], level
    return result.reshape(matrix.shape)


@pytest.mark.parametrize("digits", [1, 2, 17])
def test_entries_that_rounding_parts_are_made_equal(digits: int) -> None:
    rng = np.random.default_rng(digits)
    matrix = rng.normal(size=(40, 50)).round(digits)
    # Chains of steps of a third of the tolerance, many of them longer than the tolerance.
    matrix += rng.integers(0, 9, matrix.shape) * 3e-13 * np.abs(matrix).max()
    np.testing.assert_array_equal(levelled(matrix), slowly(matrix))


def test_what_is_constant_stays_so() -> None:
    matrix = np.full((3, 4), 0.5)
    np.testing.assert_array_equal(levelled(matrix), matrix)
    np.testing.assert_array_equal(levelled(np.zeros((1, 1))), np.zeros((1, 1)))
