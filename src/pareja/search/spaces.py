"""The embedding spaces of a collection, and the encoders that they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pareja.embedding.export import space_from_json, space_to_json
from pareja.encoders import ImageEncoder
from pareja.encoders.origins import origin_of
from pareja.encoders.protocols import Fingerprint
from pareja.errors import CollectionError
from pareja.search.database import Database

if TYPE_CHECKING:
    from pareja.search.vectors.protocol import Stores


@dataclass(frozen=True)
class Space:
    """An embedding space of a collection: its number, its encoder, and what "unrelated" means.

    Parameters
    ----------
    id
        Its number in the collection.
    fingerprint
        Digest of its fingerprint.
    model
        Name of the encoder.
    dim
        Length of a vector.
    unrelated_score
        The cosine that unrelated words reach, in [-1, 1]; None where it has not been measured.
    unrelated_rows
        How many vectors there were when it was measured.
    origin
        What `pareja.load` takes to load the encoder from any folder.
    described
        The whole fingerprint, as JSON; None in collections that older versions made.
    parts
        How many parts of each picture are embedded too; 0 for none.
    """

    id: int
    fingerprint: str
    model: str
    dim: int
    unrelated_score: float | None = None
    unrelated_rows: int | None = None
    origin: str = ""
    described: str | None = None
    parts: int = 0

    @property
    def whole_fingerprint(self) -> Fingerprint | None:
        """The fingerprint with all its fields; None where only its digest was kept."""
        return None if self.described is None else space_from_json(self.described)


class Spaces:
    """The embedding spaces of a collection.

    Parameters
    ----------
    database
        Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def spaces(self) -> list[Space]:
        """Return the embedding spaces, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, fingerprint, model, dim, unrelated_score, unrelated_rows, "
                "coalesce(origin, model), described, parts FROM space ORDER BY id"
            ).fetchall()
        return [Space(*row) for row in rows]

    def space(self, fingerprint: Fingerprint | str) -> Space | None:
        """Return the space with that fingerprint, or None."""
        digest = fingerprint if isinstance(fingerprint, str) else fingerprint.digest
        return next((space for space in self.spaces() if space.fingerprint == digest), None)

    def space_of(self, wanted: ImageEncoder | Fingerprint | str) -> Space:
        """Return the space of an encoder, of a fingerprint or of that one's digest.

        Raises
        ------
        CollectionError
            If the collection has no vectors of it; the message says which there are.
        """
        name: object
        if isinstance(wanted, Fingerprint | str):
            name, fingerprint = wanted, wanted
        else:
            name, fingerprint = wanted.name, wanted.image_fingerprint
        space = self.space(fingerprint)
        if space is None and not self.models():
            raise self.nothing_yet()
        if space is None:
            raise CollectionError(
                f"no picture in {self._database.folder} was embedded by {name} as it is now; there "
                f"are vectors of: {', '.join(self.models())}. Use one of these, or "
                f"index the pictures with {name} first."
            )
        return space

    def nothing_yet(self) -> CollectionError:
        """Return the error for a collection without pictures."""
        folder = self._database.folder
        return CollectionError(
            f"{folder} holds no pictures yet. Add some with Collection.index, or 'pareja index'."
        )

    def models(self) -> tuple[str, ...]:
        """Return the names of the encoders with vectors here, the first indexed first."""
        return tuple(dict.fromkeys(space.model for space in self.spaces()))

    def add_space(self, encoder: ImageEncoder) -> Space:
        """Return the space that an encoder embeds pictures in; a new one where there is none."""
        fingerprint = encoder.image_fingerprint
        known = self.space(fingerprint)
        if known is not None and known.described is not None:
            return known
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO space (fingerprint, model, dim, origin, described) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO UPDATE SET "
                "origin = excluded.origin, described = excluded.described",
                (
                    fingerprint.digest,
                    encoder.name,
                    encoder.image_dim,
                    origin_of(encoder),
                    space_to_json(fingerprint),
                ),
            )
            return self.space_of(encoder)

    @contextmanager
    def filling(self, encoder: ImageEncoder, stores: Stores) -> Iterator[Space]:
        """Yield the space that an encoder embeds pictures in; a new one goes if the block fails.

        It stays as soon as it has a vector. Without this an encoder that cannot embed a single
        picture would be the default of its collection ever after.
        """
        is_new = self.space(encoder.image_fingerprint) is None
        space = self.add_space(encoder)
        try:
            yield space
        except BaseException:
            # Where the store does not answer, that is what the block has raised.
            with suppress(CollectionError):
                if is_new and not stores(space).count():
                    with self._database.write() as connection:
                        connection.execute("DELETE FROM space WHERE id = ?", (space.id,))
            raise

    def set_parts(self, space: Space, parts: int) -> Space:
        """Remember how many parts of its pictures a space has vectors of; return it so."""
        with self._database.write() as connection:
            connection.execute("UPDATE space SET parts = ? WHERE id = ?", (parts, space.id))
        return replace(space, parts=parts)

    def set_unrelated_score(self, space: Space, score: float, rows: int) -> None:
        """Keep what queries reach that have nothing to do with a space's pictures."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE space SET unrelated_score = ?, unrelated_rows = ? WHERE id = ?",
                (score, rows, space.id),
            )
