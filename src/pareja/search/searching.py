"""Find the pictures of a collection that are closest to a query."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.protocols import ImageEncoder
from pareja.errors import CollectionError, InputError
from pareja.regions.windows import window
from pareja.search.catalogue import Catalogue
from pareja.search.composition import query_vector
from pareja.search.contracts import Hit, Picture, Query, SearchResult, Why
from pareja.search.database import Database
from pareja.search.folding import Alike
from pareja.search.folds import Folds
from pareja.search.hybrid import WINDOW, ByWords, by_words, fused
from pareja.search.labels import LabelFilters
from pareja.search.nearest import Near, Nearest
from pareja.search.relevance import likely_relevant
from pareja.search.texts import Texts, words_of
from pareja.search.vectors.stores import VectorStores


@dataclass(frozen=True)
class Searcher:
    """Answers queries from a collection's parts.

    Parameters
    ----------
    database, catalogue, stores, filters, texts
        Of the collection.
    read
        Gives the bytes of a picture's file.
    """

    database: Database
    catalogue: Catalogue
    stores: VectorStores
    filters: LabelFilters
    texts: Texts
    read: Callable[[int], bytes]

    def search(
        self,
        query: Query,
        encoder: ImageEncoder,
        k: int,
        offset: int = 0,
        *,
        fold: bool = False,
        hybrid: bool = False,
    ) -> SearchResult:
        """Return at most `k` hits after the first `offset`, with the vectors of one encoder.

        With `fold`, near duplicates are one hit: the one that ranks first, and the others in it.
        With `hybrid`, words in captions and file names count as well.

        Raises
        ------
        CollectionError
            If the query is empty, `k` is below 1, `offset` below 0, or the collection has no
            such category, picture or encoder; with `hybrid`, if there are no words, or SQLite
            cannot look them up.
        FingerprintMismatchError
            If words or a picture's embedding lie in another space, or the collection has no
            vectors of the one that a classifier reads.
        BoxError
            If the part that is searched by is none of the picture.
        LabelError
            If a classifier has no such label.
        """
        start = time.perf_counter()
        for name, number, least in (("k", k, 1), ("offset", offset, 0)):
            if not isinstance(number, int | np.integer):
                raise InputError(f"{name} is of type {type(number).__name__}. Give a whole number.")
            if number < least:
                raise CollectionError(f"`{name}` must be {least} or more, got {number}.")
        space = self.catalogue.space_of(encoder)
        self.catalogue.check_category(query.category)
        store = self.stores(space)
        if query.like is not None:
            self.catalogue.picture(query.like)
        vector = query_vector(query, encoder, store, self.read)
        nearest = Nearest(space, self.stores, self.filters)
        words = words_of(query.text) if hybrid else ()
        if hybrid:
            self.texts.refresh()
        # One more tells whether there are any after these.
        needed = min(offset + k + 1, max(1, store.count())) if offset else k + 1
        wanted = max(needed, WINDOW) if hybrid else needed
        exclude = [*query.without, *([] if query.like is None else [query.like])]
        while True:
            with self.database.read():
                found = nearest.search(
                    vector, wanted, category=query.category, shows=query.shows, exclude=exclude
                )
                written = self._by_words(words, vector, query, nearest, exclude) if hybrid else None
                ranked = fused(found, written.ranking) if written else found
                pictures = self.catalogue.pictures_by_id([near.picture for near in ranked])
                # A server has a vector a moment before the collection has its picture.
                strangers = [near.picture for near in ranked if near.picture not in pictures]
                if strangers:
                    exclude += strangers
                    continue
                first = self._first_of_each(ranked) if fold else ranked
                if fold and len(first) < needed and len(found) == wanted:
                    wanted *= 2
                    continue
                shown = first[offset : offset + k]
                folds = self._folds(shown, vector, query, nearest, exclude) if fold else {}
                why = written.why(shown, found, self.texts) if written else {}
            break
        return SearchResult(
            query=query,
            model=encoder.name,
            hits=tuple(
                _hit(rank, pictures[near.picture], near, folds.get(near.picture, ()), why)
                for rank, near in enumerate(shown, start=offset + 1)
            ),
            took_ms=1e3 * (time.perf_counter() - start),
            likely_relevant=_likely(likely_relevant(query, space, found), written),
            offset=offset,
            more=len(first) > offset + k,
            looked_up=written.looked_up if written else None,
        )

    def _by_words(
        self,
        words: Sequence[str],
        vector: NDArray[np.float32],
        query: Query,
        nearest: Nearest,
        exclude: Sequence[int],
    ) -> ByWords:
        """Return the pictures that have some words in their texts and pass the filters."""
        among: set[int] | None = None
        if query.shows:
            among = set(self.filters.showing(query.shows, query.category).tolist())
        elif query.category is not None:
            among = set(self.catalogue.ids(query.category))
        return by_words(words, self.texts, nearest, vector, among=among, exclude=set(exclude))

    def _first_of_each(self, found: Sequence[Near]) -> list[Near]:
        """Return the best picture of each group of near duplicates."""
        groups = Alike(self.database).groups([near.picture for near in found])
        first: dict[int, Near] = {}
        for near in found:
            first.setdefault(groups[near.picture], near)
        return list(first.values())

    def _folds(
        self,
        shown: Sequence[Near],
        vector: NDArray[np.float32],
        query: Query,
        nearest: Nearest,
        exclude: Sequence[int],
    ) -> dict[int, list[tuple[Picture, Near]]]:
        """Return the other near duplicates of what is shown, those that pass the filters.

        All of them, however far behind they are: on later pages they do not come again.
        """
        below = Folds(self.database, self.catalogue, self.filters).below(
            [near.picture for near in shown],
            category=query.category,
            shows=query.shows,
            without=set(exclude),
        )
        pictures = {picture.id: picture for others in below.values() for picture in others}
        heads = {picture.id: head for head, others in below.items() for picture in others}
        folds: dict[int, list[tuple[Picture, Near]]] = {}
        for near in nearest.among(vector, list(pictures)):
            folds.setdefault(heads[near.picture], []).append((pictures[near.picture], near))
        return folds


def _likely(by_vectors: bool | None, written: ByWords | None) -> bool | None:
    """Say nothing against pictures that have the words of the query."""
    return by_vectors or None if written and written.ranking else by_vectors


def _hit(
    rank: int,
    picture: Picture,
    near: Near,
    folded: Sequence[tuple[Picture, Near]],
    why: Mapping[int, Why],
) -> Hit:
    size = picture.width, picture.height
    return Hit(
        rank=rank,
        picture=picture,
        score=near.score,
        part=None if near.part is None else window(near.part, size),
        near_duplicates=tuple(_hit(rank, *other, (), {}) for other in folded),
        why=why.get(picture.id),
    )
