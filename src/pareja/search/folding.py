"""Which pictures of a collection are near duplicates of each other, to be shown as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pareja.arrays import available_cores
from pareja.datasets.duplicates import HASH_BITS, Looks, looks, near_duplicates
from pareja.datasets.images import decode_image
from pareja.datasets.records import Source
from pareja.embedding.cache import picture_digest
from pareja.errors import ImageError
from pareja.search.database import Database
from pareja.sqlite import in_parts

_HASH_BYTES = HASH_BITS // 8
# The hash is taken of 64 x 64 pixels, and a picture is decoded at no less than twice a side.
_SIDE = 64


def noticed(image: Image.Image) -> bytes:
    """Return what a picture looks like as a collection keeps it; nothing of a plain one."""
    look = looks(image)
    return b"" if look is None else look.hash.tobytes() + look.colours.astype("<f2").tobytes()


def noticed_of(sources: Mapping[str, Source]) -> dict[str, bytes]:
    """Return what pictures look like, decoding them in parallel, by the SHA-256 of their bytes.

    Without those that do not decode, or have other bytes by now.
    """

    def of(digest: str) -> bytes | None:
        try:
            content = sources[digest].read()
            if picture_digest(content) != digest:
                return None
            return noticed(decode_image(content, network_side=_SIDE, name=str(sources[digest])))
        except ImageError:
            return None

    with ThreadPoolExecutor(available_cores(), thread_name_prefix="pareja-looks") as pool:
        seen = zip(sources, pool.map(of, sources), strict=True)
        return {digest: look for digest, look in seen if look is not None}


def _look(kept: bytes) -> Looks:
    return Looks(
        hash=np.frombuffer(kept[:_HASH_BYTES], np.uint64),
        colours=np.frombuffer(kept[_HASH_BYTES:], "<f2").astype(np.float32),
    )


@dataclass(frozen=True)
class Alike:
    """What the pictures of a collection look like, and which of them look alike.

    Near duplicates, as `pareja.datasets.duplicates.near_duplicates` finds them, form a group. It is
    known by the number of its first picture, and stays the same whatever is searched for.

    Parameters
    ----------
    database
        The collection's.
    """

    database: Database

    def add(self, seen: Mapping[int, bytes]) -> None:
        """Keep what pictures look like, of those of which it is not known."""
        with self.database.write() as connection:
            for picture, look in seen.items():
                added = connection.execute(
                    "INSERT OR IGNORE INTO look (picture, look) VALUES (?, ?)", (picture, look)
                )
                if added.rowcount:
                    self.database.seal("look", "picture = ?", (picture,))

    def lacking(self, pictures: Iterable[int]) -> set[int]:
        """Return which of some pictures were not looked at."""
        wanted = set(pictures)
        with self.database.read() as connection:
            for some, marks in in_parts(sorted(wanted)):
                rows = connection.execute(
                    f"SELECT picture FROM look WHERE picture IN ({marks})",  # noqa: S608  only question marks
                    some,
                )
                wanted.difference_update(picture for (picture,) in rows)
        return wanted

    def group(self) -> None:
        """Find the group of each picture that has none yet."""
        with self.database.write() as connection:
            if not connection.execute("SELECT 1 FROM look WHERE alike IS NULL").fetchone():
                return
            rows = connection.execute(
                "SELECT picture, look, alike FROM look ORDER BY alike IS NULL, picture"
            ).fetchall()
            groups = {picture: alike or picture for picture, _, alike in rows}
            shaped = [(picture, _look(look), alike) for picture, look, alike in rows if look]
            known = sum(alike is not None for _, _, alike in shaped)
            for earlier, later, _ in near_duplicates([look for _, look, _ in shaped], since=known):
                groups[shaped[later][0]] = groups[shaped[earlier][0]]
            for picture, _, alike in rows:
                if alike is None:
                    connection.execute(
                        "UPDATE look SET alike = ? WHERE picture = ?", (groups[picture], picture)
                    )
                    self.database.seal("look", "picture = ?", (picture,))

    def groups(self, pictures: Sequence[int]) -> dict[int, int]:
        """Return the group of each of some pictures: its own, where it was not looked at."""
        found = dict(zip(pictures, pictures, strict=True))
        with self.database.read() as connection:
            for some, marks in in_parts(pictures):
                found |= connection.execute(
                    f"SELECT picture, alike FROM look WHERE picture IN ({marks}) "  # noqa: S608  only question marks
                    "AND alike IS NOT NULL",
                    some,
                )
        return found

    def members(self, groups: Sequence[int]) -> dict[int, int]:
        """Return all pictures of some groups, and the group of each."""
        with self.database.read() as connection:
            return {
                picture: alike
                for some, marks in in_parts(groups)
                for picture, alike in connection.execute(
                    f"SELECT picture, alike FROM look WHERE alike IN ({marks})",  # noqa: S608  only question marks
                    some,
                )
            }

    def forget(self, pictures: Sequence[int]) -> None:
        """Forget what pictures look like: those that stay are looked at when they are indexed."""
        with self.database.write() as connection:
            connection.executemany(
                "DELETE FROM look WHERE picture = ?", [(picture,) for picture in pictures]
            )
