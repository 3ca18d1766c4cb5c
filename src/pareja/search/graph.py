"""Approximate search in a graph on disk that can be thrown away and built again.

Malkov and Yashunin (2020), "Efficient and robust approximate nearest neighbor search using
Hierarchical Navigable Small World graphs", as the library ``usearch`` has it.
"""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Iterable
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
BEAM = 80
"""How many nodes are kept in sight while neighbours are looked for."""
WIDE_BEAM = 320
"""The same for a query that lies apart from all vectors, as a text does from pictures.

Its neighbours are not each other's, so that a narrow walk misses some (Jaiswal et al. 2022,
"OOD-DiskANN: Efficient and Scalable Graph ANNS for Out-of-Distribution Queries").
"""

# How near neighbours are is learned from so many vectors; a twentieth of them are farther apart.
_SAMPLE = 50
_APART = 0.05
_NEIGHBOUR = 10
# Bytes find the neighbourhood, not the order in it: so many times more rows are looked up.
_OVERSAMPLING = 2
# The file is brought into memory in such pieces, up to so many bytes; the rest when it is read.
_PIECE = 1 << 26
_AHEAD = 1 << 32


class Graph:
    """The graph in a file, read through memory mapping.

    Parameters
    ----------
    path
        A file that `build` wrote and `identity` vouches for: the library trusts what it reads.
    dim
        Length of a vector.
    """

    def __init__(self, path: Path, dim: int) -> None:
        with path.open("rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._index = _empty(dim)
        self._index.view(memoryview(self._file))
        threading.Thread(target=self._read_ahead, daemon=True).start()
        self._usual = self._usual_cosine()

    def __len__(self) -> int:
        return len(self._index)

    def nearest(self, vector: NDArray[np.float32], count: int) -> Keys:
        """Return keys of rows, in no order, with about the `count` nearest ones among them."""
        wanted = min(_OVERSAMPLING * count, len(self))
        query = _as_bytes(vector[None])[0]
        keys, cosines = self._walk(query, max(BEAM, wanted))
        if cosines[min(_NEIGHBOUR, len(self)) - 1] < self._usual:
            keys, _ = self._walk(query, max(WIDE_BEAM, wanted))
        return keys[:wanted]

    def _walk(self, query: NDArray[np.int8], beam: int) -> tuple[Keys, NDArray[np.float32]]:
        """Return keys and cosines, best first; the library looks no farther than it returns."""
        found = self._index.search(query, min(beam, len(self)), threads=1)
        return found.keys.astype(np.int64), 1 - found.distances

    def _usual_cosine(self) -> float:
        """Return the cosine that most vectors have to their neighbours."""
        keys = self._index.keys[np.linspace(0, len(self) - 1, _SAMPLE, dtype=np.uint64)]
        # Each is its own nearest one, and does not count.
        place = min(_NEIGHBOUR, len(self) - 1)
        rows = np.asarray(self._index.get(keys), np.int8)
        cosines = [self._walk(row, BEAM)[1][place] for row in rows]
        return float(np.quantile(cosines, _APART))

    def _read_ahead(self) -> None:
        """Touch every page, so that no search waits for the disk or for the system's tables."""
        pages = np.frombuffer(self._file, np.uint8)[: _AHEAD : mmap.PAGESIZE]
        for start in range(0, len(pages), _PIECE // mmap.PAGESIZE):
            pages[start : start + _PIECE // mmap.PAGESIZE].max()


def build(
    path: Path,
    dim: int,
    batches: Iterable[tuple[Keys, Half]],
    *,
    start: Path | None = None,
    threads: int = 0,
) -> int:
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
    int
        How many rows it holds.
    """
    index = _empty(dim)
    if start is not None:
        index.load(str(start))
    for keys, rows in batches:
        index.add(keys, _as_bytes(rows), threads=threads)
    with staged_file(path, force=True) as stream:
        index.save(stream.name)
    return len(index)


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
