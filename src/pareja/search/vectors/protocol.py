"""What every place for vectors promises, and which vectors it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from pareja.arrays import unit
from pareja.encoders.protocols import Embeddings
from pareja.errors import CollectionError

if TYPE_CHECKING:
    from pareja.search.spaces import Space


class VectorStore(Protocol):
    """Where the vectors of one embedding space are: the collection's own database, or Qdrant.

    The same contract tests run on every store.
    """

    def upsert(
        self,
        ids: Sequence[int],
        vectors: Embeddings,
        payloads: Sequence[Mapping[str, str | None]],
    ) -> None:
        """Add or replace vectors ``(n, dim)``; when it returns they are durable and searchable.

        ``payloads`` hold the ``category`` that searches filter on.

        Raises
        ------
        CollectionError
            If a vector has another length, or numbers that are not finite.
        """
        ...

    def remove(self, ids: Sequence[int]) -> None:
        """Remove vectors; ids that are not there are ignored."""
        ...

    def search(
        self,
        vector: NDArray[np.float32],
        k: int,
        *,
        category: str | None = None,
        exclude: Sequence[int] = (),
    ) -> list[tuple[int, float]]:
        """Return at most `k` ``(id, cosine)``, best first, ties by id; never a removed id.

        A vector of zeros has no direction: its cosine with every other is 0.

        Raises
        ------
        CollectionError
            If `vector` has another length, or numbers that are not finite.
        """
        ...

    def get(self, ids: Sequence[int]) -> Embeddings:
        """Return the vectors of `ids`, ``(n, dim)``, in that order; KeyError for one not there."""
        ...

    def known(self, ids: Sequence[int]) -> set[int]:
        """Return which of the ids have a vector."""
        ...

    def ids(self) -> list[int]:
        """Return the ids of all vectors, rising."""
        ...

    def count(self) -> int:
        """Return how many vectors there are."""
        ...

    def optimise(self) -> None:
        """Bring up to date what makes searches faster; they are right without it."""
        ...

    def problems(self, *, repair: bool) -> list[str]:
        """Return what is wrong with what is derived from the vectors; `repair` rebuilds it."""
        ...


class Stores(Protocol):
    """Where a collection has its vectors."""

    def __call__(self, space: Space) -> VectorStore:
        """Return the store of the pictures of a space."""
        ...

    def parts(self, space: Space) -> VectorStore:
        """Return the store of the parts of these pictures, as `PartVectors` numbers them."""
        ...


def checked_rows(vectors: NDArray[np.floating], count: int, dim: int) -> Embeddings:
    """Return vectors as float32 of length 1, ``(count, dim)``; zeros stay zeros.

    Raises
    ------
    CollectionError
        If the shape is another, or a number is not finite.
    """
    rows = np.asarray(vectors, np.float32)
    if rows.shape != (count, dim):
        raise CollectionError(
            f"vectors of shape {rows.shape} were given where {(count, dim)} is needed. "
            "They come from another encoder than the collection's."
        )
    if not np.isfinite(rows).all():
        raise CollectionError("a vector holds numbers that are not finite; its encoder is broken.")
    return unit(rows)
