"""The index of captions and file names: how it is made, checked, and taken away.

It is in tables of SQLite's FTS5. Those have no checksums, and where one of them is damaged FTS5
may answer wrongly without a word. So all of them have one checksum, which whoever is about to use
the index compares. An index that is not what was written is made again from the files.
"""

from __future__ import annotations

import marshal
import os
import re
import sqlite3
import unicodedata
import zlib
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import PurePath

from pareja.names import printable
from pareja.sqlite import in_parts

# What FTS5 keeps `written` in.
_PARTS = ("written_data", "written_idx", "written_content", "written_docsize", "written_config")

_TABLES = {
    "written": """CREATE VIRTUAL TABLE IF NOT EXISTS written
        USING fts5(captions, names, tokenize = 'unicode61 remove_diacritics 2')""",
    "written_of": """CREATE TABLE IF NOT EXISTS written_of (
        picture INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, captioned INTEGER NOT NULL)""",
    "written_at": """CREATE TABLE IF NOT EXISTS written_at (
        revision TEXT NOT NULL, captions INTEGER NOT NULL, names INTEGER NOT NULL,
        checksum INTEGER NOT NULL)""",
}


def is_there(connection: sqlite3.Connection) -> bool:
    """Return whether there is an index, or what is left of one."""
    return bool(
        connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'written' OR name GLOB 'written_*'"
        ).fetchone()
    )


def is_sound(connection: sqlite3.Connection) -> bool:
    """Return whether an index is, in every bit, what was written. All of it is read."""
    try:
        row = connection.execute("SELECT checksum FROM written_at").fetchone()
        return row is not None and row[0] == _checksum(connection)
    except sqlite3.DatabaseError as error:
        # A table or a column that is missing, or pages that are none.
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT):
            return False
        raise


def revision_of(connection: sqlite3.Connection) -> str | None:
    """Return which revision of the files an index is of; None where there is no index."""
    try:
        row = connection.execute("SELECT revision FROM written_at").fetchone()
    except sqlite3.OperationalError:
        return None
    return None if row is None else str(row[0])


def revision_now(connection: sqlite3.Connection) -> str:
    """Return the revision that the files of a collection have."""
    row = connection.execute("SELECT value FROM setting WHERE name = 'revision'").fetchone()
    return "" if row is None else str(row[0])


def take_away(connection: sqlite3.Connection) -> None:
    """Remove an index, or what is left of one, inside of a transaction."""
    # FTS5 does not drop a table that it cannot open.
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("DELETE FROM sqlite_master WHERE name = 'written'")
    connection.execute("PRAGMA writable_schema = RESET")
    for table in (*_PARTS, "written_of", "written_at"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")


def update(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Bring the index in `target`, none or a sound one, to what the files in `source` say."""
    for statement in _TABLES.values():
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
        "INSERT INTO written_at SELECT ?, coalesce(sum(captioned), 0), count(*), 0 FROM written_of",
        (revision_now(source),),
    )
    target.execute("UPDATE written_at SET checksum = ?", (_checksum(target),))


def _checksum(connection: sqlite3.Connection) -> int:
    total = 0
    for table in (*_PARTS, "written_of", "written_at"):
        columns = "revision, captions, names" if table == "written_at" else "*"
        rows = connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1")  # noqa: S608  constants
        while some := rows.fetchmany(500):
            # Of the ways to bytes the fastest, and its second format is the same for equal rows.
            total = zlib.crc32(marshal.dumps(some, 2), total)
    return total


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
