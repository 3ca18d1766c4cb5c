"""The vectors of the parts of pictures, in the space of the pictures' own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pareja.encoders.protocols import Embeddings
from pareja.regions.windows import WINDOWS
from pareja.search.vectors.exact import Keys
from pareja.search.vectors.protocol import VectorStore

EACH = len(WINDOWS)
"""How many parts a picture has."""

_AT_ONCE = 1024


@dataclass(frozen=True)
class PartVectors:
    """The parts of the pictures of one space; a picture has a vector of each of them, or of none.

    Parameters
    ----------
    store
        Where the vectors are: part n of a picture has the id ``picture * EACH + n``.
    """

    store: VectorStore

    def upsert(
        self, pictures: Sequence[int], vectors: Embeddings, categories: Sequence[str | None]
    ) -> None:
        """Add or replace the parts of pictures, a row ``(EACH * dim,)`` for each."""
        self.store.upsert(
            ids_of(np.array(pictures, np.int64)).tolist(),
            vectors.reshape(EACH * len(pictures), -1),
            [{"category": category} for category in categories for _ in range(EACH)],
        )

    def remove(self, pictures: Sequence[int]) -> None:
        """Remove the parts of pictures, those that are there."""
        for some in _some(pictures):
            self.store.remove(ids_of(some).tolist())

    def known(self, pictures: Sequence[int]) -> set[int]:
        """Return the pictures of which all parts are there."""
        found: set[int] = set()
        for some in _some(pictures):
            held = np.array(sorted(self.store.known(ids_of(some).tolist())), np.int64)
            numbers, counts = np.unique(held // EACH, return_counts=True)
            found.update(numbers[counts == EACH].tolist())
        return found

    def pictures(self) -> list[int]:
        """Return the pictures of which a part is there, rising."""
        return sorted({part // EACH for part in self.store.ids()})

    def recategorise(self, categories: Mapping[int, str | None]) -> None:
        """Give the parts of pictures the category that these have now."""
        for picture in sorted(self.known(list(categories))):
            rows = self.store.get(ids_of(np.array([picture])).tolist())
            self.upsert([picture], rows, [categories[picture]])


def ids_of(pictures: Keys) -> Keys:
    """Return the ids of all parts of pictures ``(n,)``, picture by picture, ``(n * EACH,)``."""
    return (pictures[:, None] * EACH + np.arange(EACH)).ravel()


def _some(pictures: Sequence[int]) -> Iterator[Keys]:
    for start in range(0, len(pictures), _AT_ONCE):
        yield np.array(pictures[start : start + _AT_ONCE], np.int64)
