"""Which pictures a collection has, in which files, and in which spaces they are embedded."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pareja.errors import CollectionError, NoSuchPictureError
from pareja.search.contracts import Picture
from pareja.search.filing import COLUMNS, TOLD, Files
from pareja.search.folding import Alike
from pareja.sqlite import LARGEST, in_parts

_REVISION = "revision"
_PICTURE = (
    f"SELECT id, digest, (SELECT path FROM file WHERE picture = picture.id ORDER BY id LIMIT 1), "  # noqa: S608  constant
    f"{COLUMNS}, width, height FROM picture"
)
# A picture is its own group where it was not looked at, as `Alike.groups` has it.
_FIRST = """NOT EXISTS (
    SELECT 1 FROM look JOIN picture AS earlier ON earlier.id = look.picture
    WHERE look.picture < picture.id AND (:category IS NULL OR earlier.category = :category)
    AND look.alike = coalesce(
        (SELECT alike FROM look AS own WHERE own.picture = picture.id), picture.id))"""


class Catalogue(Files):
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

    def pictures(
        self, category: str | None, offset: int, limit: int | None, *, fold: bool = False
    ) -> list[Picture]:
        """Return pictures in the order of their ids; with `fold`, one of each near duplicates."""
        wanted = "TRUE" if category is None else "category = :category"
        if fold:
            wanted += f" AND {_FIRST}"
        with self._database.read() as connection:
            rows = connection.execute(
                f"{_PICTURE} WHERE {wanted} ORDER BY id LIMIT :limit OFFSET :offset",
                {
                    "category": category,
                    "limit": LARGEST if limit is None else min(limit, LARGEST),
                    "offset": min(offset, LARGEST),
                },
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
            gone = list(ids)
            connection.executemany(
                "DELETE FROM picture WHERE id = ?", [(picture_id,) for picture_id in gone]
            )
            Alike(self._database).forget(gone)
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
                    f"UPDATE picture SET ({COLUMNS}) = (SELECT {COLUMNS} FROM file "  # noqa: S608  a constant
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
