"""Approximate search in a graph on disk that can be thrown away and built again.

Malkov and Yashunin (2020), "Efficient and robust approximate nearest neighbor search using
Hierarchical Navigable Small World graphs", as the library ``usearch`` has it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pareja.embedding.cache import Stamp
from pareja.files import staged_file
from pareja.search.scan import Half, Keys

if TYPE_CHECKING:
    from usearch.index import Index

GRAPH_FROM = 50_000
"""So many vectors are worth a graph; fewer are searched one by one in a few milliseconds."""

# Chosen with `benchmarks/search.py`: higher values find more and cost time and disk.
CONNECTIVITY = 32
"""Edges of a node in the upper layers; twice as many in the lowest."""
EXPANSION_ADD = 128
"""How many nodes are kept in sight while a vector is added."""
BEAMS = (24, 28, 32, 40, 48, 64, 96, 128, 192, 320)
"""How many are kept in sight by a search: the fewest that find what the most would.

The most are for queries that lie apart from the vectors, as texts do from pictures. Their
neighbours are not each other's, so that a narrow walk misses some (Jaiswal et al. 2022,
"OOD-DiskANN: Efficient and Scalable Graph ANNS for Out-of-Distribution Queries").
"""

# How many that is, is found out with every so-many-th vector before it is added, up to a number.
_ASIDE = 64
_FEW, _SAMPLE = 25, 2000
_NEIGHBOURS = 10
# Those that lie farthest from their neighbours are searched for as widely as there can be.
_APART = 0.2
_FOUND = 0.98
# Bytes find the neighbourhood, not the order in it: so many times more rows are looked up.
_OVERSAMPLING = 1.5
READ_AHEAD = 1 << 32
"""So many bytes of a file are brought into memory before they are asked for."""
_PIECE = 1 << 26


@dataclass(frozen=True)
class Walk:
    """How the vectors of a graph are found in it.

    Parameters
    ----------
    beam
        How many nodes a walk keeps in sight.
    usual
        Cosine of most vectors to their tenth neighbour. A query that ends up below it is walked to
        once more, with as many in sight as there can be.
    """

    beam: int
    usual: float


class Graph:
    """The graph in a file, read through memory mapping.

    Parameters
    ----------
    path
        A file that `build` wrote and `identity` vouches for: the library trusts what it reads.
    dim
        Length of a vector.
    walk
        How to search, as `build` found out.
    """

    def __init__(self, path: Path, dim: int, walk: Walk) -> None:
        self._walk = walk
        with path.open("rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._index = _empty(dim)
        self._index.view(memoryview(self._file))

    def __len__(self) -> int:
        return len(self._index)

    def nearest(self, vector: NDArray[np.float32], count: int) -> Keys:
        """Return keys of rows, in no order, with about the `count` nearest ones among them."""
        wanted = min(int(_OVERSAMPLING * count + 1), len(self))
        query = _as_bytes(vector[None])
        keys, cosines = _searched(self._index, query, max(self._walk.beam, wanted), threads=1)
        if cosines[0, :_NEIGHBOURS][-1] < self._walk.usual:
            keys, _ = _searched(self._index, query, max(BEAMS[-1], wanted), threads=1)
        return keys[0, :wanted]

    def read_ahead(self) -> None:
        """Touch every page, so that no search waits for the disk or for the system's tables."""
        pages = np.frombuffer(self._file, np.uint8)[: READ_AHEAD : mmap.PAGESIZE]
        for start in range(0, len(pages), _PIECE // mmap.PAGESIZE):
            pages[start : start + _PIECE // mmap.PAGESIZE].max()


def build(
    path: Path,
    dim: int,
    batches: Iterable[tuple[Keys, Half]],
    *,
    start: Path | None = None,
    threads: int = 0,
) -> tuple[int, Walk]:
    """Write a graph, whole or not at all.

    Parameters
    ----------
    path
        Where; a file that exists is replaced.
    dim
        Length of a vector.
    batches
        Keys ``(n,)`` and vectors ``(n, dim)``.
    start
        A graph to add them to.
    threads
        How many build it; 0 for one a core.

    Returns
    -------
    rows, walk
        How many rows it holds, and how to search it.
    """
    index = _empty(dim)
    if start is not None:
        index.load(str(start))
    apart: list[tuple[Keys, NDArray[np.int8]]] = []
    for keys, rows in batches:
        small = _as_bytes(rows)
        last = np.arange(len(keys)) % _ASIDE == _ASIDE // 2
        index.add(keys[~last], small[~last], threads=threads)
        apart.append((keys[last], small[last]))
    walk = _tuned(index, np.concatenate([small for _, small in apart]), threads)
    for keys, small in apart:
        index.add(keys, small, threads=threads)
    with staged_file(path, force=True) as stream:
        index.save(stream.name)
    _drop_pages(path)
    return len(index), walk


def _drop_pages(path: Path) -> None:
    """Have the system read the file anew: what was written in small pieces lies scattered.

    What it reads in one go lies together in memory, and a walk is faster by a quarter.
    """
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file, suppress(OSError):
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _tuned(index: Index, queries: NDArray[np.int8], threads: int) -> Walk:
    """Find out how widely to search, by queries ``(n, dim)`` for which the graph has no edges."""
    if len(queries) < _FEW:
        return Walk(BEAMS[-1], -1.0)
    queries = queries[np.linspace(0, len(queries) - 1, _SAMPLE, dtype=np.int64)]
    found, cosines = _searched(index, queries, BEAMS[-1], threads)
    truth = [set(keys) for keys in found[:, :_NEIGHBOURS].tolist()]
    tenth = cosines[:, :_NEIGHBOURS][:, -1]
    usual = float(np.quantile(tenth, _APART))
    for beam in BEAMS:
        found, _ = _searched(index, queries, beam, threads)
        looked_up = found[:, : int(_OVERSAMPLING * _NEIGHBOURS)].tolist()
        shares = np.array([len(t & set(f)) / len(t) for t, f in zip(truth, looked_up, strict=True)])
        if shares[tenth >= usual].mean() >= _FOUND:
            break
    return Walk(beam, usual)


def _searched(
    index: Index, queries: NDArray[np.int8], beam: int, threads: int
) -> tuple[Keys, NDArray[np.float32]]:
    """Return keys and cosines, best first, ``(n, beam)``, or as many as there are.

    The library keeps as many in sight as it returns.
    """
    found = index.search(queries, min(beam, len(index)), threads=threads)
    return np.atleast_2d(found.keys).astype(np.int64), 1 - np.atleast_2d(found.distances)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a whole file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def identity(path: Path) -> str:
    """Return what ``stat`` says of a file, as text; empty where there is none.

    Hashing a graph of a million vectors takes longer than opening it. While this is as it was when
    the file was hashed, nobody has written to it.
    """
    stamp = Stamp.of(path)
    return "" if stamp is None else f"{stamp.size} {stamp.modified} {stamp.changed} {stamp.inode}"


def _as_bytes(rows: NDArray[np.floating]) -> NDArray[np.int8]:
    """Scale each row to the whole range of a byte; cosines stay as they are, up to rounding.

    The library's own conversion takes 1 for the largest number there can be, and leaves a unit
    vector of 512 numbers some ten steps to tell them apart.
    """
    largest = np.abs(rows).max(axis=1, keepdims=True).astype(np.float32)
    largest[largest == 0] = 1
    scaled: NDArray[np.int8] = np.rint(rows * (127 / largest)).astype(np.int8)
    return scaled


def _empty(dim: int) -> Index:
    from usearch.index import Index

    return Index(
        ndim=dim,
        metric="cos",
        dtype="i8",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=1,
    )
