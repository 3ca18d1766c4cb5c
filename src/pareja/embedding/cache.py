"""Embeddings that were computed before, found again by what a picture contains.

One SQLite file holds three tables. ``embedding`` maps the SHA-256 of a picture's bytes (or of a
text) and the fingerprint of an encoder to a vector, so that a picture is embedded once however
often it is moved or renamed. ``file`` remembers the SHA-256 of a file as it was last seen, so that
a file that did not change costs a ``stat`` and is not read at all. ``look`` has what pictures look
like, by which near duplicates are found.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.protocols import Fingerprint
from pareja.errors import OutputError
from pareja.sqlite import Schema, connect, explained, in_parts, row_sum, transaction

Vector = NDArray[np.float32]
"""One embedding, ``(dim,)``."""

SCHEMA = Schema(
    0x70617265,  # "pare"
    (
        """
        CREATE TABLE embedding (
            fingerprint TEXT NOT NULL, digest TEXT NOT NULL, vector BLOB NOT NULL,
            PRIMARY KEY (fingerprint, digest));
        CREATE TABLE file (
            path BLOB PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL,
            changed INTEGER NOT NULL, inode TEXT NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID;
        """,
        """
        DROP TABLE embedding;
        CREATE TABLE embedding (
            fingerprint TEXT NOT NULL, digest TEXT NOT NULL, vector BLOB NOT NULL,
            checksum INTEGER NOT NULL, PRIMARY KEY (fingerprint, digest));
        """,
        """
        CREATE TABLE look (
            digest TEXT PRIMARY KEY, look BLOB NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
        """,
    ),
)
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class Stamp:
    """What ``stat`` says of a file; two equal stamps mean that its content is the same.

    The time of the last change of the inode is in it, which no program can set back: a file that
    was replaced, and given its old length and modification time again, is noticed. (Windows has no
    such time, and `changed` is that of the file's creation there.)
    """

    path: Path
    size: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Stamp | None:
        """Look at a file; None where there is none."""
        try:
            status = path.stat()
        except (OSError, ValueError):
            return None
        return cls(
            path.absolute(),
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
        )

    @property
    def settled(self) -> bool:
        """Whether a later write would show.

        File systems keep time in steps, of up to two seconds: a file written twice within one
        step has the same stamp before and after. A time in the future, as a clock that was wrong
        leaves it, is as good as one in the past: a later write has another.
        """
        now = time.time_ns()
        return min(abs(now - self.modified), abs(now - self.changed)) > _SETTLED_NS


class Memory(Protocol):
    """What the pipeline asks for embeddings of earlier runs, and gives new ones to.

    An `EmbeddingCache` is one; decoding threads call it.
    """

    def known_digest(self, stamp: Stamp) -> str | None:
        """Return the SHA-256 of a file that did not change since it was stored, or None."""
        ...

    def find(self, fingerprint: Fingerprint, digests: Sequence[str]) -> dict[str, Vector]:
        """Return the embeddings, ``(dim,)`` each, of those of the pictures that are known."""
        ...

    def store(
        self,
        fingerprint: Fingerprint,
        embeddings: Mapping[str, Vector],
        files: Iterable[tuple[Stamp, str]] = (),
    ) -> None:
        """Take embeddings by SHA-256, and the digests of the files that were read."""
        ...


class EmbeddingCache:
    """Embeddings on disk, by content and fingerprint.

    Any number of processes and threads may use one file. What `store` was given is kept whatever
    happens to the process afterwards.

    Parameters
    ----------
    path
        The database; by default ``embeddings.sqlite3`` in the user's cache folder. Made when it is
        missing.

    Raises
    ------
    OutputError
        If it cannot be opened or made, is damaged, or is not an embedding cache.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = default_cache_path() if path is None else Path(path)
        self._lock = threading.RLock()
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # After a power cut the last embeddings may have to be computed again: that is all.
            self._database = connect(self.path, synchronous="NORMAL")
            try:
                self._bring_up_to_date()
            except BaseException:
                self._database.close()
                raise

    def _bring_up_to_date(self) -> None:
        version = SCHEMA.version_of(self._database)
        if version is None or version > SCHEMA.newest:
            raise OutputError(
                f"{self.path} is a database, but no embedding cache of this version of pareja. "
                "Choose another path, or delete it if it is one of another version: embeddings "
                "are then computed anew."
            )
        if version < SCHEMA.newest:
            SCHEMA.migrate(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; what is stored is already on disk."""
        with self._lock:
            self._database.close()

    def __len__(self) -> int:
        """Return the number of embeddings, of all encoders."""
        with self._lock, self._explained():
            return int(self._database.execute("SELECT count(*) FROM embedding").fetchone()[0])

    def known_digest(self, stamp: Stamp) -> str | None:
        """Return the SHA-256 of a file that did not change since it was stored, or None."""
        with self._lock, self._explained():
            row = self._database.execute(
                "SELECT digest FROM file WHERE path = ? AND size = ? AND modified = ? "
                "AND changed = ? AND inode = ?",
                _row(stamp),
            ).fetchone()
        return None if row is None else str(row[0])

    def find(self, fingerprint: Fingerprint, digests: Sequence[str]) -> dict[str, Vector]:
        """Look embeddings up.

        Parameters
        ----------
        fingerprint
            The space that is wanted.
        digests
            SHA-256 of pictures or texts (`text_digest`), hexadecimal.

        Returns
        -------
        dict
            The embeddings that are there, each ``(dim,)`` and read-only. One that is damaged is as
            good as none: it is computed and stored anew.
        """
        found: dict[str, Vector] = {}
        with self._lock, self._explained():
            for some, marks in in_parts(digests):
                rows = self._database.execute(
                    "SELECT digest, vector, checksum FROM embedding "  # noqa: S608  only marks go in
                    f"WHERE fingerprint = ? AND digest IN ({marks})",
                    (fingerprint.digest, *some),
                )
                found.update(
                    (digest, np.frombuffer(blob, "<f4"))
                    for digest, blob, checksum in rows
                    if row_sum(fingerprint.digest, digest, blob) == checksum
                )
        return found

    def store(
        self,
        fingerprint: Fingerprint,
        embeddings: Mapping[str, Vector],
        files: Iterable[tuple[Stamp, str]] = (),
    ) -> None:
        """Keep embeddings, and the digests of the files that they are of, all or none.

        Parameters
        ----------
        fingerprint
            The space that the embeddings lie in.
        embeddings
            By SHA-256 of the picture's bytes, or by `text_digest`.
        files
            Files, as they were before they were read, with the SHA-256 of what was read.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        rows = [
            (fingerprint.digest, digest, np.ascontiguousarray(vector, "<f4").tobytes())
            for digest, vector in embeddings.items()
        ]
        vectors = [(*row, row_sum(*row)) for row in rows]
        seen = [(*_row(stamp), digest) for stamp, digest in files if stamp.settled]
        if not vectors and not seen:
            return
        with self._lock, self._explained(), transaction(self._database):
            self._database.executemany("INSERT OR REPLACE INTO embedding VALUES (?,?,?,?)", vectors)
            self._database.executemany("INSERT OR REPLACE INTO file VALUES (?,?,?,?,?,?)", seen)

    def looks(self, digests: Sequence[str]) -> dict[str, bytes]:
        """Return what pictures look like, of those of which it is known, by SHA-256."""
        found: dict[str, bytes] = {}
        with self._lock, self._explained():
            for some, marks in in_parts(digests):
                rows = self._database.execute(
                    f"SELECT digest, look, checksum FROM look WHERE digest IN ({marks})",  # noqa: S608  only question marks
                    some,
                )
                found.update(
                    (digest, look)
                    for digest, look, checksum in rows
                    if row_sum(digest, look) == checksum
                )
        return found

    def keep_looks(self, looks: Mapping[str, bytes]) -> None:
        """Keep what pictures look like, by SHA-256.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        rows = [(*row, row_sum(*row)) for row in looks.items()]
        if not rows:
            return
        with self._lock, self._explained(), transaction(self._database):
            self._database.executemany("INSERT OR REPLACE INTO look VALUES (?,?,?)", rows)

    def _explained(self) -> AbstractContextManager[None]:
        return explained(
            f"the embedding cache {self.path}",
            OutputError,
            if_damaged="Choose another path, or delete it if it is one of pareja's: embeddings are "
            "then computed anew.",
            instead=", or do without a cache",
        )


def default_cache_path() -> Path:
    """Return where embeddings are kept by default: in the user's folder for caches."""
    from platformdirs import user_cache_path

    return user_cache_path("pareja") / "embeddings.sqlite3"


def picture_digest(content: bytes) -> str:
    """Return the SHA-256 of a picture's bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def text_digest(text: str) -> str:
    """Return the SHA-256 that stands for a text, hexadecimal; never that of a picture."""
    return hashlib.sha256(b"text\0" + text.encode("utf-8", "surrogatepass")).hexdigest()


def _row(stamp: Stamp) -> tuple[bytes, int, int, int, str]:
    # Inodes of some network file systems use all 64 bits, and SQLite's integers have a sign.
    return (
        os.fsencode(stamp.path),
        stamp.size,
        stamp.modified,
        stamp.changed,
        f"{stamp.inode:x}",
    )
