"""How a graph of neighbours is searched, whoever walks through it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pareja.search.vectors.exact import Keys
from pareja.search.vectors.mapped import MappedFile

Bytes = NDArray[np.int8]

# Bytes find the neighbourhood, not the order in it: more rows are looked up than are wanted.
_OVERSAMPLING = 1.5
BEAMS = (16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 256)
"""How many vectors are kept in sight by a walk: the fewest that find what the most would.

The most are for queries that lie apart from the vectors, as texts do from pictures. Their
neighbours are not each other's, so that a narrow walk misses some (Jaiswal et al. 2022,
"OOD-DiskANN: Efficient and Scalable Graph ANNS for Out-of-Distribution Queries").
"""
NEIGHBOURS = 10
"""A walk has arrived when its tenth vector is as near as usual."""


@dataclass(frozen=True)
class Walk:
    """How the vectors of a graph are found in it.

    Parameters
    ----------
    beam
        How many vectors a walk keeps in sight.
    usual
        Cosine of most vectors to their tenth neighbour. A walk that ends up below it goes on with
        as many in sight as there can be.
    """

    beam: int
    usual: float


class SearchedGraph(MappedFile, ABC):
    """The graph in a file, and the vectors that it holds.

    Parameters
    ----------
    path
        A graph that `pareja.search.vectors.graph.build` wrote, checked by `identity` there: what
        the file says of itself is believed.
    walk
        How to search, as `pareja.search.vectors.graph.build` found out.
    """

    def __init__(self, path: Path, walk: Walk) -> None:
        super().__init__(path)
        self._walk = walk

    @abstractmethod
    def __len__(self) -> int:
        """Return how many vectors the graph holds."""

    @abstractmethod
    def reached(self, query: Bytes, wanted: int, walk: Walk) -> tuple[Keys, NDArray[np.floating]]:
        """Walk to a query ``(1, dim)``; return at most `wanted` keys and cosines, best first."""

    def nearest(self, vector: NDArray[np.float32], count: int) -> Keys:
        """Return keys of rows, in no order, with about the `count` nearest ones among them."""
        keys, _ = self.reached(as_bytes(vector[None]), looked_up(count), self._walk)
        return keys


def looked_up(count: int) -> int:
    """Return how many rows are looked up for the `count` nearest to be among them."""
    return int(_OVERSAMPLING * count + 1)


def as_bytes(rows: NDArray[np.floating]) -> Bytes:
    """Scale each row to the whole range of a byte; cosines stay as they are, up to rounding.

    The library's own conversion takes 1 for the largest number there can be, and leaves a unit
    vector of 512 numbers some ten steps to tell them apart.
    """
    largest = np.abs(rows).max(axis=1, keepdims=True).astype(np.float32)
    largest[largest == 0] = 1
    scaled: Bytes = np.rint(rows * (127 / largest)).astype(np.int8)
    return scaled
