"""The SQLite file of a collection: its schema, and blocks that read and write."""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from pareja.errors import CollectionError, CollectionFaultError, ReadOnlyError
from pareja.files import local_path
from pareja.sqlite import (
    Schema,
    connect,
    connect_to_read,
    explained,
    index_of_log,
    log_of,
    transaction,
)

FILE_NAME = "collection.sqlite3"
"""Name of the database in the collection's folder."""

_METADATA = "caption, category, caption_es, label, author, license, source_url"
_SUMMED = {
    "vector": "space, picture, category, vector",
    "picture": f"digest, width, height, {_METADATA}",
    "file": f"path, picture, location, split, name, member, {_METADATA}",
    "judgement": "query, digest, relevant",
    "query_set": "name, position, query",
    "look": "picture, look, alike",
}
"""The columns, by table, that a row's checksum is of."""


def _sealing(table: str) -> str:
    """Return the statement that gives rows their checksums; a condition may follow."""
    return f"UPDATE {table} SET checksum = row_sum({_SUMMED[table]})"  # noqa: S608  constants


_MIGRATIONS = (
    """
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    CREATE TABLE picture (
        id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE,
        width INTEGER NOT NULL, height INTEGER NOT NULL,
        caption TEXT, category TEXT, caption_es TEXT, label TEXT,
        author TEXT, license TEXT, source_url TEXT);
    CREATE INDEX picture_category ON picture (category);

    CREATE TABLE file (
        id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE,
        picture INTEGER NOT NULL REFERENCES picture (id),
        location TEXT NOT NULL, name TEXT NOT NULL, member INTEGER NOT NULL,
        size INTEGER, modified INTEGER, changed INTEGER, inode TEXT,
        caption TEXT, category TEXT, caption_es TEXT, label TEXT,
        author TEXT, license TEXT, source_url TEXT);
    CREATE INDEX file_picture ON file (picture, id);

    CREATE TABLE space (
        id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, model TEXT NOT NULL,
        dim INTEGER NOT NULL, unrelated_gap REAL, unrelated_rows INTEGER);

    CREATE TABLE vector (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, space INTEGER NOT NULL, picture INTEGER NOT NULL,
        category TEXT, vector BLOB NOT NULL, UNIQUE (space, picture));
    CREATE INDEX vector_category ON vector (space, category);

    CREATE TABLE graph (
        space INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, stamp TEXT NOT NULL,
        last_seq INTEGER NOT NULL, rows INTEGER NOT NULL);

    CREATE TABLE judgement (
        query TEXT NOT NULL, digest TEXT NOT NULL, relevant INTEGER NOT NULL,
        PRIMARY KEY (query, digest)) WITHOUT ROWID;

    CREATE TABLE query_set (
        name TEXT NOT NULL, position INTEGER NOT NULL, query TEXT NOT NULL,
        PRIMARY KEY (name, position)) WITHOUT ROWID;
    """,
    """
    ALTER TABLE graph ADD COLUMN beam INTEGER NOT NULL DEFAULT 256;
    ALTER TABLE graph ADD COLUMN usual REAL NOT NULL DEFAULT -1;
    """,
    """
    ALTER TABLE space RENAME COLUMN unrelated_gap TO unrelated_score;
    UPDATE space SET unrelated_score = NULL, unrelated_rows = NULL;
    """,
    """
    ALTER TABLE space ADD COLUMN origin TEXT;
    ALTER TABLE space ADD COLUMN described TEXT;
    """,
    "ALTER TABLE file ADD COLUMN split TEXT;",
    "".join(
        f"ALTER TABLE {table} ADD COLUMN checksum INTEGER; {_sealing(table)};"
        for table in ("vector", "picture", "file", "judgement", "query_set")
    ),
    "ALTER TABLE space ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;",
    """
    CREATE TABLE look (
        picture INTEGER PRIMARY KEY, look BLOB NOT NULL, alike INTEGER, checksum INTEGER);
    CREATE INDEX look_alike ON look (alike);
    """,
    """
    CREATE TABLE codebook (
        id INTEGER PRIMARY KEY AUTOINCREMENT, space INTEGER NOT NULL, kind TEXT NOT NULL,
        around INTEGER NOT NULL, mean BLOB NOT NULL, signs BLOB NOT NULL,
        ready INTEGER NOT NULL DEFAULT 0, checksum INTEGER NOT NULL);
    CREATE TABLE code (
        book INTEGER NOT NULL, last INTEGER NOT NULL, rows INTEGER NOT NULL, keys BLOB NOT NULL,
        codes BLOB NOT NULL, scales BLOB NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (book, last));
    """,
)

SCHEMA = Schema(0x706A636F, _MIGRATIONS, page_size=8192)  # "pjco"

_TABLES_OF_TEXT = ("setting", "picture", "file", "space", "judgement", "query_set")
_COPIED = (*_TABLES_OF_TEXT, "look")

# Of each connection. The file is not mapped into memory, though a search would be a little faster:
# where somebody cuts a mapped file short, the system ends the process that reads it.
_CACHED_KIB = 16_384


class Database:
    """Connections to one collection's database: any number of readers, one writer at a time.

    Parameters
    ----------
    folder
        The collection.
    create
        Make the folder and the database when they are missing.
    read_only
        Never write. A collection whose place may not be written to is read only without being
        asked; there not even what SQLite itself keeps beside the file is written.

    Raises
    ------
    ReadOnlyError
        With `create`, if there is a collection and it cannot be written.
    CollectionError
        If there is no collection, or it cannot be opened.
    """

    def __init__(self, folder: Path, *, create: bool = False, read_only: bool = False) -> None:
        self.folder = folder
        self.read_only = read_only
        self.file = folder / FILE_NAME
        self._is_new = False
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._every: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._current = threading.local()
        self._closed = False
        with self._explained():
            self._prepare_folder(create)
            if not (read_only or self._is_writable()):
                self.read_only = True
                if create:
                    raise self._read_only_error()
            try:
                self._writer = self._connect()
                self._check_and_migrate(create)
                self._opened = _identity(self.file)
            except BaseException:
                self.abandon()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare_folder(self, create: bool) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise CollectionError(
                f"{self.folder} is a file, and a collection is a folder. Choose another place."
            )
        if self.file.is_file():
            return
        if not create or self.read_only:
            raise CollectionError(
                f"there is no collection in {self.folder}. Make one with "
                "'pareja index', or correct the folder."
            )
        if self.folder.exists() and any(self.folder.iterdir()):
            raise CollectionError(
                f"{self.folder} holds other files and is no collection. Name a new folder for it."
            )
        local_path(self.folder).mkdir(parents=True, exist_ok=True)
        self._is_new = True

    def _is_writable(self) -> bool:
        # The folder too: SQLite has further files beside its own.
        return not self.file.exists() or all(
            os.access(each, os.W_OK) for each in (self.folder, self.file)
        )

    def _read_only_error(self) -> ReadOnlyError:
        if self._is_writable():
            return ReadOnlyError(f"the collection in {self.folder} is open for reading only.")
        return ReadOnlyError(
            f"the collection in {self.folder} can only be read: its place may not be written to. "
            "Check the permissions of the folder and its files, or use another folder."
        )

    def _connect(self) -> sqlite3.Connection:
        connection = (connect_to_read if self.read_only else connect)(self.file)
        connection.execute(f"PRAGMA cache_size = -{_CACHED_KIB}")
        self._every.append(connection)
        return connection

    def _check_and_migrate(self, create: bool) -> None:
        version = SCHEMA.version_of(self._writer)
        if version is None or (version == 0 and not create):
            raise CollectionError(f"{self.file} is no collection of pareja. Name another folder.")
        if version > SCHEMA.newest:
            raise CollectionError(
                f"the collection in {self.folder} was made by a newer pareja (format {version}; "
                f"this one reads up to {SCHEMA.newest}). Update pareja, or index into another "
                "folder."
            )
        if version == SCHEMA.newest:
            return
        if self.read_only:
            self._migrate_by_another()
        else:
            SCHEMA.migrate(self._writer)

    def _migrate_by_another(self) -> None:
        """Let a connection that may write bring an older format up to date."""
        try:
            Database(self.folder, create=True).close()
        except CollectionError as error:
            raise CollectionError(
                f"the collection in {self.folder} was made by an older pareja, and could not be "
                f"brought up to date: {error}"
            ) from error

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection whose queries all see the state at the first of them.

        A block inside another one in the same thread is part of it; inside `write` it sees what
        has been written.
        """
        outer = self._outer()
        if outer is not None:
            yield outer
            return
        with self._explained():
            self._refuse_closed()
            self._refuse_moved()
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                connection = self._connect()
            connection.execute("BEGIN")
            self._current.connection = connection
            try:
                yield connection
            finally:
                self._current.connection = None
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self.read_only and not log_of(self.file).exists():
            # It was opened as if nobody ever wrote, and would not notice somebody who may.
            self._every.remove(connection)
            connection.close()
        else:
            self._idle.put(connection)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield the writer's connection; on leaving, all that was written is on disk, or none.

        A block inside another one in the same thread is part of it.
        """
        if self._outer() is self._writer:
            yield self._writer
            return
        if self._outer() is not None:
            raise RuntimeError("a block that reads cannot turn into one that writes")
        with self._writing, self._explained():
            self._refuse_closed()
            self._refuse_moved()
            if self.read_only:
                raise self._read_only_error()
            with transaction(self._writer):
                self._current.connection = self._writer
                try:
                    yield self._writer
                finally:
                    self._current.connection = None

    def _outer(self) -> sqlite3.Connection | None:
        """Return the connection of the block that this thread is in."""
        connection: sqlite3.Connection | None = getattr(self._current, "connection", None)
        return connection

    def take_over(self, other: Database) -> None:
        """Become a copy of another collection's database, without vectors and without a store."""
        with self.write() as connection, other.read() as source:
            for table in _COPIED:
                rows = source.execute(f"SELECT * FROM {table}")  # noqa: S608  constant
                names = [column[0] for column in rows.description]
                marks = ",".join("?" * len(names))
                connection.executemany(
                    f"INSERT INTO {table} ({','.join(names)}) VALUES ({marks})",  # noqa: S608  names of our own schema
                    rows,
                )
            connection.execute("DELETE FROM setting WHERE name = 'store'")

    def seal(self, table: str, where: str, values: Sequence[object]) -> None:
        """Give rows that were written their checksums, in the same `write`."""
        with self.write() as connection:
            connection.execute(f"{_sealing(table)} WHERE {where}", values)

    def damaged(self, table: str, key: str) -> list[Any]:
        """Return a column of the rows that are not what was written."""
        with self.read() as connection:
            rows = connection.execute(
                f"SELECT DISTINCT {key} FROM {table} "  # noqa: S608  constants
                f"WHERE checksum IS NOT row_sum({_SUMMED[table]}) ORDER BY 1"
            )
            return [value for (value,) in rows]

    def integrity(self, *, virtual: bool = True) -> list[str]:
        """Return what SQLite finds wrong with the file; nothing when it is sound.

        Without `virtual`, each table is checked alone but for virtual ones, into which SQLite looks
        from 3.44 on.
        """
        try:
            with self.read() as connection:
                checks = ["PRAGMA integrity_check"]
                if not virtual:
                    tables = connection.execute(
                        "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
                    )
                    checks = [f"PRAGMA integrity_check({name})" for (name,) in tables]
                rows = [row for check in checks for row in connection.execute(check)]
                problems = [str(row[0]) for row in rows if row[0] != "ok"]
                # That does not look into texts: they are decoded when they are read.
                for table in () if problems else _TABLES_OF_TEXT:
                    for _ in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608  constant
                        pass
        except CollectionError as error:
            return [str(error)]
        return problems

    def close(self) -> None:
        """Close every connection; nothing that was committed is lost by it."""
        self._closed = True
        for connection in self._every:
            with suppress(sqlite3.Error):
                connection.close()

    def abandon(self) -> None:
        """Close it, and take away what this object made if nothing was put into it."""
        mine = self._is_new and not self._holds_something()
        self.close()
        # The last connection that closes takes the log away, unless the disk is full: one that
        # holds something is of another program.
        log = log_of(self.file)
        with suppress(OSError):
            if mine and not (log.exists() and log.stat().st_size):
                for path in (log, index_of_log(self.file), self.file):
                    path.unlink(missing_ok=True)
                self.folder.rmdir()

    def _holds_something(self) -> bool:
        tables = ("picture", "space", "query_set", "judgement")
        questions = " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in tables)  # noqa: S608  constants
        try:
            return bool(self._writer.execute(f"SELECT {questions}").fetchone()[0])
        except (sqlite3.Error, AttributeError):
            pass  # it has no tables, or was never opened
        try:
            return SCHEMA.version_of(self._writer) != 0
        except (sqlite3.Error, AttributeError):
            return False

    def _refuse_closed(self) -> None:
        if self._closed:
            raise CollectionError(f"the collection in {self.folder} has been closed.")

    @property
    def has_moved(self) -> bool:
        """Whether the file that was opened is gone, or another one is in its place."""
        return _identity(self.file) != self._opened

    def _refuse_moved(self) -> None:
        """Raise before something is read from a file, or lost in one, that has no name any more."""
        if self.has_moved:
            there = "replaced by another" if self.file.exists() else "deleted or moved away"
            raise CollectionFaultError(
                f"the collection in {self.folder} was {there} while it was open. Put it back, or "
                "open it again."
            )

    def _explained(self) -> AbstractContextManager[None]:
        return explained(
            f"the collection in {self.folder}",
            CollectionFaultError,
            if_damaged="Restore it from a backup, or index the pictures into a new folder; the "
            "pictures themselves are untouched.",
        )


def _identity(file: Path) -> tuple[int, int] | None:
    """Return what tells a file from others, whatever its name; None where there is none."""
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
