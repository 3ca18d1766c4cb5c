"""Find the pictures of a collection that are closest to a query."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pareja.encoders.protocols import Encoder
from pareja.errors import CollectionError
from pareja.search.catalogue import Catalogue
from pareja.search.composition import query_vector
from pareja.search.contracts import Hit, Query, SearchResult
from pareja.search.database import Database
from pareja.search.labels import LabelFilters
from pareja.search.relevance import likely_relevant
from pareja.search.vectors.stores import VectorStores


@dataclass(frozen=True)
class Searcher:
    """Answers queries from a collection's parts.

    Parameters
    ----------
    database, catalogue, stores, filters
        Of the collection.
    """

    database: Database
    catalogue: Catalogue
    stores: VectorStores
    filters: LabelFilters

    def search(self, query: Query, encoder: Encoder, k: int) -> SearchResult:
        """Answer one, as `pareja.search.Collection.search` says."""
        start = time.perf_counter()
        if k < 1:
            raise CollectionError(f"at least 1 picture must be asked for, not {k}.")
        space = self.catalogue.space_of(encoder)
        self.catalogue.check_category(query.category)
        store = self.stores(space)
        if query.like is not None:
            self.catalogue.picture(query.like)
        vector = query_vector(query, encoder, store)
        exclude = [] if query.like is None else [query.like]
        while True:
            with self.database.read():
                if query.shows:
                    ids = self.filters.showing(query.shows, query.category)
                    found = self.filters.nearest(vector, k, ids, space, exclude)
                else:
                    found = store.search(vector, k, category=query.category, exclude=exclude)
                pictures = self.catalogue.pictures_by_id([picture_id for picture_id, _ in found])
            # A server has a vector a moment before the collection has its picture.
            strangers = [picture_id for picture_id, _ in found if picture_id not in pictures]
            if not strangers:
                break
            exclude += strangers
        return SearchResult(
            query=query,
            model=encoder.name,
            hits=tuple(
                Hit(rank, pictures[picture_id], score)
                for rank, (picture_id, score) in enumerate(found, start=1)
            ),
            took_ms=1e3 * (time.perf_counter() - start),
            likely_relevant=likely_relevant(query, space, found),
        )
