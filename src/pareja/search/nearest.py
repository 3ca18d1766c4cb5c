"""The pictures nearest to a vector, each by its own vector or by that of its nearest part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareja.search.contracts import Shows
from pareja.search.labels import LabelFilters, cosines, present
from pareja.search.parts import EACH, ids_of
from pareja.search.spaces import Space
from pareja.search.vectors.exact import Keys
from pareja.search.vectors.protocol import Stores, VectorStore


@dataclass(frozen=True)
class Near:
    """A picture that was found: its id, its best cosine, and which part has it, if one has."""

    picture: int
    score: float
    part: int | None = None


@dataclass(frozen=True)
class Nearest:
    """Searches one space of a collection.

    Parameters
    ----------
    space
        Which one.
    stores, filters
        Of the collection.
    """

    space: Space
    stores: Stores
    filters: LabelFilters

    def search(
        self,
        vector: NDArray[np.float32],
        k: int,
        *,
        category: str | None = None,
        shows: Sequence[Shows] = (),
        exclude: Sequence[int] = (),
    ) -> list[Near]:
        """Return at most `k` pictures, best first, ties by id.

        Parameters
        ----------
        vector
            What is looked for, ``(dim,)``.
        k
            How many.
        category, shows
            Only pictures that pass.
        exclude
            Pictures that are left out.
        """
        among = self.filters.showing(shows, category) if shows else None
        whole = self._found(self.stores(self.space), vector, k, category, among, exclude)
        best = {picture: Near(picture, score) for picture, score in whole}
        if self.space.parts:
            # Among so many parts there are `k` pictures. One that is in neither list has `k` others
            # before it.
            parts = self._found(
                self.stores.parts(self.space),
                vector,
                EACH * k,
                category,
                None if among is None else ids_of(among),
                ids_of(np.array(exclude, np.int64)).tolist(),
            )
            _take_better(best, parts)
        return _ordered(best)[:k]

    def among(self, vector: NDArray[np.float32], pictures: Sequence[int]) -> list[Near]:
        """Return how near some pictures are, those that have a vector, best first, ties by id."""
        ids = np.array(sorted(pictures), np.int64)
        best = {picture: Near(picture, score) for picture, score in self._scores(vector, ids)}
        if self.space.parts:
            parts = self._scores(vector, ids_of(ids), self.stores.parts(self.space))
            _take_better(best, parts)
        return _ordered(best)

    def _scores(
        self, vector: NDArray[np.float32], ids: Keys, store: VectorStore | None = None
    ) -> list[tuple[int, float]]:
        found, rows = present(store or self.stores(self.space), ids)
        return list(zip(found.tolist(), cosines(rows, vector), strict=True))

    def _found(
        self,
        store: VectorStore,
        vector: NDArray[np.float32],
        k: int,
        category: str | None,
        among: Keys | None,
        exclude: Sequence[int],
    ) -> list[tuple[int, float]]:
        if among is None:
            return store.search(vector, k, category=category, exclude=exclude)
        return self.filters.nearest(vector, k, among, self.space, exclude, store)

    def count(self) -> int:
        """Return how many vectors there are, of pictures and of parts."""
        parts = self.stores.parts(self.space).count() if self.space.parts else 0
        return self.stores(self.space).count() + parts


def _take_better(best: dict[int, Near], parts: Sequence[tuple[int, float]]) -> None:
    """Put a part in the place of its picture, where it is nearer."""
    for id_, score in parts:
        picture, number = divmod(id_, EACH)
        if picture not in best or score > best[picture].score:
            best[picture] = Near(picture, score, number)


def _ordered(best: dict[int, Near]) -> list[Near]:
    return sorted(best.values(), key=lambda near: (-near.score, near.picture))
