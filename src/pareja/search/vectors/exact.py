"""Exact search over vectors in memory."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Half = NDArray[np.float16]
Keys = NDArray[np.int64]

# Rounding of sums of 4096 products of unit vectors in float32, with room to spare.
_ARITHMETIC = 2e-5


@dataclass(frozen=True)
class Candidates:
    """Rows that may be among the nearest.

    Parameters
    ----------
    keys
        Which rows, in no order.
    floor
        No other row has a cosine above it; minus infinity when there are no other rows.
    """

    keys: Keys
    floor: float


class Scan:
    """A growing matrix of vectors, all of which are compared with a query.

    Rows are float16, which halves the memory that a query reads. The answer is exact all the same:
    the error of rounding has a bound, and every row that is nearer to the last place than this
    bound is returned too.

    Parameters
    ----------
    dim
        Length of a vector.
    last
        Rows up to this key are somewhere else.
    """

    def __init__(self, dim: int, last: int = 0) -> None:
        self.last = last
        self._keys: Keys = np.empty(0, np.int64)
        self._rows: Half = np.empty((0, dim), np.float16)
        self._size = 0
        self._growing = threading.Lock()

    def __len__(self) -> int:
        return self._size

    def reserve(self, rows: int) -> None:
        """Make room for this many more rows, so that adding them copies nothing."""
        with self._growing:
            self._enlarge(self._size + rows)

    def extend(self, keys: Sequence[int], blobs: Sequence[bytes]) -> None:
        """Add rows in the order of their keys; those that are there already are left out."""
        with self._growing:
            start = bisect_right(keys, self.last)
            keys, blobs = keys[start:], blobs[start:]
            if not keys:
                return
            end = self._size + len(keys)
            if end > len(self._keys):
                self._enlarge(end + end // 4)
            self._rows[self._size : end] = np.frombuffer(b"".join(blobs), "<f2").reshape(
                len(keys), -1
            )
            self._keys[self._size : end] = keys
            self.last = keys[-1]
            # Searches take the size first: what lies beyond it is not there for them.
            self._size = end

    def seen(self, last: int) -> None:
        """Remember that no further row has a key up to this one."""
        with self._growing:
            self.last = max(self.last, last)

    def _enlarge(self, room: int) -> None:
        keys = np.empty(room, np.int64)
        rows = np.empty((room, self._rows.shape[1]), np.float16)
        keys[: self._size], rows[: self._size] = self._keys[: self._size], self._rows[: self._size]
        self._keys, self._rows = keys, rows

    def nearest(self, vector: NDArray[np.float32], count: int) -> Candidates:
        """Return at least the `count` rows with the highest cosine to a unit vector ``(dim,)``."""
        size = self._size
        keys, rows = self._keys[:size], self._rows[:size]
        if count >= size:
            return Candidates(keys, -np.inf)
        rounded = vector.astype(np.float16)
        # |(q - q') x| <= |q - q'| |x|, and no row is longer than 1.001 (Cauchy and Schwarz).
        error = 1.001 * float(np.linalg.norm(vector - rounded)) + _ARITHMETIC
        scores = dot_products(rows, rounded)
        last_place = float(np.partition(scores, size - count)[size - count])
        return Candidates(keys[scores >= last_place - 2 * error], last_place - error)


def dot_products(rows: Half, vector: Half) -> NDArray[np.floating]:
    """Return ``rows @ vector``, ``(n,)``, without turning the rows into float32 in memory first."""
    import numkong

    products: NDArray[np.floating] = np.asarray(numkong.cdist(vector[None], rows, "dot"))[0]
    return products
