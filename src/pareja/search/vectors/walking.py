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

import hashlib
import mmap
import os
import struct
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pareja.search.vectors.exact import Keys

Slots = NDArray[np.int64]
Bytes = NDArray[np.int8]

BEAMS = (16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 256)
"""How many vectors are kept in sight by a walk: the fewest that find what the most would.

The most are for queries that lie apart from the vectors, as texts do from pictures. Their
neighbours are not each other's, so that a narrow walk misses some (Jaiswal et al. 2022,
"OOD-DiskANN: Efficient and Scalable Graph ANNS for Out-of-Distribution Queries").
"""
NEIGHBOURS = 10
"""A walk has arrived when its tenth vector is as near as usual."""
# This share of the beam goes on together.
_TOGETHER = 0.2
_STARTS = 1024
# Bytes find the neighbourhood, not the order in it: more rows are looked up than are wanted.
_OVERSAMPLING = 1.5
# Numbers of visits begin anew before they outgrow 32 bits.
_LAST_VISIT = 1 << 30
READ_AHEAD = 1 << 32
"""How many bytes of a file are brought into memory at most before a search asks for them."""
_PIECE = 1 << 26

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


class Graph:
    """The graph in a file: mapped into memory, until it was read into it.

    A mapping answers at once, and reading ends the process where another program has cut the file
    short meanwhile. Who searches more than once reads it all, by `load`.

    Parameters
    ----------
    path
        A graph that `pareja.search.vectors.graph.build` wrote, checked by `identity` there: what
        the file says of itself is believed.
    walk
        How to search, as `pareja.search.vectors.graph.build` found out.

    Raises
    ------
    ValueError
        If the file is laid out in another way than this version of pareja knows.
    """

    def __init__(self, path: Path, walk: Walk) -> None:
        self._walk = walk
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._descriptor)
        self._file: mmap.mmap | memoryview = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        self._is_damaged = False
        try:
            self._rows, self._places = _laid_out(self._file)
        except struct.error as error:
            raise ValueError(f"{path} is cut off") from error
        self._starts: Slots = np.linspace(0, len(self) - 1, min(_STARTS, len(self)), dtype=np.int64)
        self._start_rows = self._rows[self._starts]
        self._idle: list[_Visits] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def is_whole(self) -> bool:
        """Whether it may be searched: a mapped file still has all its bytes."""
        if isinstance(self._file, memoryview):
            return True
        return not self._is_damaged and os.fstat(self._descriptor).st_size >= len(self._file)

    def load(self, digest: str) -> None:
        """Read the file into memory, and search there from now on.

        One that is not what was written is not whole any more. One that is larger than
        `READ_AHEAD`, or than what is free, stays mapped.

        Parameters
        ----------
        digest
            SHA-256 of what was written.
        """
        if isinstance(self._file, memoryview) or len(self._file) > READ_AHEAD:
            return
        try:
            content = np.empty(len(self._file), np.uint8).data
        except MemoryError:
            return
        found, filled = hashlib.sha256(), 0
        with open(self._descriptor, "rb", buffering=0, closefd=False) as file:
            file.seek(0)
            while filled < len(content) and (
                read := file.readinto(content[filled : filled + _PIECE])
            ):
                found.update(content[filled : filled + read])
                filled += read
        if found.hexdigest() != digest:
            self._is_damaged = True
            return
        # Walks that go on meanwhile may see one in memory and another still mapped: all are alike.
        self._rows, self._places = _laid_out(content)
        self._file = content

    def nearest(self, vector: NDArray[np.float32], count: int) -> Keys:
        """Return keys of rows, in no order, with about the `count` nearest ones among them."""
        keys, _ = self.reached(as_bytes(vector[None]), looked_up(count), self._walk)
        return keys

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
        (key,) = _KEY.unpack_from(self._file, self._places.item(slot))
        return int(key)

    def _neighbours(self, slots: Slots) -> Slots:
        """Return the neighbours of one vector after the other; some are there more than once."""
        lists = []
        for place in (self._places[slots] + _TO_NEIGHBOURS).tolist():
            start = place + _COUNT
            lists.append(self._file[start : start + 4 * self._file[place]])
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


def _distances(query: Bytes, rows: Bytes) -> NDArray[np.floating]:
    """Return 1 minus the cosines of a query ``(1, dim)`` to rows ``(n, dim)``, ``(n,)``."""
    import numkong

    distances: NDArray[np.floating] = np.asarray(numkong.cdist(query, rows, "angular"))[0]
    return distances


def _laid_out(file: mmap.mmap | memoryview) -> tuple[Bytes, Slots]:
    """Return the vectors of a file, and where the neighbours of each stand."""
    rows, dim = struct.unpack_from("<2I", file)
    head = 8 + rows * dim
    magic, major, _, _, *kind = _KIND.unpack_from(file, head)
    if (magic, major) != (_MAGIC, _MAJOR) or kind != [_COSINE, _INT8, _UINT64, _UINT32]:
        raise ValueError("the graph is of a kind that this version of pareja does not know")
    held, upper, lowest, _, _ = _SHAPE.unpack_from(file, head + _HEAD)
    at = head + _HEAD + _SHAPE.size
    levels = np.frombuffer(file, "<i2", rows, at)
    sizes = np.full(rows, _TO_NEIGHBOURS + _COUNT + 4 * lowest, np.int64)
    sizes += levels.astype(np.int64) * (_COUNT + 4 * upper)
    ends = at + 2 * rows + np.cumsum(sizes)
    if held != rows or lowest > _MOST_NEIGHBOURS or ends[-1] != len(file):
        raise ValueError("the graph is laid out in a way that this version of pareja does not know")
    return np.frombuffer(file, np.int8, rows * dim, 8).reshape(rows, dim), ends - sizes
