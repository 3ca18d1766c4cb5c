"""A collection: the pictures of some folders, indexed, to be searched and judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pareja.datasets import load_dataset
from pareja.datasets.images import read_file
from pareja.embedding.pipeline import OnProgress
from pareja.encoders.protocols import Embeddings, Encoder, Fingerprint
from pareja.errors import CollectionError
from pareja.search.catalogue import Catalogue
from pareja.search.contracts import (
    IndexReport,
    Picture,
    PictureClassifier,
    Query,
    SearchResult,
    Shows,
    VerifyReport,
)
from pareja.search.database import Database
from pareja.search.indexing import Indexer, Remover, look
from pareja.search.judging import BundledQuery, Judgements, QuerySetScores
from pareja.search.labels import LabelFilters, PictureLabels
from pareja.search.relevance import measure_unrelated
from pareja.search.searching import Searcher
from pareja.search.vectors.stores import VectorStores
from pareja.search.verification import verify


class Collection:
    """An indexed set of pictures that can be searched; made by `open`.

    Any number of threads and processes may search it while one indexes.

    Parameters
    ----------
    database
        Where everything is but the vectors.
    catalogue
        Its pictures and spaces.
    stores
        Where the vectors are.
    """

    def __init__(self, database: Database, catalogue: Catalogue, stores: VectorStores) -> None:
        self.path = database.folder
        self._database = database
        self._catalogue = catalogue
        self._stores = stores
        self._judgements = Judgements(database)
        self._filters = LabelFilters(database, catalogue, stores)
        self._searcher = Searcher(database, catalogue, stores, self._filters)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        create: bool = False,
        store: str | None = None,
        read_only: bool = False,
    ) -> Collection:
        """Open a collection.

        Parameters
        ----------
        path
            Its folder.
        create
            Make one where there is none.
        store
            Where its vectors are: ``qdrant://host:6333/name?shards=2&replicas=2``. A collection
            remembers it; by default they are in its folder.
        read_only
            Promise to write nothing. Where nothing may be written it is so without being asked.

        Raises
        ------
        ReadOnlyError
            With `create`, if there is one and it may not be written to.
        CollectionError
            If there is no collection, it is damaged, locked or of a newer version, or its store
            does not answer or is another one.
        """
        database = Database(Path(path).expanduser(), create=create, read_only=read_only)
        try:
            catalogue = Catalogue(database)
            return cls(database, catalogue, VectorStores.open(database, catalogue, store))
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; what was acknowledged is on disk already."""
        self._database.close()
        self._stores.close()

    @property
    def read_only(self) -> bool:
        """Whether nothing can be kept here: it was asked for, or its place allows no more."""
        return self._database.read_only

    def revision(self) -> int:
        """Return a number that is another one after every change of pictures or vectors."""
        return self._catalogue.revision()

    def models(self) -> tuple[str, ...]:
        """Return the names of the encoders with vectors here, the first indexed first."""
        return self._catalogue.models()

    def count(self) -> int:
        """Return how many pictures there are."""
        return self._catalogue.count()

    def categories(self) -> dict[str, int]:
        """Return how many pictures each category has, by name."""
        return self._catalogue.categories()

    def picture(self, picture_id: int) -> Picture:
        """Return one picture.

        Raises
        ------
        NoSuchPictureError
            If there is none with that number.
        """
        return self._catalogue.picture(picture_id)

    def encoder_of(self, classifier: PictureClassifier) -> str:
        """Return the name of the encoder whose vectors a classifier reads here.

        Raises
        ------
        FingerprintMismatchError
            If the collection has none of the space that it reads.
        """
        return self._filters.space(classifier).model

    def labels(self, classifier: PictureClassifier) -> PictureLabels:
        """Return which label a classifier gives each picture, from the vectors that are here.

        Computed once: keep the classifier, and what was not indexed since costs nothing.

        Raises
        ------
        FingerprintMismatchError
            As `encoder_of` does.
        """
        return self._filters.labels(classifier)

    def pictures(
        self,
        *,
        category: str | None = None,
        shows: Sequence[Shows] = (),
        offset: int = 0,
        limit: int | None = None,
    ) -> list[Picture]:
        """Return pictures in the order in which they came, those that pass the filters.

        Raises
        ------
        FingerprintMismatchError, LabelError
            As `search` does.
        """
        if not shows:
            return self._catalogue.pictures(category, offset, limit)
        with self._database.read():
            ids = self._filters.showing(shows, category).tolist()[offset:][:limit]
            found = self._catalogue.pictures_by_id(ids)
        return [found[picture_id] for picture_id in ids if picture_id in found]

    def read(self, picture_id: int) -> bytes:
        """Return the bytes of a picture's file, wherever it is.

        Raises
        ------
        NoSuchPictureError
            If there is none with that number.
        ImageError, DatasetError
            If its file, or the archive that it is in, cannot be read any more.
        """
        location, name, member = self._catalogue.where(picture_id)
        if not member:
            return read_file(self.picture(picture_id).path)
        for record in load_dataset(location):
            if record.file_name == name:
                return record.source.read()
        raise CollectionError(f"{name} is not in {location} any more. Index that again.")

    def index(
        self,
        locations: Sequence[str | Path],
        encoder: Encoder,
        *,
        progress: OnProgress | None = None,
        batch_size: int | None = None,
        remove_missing: bool = True,
    ) -> IndexReport:
        """Bring the collection up to date with what is at some places now.

        Pictures are known by their content: one that was moved or copied is not embedded again,
        and a file that did not change is not read. Ended at any moment, the next run goes on.

        Parameters
        ----------
        locations
            Folders, pictures, or anything else that `load_dataset` reads.
        encoder
            What embeds them. Vectors of other encoders stay as they are.
        progress
            Called after each batch.
        batch_size
            Pictures that the model gets at once.
        remove_missing
            Whether pictures that are not at these places any more leave the collection. Pictures
            of other places always stay.

        Raises
        ------
        DatasetError
            If a place does not exist or holds no pictures; nothing has changed then, and what was
            there stays in the collection until `forget`: the disk may be away.
        CollectionError
            If the collection cannot be written.
        """
        places = [look(location, self._catalogue) for location in locations]
        space = self._catalogue.add_space(encoder)
        indexer = Indexer(self._database, self._catalogue, self._stores, encoder, space)
        report = indexer.run(
            places, batch_size=batch_size, progress=progress, remove_missing=remove_missing
        )
        measure_unrelated(space, encoder, self._stores(space), self._catalogue)
        return report

    def forget(self, location: str | Path) -> int:
        """Remove what was indexed from a place, whether the place is still there or not.

        Parameters
        ----------
        location
            As it was indexed, or a folder above or below that.

        Returns
        -------
        int
            How many pictures left the collection. Those that lie at other places too stay.

        Raises
        ------
        CollectionError
            If nothing comes from there.
        """
        return Remover(self._database, self._catalogue, self._stores).forget_place(location)

    def search(self, query: Query, encoder: Encoder, *, k: int = 5) -> SearchResult:
        """Find the pictures that are closest to a query.

        Text, picture and "more like this" are averaged; of words to move away from,
        `pareja.search.composition.MINUS_WEIGHT` times their embedding is subtracted.

        Parameters
        ----------
        query
            What is looked for.
        encoder
            One of those that the collection was indexed with; a dual encoder if there are words.
        k
            How many pictures are wanted, at least 1.

        Returns
        -------
        SearchResult
            At most `k` hits.

        Raises
        ------
        CollectionError
            If the query is empty, or the collection has no such category, picture or encoder.
        FingerprintMismatchError
            If words or a picture's embedding lie in another space, or the collection has no
            vectors of the one that a classifier reads.
        LabelError
            If a classifier has no such label.
        """
        return self._searcher.search(query, encoder, k)

    def embeddings(
        self, space: Encoder | Fingerprint | str, ids: Sequence[int] | None = None
    ) -> tuple[NDArray[np.int64], Embeddings]:
        """Return the ids ``(n,)`` and the vectors ``(n, dim)`` of pictures in one space.

        Parameters
        ----------
        space
            An encoder, its image fingerprint, or that one's digest.
        ids
            The pictures; those that have no vector there are left out. None for all.
        """
        found = self._catalogue.space_of(space)
        store = self._stores(found)
        with self._database.read():
            if ids is None:
                ids = store.ids()
            else:
                known = store.known(ids)
                ids = [picture_id for picture_id in ids if picture_id in known]
            return np.array(ids, np.int64), store.get(ids)

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Check everything; with `repair`, throw away and rebuild what is derived.

        Rows without a picture or a file are removed; a damaged database is reported and left as it
        is, as is all of a collection that can only be read.
        """
        repair = repair and not self.read_only
        return verify(self._database, self._catalogue, self._stores, repair=repair)

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
            As `pareja.search.judging.bundled_queries` returns them.
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
        """Return the queries of a set, or raise `CollectionError`."""
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
        self, encoder: Encoder, query_set: str, *, seed: int = 0, resamples: int = 2_000
    ) -> QuerySetScores:
        """Measure an encoder by the judgements about a set of queries.

        Pictures without a judgement count as not relevant.

        Parameters
        ----------
        encoder
            One of those that the collection was indexed with.
        query_set
            Name of the set.
        seed, resamples
            Of the bootstrap over queries.

        Raises
        ------
        CollectionError
            If there is no such set, or nothing in it has been judged relevant.
        """
        return self._judgements.evaluate(
            query_set,
            encoder.name,
            lambda text, k: [
                hit.picture.id for hit in self.search(Query(text=text), encoder, k=k).hits
            ],
            seed=seed,
            resamples=resamples,
        )
