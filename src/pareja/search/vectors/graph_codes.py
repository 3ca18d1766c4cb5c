"""Two bits a number: which vectors are neighbours, found out sooner than by their bytes.

Vectors are seen from their mean and turned at random, as in `pareja.search.vectors.codes`. A number
is then low, middling or high, and two vectors are as far apart as the number of bits in which they
differ. They are a quarter of the bytes, and a graph is built mostly by waiting for memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pareja.arrays import evenly
from pareja.search.vectors.codes import Codebook, Packed
from pareja.search.vectors.exact import Half

# A number is low or high this many standard deviations from 0: about three in ten are each. All
# vectors have the same deviations: those far from the mean shall differ from those that are near.
_LEVEL = 0.5
_CELLS = 512


class GraphCodes:
    """Codes for the vectors of a graph, and the order in which they come into it.

    Parameters
    ----------
    sample
        Some of the vectors, ``(n, dim)``.
    """

    def __init__(self, sample: Half) -> None:
        rows = sample.astype(np.float32)
        # Of the codebook only its turn is used.
        self._book = Codebook.around(rows.mean(axis=0), "binary")
        turned = self._book.turned(rows)
        self._level = _LEVEL * np.sqrt((turned**2).mean())
        self._centres = turned[evenly(len(rows), _CELLS)]

    def coded(self, rows: Half) -> tuple[Packed, NDArray[np.intp]]:
        """Return codes ``(n, bytes)``, and ``(n,)`` which of the cells each vector is in.

        Vectors of a cell are alike, so that those that come into the graph one after the other meet
        the same neighbours, which are still at hand.
        """
        turned = self._book.turned(rows.astype(np.float32))
        codes = [np.packbits(turned > side * self._level, axis=1) for side in (-1, 1)]
        cells: NDArray[np.intp] = (turned @ self._centres.T).argmax(axis=1)
        return np.concatenate(codes, axis=1), cells
