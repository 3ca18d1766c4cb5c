"""Build a graph for approximate search, on disk; it can be thrown away and built again.

Malkov and Yashunin (2020), "Efficient and robust approximate nearest neighbor search using
Hierarchical Navigable Small World graphs", as the library ``usearch`` has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pareja.embedding.cache import Stamp
from pareja.search.vectors.exact import Half, Keys
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
from pareja.search.vectors.walking import Graph, UnknownLayoutError

if TYPE_CHECKING:
    from usearch.index import Index

GRAPH_FROM = 50_000
"""From this many vectors on a graph is worth it; fewer are all compared in a few milliseconds."""

# Chosen with `benchmarks/search.py`: higher values find more and cost time and disk.
CONNECTIVITY = 32
"""Edges of a node in the upper layers; twice as many in the lowest."""
EXPANSION_ADD = 128
"""How many nodes are kept in sight while a vector is added."""
# Every 64th vector is a query to tune the walk with, before it is added: a sample of up to 1000.
_ASIDE = 64
_FEW, _SAMPLE = 25, 1000
# The fifth of them that lies farthest from its neighbours is searched with the widest beam.
_APART = 0.2
_FOUND = 0.98


def build(
    path: Path,
    dim: int,
    batches: Iterable[tuple[Keys, Half]],
    *,
    start: Path | None = None,
    threads: int = 0,
) -> tuple[int, Walk]:
    """Write a graph.

    Parameters
    ----------
    path
        Where; a file that exists is overwritten.
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
    apart: list[tuple[Keys, Bytes]] = []
    for keys, rows in batches:
        small = as_bytes(rows)
        last = np.arange(len(keys)) % _ASIDE == _ASIDE // 2
        index.add(keys[~last], small[~last], threads=threads)
        apart.append((keys[last], small[last]))
    index.save(str(path))
    walk = _tuned(path, np.concatenate([small for _, small in apart]))
    for keys, small in apart:
        index.add(keys, small, threads=threads)
    index.save(str(path))
    _drop_pages(path)
    return len(index), walk


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
    numbers = np.linspace(0, len(queries) - 1, min(_SAMPLE, len(queries)), dtype=np.int64)
    queries = queries[numbers, None]
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
