"""Results that are expensive, kept until the collection changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pareja.encoders.protocols import Embeddings
from pareja.search.captions import captioned
from pareja.search.contracts import Picture
from pareja.search.mapping import PictureMap, picture_map
from pareja.server.batching import SharedEncoder

if TYPE_CHECKING:
    from pareja.search import Collection

T = TypeVar("T")

MAX_CAPTIONS = 2_000
"""Most captions that a picture is compared with."""


class Kept:
    """Computes what pages need of a whole collection, once for each state of it.

    Parameters
    ----------
    collection
        What is looked at.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._captions: dict[str, tuple[int, tuple[list[Picture], Embeddings]]] = {}
        self._maps: dict[str, tuple[int, PictureMap]] = {}

    def captions(self, encoder: SharedEncoder) -> tuple[list[Picture], Embeddings]:
        """Return captioned pictures and the embeddings of their captions, ``(n, dim)``."""

        def embedded() -> tuple[list[Picture], Embeddings]:
            pictures = captioned(self._collection.pictures(limit=MAX_CAPTIONS))
            return pictures, encoder.encode_texts([picture.caption or "" for picture in pictures])

        return self._current(self._captions, encoder.name, embedded)

    def map(self, encoder: SharedEncoder) -> PictureMap:
        """Return the pictures on a plane, by the principal components of their embeddings."""

        def placed() -> PictureMap:
            found = self._collection.embeddings(encoder)
            return picture_map(self._collection.pictures_by_id, *found)

        return self._current(self._maps, encoder.name, placed)

    def _current(self, kept: dict[str, tuple[int, T]], name: str, compute: Callable[[], T]) -> T:
        revision = self._collection.revision()
        if name not in kept or kept[name][0] != revision:
            kept[name] = revision, compute()
        return kept[name][1]
