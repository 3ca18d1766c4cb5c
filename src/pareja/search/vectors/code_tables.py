"""The codes of a collection's vectors, in its database: which count, and how they come and go."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from pareja.decimals import counted
from pareja.search.database import Database
from pareja.search.vectors.codes import Block, Codebook, Codes, Rows
from pareja.search.vectors.exact import Keys
from pareja.search.vectors.quantization import Compressed
from pareja.search.vectors.rows import VectorRows, matrix
from pareja.sqlite import row_sum

CODES_FROM = 8192
"""So many vectors are coded at a time; the fewer that are left are compared as they are."""

# Of vectors that are read, in a block.
_BATCHES = 4
# Codes are made anew where this share of their rows is gone, or where there are this many times the
# vectors that their mean was taken of.
_DEAD = 0.2
_GROWN = 4
_NONE: tuple[int, int, Codes | None] = (0, 0, None)


@dataclass(frozen=True)
class Made:
    """What a collection knows of the codes that it has.

    Parameters
    ----------
    number
        Of their codebook.
    kind
        What a number of a vector became.
    around
        How many vectors there were when the mean was taken.
    last
        Number of the last vector that is coded.
    rows
        How many are.
    """

    number: int
    kind: str
    around: int
    last: int
    rows: int


class CodeTables:
    """The codes of one space of a collection.

    New ones are made beside the old ones, some rows at a time, each time durably: a run that ends
    early, or meets another one, loses nothing. Searches get the new ones when they are complete.

    Parameters
    ----------
    database
        The collection's.
    space
        Number of the embedding space in it.
    dim
        Length of a vector.
    rows
        The vectors of that space.
    codes_from
        So many vectors are coded at a time.
    """

    def __init__(
        self, database: Database, space: int, dim: int, rows: VectorRows, codes_from: int
    ) -> None:
        self._database = database
        self._space = space
        self._dim = dim
        self._rows = rows
        self._codes_from = codes_from
        self._kept = _NONE
        self._members: dict[str, tuple[int, Keys]] = {}

    def open(
        self, connection: sqlite3.Connection, category: str | None = None
    ) -> tuple[Codes | None, int]:
        """Return the codes of a category, or of all, and the last row that they know.

        They are none where there are none to trust. One thread may open them at a time.
        """
        made = self._made(connection, ready=True)
        if made is None:
            self._kept, self._members = _NONE, {}
            return None, 0
        number, last, codes = self._kept
        if number != made.number:
            book = self._book(connection, made)
            last, codes = 0, None if book is None else Codes(book)
            self._members = {}
        # Another thread may have read more than this transaction sees.
        if codes is not None and last < made.last:
            blocks = self._blocks(connection, made, codes.book, last)
            codes = None if blocks is None else codes.with_more(blocks)
            last = made.last
        self._kept = (made.number, last, codes)
        if codes is None:
            return None, 0
        if category is not None:
            codes = replace(codes, among=self._members_of(connection, category, last))
        return codes, last

    def _members_of(self, connection: sqlite3.Connection, category: str, last: int) -> Keys:
        """Return the numbers of a category's vectors up to `last`, also of some that are gone."""
        known, keys = self._members.get(category, (0, np.empty(0, np.int64)))
        last = min(last, self._rows.newest(connection))
        if known < last:
            keys = np.concatenate([keys, self._rows.keys(connection, category, known, last)])
            self._members[category] = (last, keys)
        return keys

    def complete(self, kind: Compressed) -> None:
        """Make the codes that are lacking; few vectors get none."""
        with self._database.read() as connection:
            live = self._rows.count(connection)
            found = [self._made(connection, ready=ready) for ready in (True, False)]
            good = [made for made in found if made and self._is_good(connection, made, kind, live)]
            around = None if good or live < self._codes_from else self._mean(connection)
        if good:
            number = good[0].number
        elif around is None:
            self.drop()
            return
        else:
            number = self._begun(Codebook.around(around, kind), live)
        while self._extended(number):
            pass
        self._adopt(number)

    def drop(self) -> None:
        """Do without codes."""
        with self._database.read() as connection:
            numbers = self._numbers(connection)
        if numbers:
            with self._database.write() as connection:
                self._delete(connection, self._numbers(connection))

    def problems(self) -> list[str]:
        """Return what is wrong with the codes."""
        with self._database.read() as connection:
            made = self._made(connection, ready=True)
            book = None if made is None else self._book(connection, made)
            if made is None or (book and self._blocks(connection, made, book, 0) is not None):
                return []
        return [
            f"the {made.kind} codes of {counted(made.rows, 'vector')} are damaged; searches do "
            "without them until they are made again"
        ]

    def _is_good(
        self, connection: sqlite3.Connection, made: Made, kind: Compressed, live: int
    ) -> bool:
        dead = made.rows - (live - self._rows.count(connection, last=made.last))
        return made.kind == kind and dead <= _DEAD * live and live <= _GROWN * made.around

    def _mean(self, connection: sqlite3.Connection) -> Rows:
        rows = self._rows.sample(connection)
        mean: Rows = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    def _begun(self, book: Codebook, around: int) -> int:
        """Put a new codebook on record, to be filled, and return its number."""
        values = (self._space, book.kind, around, book.mean.tobytes(), book.signs.tobytes())
        with self._database.write() as connection:
            added = connection.execute(
                "INSERT INTO codebook (space, kind, around, mean, signs, checksum) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (*values, row_sum(*values)),
            )
            return int(added.lastrowid or 0)

    def _extended(self, number: int) -> bool:
        """Code some more vectors; return whether there were enough for that."""
        with self._database.read() as connection:
            made = self._made(connection, number=number)
            book = None if made is None else self._book(connection, made)
            # Another program may have thrown them away.
            if made is None or book is None:
                return False
            if self._rows.count(connection, last=made.last) < self._codes_from:
                return False
            some = list(islice(self._rows.batches(connection, last=made.last), _BATCHES))
        keys = np.concatenate([keys for keys, _ in some]).astype("<i8")
        rows = np.concatenate([matrix(blobs, self._dim) for _, blobs in some])
        codes, scales = book.coded(rows.astype(np.float32))
        content = (keys.tobytes(), codes.tobytes(), scales.astype("<f4").tobytes())
        values = (number, int(keys[-1]), len(keys), *content)
        with self._database.write() as connection:
            # Or have coded the same.
            if self._made(connection, number=number) == made:
                connection.execute(
                    "INSERT INTO code (book, last, rows, keys, codes, scales, checksum) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*values, row_sum(*values)),
                )
        return True

    def _adopt(self, number: int) -> None:
        """Let searches use these codes, and throw away all others."""
        with self._database.read() as connection:
            made = self._made(connection, ready=True)
            if made is not None and [made.number] == self._numbers(connection) == [number]:
                return
        with self._database.write() as connection:
            found = connection.execute("UPDATE codebook SET ready = 1 WHERE id = ?", (number,))
            if found.rowcount:
                others = [each for each in self._numbers(connection) if each != number]
                self._delete(connection, others)

    def _numbers(self, connection: sqlite3.Connection) -> list[int]:
        found = connection.execute("SELECT id FROM codebook WHERE space = ?", (self._space,))
        return [number for (number,) in found]

    def _delete(self, connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
        for table, column in (("code", "book"), ("codebook", "id")):
            connection.executemany(
                f"DELETE FROM {table} WHERE {column} = ?",  # noqa: S608  constants
                [(number,) for number in numbers],
            )

    def _made(
        self,
        connection: sqlite3.Connection,
        *,
        ready: bool | None = None,
        number: int | None = None,
    ) -> Made | None:
        """Return what is known of the newest codes of which this is true."""
        row = connection.execute(
            "SELECT id, kind, around, coalesce(max(last), 0), coalesce(sum(rows), 0) "
            "FROM codebook LEFT JOIN code ON book = id "
            "WHERE space = ? AND ready = coalesce(?, ready) AND id = coalesce(?, id) "
            "GROUP BY id ORDER BY id DESC",
            (self._space, ready, number),
        ).fetchone()
        return None if row is None else Made(*row)

    def _book(self, connection: sqlite3.Connection, made: Made) -> Codebook | None:
        """Return a codebook, if it is what was written."""
        space, kind, around, mean, signs, checksum = connection.execute(
            "SELECT space, kind, around, mean, signs, checksum FROM codebook WHERE id = ?",
            (made.number,),
        ).fetchone()
        if row_sum(space, kind, around, mean, signs) != checksum:
            return None
        turns = np.frombuffer(signs, np.int8).reshape(-1, self._dim)
        return Codebook(kind, np.frombuffer(mean, "<f4"), turns)

    def _blocks(
        self, connection: sqlite3.Connection, made: Made, book: Codebook, last: int
    ) -> list[Block] | None:
        """Return the codes of rows after `last`, if all are what was written."""
        blocks = []
        for *values, checksum in connection.execute(
            "SELECT book, last, rows, keys, codes, scales, checksum FROM code "
            "WHERE book = ? AND last > ? ORDER BY last",
            (made.number, last),
        ):
            if row_sum(*values) != checksum:
                return None
            *_, rows, keys, codes, scales = values
            packed = np.frombuffer(codes, np.uint8).reshape(rows, -1)
            block = Block(
                np.frombuffer(keys, "<i8"),
                book.held(packed),
                np.frombuffer(scales, "<f4").reshape(2, rows),
            )
            blocks.append(block)
        return blocks
