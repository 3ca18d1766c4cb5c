"""Which pictures a collection has, in which files, and in which spaces they are embedded."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pareja.datasets.records import Record
from pareja.embedding.cache import Stamp
from pareja.errors import CollectionError, NoSuchPictureError
from pareja.search.contracts import Picture, PictureFile
from pareja.search.spaces import Spaces
from pareja.sqlite import in_parts

_REVISION = "revision"
TOLD = ("caption", "category", "caption_es", "label", "author", "license", "source_url")
"""The metadata that a collection keeps of a picture."""
_COLUMNS = ", ".join(TOLD)
_PICTURE = (
    f"SELECT id, digest, (SELECT path FROM file WHERE picture = picture.id ORDER BY id LIMIT 1), "  # noqa: S608  constant
    f"{_COLUMNS}, width, height FROM picture"
)


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


class Catalogue(Spaces):
    """The pictures, files and spaces of a collection.

    Parameters
    ----------
    database
        Where they are.
    """

    def setting(self, name: str) -> str | None:
        """Return a setting of the collection, or None."""
        with self._database.read() as connection:
            row = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set(self, name: str, value: str) -> None:
        """Keep a setting of the collection."""
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    def revision(self) -> int:
        """Return a number that is another one after every change of pictures or vectors."""
        return int(self.setting(_REVISION) or 0)

    def _revise(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO setting VALUES (?, '1') "
            "ON CONFLICT (name) DO UPDATE SET value = value + 1",
            (_REVISION,),
        )

    def count(self) -> int:
        """Return how many pictures there are."""
        with self._database.read() as connection:
            return int(connection.execute("SELECT count(*) FROM picture").fetchone()[0])

    def categories(self) -> dict[str, int]:
        """Return how many pictures each category has, by name."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT category, count(*) FROM picture WHERE category IS NOT NULL "
                "GROUP BY category ORDER BY category"
            )
            return dict(rows.fetchall())

    def check_category(self, category: str | None) -> None:
        """Raise `CollectionError` if no picture has that category."""
        if category is None:
            return
        names = self.categories()
        if category not in names:
            near = get_close_matches(category, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise CollectionError(
                f"there is no category {category!r}.{hint} There are: {', '.join(names) or 'none'}."
            )

    def picture(self, picture_id: int) -> Picture:
        """Return one picture, or raise `NoSuchPictureError`."""
        found = self.pictures_by_id([picture_id])
        if picture_id not in found:
            raise NoSuchPictureError(picture_id, self._database.folder)
        return found[picture_id]

    def ids(self, category: str) -> list[int]:
        """Return the ids of the pictures of a category, rising."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id FROM picture WHERE category = ? ORDER BY id", (category,)
            )
            return [picture_id for (picture_id,) in rows]

    def pictures_by_id(self, ids: Sequence[int]) -> dict[int, Picture]:
        """Return those of the pictures that are there, by id."""
        with self._database.read() as connection:
            return {
                row[0]: _picture(row)
                for some, marks in in_parts(ids)
                for row in connection.execute(f"{_PICTURE} WHERE id IN ({marks})", some)
            }

    def pictures(self, category: str | None, offset: int, limit: int | None) -> list[Picture]:
        """Return pictures in the order of their ids."""
        where = "" if category is None else "WHERE category = :category"
        with self._database.read() as connection:
            rows = connection.execute(
                f"{_PICTURE} {where} ORDER BY id LIMIT :limit OFFSET :offset",
                {"category": category, "limit": -1 if limit is None else limit, "offset": offset},
            ).fetchall()
        return [_picture(row) for row in rows]

    def ids_by_digest(self, digests: Sequence[str]) -> dict[str, int]:
        """Return the ids of the pictures with these contents."""
        with self._database.read() as connection:
            return {
                digest: picture_id
                for some, marks in in_parts(digests)
                for digest, picture_id in connection.execute(
                    f"SELECT digest, id FROM picture WHERE digest IN ({marks})",  # noqa: S608  only question marks
                    some,
                )
            }

    def where(self, picture_id: int) -> tuple[str, str | None, str, bool]:
        """Return a picture's dataset, its split, its name there, and if that is an archive."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT location, split, name, member FROM file WHERE picture = ? "
                "ORDER BY id LIMIT 1",
                (picture_id,),
            ).fetchone()
        if row is None:
            raise NoSuchPictureError(picture_id, self._database.folder)
        return os.fsdecode(row[0]), row[1], str(row[2]), bool(row[3])

    def files(self, picture_id: int) -> list[PictureFile]:
        """Return the files that hold a picture, those that were found first at the front."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT path, location, member FROM file WHERE picture = ? ORDER BY id",
                (picture_id,),
            ).fetchall()
        return [
            PictureFile(Path(os.fsdecode(path)), Path(os.fsdecode(location)) if member else None)
            for path, location, member in rows
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
                f"{_COLUMNS} FROM file WHERE path = ? OR path > ? AND path < ?",
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

    def add_picture(self, digest: str, width: int, height: int) -> int:
        """Return the id of the picture with that content; a new one where there is none."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO picture (digest, width, height) VALUES (?, ?, ?)",
                (digest, width, height),
            )
            row = connection.execute(
                "SELECT id FROM picture WHERE digest = ?", (digest,)
            ).fetchone()
        return int(row[0])

    def file(self, found: Found, picture: int) -> None:
        """Note that a file holds a picture."""
        stamp = _stamp(found.stamp)
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO file (path, picture, location, split, name, member, "  # noqa: S608  constant
                f"size, modified, changed, inode, {_COLUMNS}) "
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
        return [path for (path,) in rows if _is_gone(path)]

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

    def orphans(self, pictures: Sequence[int] | None = None) -> list[int]:
        """Return pictures without a file, among some or among all."""
        query = (
            "SELECT id FROM picture "
            "WHERE NOT EXISTS (SELECT 1 FROM file WHERE picture = picture.id)"
        )
        with self._database.read() as connection:
            if pictures is None:
                return [picture_id for (picture_id,) in connection.execute(query)]
            return [
                picture_id
                for some, marks in in_parts(pictures)
                for (picture_id,) in connection.execute(f"{query} AND id IN ({marks})", some)
            ]

    def forget_pictures(self, ids: Iterable[int]) -> None:
        """Remove pictures; their vectors are the caller's."""
        with self._database.write() as connection:
            connection.executemany(
                "DELETE FROM picture WHERE id = ?", [(picture_id,) for picture_id in ids]
            )
            self._revise(connection)

    def describe(self, ids: Iterable[int]) -> dict[int, str | None]:
        """Give pictures the metadata of their first file; return the new categories that result.

        Indexing calls it for every batch, in the transaction that adds the vectors.
        """
        changed: dict[int, str | None] = {}
        with self._database.write() as connection:
            self._revise(connection)
            for picture_id in ids:
                before = self._category(connection, picture_id)
                connection.execute(
                    f"UPDATE picture SET ({_COLUMNS}) = (SELECT {_COLUMNS} FROM file "  # noqa: S608  a constant
                    "WHERE picture = ?1 ORDER BY id LIMIT 1) WHERE id = ?1",
                    (picture_id,),
                )
                self._database.seal("picture", "id = ?", (picture_id,))
                after = self._category(connection, picture_id)
                if after != before:
                    changed[picture_id] = after
        return changed

    @staticmethod
    def _category(connection: sqlite3.Connection, picture_id: int) -> str | None:
        row = connection.execute(
            "SELECT category FROM picture WHERE id = ?", (picture_id,)
        ).fetchone()
        return None if row is None else row[0]


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


def _is_gone(path: bytes) -> bool:
    """Return whether there is no such file; of a disk that does not answer nobody knows."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _picture(row: Sequence[Any]) -> Picture:
    picture_id, digest, path, *told, width, height = row
    return Picture(
        id=picture_id,
        digest=digest,
        path=Path(os.fsdecode(path or b"")),
        width=width,
        height=height,
        **dict(zip(TOLD, told, strict=True)),
    )
