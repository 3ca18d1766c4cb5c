"""What a collection offers about judged results: query sets, judgements and scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pareja.embedding.natural import Model
from pareja.encoders import ImageEncoder
from pareja.search.asking import Asked
from pareja.search.catalogue import Catalogue
from pareja.search.contents import Contents
from pareja.search.contracts import Query, SearchResult
from pareja.search.database import Database
from pareja.search.judging import BundledQuery, Judgements, QuerySetScores
from pareja.search.vectors.stores import VectorStores


class JudgedPictures(Contents, ABC):
    """The part of a collection that keeps judgements.

    Parameters
    ----------
    database, catalogue, stores
        The parts of the collection.
    """

    def __init__(self, database: Database, catalogue: Catalogue, stores: VectorStores) -> None:
        super().__init__(database, catalogue, stores)
        self._judgements = Judgements(database)

    @abstractmethod
    def encoder(self, model: Model | None = None, *, device: str | None = None) -> ImageEncoder:
        """Return the encoder that answers queries."""

    @abstractmethod
    def search(
        self,
        query: Asked | None = None,
        model: Model | None = None,
        *,
        k: int = 5,
        fold: bool = False,
        hybrid: bool = False,
    ) -> SearchResult:
        """Find pictures."""

    def create_query_set(self, name: str, queries: Sequence[str]) -> None:
        """Keep some queries under a name, to be judged and evaluated together.

        Raises
        ------
        CollectionError
            If there are none, one is empty or twice there, or the name is taken.
        """
        self._judgements.create_query_set(name, queries)

    def add_bundled_queries(
        self, queries: Sequence[BundledQuery], name: str, language: str
    ) -> None:
        """Add a query set whose judgements follow from labels; your own judgements stay.

        A collection that can only be read has it until it is closed.

        Parameters
        ----------
        queries
            What `pareja.search.bundled_queries` returns for a dataset.
        name
            Of the set; nothing happens to its queries if it is there.
        language
            ``"en"`` or ``"es"``.
        """
        self._judgements.add_bundled(queries, name, language)

    def answers(self, queries: Sequence[BundledQuery]) -> bool:
        """Return whether each of some bundled queries has a right answer here, by its labels."""
        return self._judgements.answerable(queries)

    def query_sets(self) -> tuple[str, ...]:
        """Return the names of the query sets."""
        return self._judgements.query_sets()

    def queries(self, name: str) -> tuple[str, ...]:
        """Return the queries of a set.

        Raises
        ------
        CollectionError
            If there is no such set.
        """
        return self._judgements.queries(name)

    def judge(self, query: str, picture_id: int, relevant: bool | None) -> None:
        """Keep whether a picture answers a query; on disk when it returns.

        Parameters
        ----------
        query
            Its words.
        picture_id
            The picture. The judgement is of its content, and holds when it comes back later.
        relevant
            None takes an earlier judgement back.
        """
        self._judgements.judge(query, self.picture(picture_id), relevant)

    def judgements(self, query: str) -> dict[int, bool]:
        """Return the judgements about a query, by the ids of pictures that are here now."""
        return self._judgements.about(query)

    def evaluate(
        self,
        model: Model | None = None,
        query_set: str = "",
        *,
        fold: bool = False,
        hybrid: bool = False,
        seed: int = 0,
        resamples: int = 2_000,
    ) -> QuerySetScores:
        """Measure an encoder by the judgements about a set of queries.

        Pictures without a judgement count as not relevant.

        Parameters
        ----------
        model
            An encoder that the collection was indexed with, or its name; by default the first.
        query_set
            Name of the set; by default the only one there is.
        fold, hybrid
            How is searched, as in `Collection.search`.
        seed, resamples
            Of the bootstrap over queries.

        Raises
        ------
        CollectionError
            If there is no such set, or nothing in it has been judged relevant.
        """
        encoder = self.encoder(model)
        names = self.query_sets()

        def search(text: str, k: int) -> list[int]:
            result = self.search(Query(text=text), encoder, k=k, fold=fold, hybrid=hybrid)
            return [hit.picture.id for hit in result]

        return self._judgements.evaluate(
            query_set or (names[0] if len(names) == 1 else ""),
            encoder.name,
            search,
            seed=seed,
            resamples=resamples,
        )
