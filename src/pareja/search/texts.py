"""Which pictures have the words of a query in their captions or in the names of their files.

The texts of every picture are in an index of SQLite's FTS5, which follows from the files that a
collection knows. It is made when words are first looked up, and compared with the files again when
the collection has changed since. Where a collection can only be read it is made in memory.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import PurePath
from typing import NamedTuple

from pareja.errors import CollectionError, QueryError
from pareja.names import printable
from pareja.search.contracts import LookedUp
from pareja.search.database import Database
from pareja.search.weights import terms_of
from pareja.sqlite import in_parts

FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the and or but if of in on at by for from to into onto with without as is are was be it
        its this that these those there no not
        un una unos unas el la los las lo al del de y e o u en con sin por para ante bajo desde
        hasta hacia entre sobre que se su sus es son como este esta
        """,
    )
)
"""Words of English and Spanish that are not looked up: in titles they are as rare as names."""

COMMON_SHARE = 0.1
"""Words that more than this share of the captions, or of the file names, have are not looked up.

Captions and names are counted separately, since few pictures of a folder may have a caption."""

NEVER_COMMON = 5
"""A word in at most so many captions and so many file names is not too common for that."""

_TABLES = (
    """CREATE VIRTUAL TABLE IF NOT EXISTS written
       USING fts5(captions, names, tokenize = 'unicode61 remove_diacritics 2')""",
    """CREATE TABLE IF NOT EXISTS written_of (
       picture INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, captioned INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS written_at (
       revision TEXT NOT NULL, captions INTEGER NOT NULL, names INTEGER NOT NULL)""",
)


class Written(NamedTuple):
    """A picture whose texts have words of a query, and by how much they fit; less is better."""

    picture: int
    score: float


def words_of(text: str | None) -> tuple[str, ...]:
    """Return the words of a query that are looked up, each once.

    Those that are moved towards: not what has a weight below 0. Other weights change nothing.

    Raises
    ------
    QueryError
        If the query has no words.

    Examples
    --------
    >>> words_of('a red "boat", red::2 indoors::-0.5')
    ('a', 'red', 'boat')
    """
    if text is None or not text.strip():
        raise QueryError(
            "hybrid_words",
            "`hybrid` looks up the words of a query, and this one has none. Give words, or leave "
            "`hybrid` out.",
            {},
        )
    parts = " ".join(term.words for term in terms_of(text) if term.weight > 0)
    # NUL would end the expression that SQLite parses.
    whole = unicodedata.normalize("NFC", parts).replace("\0", " ")
    found: dict[str, str] = {}
    for word in whole.split():
        bare = re.sub(r"^\W+|\W+$", "", word)
        if bare:
            found.setdefault(bare.casefold(), bare)
    return tuple(found.values())


class Texts:
    """The captions and file names of a collection, to be looked up by words.

    A picture's texts are the captions of all files that hold it, and their names with the folders
    below the place that was indexed, and the name of that place. Labels and categories are no part
    of it, and neither is a folder that is named after one of them: what is judged by labels must
    not be found by them.

    Parameters
    ----------
    database
        The collection's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._memory: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of what is in memory."""
        with self._lock:
            if self._memory is not None:
                self._memory.close()
                self._memory = None

    def refresh(self, *, make: bool = True) -> None:
        """Bring the index up to date, if it may be written; without `make`, only if there is one.

        Raises
        ------
        CollectionError
            If SQLite lacks FTS5.
        """
        if self._database.read_only:
            return
        with self._database.read() as connection:
            if _is_true(connection) or not (make or _is_there(connection)):
                return
        with self._database.write() as connection, _explained():
            # Another process may have done it while this one waited for the lock.
            if not _is_true(connection):
                _update(connection, connection)

    def look_up(self, words: Sequence[str]) -> tuple[LookedUp, list[Written]]:
        """Return which words are looked up, and all pictures that have one of them, best first.

        Ordered by BM25; equal ones by number. Call `refresh` before, outside of any block that
        reads.
        """
        with self._index() as connection:
            captions, names = connection.execute(
                "SELECT captions, names FROM written_at"
            ).fetchone()
            most = {"captions": _most(captions), "names": _most(names)}
            left_out = tuple(
                word
                for word in words
                if word.casefold() in FUNCTION_WORDS or _is_common(connection, word, most)
            )
            asked = tuple(word for word in words if word not in left_out)
            rows = connection.execute(
                "SELECT rowid, bm25(written) FROM written WHERE written MATCH ? ORDER BY 2, 1",
                # An empty expression is an error, and an empty word matches nothing.
                (" OR ".join(map(_quoted, asked or ("",))),),
            )
            return LookedUp(asked, left_out), [Written(*row) for row in rows]

    def having(self, words: Sequence[str], pictures: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Return which of some words each of some pictures has."""
        found: dict[int, list[str]] = {picture: [] for picture in pictures}
        with self._index() as connection:
            for word in words:
                for some, marks in in_parts(pictures):
                    rows = connection.execute(
                        f"SELECT rowid FROM written WHERE written MATCH ? AND rowid IN ({marks})",  # noqa: S608  only question marks
                        (_quoted(word), *some),
                    )
                    for (picture,) in rows:
                        found[picture].append(word)
        return {picture: tuple(had) for picture, had in found.items()}

    def problems(self, *, repair: bool) -> list[str]:
        """Return what is wrong with the index; with `repair`, take it away, to be made again."""
        if self._database.read_only:
            return []
        with self._database.write() as connection:
            if not _is_there(connection):
                return []
            try:
                with _explained():
                    connection.execute("INSERT INTO written (written) VALUES ('integrity-check')")
            except sqlite3.DatabaseError:
                if repair:
                    for table in ("written", "written_of", "written_at"):
                        connection.execute(f"DROP TABLE {table}")
                return ["the index of captions and file names is damaged"]
        return []

    @contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection to the index: of the collection's own, or in memory."""
        with self._database.read() as source, _explained():
            if not self._database.read_only or _is_true(source):
                yield source
                return
            with self._lock:
                if self._memory is None:
                    self._memory = sqlite3.connect(":memory:", check_same_thread=False)
                    self._memory.isolation_level = None
                if not _is_true(self._memory, _revision(source)):
                    _update(source, self._memory)
                yield self._memory


@contextmanager
def _explained() -> Iterator[None]:
    """Say what to do where SQLite was built without what looks up words."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not re.search("no such module|tokenizer", str(error)):
            raise
        raise CollectionError(
            f"the SQLite {sqlite3.sqlite_version} of this Python cannot look up words: it was "
            "built without FTS5. Search without `hybrid`, or use a Python whose SQLite has it."
        ) from error


def _most(texts: int) -> int:
    """Return how many of some texts may have a word that is looked up."""
    return max(NEVER_COMMON, int(COMMON_SHARE * texts))


def _is_common(connection: sqlite3.Connection, word: str, most: dict[str, int]) -> bool:
    return any(
        connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM written WHERE written MATCH ? LIMIT ?)",
            (f"{column} : {_quoted(word)}", limit + 1),
        ).fetchone()[0]
        > limit
        for column, limit in most.items()
    )


def _quoted(word: str) -> str:
    """Return a word as FTS5 takes it literally: what it would split is looked up as a phrase."""
    return '"' + word.replace('"', '""') + '"'


def _is_there(connection: sqlite3.Connection) -> bool:
    return bool(
        connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'written_at'").fetchone()
    )


def _revision(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT value FROM setting WHERE name = 'revision'").fetchone()
    return None if row is None else str(row[0])


def _is_true(connection: sqlite3.Connection, revision: str | None = None) -> bool:
    """Return whether an index is of the files as they are at a revision; by default, now."""
    if not _is_there(connection):
        return False
    row = connection.execute("SELECT revision FROM written_at").fetchone()
    return row is not None and row[0] == (revision or _revision(connection))


def _update(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Bring the index in `target` to what the files in `source` say."""
    for statement in _TABLES:
        target.execute(statement)
    known = dict(target.execute("SELECT picture, stamp FROM written_of"))
    lacking: list[int] = []
    replaced: list[int] = []
    for picture, stamp in source.execute("SELECT picture, sum(checksum) FROM file GROUP BY 1"):
        before = known.pop(picture, None)
        if before != stamp:
            lacking.append(picture)
            if before is not None:
                replaced.append(picture)
    gone = [(picture,) for picture in (*known, *replaced)]
    target.executemany("DELETE FROM written WHERE rowid = ?", gone)
    target.executemany("DELETE FROM written_of WHERE picture = ?", gone)
    for some, marks in in_parts(lacking):
        files = source.execute(
            "SELECT picture, checksum, location, name, category, label, caption, caption_es "  # noqa: S608  only question marks
            f"FROM file WHERE picture IN ({marks}) ORDER BY picture, id",
            some,
        )
        for picture, group in groupby(files, key=itemgetter(0)):
            rows = [row[1:] for row in group]
            captions = _lines(text for row in rows for text in row[-2:])
            names = _lines(_name(*row[1:5]) for row in rows)
            target.execute(
                "INSERT INTO written (rowid, captions, names) VALUES (?, ?, ?)",
                (picture, captions, names),
            )
            target.execute(
                "INSERT INTO written_of VALUES (?, ?, ?)",
                (picture, sum(row[0] for row in rows), bool(captions)),
            )
    target.execute("DELETE FROM written_at")
    target.execute(
        "INSERT INTO written_at SELECT ?, coalesce(sum(captioned), 0), count(*) FROM written_of",
        (_revision(source),),
    )


def _lines(texts: Iterable[str | None]) -> str:
    """Return texts below each other, each once."""
    return unicodedata.normalize("NFC", "\n".join(dict.fromkeys(filter(None, texts))))


def _name(location: str | bytes, name: str, category: str | None, label: str | None) -> str:
    """Return what a file is called, from the place that was indexed on."""
    place = printable(PurePath(os.fsdecode(location)).name)
    *folders, file = PurePath(name).parts
    left_out = {_plain(text) for text in (category, label) if text}
    kept = [folder for folder in (place, *folders) if _plain(folder) not in left_out]
    return " ".join([*kept, file])


def _plain(name: str) -> str:
    """Return a name as people read it: "solar_panel" and "Solar panel" are the same."""
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))
