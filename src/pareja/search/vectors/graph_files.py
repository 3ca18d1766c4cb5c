"""The file of a collection's graph: which one counts, when it may be read, and when it goes."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pareja.checksums import file_digest
from pareja.files import close_to_rename, scratch_file
from pareja.search.database import FILE_NAME, Database
from pareja.search.vectors.graph import Source, build, extend, identity, opened
from pareja.search.vectors.graph_search import SearchedGraph, Walk
from pareja.search.vectors.mapped import READ_AHEAD


@dataclass(frozen=True)
class GraphRow:
    """What a collection knows of its graph.

    Parameters
    ----------
    name, digest, stamp
        Of its file: the name in the collection's folder, SHA-256, and `identity`.
    last
        The number of the last vector that it knows.
    rows
        How many it holds.
    walk
        How it is searched.
    """

    name: str
    digest: str
    stamp: str
    last: int
    rows: int
    walk: Walk


class GraphFiles:
    """The graph of one space of a collection.

    A new one gets its name, and an old one goes, while the database is locked for writing: several
    programs may build one at the same time, and none takes away what another has just written.

    Parameters
    ----------
    database
        The collection's.
    space
        Number of the embedding space in it.
    """

    def __init__(self, database: Database, space: int) -> None:
        self._database = database
        self._space = space
        self._kept: tuple[str, SearchedGraph | None] = ("", None)
        self._read_ahead_of: SearchedGraph | None = None

    def row(self, connection: sqlite3.Connection) -> GraphRow | None:
        """Return what is known of the graph; None where there is none."""
        row = connection.execute(
            "SELECT name, digest, stamp, last_seq, rows, beam, usual FROM graph WHERE space = ?",
            (self._space,),
        ).fetchone()
        # A collection from elsewhere may name a file of ours.
        if row is None or Path(row[0]).name != row[0]:
            return None
        name, digest, stamp, last, rows, *walk = row
        return GraphRow(name, digest, stamp, last, rows, Walk(*walk))

    def open(self, connection: sqlite3.Connection) -> tuple[SearchedGraph | None, int]:
        """Return the graph and the last row that it knows, or none where it cannot be trusted."""
        row = self.row(connection)
        if row is None:
            return None, 0
        again = self._kept[0] == row.name
        if not again:
            self._kept = (row.name, self.opened(row))
        graph = self._kept[1]
        if graph is None or not graph.is_whole:
            return None, 0
        if again and graph is not self._read_ahead_of:
            # Who searches twice will search more.
            self._read_ahead_of = graph
            threading.Thread(target=self._read_ahead, args=(graph, row.digest), daemon=True).start()
        return graph, row.last

    def opened(self, row: GraphRow | None) -> SearchedGraph | None:
        """Return the graph if its file is the one that was written: only then is it safe to read.

        One that the installed version of the library cannot read is as good as none.
        """
        if row is None:
            return None
        path = self._path(row.name)
        now = identity(path)
        if not now or (now != row.stamp and file_digest(path) != row.digest):
            return None
        try:
            return opened(path, row.walk)
        except (ValueError, FileNotFoundError):
            return None

    @contextmanager
    def built(
        self,
        dim: int,
        source: Source,
        newest: int,
        start: GraphRow | None,
        known: GraphRow | None,
    ) -> Iterator[Callable[[], None]]:
        """Build a graph, or add to one, in a file that is gone when the block ends, if not adopted.

        Parameters
        ----------
        dim
            Length of a vector.
        source
            The vectors, by their number.
        newest
            Number of the last of them.
        start
            The graph to add to; None to begin with none.
        known
            The graph that the collection has; None if it has none.

        Yields
        ------
        callable
            Makes the graph the collection's, and deletes the files of all others.
        """
        with scratch_file(self._path(f"graph-{self._space}")) as stream:
            written = Path(stream.name)
            try:
                rows, walk = self._built(written, dim, source, start)
            except (OSError, RuntimeError):
                # Another program has replaced the one that was to be added to.
                if start is None or self._path(start.name).exists():
                    raise
                rows, walk = self._built(written, dim, source, None)
            close_to_rename(stream)
            name = f"graph-{self._space}-{uuid.uuid4().hex[:12]}.usearch"
            row = GraphRow(name, file_digest(written), "", newest, rows, walk)
            yield lambda: self._adopt(written, row, known)

    def _built(
        self, path: Path, dim: int, source: Source, start: GraphRow | None
    ) -> tuple[int, Walk]:
        if start is None:
            return build(path, dim, source)
        return extend(path, dim, source, self._path(start.name), start.last)

    def _adopt(self, written: Path, row: GraphRow, known: GraphRow | None) -> None:
        with self._database.write() as connection:
            other = self.row(connection)
            if other is not None and other != known and other.last >= row.last:
                return  # another program was faster, with as much
            path = self._path(row.name)
            written.replace(path)
            connection.execute(
                "INSERT OR REPLACE INTO graph VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._space,
                    row.name,
                    row.digest,
                    identity(path),
                    row.last,
                    row.rows,
                    row.walk.beam,
                    row.walk.usual,
                ),
            )
        self._clear_up()

    def _clear_up(self) -> None:
        """Delete the files of all graphs but the one on record, while nobody can add another."""
        with self._database.write() as connection:
            kept = self.row(connection)
            for path in self._database.folder.glob(f"graph-{self._space}-*.usearch"):
                # Windows keeps a file that another process reads; the next time finds it.
                if kept is None or path.name != kept.name:
                    with suppress(OSError):
                        path.unlink()

    def problems(self) -> list[str]:
        """Return what is wrong with the graph."""
        with self._database.read() as connection:
            row = self.row(connection)
        if row is None:
            return []
        path = self._path(row.name)
        if not path.is_file():
            return [f"{row.name} is missing; searches are exact until it is built again"]
        if file_digest(path) != row.digest:
            return [f"{row.name} is not the file that was written"]
        if self.opened(row) is None:
            return [f"{row.name} is of a kind that the installed version of usearch cannot read"]
        return []

    def forget(self) -> None:
        """Do without the graph until another one is built."""
        with self._database.read() as connection:
            if self.row(connection) is None:
                return
        with self._database.write() as connection:
            connection.execute("DELETE FROM graph WHERE space = ?", (self._space,))
        self._clear_up()

    def _path(self, name: str) -> Path:
        return self._database.folder / name

    def _read_ahead(self, graph: SearchedGraph, digest: str) -> None:
        """Bring into memory what searches read here and there: the graph, and the vectors."""
        with suppress(OSError):
            graph.load(digest)
        piece = bytearray(1 << 20)
        with suppress(OSError), self._path(FILE_NAME).open("rb", 0) as file:
            while file.tell() < READ_AHEAD and file.readinto(piece):
                pass
