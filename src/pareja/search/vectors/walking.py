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

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pareja.search.vectors.exact import Keys
from pareja.search.vectors.graph_search import BEAMS, NEIGHBOURS, Bytes, SearchedGraph, Walk
from pareja.search.vectors.mapped import Content

Slots = NDArray[np.int64]

# This share of the beam goes on together.
_TOGETHER = 0.2
_STARTS = 1024
# Numbers of visits begin anew before they outgrow 32 bits.
_LAST_VISIT = 1 << 30
# What `usearch` writes, all little endian: how many vectors of how many bytes, the vectors, a head
# of 64 bytes that says of what kind they are, the shape of the graph, the level of each vector, and
# for each its key, its level and its neighbours: as many as there are, in a place of fixed size.
_HEAD, _SHAPE = 64, struct.Struct("<5Q")
_KIND = struct.Struct("<7sHHHcBBB")
_MAGIC, _MAJOR, _COSINE, _INT8, _UINT64, _UINT32 = b"usearch", 2, b"c", 23, 14, 15
_KEY = struct.Struct("<Q")
_TO_NEIGHBOURS, _COUNT = _KEY.size + 2, 4
# The first byte of their number is the whole number.
_MOST_NEIGHBOURS = 255


class UnknownLayoutError(ValueError):
    """A file of a graph is laid out in a way that is not known."""


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
        self._rows, self._places = _laid_out(content)

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
                    new = visits.first(self._neighbours(slots[now]))
                    if not len(new):
                        continue
                    found = np.concatenate([distances, _distances(query, self._rows.take(new, 0))])
                    best = found.argsort()[:room]
                    distances = found[best]
                    slots = np.concatenate([slots, new])[best]
                    waiting = np.concatenate([waiting, np.ones(len(new), np.bool_)])[best]
                if 1 - distances[:NEIGHBOURS][-1] >= walk.usual:
                    break
        keys = [self._key(slot) for slot in slots[:wanted].tolist()]
        return np.array(keys, np.int64), 1 - distances[:wanted]

    def _key(self, slot: int) -> int:
        (key,) = _KEY.unpack_from(self.content, self._places.item(slot))
        return int(key)

    def _neighbours(self, slots: Slots) -> Slots:
        """Return the neighbours of one vector after the other; some are there more than once."""
        lists = []
        for place in (self._places[slots] + _TO_NEIGHBOURS).tolist():
            start = place + _COUNT
            lists.append(self.content[start : start + 4 * self.content[place]])
        return np.frombuffer(b"".join(lists), "<u4").astype(np.int64)

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


def _laid_out(content: Content) -> tuple[Bytes, Slots]:
    """Return the vectors of a file, and where the neighbours of each stand."""
    unknown = UnknownLayoutError("the graph is laid out in a way that this pareja does not know")
    try:
        rows, dim = struct.unpack_from("<2I", content)
        head = 8 + rows * dim
        magic, major, _, _, *kind = _KIND.unpack_from(content, head)
        held, upper, lowest, _, _ = _SHAPE.unpack_from(content, head + _HEAD)
        at = head + _HEAD + _SHAPE.size
        levels = np.frombuffer(content, "<i2", rows, at)
    except (struct.error, ValueError) as error:
        raise unknown from error
    if (magic, major, *kind) != (_MAGIC, _MAJOR, _COSINE, _INT8, _UINT64, _UINT32):
        raise unknown
    if held != rows or lowest > _MOST_NEIGHBOURS:
        raise unknown
    sizes = np.full(rows, _TO_NEIGHBOURS + _COUNT + 4 * lowest, np.int64)
    sizes += levels.astype(np.int64) * (_COUNT + 4 * upper)
    ends = at + 2 * rows + np.cumsum(sizes)
    if ends[-1] != len(content):
        raise unknown
    return np.frombuffer(content, np.int8, rows * dim, 8).reshape(rows, dim), ends - sizes
