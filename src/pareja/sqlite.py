"""SQLite files: how one is opened, brought up to date and written, and what its errors mean."""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pareja.errors import ParejaError

WAIT_SECONDS = 30.0
"""How long one program waits for another one that is writing."""

Value = TypeVar("Value", int, str)

_AGAIN = 0.01  # seconds

LARGEST = 2**63 - 1
"""The largest number that SQLite holds."""

# Fewer than any build of SQLite takes as parameters of one statement.
_PARAMETERS = 500


@dataclass(frozen=True)
class Schema:
    """What the tables of a database are, in every version there has been.

    Parameters
    ----------
    application
        Number in the file's header by which pareja knows its own databases.
    migrations
        SQL; entry n brings a database of version n to version n + 1, and entry 0 makes its tables.
        Its statements end in semicolons, and hold none.
    page_size
        Of a new file, in bytes.
    """

    application: int
    migrations: tuple[str, ...]
    page_size: int = 4096

    @property
    def newest(self) -> int:
        """The version that the migrations lead to."""
        return len(self.migrations)

    def version_of(self, connection: sqlite3.Connection) -> int | None:
        """Return the version of a database: 0 for an empty file, None for another program's."""
        if not pragma(connection, "schema_version"):
            return 0
        if pragma(connection, "application_id") != self.application:
            return None
        return pragma(connection, "user_version")

    def migrate(self, connection: sqlite3.Connection) -> None:
        """Bring a database up to date, whole or not at all; an empty file gets its tables.

        A database of the newest version, or of a later one, is left as it is.
        """
        if not self.version_of(connection):
            connection.execute(f"PRAGMA page_size = {self.page_size}")
        _log_ahead(connection)
        with transaction(connection):
            # Another process may have done it while this one waited for the lock.
            waiting = self.migrations[self.version_of(connection) or 0 :]
            for migration in waiting:
                for statement in filter(str.strip, migration.split(";")):
                    connection.execute(statement)
            if waiting:
                connection.execute(f"PRAGMA application_id = {self.application}")
                connection.execute(f"PRAGMA user_version = {self.newest}")


def connect(path: Path, *, synchronous: str = "FULL") -> sqlite3.Connection:
    """Open a database to read and write; an empty file is made where there is none.

    Parameters
    ----------
    path
        The file.
    synchronous
        ``"FULL"``: what is committed survives a power cut. ``"NORMAL"``: it survives the end of the
        process, and after a power cut the last commits may be missing.

    Returns
    -------
    sqlite3.Connection
        Without transactions of Python's own; any thread may use it, one at a time.
    """
    connection = _open(str(path.absolute()))
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a database and promise to write nothing, also where nothing may be written."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        return _open(address)
    except sqlite3.OperationalError:
        # A folder that may not be written to has no room for the index of the log, which even
        # readers need. Where there is no log there is nothing to miss either.
        if log_of(path).exists():
            raise
        return _open(f"{address}&immutable=1")


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Have changes written to a log first.

    Readers do not wait for a writer then, and a process that is killed loses what it had not
    committed and damages nothing.
    """
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite waits for other programs everywhere but here: two that make the same database
            # at once both read it already, and neither may have it alone.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(_AGAIN)
        else:
            return


def log_of(path: Path) -> Path:
    """Return where SQLite keeps what is not yet in the database's own file."""
    return path.with_name(f"{path.name}-wal")


def index_of_log(path: Path) -> Path:
    """Return where SQLite keeps what finds pages in the log."""
    return path.with_name(f"{path.name}-shm")


def _open(target: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        target,
        timeout=WAIT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=target.startswith("file:"),
    )
    connection.create_function("row_sum", -1, row_sum, deterministic=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def row_sum(*values: object) -> int:
    """Return the CRC-32 of a row's values; SQL knows it as a function of the same name.

    SQLite keeps no checksums of its own: a bit that flips in a vector or a text goes unnoticed.

    Examples
    --------
    >>> row_sum(1, "a", b"vector") == row_sum(1, "a", b"vectoR")
    False
    """
    total = 0
    for value in values:
        whole = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
        total = zlib.crc32(whole, total)
    return total


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """Return one of SQLite's settings that is a number."""
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all that is written inside, or none of it.

    It waits for another writer at its start. A transaction that began by reading, and then wrote,
    would fail at once instead.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # On a full disk SQLite has rolled back by itself. A second time would be an error that
        # hides the first.
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def in_parts(values: Sequence[Value]) -> Iterator[tuple[Sequence[Value], str]]:
    """Yield parts that fit one statement, each with its question marks.

    Numbers that SQLite cannot hold are left out: no row has them.

    Examples
    --------
    >>> list(in_parts([7, 8, 10**20]))
    [([7, 8], '?,?')]
    """
    values = [each for each in values if not isinstance(each, int) or abs(each) <= LARGEST]
    for start in range(0, len(values), _PARAMETERS):
        some = values[start : start + _PARAMETERS]
        yield some, ",".join("?" * len(some))


@contextmanager
def explained(
    name: str, kind: type[ParejaError], *, if_damaged: str, instead: str = ""
) -> Iterator[None]:
    """Turn failures of SQLite and of the disk into one line.

    Parameters
    ----------
    name
        What the database is called: the subject of the message.
    kind
        The error that is raised.
    if_damaged
        What to do about a database that cannot be read, as a sentence.
    instead
        What to do where nothing may be written, besides choosing another place; ends the sentence.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise kind(f"{name} {_meaning(error, if_damaged, instead)}") from error
    except UnicodeDecodeError as error:  # SQLite repeats a damaged statement in what it says
        raise kind(f"{name} is damaged: a text in it is not UTF-8. {if_damaged}") from error
    except OSError as error:
        raise kind(
            f"{name} cannot be used: {error.strerror or error}. "
            f"Choose a place that you may read and write{instead}."
        ) from error


def _meaning(error: sqlite3.Error, if_damaged: str, instead: str) -> str:
    # The low byte is the kind of the error, the rest its details.
    kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    details = str(error)
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return (
            f"is locked: another program has been writing to it for over {WAIT_SECONDS:.0f} s. "
            "Try again when it has finished."
        )
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return (
            f"cannot be opened for writing: {error}. Check the permissions of the folder{instead}."
        )
    if kind == sqlite3.SQLITE_FULL:
        return "has no room left on its disk. Free some; what was stored before is still there."
    # Python itself decodes texts, says so without a code, and repeats the bytes that it cannot.
    undecodable = details.startswith("Could not decode to UTF-8")
    if undecodable:
        details = "a text in it is not UTF-8"
    if undecodable or kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"is damaged: {details}. {if_damaged}"
    return f"cannot be used: {error}. Check its disk. {if_damaged}"
