"""The SQLite file of a collection: its schema, its transactions, and what its errors mean."""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pareja.errors import CollectionError, ReadOnlyError

FILE_NAME = "collection.sqlite3"
"""Name of the database in the collection's folder."""

_APPLICATION = 0x706A636F  # "pjco", in the file's header: no other program's database is taken
_WAIT_SECONDS = 30.0
# Entry n brings a database of version n to version n + 1.
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
)

_TABLES_OF_TEXT = ("setting", "picture", "file", "space", "judgement", "query_set")

# So much of the file is read where the system holds it, instead of a page being copied for each of
# the rows that a search looks up here and there. SQLite takes what it was built for, 2 GB mostly.
_MAPPED = 1 << 40


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
        self._log = folder / f"{FILE_NAME}-wal"
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
            self._writer = self._connect()
            try:
                self._check_and_migrate(create)
            except BaseException:
                self.close()
                raise

    def _prepare_folder(self, create: bool) -> None:
        file = self.folder / FILE_NAME
        if self.folder.exists() and not self.folder.is_dir():
            raise CollectionError(
                f"{self.folder} is a file, and a collection is a folder. Choose another place."
            )
        if file.is_file():
            return
        if not create or self.read_only:
            raise CollectionError(
                f"there is no collection in {self.folder}. Make one with: "
                f"pareja index PICTURES --index {self.folder}"
            )
        if self.folder.exists() and any(self.folder.iterdir()):
            raise CollectionError(
                f"{self.folder} holds other files and is no collection. Name a new folder for it."
            )
        self.folder.mkdir(parents=True, exist_ok=True)

    def _is_writable(self) -> bool:
        file = self.folder / FILE_NAME
        # The folder too: SQLite has further files beside its own.
        return not file.exists() or all(os.access(each, os.W_OK) for each in (self.folder, file))

    def _read_only_error(self) -> ReadOnlyError:
        if self._is_writable():
            return ReadOnlyError(f"the collection in {self.folder} is open for reading only.")
        return ReadOnlyError(
            f"the collection in {self.folder} can only be read: its place may not be written to. "
            "Check the permissions of the folder and its files, or use another folder."
        )

    def _connect(self) -> sqlite3.Connection:
        path = (self.folder / FILE_NAME).absolute()
        if not self.read_only:
            connection = self._open(str(path))
            # Readers do not wait for a writer, and what is committed survives a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            return connection
        try:
            return self._open(f"{path.as_uri()}?mode=ro")
        except sqlite3.OperationalError:
            # A folder that may not be written to has no room for the index of the log, which even
            # readers need. Where there is no log there is nothing to miss either.
            if self._log.exists():
                raise
            return self._open(f"{path.as_uri()}?mode=ro&immutable=1")

    def _open(self, target: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            target,
            timeout=_WAIT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            uri=target.startswith("file:"),
        )
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute(f"PRAGMA mmap_size = {_MAPPED}")
        except BaseException:
            connection.close()
            raise
        self._every.append(connection)
        return connection

    def _check_and_migrate(self, create: bool) -> None:
        newest = len(_MIGRATIONS)
        empty = not self._pragma("schema_version")
        if empty and create:
            self._writer.execute("PRAGMA page_size = 8192")
            self._writer.execute("PRAGMA journal_mode = WAL")
        elif empty or self._pragma("application_id") != _APPLICATION:
            raise CollectionError(
                f"{self.folder / FILE_NAME} is no collection of pareja. Name another folder."
            )
        version = self._pragma("user_version")
        if version > newest:
            raise CollectionError(
                f"the collection in {self.folder} was made by a newer pareja (format {version}; "
                f"this one reads up to {newest}). Update pareja, or index into another folder."
            )
        if version == newest:
            return
        if self.read_only:
            self._migrate_by_another()
            return
        with self.write() as connection:
            # Another process may have done it while this one waited for the lock.
            for migration in _MIGRATIONS[self._pragma("user_version") :]:
                for statement in filter(str.strip, migration.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {newest}")

    def _migrate_by_another(self) -> None:
        """Let a connection that may write bring an older format up to date."""
        try:
            Database(self.folder, create=True).close()
        except CollectionError as error:
            raise CollectionError(
                f"the collection in {self.folder} was made by an older pareja, and could not be "
                f"brought up to date: {error}"
            ) from error

    def _pragma(self, name: str) -> int:
        return int(self._writer.execute(f"PRAGMA {name}").fetchone()[0])

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
        if self.read_only and not self._log.exists():
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
            if self.read_only:
                raise self._read_only_error()
            # Asking for the lock at the start waits for another writer; a transaction that begins
            # by reading and then writes would fail at once instead.
            self._writer.execute("BEGIN IMMEDIATE")
            self._current.connection = self._writer
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                raise
            finally:
                self._current.connection = None

    def _outer(self) -> sqlite3.Connection | None:
        """Return the connection of the block that this thread is in."""
        connection: sqlite3.Connection | None = getattr(self._current, "connection", None)
        return connection

    def integrity(self) -> list[str]:
        """Return what SQLite finds wrong with the file; nothing when it is sound."""
        try:
            with self.read() as connection:
                rows = connection.execute("PRAGMA integrity_check").fetchall()
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

    def _refuse_closed(self) -> None:
        if self._closed:
            raise CollectionError(f"the collection in {self.folder} has been closed.")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn failures of SQLite and of the disk into one line."""
        try:
            yield
        except sqlite3.Error as error:
            raise CollectionError(f"the collection in {self.folder} {_meaning(error)}") from error
        except OSError as error:
            raise CollectionError(
                f"the collection in {self.folder} cannot be used: {error.strerror or error}. "
                "Choose a place that you may read and write."
            ) from error


def _meaning(error: sqlite3.Error) -> str:
    # The low byte is the kind of the error, the rest its details.
    kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    details = str(error)
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return (
            f"is locked: another program has been writing to it for over {_WAIT_SECONDS:.0f} s. "
            "Try again when it has finished."
        )
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return f"cannot be opened for writing: {error}. Check the permissions of the folder."
    if kind == sqlite3.SQLITE_FULL:
        return "has no room left on its disk. Free some; what was stored before is still there."
    # Python itself decodes texts, says so without a code, and repeats the bytes that it cannot.
    undecodable = details.startswith("Could not decode to UTF-8")
    if undecodable:
        details = "a text in it is not UTF-8"
    if undecodable or kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            f"is damaged: {details}. Restore it from a backup, or index the pictures into a new "
            "folder; the pictures themselves are untouched."
        )
    return f"cannot be used: {error}. Check its disk, and run: pareja index --verify"
