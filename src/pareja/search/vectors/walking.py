"""Walk through a graph of neighbours from vector to vector, many at a time.

The graph is the lowest layer of the one that the library ``usearch`` builds and saves (Malkov and
Yashunin 2020, "Efficient and robust approximate nearest neighbor search using Hierarchical
Navigable Small World graphs"). The library goes on from one vector at a time, and waits for memory
at each of the neighbours. Here the nearest few go on together and all of their neighbours are
fetched at once (as in Subramanya et al. 2019, "DiskANN", section 3.3), so that one wait is for
many. The layers above the lowest only find a place to start from; vectors of every part of the
collection, all compared with the query, find several.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pareja.search.vectors.exact import Keys
from pareja.search.vectors.graph_layout import Compared, Layout, Slots
from pareja.search.vectors.graph_search import BEAMS, NEIGHBOURS, Bytes, SearchedGraph, Walk
from pareja.search.vectors.mapped import Content

# This share of the beam goes on together.
_TOGETHER = 0.2
_STARTS = 1024
# Numbers of visits begin anew before they outgrow 32 bits.
_LAST_VISIT = 1 << 30


class Graph(SearchedGraph):
    """The graph in a file of the library `usearch`, read without the library.

    Parameters
    ----------
    path, walk
        The graph, and how to search it; see `SearchedGraph`.

    Raises
    ------
    UnknownLayoutError
        If the file is laid out in another way than this version of pareja knows.
    """

    def __init__(self, path: Path, walk: Walk) -> None:
        super().__init__(path, walk)
        self._lay_out(self.content)
        self._starts: Slots = np.linspace(0, len(self) - 1, min(_STARTS, len(self)), dtype=np.int64)
        self._start_rows = self._rows[self._starts]
        self._idle: list[_Visits] = []

    def __len__(self) -> int:
        return len(self._rows)

    def _lay_out(self, content: Content) -> None:
        # Walks that go on meanwhile may see one in memory and another still mapped: all are alike.
        layout = Layout.of(content, Compared.BYTES_BY_COSINE)
        self._layout, self._rows = layout, layout.rows.view(np.int8)

    def reached(self, query: Bytes, wanted: int, walk: Walk) -> tuple[Keys, NDArray[np.floating]]:
        """Walk to a query ``(1, dim)``; return at most `wanted` keys and cosines, best first."""
        room = max(BEAMS[-1], wanted)
        with self._visits() as visits:
            distances = _distances(query, self._start_rows)
            best = distances.argsort()[:room]
            slots, distances = self._starts[best], distances[best]
            waiting = np.ones(len(slots), np.bool_)
            visits.first(slots)
            for beam in (max(walk.beam, wanted), room):
                together = max(4, int(_TOGETHER * beam))
                while len(now := waiting[:beam].nonzero()[0][:together]):
                    waiting[now] = False
                    new = visits.first(self._layout.neighbours(slots[now]))
                    if not len(new):
                        continue
                    found = np.concatenate([distances, _distances(query, self._rows.take(new, 0))])
                    best = found.argsort()[:room]
                    distances = found[best]
                    slots = np.concatenate([slots, new])[best]
                    waiting = np.concatenate([waiting, np.ones(len(new), np.bool_)])[best]
                if 1 - distances[:NEIGHBOURS][-1] >= walk.usual:
                    break
        keys = [self._layout.key(slot) for slot in slots[:wanted].tolist()]
        return np.array(keys, np.int64), 1 - distances[:wanted]

    @contextmanager
    def _visits(self) -> Iterator[_Visits]:
        """Yield what remembers the vectors of one walk; walks at the same time have their own."""
        try:
            visits = self._idle.pop()
        except IndexError:
            visits = _Visits(len(self))
        visits.begin()
        yield visits
        self._idle.append(visits)


class _Visits:
    """Which vectors a walk has come by: each visit has a number, and those of one walk go on."""

    def __init__(self, size: int) -> None:
        self._numbers = np.zeros(size, np.int32)
        self._next = self._begun = 1

    def begin(self) -> None:
        """Forget the walk before."""
        if self._next > _LAST_VISIT:
            self._numbers.fill(0)
            self._next = 1
        self._begun = self._next

    def first(self, slots: Slots) -> Slots:
        """Return those that this walk had not come by, each once."""
        slots = slots[self._numbers[slots] < self._begun]
        end = self._next + len(slots)
        numbers = np.arange(self._next, end, dtype=np.int32)
        self._next = end
        # Where a vector is there twice, one of its numbers stays.
        self._numbers[slots] = numbers
        new: Slots = slots[self._numbers[slots] == numbers]
        return new


def _distances(query: Bytes, rows: Bytes) -> NDArray[np.floating]:
    """Return 1 minus the cosines of a query ``(1, dim)`` to rows ``(n, dim)``, ``(n,)``."""
    import numkong

    distances: NDArray[np.floating] = np.asarray(numkong.cdist(query, rows, "angular"))[0]
    return distances
