"""A collection: the pictures of some folders, indexed, to be searched and judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pareja.embedding.embedded import Embedded
from pareja.embedding.natural import Cache, Model, opened
from pareja.embedding.pipeline import OnProgress
from pareja.encoders.protocols import ImageEncoder
from pareja.errors import CollectionError
from pareja.inputs import Picture as GivenPicture
from pareja.regions.parts import GivenBox
from pareja.search.asking import Asked, query_of
from pareja.search.catalogue import Catalogue
from pareja.search.contracts import (
    Hit,
    IndexReport,
    Picture,
    SearchResult,
    Shows,
)
from pareja.search.database import Database
from pareja.search.encoding import Encoders
from pareja.search.indexing import Indexer
from pareja.search.nearest import Nearest
from pareja.search.parts import EACH, PartVectors
from pareja.search.places import Places, look
from pareja.search.relevance import measure_unrelated
from pareja.search.searching import Searcher
from pareja.search.shards import ShardMemory
from pareja.search.spaces import Space
from pareja.search.upkeep import Upkeep
from pareja.search.vectors.quantization import Quantization, chosen
from pareja.search.vectors.stores import VectorStores


class Collection(Upkeep):
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
        super().__init__(database, catalogue, stores)
        self._encoders = Encoders(catalogue, database.folder)
        self._searcher = Searcher(
            database, catalogue, stores, self._filters, self._texts, self.read
        )

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        create: bool = False,
        store: str | None = None,
        quantization: Quantization | None = None,
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
            Where its vectors are: ``qdrant://host:6333/name?shards=3&replicas=2``. A collection
            remembers it; by default they are in its folder.
        quantization
            What searches compare with: ``"float16"``, or codes of a byte (``"int8"``) or a bit
            (``"binary"``) a number, which take less memory. The best are compared again as float16,
            so that scores are the same, and some pictures may be missed. A collection remembers it;
            to change it, what searches use is made anew at once, and nothing is embedded.
        read_only
            Promise to write nothing. Where nothing may be written it is so without being asked.

        Raises
        ------
        ReadOnlyError
            With `create`, if there is one and it may not be written to.
        CollectionError
            If there is no collection, it is damaged, locked or of a newer version, its store
            does not answer or is another one, or there is no such quantization.
        """
        database = Database(Path(path).expanduser(), create=create, read_only=read_only)
        try:
            catalogue = Catalogue(database)
            return cls(
                database, catalogue, VectorStores.open(database, catalogue, store, quantization)
            )
        except BaseException:
            database.abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            # A block that made a collection, and failed before anything was in it, leaves none.
            self._database.abandon()
        self.close()

    def close(self) -> None:
        """Close it; what was acknowledged is on disk already."""
        self._texts.close()
        self._database.close()
        self._stores.close()

    @property
    def read_only(self) -> bool:
        """Whether nothing can be kept here: it was asked for, or its place allows no more."""
        return self._database.read_only

    @property
    def quantization(self) -> Quantization:
        """What searches compare with: ``"float16"``, ``"int8"`` or ``"binary"``."""
        return chosen(self._database)

    def index(
        self,
        pictures: Places,
        model: Model | None = None,
        *,
        split: str | None = None,
        regions: bool | None = None,
        device: str | None = None,
        batch_size: int | None = None,
        cache: Cache = True,
        embedded: Path | str | None = None,
        remove_missing: bool = True,
        progress: OnProgress | None = None,
    ) -> IndexReport:
        """Bring the collection up to date with what is at some places now.

        Pictures are known by their content: one that was moved or copied is not embedded again,
        and a file that did not change is not read. Ended at any moment, the next run goes on.

        Parameters
        ----------
        pictures
            One place or several: folders, pictures, patterns (``"photos/**/*.jpg"``), zips, bundled
            names (``"pareja20"``) and whatever else `pareja.load_dataset` reads, or a dataset that
            it returned. Of a dataset the pictures are added, and no others leave the collection.
        model
            What embeds them: an encoder, or what `pareja.load` takes. By default the first that
            the collection was indexed with, or else ``"starter"``. Vectors of other encoders stay.
        split
            Of each dataset only this part, as ``"test"``; by default all. The collection remembers
            it: of one dataset it takes no other split until `forget`.
        regions
            Whether nine overlapping parts of each picture are embedded too, so that small things
            are found; it takes ten times as long, and as much room. Searches then compare with
            pictures and parts, and a `Hit` says which part was nearest. The collection remembers it
            for each model; False takes the parts out again.
        device
            What a model that is loaded here runs on, as in `pareja.load`.
        batch_size
            Pictures that the model gets at once; 32 by default.
        cache
            Whether embeddings are looked up in the user's cache, and kept there; or the
            `pareja.embedding.EmbeddingCache` to use.
        embedded
            A folder of shards that `pareja.embedding.embed_parts` has written: vectors are taken
            from there, and no picture is embedded. `pictures` says where the pictures are on this
            machine. Each is read, and one whose bytes have no embedding in the shards is skipped
            with that reason; so is one that has an embedding and is nowhere there. `model` is by
            default the one that embedded them.
        remove_missing
            Whether pictures that are not at these places any more leave the collection. Pictures
            of other places always stay.
        progress
            Called after each batch; its `stage` is ``"parts"`` while those of pictures are
            embedded, and ``"near duplicates"`` while pictures are looked at that were embedded
            earlier.

        Raises
        ------
        DatasetError
            If a place does not exist or holds no pictures; nothing has changed then, and what was
            there stays in the collection until `forget`: the disk may be away. If shards are
            missing or damaged, or have none of these pictures.
        InputError
            If something was given that is at no place: a collection keeps where pictures are.
        EncoderError
            If the encoder cannot be loaded, or embeds no pictures.
        CollectionError
            If the collection cannot be written, or has another split of one of the datasets.
        OutputError
            If the cache cannot be read or written.
        """
        shards = None if embedded is None else ShardMemory(embedded)
        places = look(pictures, self._catalogue, split)
        if shards is not None:
            model = shards.about.model if model is None else model
        encoder = self._encoders.to_index(model, device)
        if shards is not None:
            shards.require(encoder.image_fingerprint)
        with (
            self._catalogue.filling(encoder, self._stores) as added,
            opened(cache) as kept,
        ):
            space = self._with_regions(added, regions)
            if shards is not None and space.parts:
                raise CollectionError(
                    f"{self.path} keeps vectors of the parts of pictures, and shards have those of "
                    "whole pictures. Pass `regions=False`, or index without `embedded`."
                )
            indexer = Indexer(
                self._database,
                self._catalogue,
                self._stores,
                encoder if shards is None else shards.in_place_of(encoder),
                space,
                kept if shards is None else shards,
                kept,
            )
            report = indexer.run(
                places, batch_size=batch_size, progress=progress, remove_missing=remove_missing
            )
            if shards is not None:
                report = shards.checked(report, self._catalogue)
            nearest = Nearest(space, self._stores, self._filters)
            measure_unrelated(nearest, encoder, self._catalogue, kept)
        self._texts.refresh(make=False)
        return report

    def _with_regions(self, space: Space, wanted: bool | None) -> Space:
        """Return a space that has parts, or none, as is wanted; None leaves it as it is."""
        if wanted is None or wanted == bool(space.parts):
            return space
        with self._database.write():
            if not wanted:
                parts = PartVectors(self._stores.parts(space))
                parts.remove(parts.pictures())
            return self._catalogue.set_parts(space, EACH if wanted else 0)

    def encoder(self, model: Model | None = None, *, device: str | None = None) -> ImageEncoder:
        """Return the encoder that answers queries, loading it once.

        Parameters
        ----------
        model
            An encoder, or its name as it was when pictures were indexed with it; by default the
            first that the collection was indexed with.
        device
            What it runs on, as in `pareja.load`, if it is loaded here.

        Raises
        ------
        CollectionError
            If there are no pictures yet, or the collection's encoder cannot be loaded.
        EncoderError
            If an encoder that was named cannot be loaded.
        FingerprintMismatchError
            If the collection's encoder is another one by now.
        """
        return self._encoders.to_search(model, device)

    def search(
        self,
        query: Asked | None = None,
        model: Model | None = None,
        *,
        k: int = 5,
        offset: int = 0,
        image: GivenPicture | Embedded | None = None,
        like: int | Picture | Hit | None = None,
        box: GivenBox | None = None,
        minus: str | None = None,
        category: str | None = None,
        shows: Shows | Sequence[Shows] = (),
        fold: bool = False,
        hybrid: bool = False,
        device: str | None = None,
    ) -> SearchResult:
        """Find the pictures that are closest to words, to a picture, or to both.

        Words, picture and "more like this" are averaged; of words to move away from,
        `pareja.search.composition.MINUS_WEIGHT` times their embedding is subtracted. Parts of the
        words may have weights of their own: ``"a cat::2 in snow::0.5 indoors::-0.5"``.

        Parameters
        ----------
        query
            Words; or a picture from elsewhere: its path, its bytes, a PIL image, uint8 pixels, or
            what `pareja.embed` made of it; or a whole `Query`, which has the other parts in it.
            With `hybrid`, text is always words.
        model
            The encoder: one of those that the collection was indexed with, or its name. By default
            the first, which is loaded when it is first needed.
        k
            How many pictures are wanted, at least 1.
        offset
            How many of the best are left out, at least 0: the next page of the same search. Equal
            scores are in the order of the pictures' numbers, so that pages fit together; a graph,
            which large collections are searched by, and compressed vectors may repeat or miss a
            picture between them.
        image
            A picture besides words.
        like
            A picture of the collection, its number or a hit: more like this.
        box
            Only this part of the picture that is searched by: left, top, width and height in the
            pixels of the upright picture. Four numbers of at most 1 are fractions of its width and
            height.
        minus
            Words to move away from.
        category
            Only pictures of this category.
        shows
            Only pictures to which a learned classifier gives certain labels.
        fold
            Whether near duplicates (copies in another size, quality or colour, and slight crops)
            are one hit, which has the others in `near_duplicates`. `k` and `offset` then count
            such hits.
        hybrid
            Whether the words are also looked up, letter by letter, in the captions and the file
            names of the pictures; `Hit.why` says what that did. It finds names and rare words that
            no encoder knows. Both rankings count alike (reciprocal rank fusion), so the hits are
            not in the order of their scores. Weights and `minus` change the vectors alone; words
            with a weight below 0 are not looked up, and neither are those that many texts have.
        device
            What a model that is loaded here runs on, as in `pareja.load`.

        Returns
        -------
        SearchResult
            At most `k` hits, the best first, with their ranks in the whole search; none after the
            last one.

        Raises
        ------
        CollectionError
            If the query is empty, the collection has no such category, picture or encoder, or its
            own encoder cannot be loaded; with `hybrid`, if there are no words, or this Python's
            SQLite has no FTS5.
        FingerprintMismatchError
            If words or a picture's embedding lie in another space or do not say in which, if the
            collection's encoder is another one by now, or if it has no vectors of the space that a
            classifier reads.
        InputError
            If something else was given, or `box` without a picture.
        BoxError
            If `box` is no part of the picture.
        ImageError
            If a picture from elsewhere, or the one that `box` is a part of, cannot be decoded.
        LabelError
            If a classifier has no such label.

        Examples
        --------
        >>> import pareja, tempfile
        >>> with pareja.open(tempfile.mkdtemp(), create=True) as shelf:
        ...     report = shelf.index("pareja20", "starter")
        ...     found = [hit.picture.caption for hit in shelf.search("a penguin", k=1)]
        >>> found
        ['Chinstrap penguin on Barrientos Island, Antarctica']
        """
        whole = query_of(
            query,
            image=image,
            like=like,
            box=box,
            minus=minus,
            category=category,
            shows=shows,
            hybrid=hybrid,
        )
        return self._searcher.search(
            whole, self.encoder(model, device=device), k, offset, fold=fold, hybrid=hybrid
        )


open = Collection.open  # noqa: A001  the front door is pareja.open
