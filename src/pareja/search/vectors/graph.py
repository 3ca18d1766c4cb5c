"""Build a graph for approximate search, on disk; it can be thrown away and built again.

Malkov and Yashunin (2020), "Efficient and robust approximate nearest neighbor search using
Hierarchical Navigable Small World graphs", as the library ``usearch`` has it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pareja.arrays import evenly
from pareja.embedding.cache import Stamp
from pareja.search.vectors.exact import Half, Keys
from pareja.search.vectors.graph_codes import GraphCodes
from pareja.search.vectors.graph_layout import Compared, Layout, UnknownLayoutError
from pareja.search.vectors.graph_search import (
    BEAMS,
    NEIGHBOURS,
    Bytes,
    SearchedGraph,
    Walk,
    as_bytes,
    looked_up,
)
from pareja.search.vectors.library import LibraryGraph
from pareja.search.vectors.walking import Graph

if TYPE_CHECKING:
    from usearch.index import Index

GRAPH_FROM = 50_000
"""From this many vectors on a graph is worth it; fewer are all compared in a few milliseconds."""

# Chosen with `benchmarks/search.py`: higher values find more and cost time and disk.
CONNECTIVITY = 32
"""Edges of a node in the upper layers; twice as many in the lowest."""
EXPANSION_ADD = 128
"""How many nodes are kept in sight while a vector is added."""
CODED_FROM = 256
"""Vectors of so many numbers are told apart by codes while the graph is built."""
# Of so many vectors one comes first, whatever it is like; vectors are added so many at a time; and
# so many are read back.
_LEADING, _AT_ONCE, _CHECKED = 20, 8192, 100
# A vector of so many is a query to tune the walk with, before it is added: a sample of up to 1000.
_ASIDE = 64
_FEW, _SAMPLE = 25, 1000
# The fifth of them that lies farthest from its neighbours is searched with the widest beam.
_APART = 0.2
_FOUND = 0.99
_METRICS = {Compared.BYTES_BY_COSINE: ("cos", "i8"), Compared.BITS_BY_HAMMING: ("hamming", "b1")}


@dataclass(frozen=True)
class Source:
    """The vectors of a graph, which are read more than once.

    Parameters
    ----------
    batches
        Gives those with a key above another one: keys ``(n,)``, rising, and vectors ``(n, dim)``.
    sample
        Gives some of all of them, ``(n, dim)``.
    """

    batches: Callable[[int], Iterable[tuple[Keys, Half]]]
    sample: Callable[[], Half]


def build(path: Path, dim: int, source: Source, *, threads: int = 0) -> tuple[int, Walk]:
    """Write a graph.

    Parameters
    ----------
    path
        Where; a file that exists is overwritten.
    dim
        Length of a vector.
    source
        The vectors.
    threads
        How many build it; 0 for one a core.

    Returns
    -------
    rows, walk
        How many rows it holds, and how to search it.
    """
    if dim >= CODED_FROM:
        # The library lays out a file in another way, or does not read what it should.
        with suppress(UnknownLayoutError, RuntimeError):
            return _built_by_codes(path, dim, source, threads)
    return _added(path, _empty(dim), source.batches(0), threads)


def extend(
    path: Path, dim: int, source: Source, start: Path, last: int, *, threads: int = 0
) -> tuple[int, Walk]:
    """Write the graph in `start` with the vectors whose keys are above `last`; else as `build`."""
    index = _empty(dim)
    index.load(str(start))
    return _added(path, index, source.batches(last), threads)


def _added(
    path: Path, index: Index, batches: Iterable[tuple[Keys, Half]], threads: int
) -> tuple[int, Walk]:
    aside = []
    for keys, rows in batches:
        small, last = as_bytes(rows), _aside(len(keys))
        index.add(keys[~last], small[~last], threads=threads)
        aside.append((keys[last], small[last]))
    index.save(str(path))
    return _completed(path, index, aside, threads)


def _built_by_codes(path: Path, dim: int, source: Source, threads: int) -> tuple[int, Walk]:
    """Find the edges by codes of the vectors, then put the vectors in the place of their codes."""
    book = GraphCodes(source.sample())
    coded = []
    for keys, rows in source.batches(0):
        first = ~_aside(len(keys))
        coded.append((keys[first], *book.coded(rows[first])))
    every, codes, cells = (np.concatenate(each) for each in zip(*coded, strict=True))
    del coded
    # Vectors of all cells come first, and lead from one to the other.
    cells[::_LEADING] = -1
    order = cells.argsort(kind="stable")
    index = _empty(8 * codes.shape[1], Compared.BITS_BY_HAMMING)
    for start in range(0, len(order), _AT_ONCE):
        some = order[start : start + _AT_ONCE]
        index.add(every[some], codes[some], threads=threads)
    index.save(str(path))
    del index, codes
    layout = Layout.of(memoryview(path.read_bytes()), Compared.BITS_BY_HAMMING)
    slots, filled = layout.keys().argsort(), 0
    vectors, aside = np.empty((len(slots), dim), np.int8), []
    for keys, rows in source.batches(0):
        small, last = as_bytes(rows), _aside(len(keys))
        aside.append((keys[last], small[last]))
        start, filled = filled, filled + len(keys) - int(last.sum())
        vectors[slots[start:filled]] = small[~last]
    layout.write(path, vectors)
    index = _empty(dim)
    index.load(str(path))
    checked = evenly(len(slots), _CHECKED)
    if not np.array_equal(np.asarray(index.get(every[checked])), vectors[slots[checked]]):
        raise UnknownLayoutError("the library does not read what was put in")
    return _completed(path, index, aside, threads)


def _completed(
    path: Path, index: Index, aside: Sequence[tuple[Keys, Bytes]], threads: int
) -> tuple[int, Walk]:
    """Find out how to walk in the graph in a file, and add the vectors that this was tried with."""
    walk = _tuned(path, np.concatenate([small for _, small in aside]))
    for keys, small in aside:
        index.add(keys, small, threads=threads)
    index.save(str(path))
    _drop_pages(path)
    return len(index), walk


def _aside(count: int) -> NDArray[np.bool_]:
    """Return which vectors of a batch are queries first: every 64th, ``(count,)``."""
    aside: NDArray[np.bool_] = np.arange(count) % _ASIDE == _ASIDE // 2
    return aside


def opened(path: Path, walk: Walk) -> SearchedGraph:
    """Return the graph in a file, searched in the fastest way that its layout allows.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If the library cannot read it.
    """
    try:
        return Graph(path, walk)
    except UnknownLayoutError:
        return LibraryGraph(path, walk)


def _drop_pages(path: Path) -> None:
    """Have the system read the file anew: what was written in small pieces lies scattered.

    What it reads in one go lies together in memory, and a walk is faster by a quarter.
    """
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file, suppress(OSError):
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _tuned(path: Path, queries: Bytes) -> Walk:
    """Find out how widely to walk to queries ``(n, dim)`` that the graph does not know."""
    queries = queries[queries.any(axis=1)]
    if len(queries) < _FEW:
        return Walk(BEAMS[-1], -1.0)
    graph = opened(path, Walk(BEAMS[-1], -1.0))
    queries = queries[evenly(len(queries), _SAMPLE), None]
    widely = [graph.reached(query, NEIGHBOURS, Walk(BEAMS[-1], -1.0)) for query in queries]
    tenth = np.array([cosines[-1] for _, cosines in widely])
    usual = float(np.quantile(tenth, _APART))
    alike = (tenth >= usual).nonzero()[0].tolist()
    for beam in BEAMS:
        missed = 0
        for number in alike:
            found, _ = graph.reached(queries[number], looked_up(NEIGHBOURS), Walk(beam, -1.0))
            missed += len(np.setdiff1d(widely[number][0], found))
        if missed <= (1 - _FOUND) * NEIGHBOURS * len(alike):
            break
    return Walk(beam, usual)


def identity(path: Path) -> str:
    """Return what ``stat`` says of a file, as text; empty where there is none.

    Hashing a graph of a million vectors takes longer than opening it. While this is as it was when
    the file was hashed, nobody has written to it.
    """
    stamp = Stamp.of(path)
    return "" if stamp is None else f"{stamp.size} {stamp.modified} {stamp.changed} {stamp.inode}"


def _empty(dim: int, compared: Compared = Compared.BYTES_BY_COSINE) -> Index:
    from usearch.index import Index

    metric, dtype = _METRICS[compared]
    return Index(
        ndim=dim,
        metric=metric,
        dtype=dtype,
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=1,
    )
