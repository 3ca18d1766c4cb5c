"""Which files of a collection hold which of its pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from pareja.datasets.records import Record
from pareja.embedding.cache import Stamp
from pareja.search.contracts import PictureFile
from pareja.search.spaces import Spaces

TOLD = ("caption", "category", "caption_es", "label", "author", "license", "source_url")
"""The metadata that a collection keeps of a picture."""
COLUMNS = ", ".join(TOLD)
"""Their names as SQL lists them."""


@dataclass(frozen=True)
class Found:
    """A picture that was found where a collection looks.

    Parameters
    ----------
    path
        Its file; inside an archive, the archive's path and the name in it.
    location
        The folder, archive or address of the dataset that it belongs to.
    record
        What is known about it.
    member
        Whether it lies inside an archive or a table.
    stamp
        Of its file, or of the archive, before it was read; None where there is none.
    split
        The part of the dataset that was asked for; None for all of it.
    """

    path: str
    location: str
    record: Record
    member: bool
    stamp: Stamp | None
    split: str | None = None

    @property
    def key(self) -> bytes:
        """The path as bytes: file names on Linux need not be text."""
        return os.fsencode(self.path)

    @property
    def told(self) -> tuple[str | None, ...]:
        """What its metadata says, in the order of the columns."""
        record = self.record
        return (
            record.caption or None,
            record.category,
            record.caption_es,
            record.label,
            record.author,
            record.license,
            record.source_url,
        )


@dataclass(frozen=True)
class Filed:
    """A file as the collection knows it: its picture, dataset, stamp and metadata."""

    picture: int
    location: str
    stamp: tuple[int, int, int, str] | None
    told: tuple[str | None, ...]

    def holds(self, found: Found) -> bool:
        """Return whether the file is still what it was, by its stamp."""
        return self.stamp is not None and self.stamp == _stamp(found.stamp)

    def stays(self, found: Found) -> bool:
        """Return whether the file stays with the folder around the one where it was found now.

        It does where that folder's metadata says all that is known below, and more: a part of a
        dataset by itself has no captions, and its folders give other categories.
        """
        if Path(self.location) not in Path(found.location).parents:
            return False
        before, now = (dict(zip(TOLD, told, strict=True)) for told in (self.told, found.told))
        categories = before.pop("category"), now.pop("category")
        if any(text not in (None, before[name]) for name, text in now.items()):
            return False
        return now != before or categories[1] in (None, categories[0])


@dataclass(frozen=True)
class Copy:
    """A file that holds a picture, with its dataset, the split of that, and its name there."""

    file: PictureFile
    location: str
    split: str | None
    name: str


class Files(Spaces):
    """The files of a collection, by the picture that they hold.

    Parameters
    ----------
    database
        Where they are.
    """

    def copies(self, picture_id: int) -> list[Copy]:
        """Return the files that hold a picture, those that were found first at the front."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT path, location, member, split, name FROM file WHERE picture = ? "
                "ORDER BY id",
                (picture_id,),
            ).fetchall()
        return [
            Copy(
                PictureFile(
                    Path(os.fsdecode(path)), Path(os.fsdecode(location)) if member else None
                ),
                os.fsdecode(location),
                split,
                str(name),
            )
            for path, location, member, split, name in rows
        ]

    def places(self) -> list[str]:
        """Return where pictures were indexed from."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT DISTINCT location FROM file ORDER BY location")
            return [os.fsdecode(place) for (place,) in rows]

    def splits(self, location: str) -> AbstractSet[str | None]:
        """Return which splits of a dataset were indexed; None is in it for all of the dataset."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT DISTINCT split FROM file WHERE location = ?", (_kept(location),)
            )
            return {split for (split,) in rows}

    def files_below(self, location: str) -> dict[bytes, Filed]:
        """Return the files of a folder or of an archive, or the one file of that name."""
        prefix = os.fsencode(location.rstrip("/\\"))
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT path, picture, location, size, modified, changed, inode, "  # noqa: S608  constant
                f"{COLUMNS} FROM file WHERE path = ? OR path > ? AND path < ?",
                (prefix, prefix + _SEPARATOR, prefix + _AFTER_SEPARATOR),
            ).fetchall()
        return {
            row[0]: Filed(
                row[1],
                os.fsdecode(row[2]),
                None if row[3] is None else tuple(row[3:7]),
                tuple(row[7:]),
            )
            for row in rows
        }

    def file(self, found: Found, picture: int, known: Filed | None = None) -> None:
        """Note that a file holds a picture; `known` is what was noted of that file before."""
        stamp = _stamp(found.stamp)
        if known is not None and known.stays(found):
            with self._database.write() as connection:
                connection.execute(
                    "UPDATE file SET picture = ?, size = ?, modified = ?, changed = ?, inode = ? "
                    "WHERE path = ?",
                    (picture, *(stamp or (None,) * 4), found.key),
                )
                self._database.seal("file", "path = ?", (found.key,))
            return
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO file (path, picture, location, split, name, member, "  # noqa: S608  constant
                f"size, modified, changed, inode, {COLUMNS}) "
                f"VALUES ({', '.join('?' * (10 + len(TOLD)))}) "
                "ON CONFLICT (path) DO UPDATE SET picture = excluded.picture, "
                "location = excluded.location, split = excluded.split, name = excluded.name, "
                "member = excluded.member, "
                "size = excluded.size, modified = excluded.modified, changed = excluded.changed, "
                "inode = excluded.inode, "
                + ", ".join(f"{column} = excluded.{column}" for column in TOLD),
                (
                    found.key,
                    picture,
                    _kept(found.location),
                    found.split,
                    found.record.file_name,
                    found.member,
                    *(stamp or (None,) * 4),
                    *found.told,
                ),
            )
            self._database.seal("file", "path = ?", (found.key,))

    def count_files(self, paths: Iterable[bytes]) -> int:
        """Return how many of these files are known; one that was moved is not any more."""
        with self._database.read() as connection:
            return sum(
                connection.execute("SELECT count(*) FROM file WHERE path = ?", (path,)).fetchone()[
                    0
                ]
                for path in paths
            )

    def forget_files(self, paths: Iterable[bytes]) -> None:
        """Forget files; pictures without a file stay until `forget_pictures`."""
        with self._database.write() as connection:
            connection.executemany("DELETE FROM file WHERE path = ?", [(path,) for path in paths])

    def vanished_files(self, picture: int) -> list[bytes]:
        """Return the files of a picture that are not on the disk any more."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT path FROM file WHERE picture = ? AND NOT member", (picture,)
            ).fetchall()
        return [path for (path,) in rows if PictureFile(Path(os.fsdecode(path))).is_gone]

    def look_again(self, files: Sequence[bytes]) -> None:
        """Have the next indexing read files again, whatever their stamps say."""
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE file SET size = NULL, modified = NULL, changed = NULL, inode = NULL "
                "WHERE path = ?",
                [(path,) for path in files],
            )

    def files_of(self, pictures: Iterable[int]) -> list[bytes]:
        """Return the files of pictures."""
        with self._database.read() as connection:
            return [
                path
                for picture in pictures
                for (path,) in connection.execute(
                    "SELECT path FROM file WHERE picture = ?", (picture,)
                )
            ]


_SEPARATOR = os.sep.encode()
_AFTER_SEPARATOR = bytes([_SEPARATOR[0] + 1])


def _kept(location: str) -> str | bytes:
    """Return a place as SQLite keeps it: bytes where it is no text."""
    try:
        location.encode()
    except UnicodeEncodeError:
        return os.fsencode(location)
    return location


def _stamp(stamp: Stamp | None) -> tuple[int, int, int, str] | None:
    """Return what is kept of a stamp: nothing while a later write might not show."""
    if stamp is None or not stamp.settled:
        return None
    # Inodes of some network file systems use all 64 bits, and SQLite's integers have a sign.
    return stamp.size, stamp.modified, stamp.changed, f"{stamp.inode:x}"
