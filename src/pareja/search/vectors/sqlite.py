"""Vectors in the collection's own database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pareja.decimals import counted
from pareja.encoders.protocols import Embeddings
from pareja.errors import some_of
from pareja.search.database import Database
from pareja.search.vectors.code_tables import CODES_FROM, CodeTables
from pareja.search.vectors.codes import Codes
from pareja.search.vectors.exact import Keys, Scan
from pareja.search.vectors.graph import GRAPH_FROM, Source
from pareja.search.vectors.graph_files import GraphFiles
from pareja.search.vectors.graph_search import SearchedGraph
from pareja.search.vectors.protocol import checked_rows
from pareja.search.vectors.quantization import chosen
from pareja.search.vectors.rows import VectorRows, matrix
from pareja.sqlite import in_parts, row_sum

# For more neighbours than this all vectors are compared: a walk for them sees much of the graph,
# and may miss a vector that lies apart.
_GRAPH_UP_TO = 500
# A graph that lacks this share of the rows gets them, one that grows by this share of its own or
# holds this share of removed ones is built anew: to add a vector takes three times as long.
_STALE = 0.1
_GROWN = 0.5
_DEAD = 0.2


class SqliteVectors:
    """A `VectorStore` in SQLite: float16 rows, a copy in memory, and a graph when there are many.

    Where the collection chose so, codes of most rows are in memory in their place.

    Every vector has a number that grows with each change and is never used again. What is in
    memory or in the graph is found by that number and looked up in the database, in the same
    transaction that decides what is newer: an answer is that of one moment, and never of a vector
    that was removed or replaced.

    Parameters
    ----------
    database
        The collection.
    space
        Number of the embedding space in it.
    dim
        Length of a vector.
    graph_from
        From this many vectors on a graph is built.
    codes_from
        So many vectors are coded at a time.
    each
        How many vectors a picture has; their ids are ``picture * each`` and those after it.
    """

    def __init__(
        self,
        database: Database,
        space: int,
        dim: int,
        *,
        graph_from: int = GRAPH_FROM,
        codes_from: int = CODES_FROM,
        each: int = 1,
    ) -> None:
        self._database = database
        self._space = space
        self._dim = dim
        self._graph_from = graph_from
        self._each = each
        self._rows = VectorRows(database, space, dim, each)
        self._scans: dict[tuple[str | None, int], Scan] = {}
        self._graphs = GraphFiles(database, space)
        self._codes = CodeTables(database, space, dim, self._rows, codes_from)
        self._loading = threading.Lock()

    def upsert(
        self,
        ids: Sequence[int],
        vectors: Embeddings,
        payloads: Sequence[Mapping[str, str | None]],
    ) -> None:
        """Add or replace vectors ``(n, dim)``; they are on disk when it returns."""
        rows = checked_rows(vectors, len(ids), self._dim).astype("<f2")
        with self._database.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO vector (space, picture, category, vector, checksum) "
                "VALUES (?, ?, ?, ?, ?)",
                [
                    (*written, row_sum(*written))
                    for picture_id, row, payload in zip(ids, rows, payloads, strict=True)
                    for written in [
                        (self._space, picture_id, payload.get("category"), row.tobytes())
                    ]
                ],
            )

    def remove(self, ids: Sequence[int]) -> None:
        """Remove vectors; ids that are not there are ignored."""
        with self._database.write() as connection:
            connection.executemany(
                "DELETE FROM vector WHERE space = ? AND picture = ?",
                [(self._space, picture_id) for picture_id in ids],
            )

    def known(self, ids: Sequence[int]) -> set[int]:
        """Return which of the ids have a vector."""
        with self._database.read() as connection:
            return {
                picture_id
                for some, marks in in_parts(ids)
                for (picture_id,) in connection.execute(
                    "SELECT picture FROM vector "  # noqa: S608  only marks go in
                    f"WHERE space = ? AND picture IN ({marks})",
                    (self._space, *some),
                )
            }

    def get(self, ids: Sequence[int]) -> Embeddings:
        """Return the vectors of `ids`, ``(n, dim)``; KeyError for one that is not there."""
        with self._database.read() as connection:
            found = dict(self._rows.of_pictures(connection, ids))
        if missing := [picture_id for picture_id in ids if picture_id not in found]:
            raise KeyError(missing[0])
        return matrix((found[picture_id] for picture_id in ids), self._dim).astype(np.float32)

    def ids(self) -> list[int]:
        """Return the ids of all vectors, rising."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT picture FROM vector WHERE space = ? ORDER BY picture", (self._space,)
            )
            return [picture for (picture,) in rows]

    def count(self) -> int:
        """Return how many vectors there are."""
        with self._database.read() as connection:
            return self._rows.count(connection)

    def search(
        self,
        vector: NDArray[np.float32],
        k: int,
        *,
        category: str | None = None,
        exclude: Sequence[int] = (),
    ) -> list[tuple[int, float]]:
        """Return at most `k` ``(id, cosine)``, best first, ties by id."""
        query = checked_rows(vector[None], 1, self._dim)[0]
        left_out = set(exclude)
        wanted = k + len(left_out)
        with self._database.read() as connection:
            if not query.any():
                return self._first(connection, k, category, left_out)
            # The transaction's state is that of its first query. Under the lock, nobody brings
            # what is in memory up to a later one in between.
            with self._loading:
                derived: SearchedGraph | Codes | None
                derived, last = self._codes.open(connection, category)
                # A category is searched exactly: a graph has no way to stay inside of it.
                if derived is None and category is None and k <= _GRAPH_UP_TO:
                    derived, last = self._graphs.open(connection)
                scan = self._refreshed(connection, category, last)
            while True:
                near = scan.nearest(query, wanted)
                hits = self._scored(connection, near.keys, query, left_out)
                lacking = False
                if derived is not None:
                    held = self._scored(connection, derived.nearest(query, wanted), query, left_out)
                    hits += held
                    # What else is in it lies farther away than those that it gave.
                    lacking = len(held) < k and wanted < len(derived)
                few = near.floor > -np.inf and sum(score >= near.floor for _, score in hits) < k
                if not (lacking or few):
                    break
                # Some of the nearest were removed since: look further.
                wanted *= 4
                if few:
                    # And load afresh next time.
                    self._scans.pop((category, last), None)
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

    def _first(
        self, connection: sqlite3.Connection, k: int, category: str | None, left_out: set[int]
    ) -> list[tuple[int, float]]:
        """Return the first pictures by id: to a vector of zeros all are equally close."""
        every = self._rows.first(connection, category)
        rest = (picture_id for picture_id in every if picture_id not in left_out)
        return [(picture_id, 0.0) for picture_id in islice(rest, k)]

    def optimise(self) -> None:
        """Make the codes that the collection chose, or build the graph where it is worth it."""
        quantization = chosen(self._database)
        if quantization != "float16":
            self._graphs.forget()
            self._codes.complete(quantization)
            return
        self._codes.drop()
        with ExitStack() as built:
            with self._database.read() as connection:
                graph = self._better_graph(connection)
                if graph is None:
                    return
                adopt = built.enter_context(graph)
            adopt()

    def _better_graph(
        self, connection: sqlite3.Connection
    ) -> AbstractContextManager[Callable[[], None]] | None:
        """Return what builds a graph; None where none is needed, or the one there is will do."""
        live = self._rows.count(connection)
        if live < self._graph_from:
            return None
        newest = self._rows.newest(connection)
        row = self._graphs.row(connection)
        start = None if self._graphs.opened(row) is None else row
        if start is not None:
            newer = self._rows.count(connection, last=start.last)
            dead = start.rows - (live - newer)
            if newer <= _STALE * live and dead <= _DEAD * live:
                return None
            start = start if dead <= _DEAD * live and newer <= _GROWN * start.rows else None
        source = Source(
            lambda last: (
                (np.array(keys, np.int64), matrix(blobs, self._dim))
                for keys, blobs in self._rows.batches(connection, last=last)
            ),
            lambda: self._rows.sample(connection),
        )
        return self._graphs.built(self._dim, source, newest, start, row)

    def problems(self, *, repair: bool) -> list[str]:
        """Return what is damaged, and what is wrong with what is derived.

        With `repair`, damaged vectors are removed, and what is derived is built anew.
        """
        with self._database.read() as connection:
            damaged = self._rows.damaged(connection)
        graph, codes = self._graphs.problems(), self._codes.problems()
        found = [*graph, *codes]
        if repair:
            if graph:
                self._graphs.forget()
            if codes:
                self._codes.drop()
            self.remove(damaged)
            self.optimise()
        if damaged:
            shown = some_of(map(str, sorted({vector_id // self._each for vector_id in damaged})))
            found.append(
                f"{counted(len(damaged), 'vector is', 'vectors are')} damaged: pictures {shown}"
            )
        return found

    def _scored(
        self,
        connection: sqlite3.Connection,
        keys: Keys,
        query: NDArray[np.float32],
        left_out: set[int],
    ) -> list[tuple[int, float]]:
        """Return picture and cosine of those rows that are still there and not left out."""
        pictures, halves = self._rows.numbered(connection, keys)
        rows = halves.astype(np.float64)
        # Summed row by row, so that equal vectors have equal scores: BLAS does not promise that.
        scores = np.clip((rows * query).sum(axis=1), -1, 1).tolist()
        found = zip(pictures, scores, strict=True)
        return [(picture, score) for picture, score in found if picture not in left_out]

    def _refreshed(self, connection: sqlite3.Connection, category: str | None, last: int) -> Scan:
        """Return the rows after `last` in memory, with all that this transaction sees."""
        key = (category, last)
        newest = self._rows.newest(connection)
        scan = self._scans.get(key)
        if scan is not None and scan.last >= newest:
            return scan
        for old in [old for old in self._scans if old[0] == category and old[1] != last]:
            del self._scans[old]
        scan = self._scans.setdefault(key, Scan(self._dim, last))
        if not len(scan):
            scan.reserve(self._rows.count(connection, category, last))
        for keys, blobs in self._rows.batches(connection, category, scan.last):
            scan.extend(keys, blobs)
        scan.seen(newest)
        return scan
