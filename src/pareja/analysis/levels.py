"""Numbers against the levels that they are compared with."""

from __future__ import annotations

import numpy as np

from pareja.analysis.significance import Floats, Indices

_CELLS = 1 << 20


class Levels:
    """Sorted numbers that very many others are compared with.

    Even cells over their range say at once how many lie below a number, but in those few cells that
    hold some of them: only there is searched.

    Parameters
    ----------
    levels
        Rising, ``(n,)``, at least one; they may repeat.

    Examples
    --------
    >>> Levels(np.array([0.0, 1.0, 1.0])).places(np.array([-1.0, 0.0, 0.5, 1.0])).tolist()
    [0, 1, 2, 4]
    """

    def __init__(self, levels: Floats) -> None:
        self._levels = levels
        self._cells = min(_CELLS, 40 * len(levels))
        spread = float(levels[-1]) - float(levels[0])
        self._scale = levels.dtype.type(self._cells / spread if spread > 0 else 0.0)
        cell = self._cell(levels)
        self._below = 2 * np.searchsorted(cell, np.arange(self._cells + 2)).astype(np.intp)
        self._searched = np.bincount(cell, minlength=self._cells + 2) > 0

    def _cell(self, values: Floats) -> Indices:
        """Return the cell of each value: rising with it, whatever is rounded."""
        with np.errstate(over="ignore"):
            place = (values - self._levels[0]) * self._scale + 1
        np.clip(place, 0, self._cells + 1, out=place)
        cells: Indices = place.astype(np.intp)
        return cells

    def places(self, values: Floats) -> Indices:
        """Return how many levels lie below each value, twice, those that equal it once."""
        cell = self._cell(values)
        places = self._below[cell]
        inside = self._searched[cell]
        looked = values[inside]
        places[inside] = np.searchsorted(self._levels, looked, "left")
        places[inside] += np.searchsorted(self._levels, looked, "right")
        return places
