"""The vectors in a collection's database: read, and compared with their checksums."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pareja.arrays import evenly
from pareja.errors import CollectionFaultError
from pareja.search.database import Database
from pareja.search.vectors.exact import Half, Keys
from pareja.sqlite import in_parts, row_sum

_BATCH = 8192
_ROW = "picture, vector, category, checksum"
# So many vectors say what the others are like.
_SAMPLE = 10_000


class VectorRows:
    """The vectors of one space, each with a number that grows with each change.

    Parameters
    ----------
    database
        The collection.
    space
        Number of the embedding space in it.
    dim
        Length of a vector.
    each
        How many vectors a picture has; their ids are ``picture * each`` and those after it.
    """

    def __init__(self, database: Database, space: int, dim: int, each: int) -> None:
        self._database = database
        self._space = space
        self._dim = dim
        self._each = each

    def newest(self, connection: sqlite3.Connection) -> int:
        """Return the number of the last vector that was ever added, of any space."""
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'vector'").fetchone()
        return 0 if row is None else int(row[0])

    def count(
        self, connection: sqlite3.Connection, category: str | None = None, last: int = 0
    ) -> int:
        """Return how many there are, of a category, with a number above `last`."""
        where, values = self._where(category, last)
        return int(connection.execute(f"SELECT count(*) {where}", values).fetchone()[0])

    def keys(
        self,
        connection: sqlite3.Connection,
        category: str | None = None,
        last: int = 0,
        up_to: int | None = None,
    ) -> Keys:
        """Return the numbers above `last`, of a category, rising."""
        where, values = self._where(category, last)
        found = connection.execute(
            f"SELECT seq {where} AND seq <= coalesce(?, seq) ORDER BY seq", (*values, up_to)
        )
        return np.fromiter((key for (key,) in found), np.int64)

    def of_pictures(
        self, connection: sqlite3.Connection, ids: Sequence[int]
    ) -> Iterator[tuple[int, bytes]]:
        """Yield id and float16 numbers of those of `ids` that are there."""
        for some, marks in in_parts(ids):
            yield from self._checked(
                connection.execute(
                    f"SELECT {_ROW} FROM vector WHERE space = ? AND picture IN ({marks})",  # noqa: S608  only question marks
                    (self._space, *some),
                )
            )

    def numbered(self, connection: sqlite3.Connection, keys: Keys) -> tuple[list[int], Half]:
        """Return ids and rows ``(n, dim)`` of the numbers that are there, in no order."""
        found = [
            row
            for some, marks in in_parts(keys.tolist())
            for row in self._checked(
                connection.execute(f"SELECT {_ROW} FROM vector WHERE seq IN ({marks})", some)  # noqa: S608  only question marks
            )
        ]
        return [picture for picture, _ in found], matrix([blob for _, blob in found], self._dim)

    def sample(self, connection: sqlite3.Connection) -> Half:
        """Return rows ``(n, dim)`` spread evenly over all, 10,000 at most."""
        keys = self.keys(connection)
        return self.numbered(connection, keys[evenly(len(keys), _SAMPLE)])[1]

    def batches(
        self, connection: sqlite3.Connection, category: str | None = None, last: int = 0
    ) -> Iterator[tuple[list[int], list[bytes]]]:
        """Yield numbers, rising from above `last`, and float16 numbers of a category, or of all."""
        where, values = self._where(category, last)
        if category is None:
            # The plus keeps SQLite from walking the index of the space: in the order of the
            # table, rows that lie side by side are read once.
            where = where.replace("space", "+space")
        rows = connection.execute(f"SELECT seq, {_ROW} {where} ORDER BY seq", values)
        while batch := rows.fetchmany(_BATCH):
            checked = self._checked(row for _, *row in batch)
            yield [key for key, *_ in batch], [blob for _, blob in checked]

    def first(self, connection: sqlite3.Connection, category: str | None = None) -> Iterator[int]:
        """Yield ids, rising."""
        where, values = self._where(category, 0)
        rows = connection.execute(f"SELECT picture {where} ORDER BY picture", values)
        return (picture_id for (picture_id,) in rows)

    def damaged(self, connection: sqlite3.Connection) -> list[int]:
        """Return the ids of those that are not what was written."""
        rows = connection.execute(
            f"SELECT {_ROW} FROM vector WHERE space = ?",  # noqa: S608  constant
            (self._space,),
        )
        return [picture for picture, *rest in rows if not self._is_whole(picture, *rest)]

    def _checked(self, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, bytes]]:
        """Yield picture and vector of rows of `_ROW`, if all are what was written."""
        for row in rows:
            if not self._is_whole(*row):
                raise CollectionFaultError(
                    f"the collection in {self._database.folder} is damaged: the vector of picture "
                    f"{row[0] // self._each} is not what was written. Let the collection verify "
                    "and repair itself, and index the pictures again."
                )
            yield row[0], row[1]

    def _is_whole(
        self, picture: int, vector: bytes, category: str | None, checksum: int | None
    ) -> bool:
        return row_sum(self._space, picture, category, vector) == checksum

    def _where(self, category: str | None, last: int) -> tuple[str, tuple[object, ...]]:
        if category is None:
            return "FROM vector WHERE space = ? AND seq > ?", (self._space, last)
        return (
            "FROM vector WHERE space = ? AND category = ? AND seq > ?",
            (self._space, category, last),
        )


def matrix(blobs: Iterable[bytes], dim: int) -> Half:
    """Return float16 numbers as rows ``(n, dim)``."""
    return np.frombuffer(b"".join(blobs), "<f2").reshape(-1, dim)
