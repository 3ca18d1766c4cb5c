"""What pages and API ask of a collection and its encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from anyio import to_thread

from pareja.arrays import available_cores
from pareja.classifiers.learned import Classifier
from pareja.embedding import Embedded
from pareja.encoders import require_both
from pareja.encoders.protocols import DualEncoder, Embeddings, Encoder, Pixels
from pareja.errors import CollectionError, ImageError, LostPictureError, ParejaError, some_of
from pareja.search.captions import CaptionMatch, best_and_worst
from pareja.search.contracts import Picture, Query, SearchResult
from pareja.search.judging import every_bundled_query
from pareja.search.mapping import PictureMap
from pareja.server.asks import Ask
from pareja.server.batching import SharedDualEncoder, SharedEncoder
from pareja.server.decoding import Decoder
from pareja.server.kept import Kept
from pareja.server.learned import LearnedClassifiers
from pareja.server.metrics import Metrics
from pareja.server.problems import NAMED, Problem
from pareja.server.settings import Settings
from pareja.server.thumbnails import Thumbnails
from pareja.server.turns import Turns
from pareja.server.uploads import Uploads
from pareja.tasks.locating import Located, locate

if TYPE_CHECKING:
    from PIL import Image

    from pareja.regions.parts import GivenBox
    from pareja.search import Collection

T = TypeVar("T")

# More of them fill the encoder's batches better; what they decode shares one budget of memory.
_PICTURE_THREADS = 16


class Engine:
    """A collection with its encoders, for any number of requests at once.

    Parameters
    ----------
    collection
        What is searched.
    settings
        Which encoder answers by default, and limits.
    classifiers
        Learned from examples, by name.
    device
        What encoders run on that are loaded here, as in `pareja.load`.
    """

    def __init__(
        self,
        collection: Collection,
        settings: Settings,
        classifiers: Mapping[str, Classifier],
        device: str | None = None,
    ) -> None:
        self.collection = collection
        self.settings = settings
        self.learned = LearnedClassifiers(collection, classifiers)
        self.metrics = Metrics()
        self.decoder = Decoder(settings.limits)
        self.thumbnails = Thumbnails(self.opened)
        self.uploads = Uploads(self.decoder)
        patience = settings.limits.patience
        self._picture_turns = Turns(_PICTURE_THREADS, patience)
        # Few, because each of them keeps a core at work: a page asks for dozens of thumbnails.
        self.thumbnail_turns = Turns(max(2, available_cores()), patience)
        self._device = device
        self._encoders: dict[str, SharedEncoder] = {}
        self._kept = Kept(collection)
        self._lock = Lock()

    async def run(self, work: Callable[[], T], *, decodes: bool) -> T:
        """Return what some work returns that blocks, done in a thread.

        Parameters
        ----------
        work
            What is to be done.
        decodes
            Whether it decodes pictures of the request, and waits for its turn and for memory.

        Raises
        ------
        Problem
            503, if it has waited too long.
        """
        if decodes:
            return await self._picture_turns.run(work)
        return await to_thread.run_sync(work)

    def renewed(self) -> Engine:
        """Return an engine for the collection that is in this one's place by now.

        It is this one while the collection is what was opened, and while there is none.
        """
        if not self.collection.has_moved:
            return self
        try:
            collection = type(self.collection).open(self.collection.path)
        except CollectionError:
            return self
        try:
            engine = Engine(collection, self.settings, self.learned.classifiers, self._device)
        except ParejaError:
            collection.close()
            return self
        engine.metrics = self.metrics
        self.collection.close()
        return engine

    def models(self) -> tuple[str, ...]:
        """Return the encoders that the collection has vectors of, the default first."""
        names = self.collection.models()
        first = self.settings.model
        return (first, *(n for n in names if n != first)) if first in names else names

    def known(self, name: str = "") -> str:
        """Return the name of an encoder of the collection, the default one's for an empty name.

        Raises
        ------
        Problem
            If the collection has no vectors of it, or none at all.
        """
        names = self.models()
        if not names:
            raise Problem(404, "no_pictures")
        wanted = name or names[0]
        if wanted not in names:
            raise Problem(
                404, "unknown_model", param="model", model=wanted[:80], models=some_of(names, NAMED)
            )
        return wanted

    def encoder(self, name: str = "") -> SharedEncoder:
        """Return an encoder of the collection; it is loaded when it is first asked for.

        Raises
        ------
        Problem
            If the collection has no vectors of it, or none at all.
        """
        wanted = self.known(name)
        with self._lock:
            if wanted not in self._encoders:
                encoder = self.collection.encoder(wanted, device=self._device)
                loaded, count = require_both(encoder), self.metrics.count_batch
                self._encoders[wanted] = (
                    SharedDualEncoder(loaded, count)
                    if isinstance(loaded, DualEncoder)
                    else SharedEncoder(loaded, count)
                )
            return self._encoders[wanted]

    def dual(self, name: str = "") -> SharedDualEncoder:
        """Return an encoder of the collection whose words and pictures share a space.

        Raises
        ------
        Problem
            If the collection has no vectors of it, or it is a pair of networks.
        """
        encoder = self.encoder(name)
        if not isinstance(encoder, SharedDualEncoder):
            raise Problem(422, "pair", model=encoder.name)
        return encoder

    def duals(self) -> tuple[str, ...]:
        """Return the encoders whose words and pictures share a space, the default first.

        One that cannot be loaded is left out: the others answer without it.
        """
        found = []
        for name in self.models():
            with suppress(ParejaError):
                if self.encoder(name).kind == "dual":
                    found.append(name)
        return tuple(found)

    def encoder_of(self, classifier: Classifier) -> SharedEncoder:
        """Return the encoder whose embeddings a classifier reads.

        Raises
        ------
        FingerprintMismatchError
            If it is not any more what it was when the classifier was learned.
        """
        encoder = self.encoder(self.collection.encoder_of(classifier))
        classifier.check(encoder.image_fingerprint)
        return encoder

    def embedding(self, picture_id: int, encoder: Encoder) -> Embeddings:
        """Return the embedding of a picture of the collection, ``(1, dim)``.

        Raises
        ------
        Problem
            If the picture is there, but was not embedded by this encoder.
        """
        picture = self.collection.picture(picture_id)
        _, vectors = self.collection.embeddings(encoder, [picture.id])
        if not len(vectors):
            raise Problem(404, "not_embedded", id=picture.id, model=encoder.name)
        return vectors

    def located(self, picture: Picture, words: str, model: str, side: int) -> Located:
        """Return where in a picture of the collection some words are.

        Parameters
        ----------
        picture
            Of the collection.
        words
            What to look for.
        model
            An encoder of the collection; empty for the default.
        side
            The picture is looked at in at most about twice as many pixels.

        Raises
        ------
        Problem
            If the encoder is a pair, and as `opened` does.
        """
        encoder = self.dual(model).alone
        with self.opened(picture, side) as image:
            image.thumbnail((2 * side, 2 * side))
            return locate(words, image, model=encoder)

    @contextmanager
    def opened(
        self, picture: Picture, side: int, box: GivenBox | None = None
    ) -> Iterator[Image.Image]:
        """Decode a picture of the collection, or a part of it, to be seen at most `side` wide.

        Raises
        ------
        Problem
            404 if its file is gone, another one by now, or damaged; 503 if memory is short for too
            long.
        BoxError
            If it has no such part.
        """
        with ExitStack() as stack:
            try:
                encoded = self.collection.read(picture.id)
                decoded = self.decoder.stored(encoded, picture.shown_name, side, box)
                image = stack.enter_context(decoded)
            except ImageError as error:
                raise _lost(picture, error) from error
            yield image

    def loss(self, picture: Picture) -> Problem | None:
        """Return what is wrong with the files of a picture, if none of them holds it any more."""
        try:
            self.collection.read(picture.id)
        except LostPictureError as error:
            return _lost(picture, error)
        except ParejaError:
            return None  # they cannot be looked at now: the picture's own route says why
        return None

    def prepare(self, url: str, name: str, encoder: Encoder, box: tuple[float, ...] = ()) -> Pixels:
        """Return what an encoder sees of a data URL, ``(side, side, 3)``; the rest is let go.

        Raises
        ------
        Problem, ImageError
            If the picture is too large, or memory is short for too long; if it is none, or damaged.
        BoxError
            If it has no such part.
        """
        with self.decoder.data_url(url, name, box or None) as image:
            return encoder.prepare(image)

    def embed_picture(
        self, url: str, name: str, encoder: Encoder, box: tuple[float, ...] = ()
    ) -> Embeddings:
        """Return the embedding of a data URL, ``(1, dim)``.

        Raises
        ------
        Problem, ImageError
            If the picture is too large, or memory is short for too long; if it is none, or damaged.
        BoxError
            If it has no such part.
        """
        return encoder.encode_pixels(self.prepare(url, name, encoder, box)[None])

    def warm_up(self) -> None:
        """Have the default encoder and all labels in memory.

        What is wrong with them is said when they are used.
        """
        with suppress(ParejaError, Problem):
            self.encoder().encode_texts(["a picture"])
        with suppress(ParejaError):
            self.learned.facets(())
        with suppress(ParejaError):
            self._add_bundled_queries()

    def _add_bundled_queries(self) -> None:
        """Offer the queries that come with a bundled dataset where its pictures are."""
        for name, queries in every_bundled_query().items():
            if self.collection.answers(queries):
                for language in queries[0].text:
                    self.collection.add_bundled_queries(queries, f"{name}-{language}", language)

    def search(self, ask: Ask, image: str | None = None, offset: int = 0) -> SearchResult:
        """Answer a search.

        Parameters
        ----------
        ask
            What is looked for.
        image
            A picture that is looked for besides, as a data URL.
        offset
            How many of the best are left out.

        Raises
        ------
        Problem
            If nothing is asked for, or what is asked for is not here, or no longer.
        ParejaError
            If the collection or the encoder cannot answer.
        """
        if ask.is_empty and image is None:
            raise Problem(422, "empty_query")
        encoder = self.dual(ask.model) if ask.q or ask.minus else self.encoder(ask.model)
        query = Query(
            text=ask.q or None,
            like=ask.like,
            minus=ask.minus or None,
            category=ask.category or None,
            shows=self.learned.shows(ask.shows, ask.at_least),
        )
        seen = self._picture_embedding(ask, image, encoder)
        if seen is not None:
            query = replace(query, image=Embedded.of(seen[0], encoder.image_fingerprint))
        if ask.box and ask.like is not None:
            query = replace(query, like=None, without=(ask.like,))
        try:
            return self.collection.search(
                query, encoder, k=ask.k, offset=offset, fold=ask.fold, hybrid=ask.hybrid
            )
        except CollectionError:
            self._refuse_what_is_not_here(ask, encoder)
            raise

    def _picture_embedding(
        self, ask: Ask, image: str | None, encoder: Encoder
    ) -> Embeddings | None:
        """Return that of the picture, or the part of one, that is looked for, ``(1, dim)``."""
        if ask.box and (bool(ask.image or image) == (ask.like is not None)):
            raise Problem(422, "box_alone")
        if ask.image:
            upload = self.uploads.get(ask.image)
            if upload is None:
                raise Problem(404, "upload_gone")
            return upload.embedding(encoder, ask.box)
        if image is not None:
            return self.embed_picture(image, "image", encoder, ask.box)
        if ask.box and ask.like is not None:
            picture = self.collection.picture(ask.like)
            with self.opened(picture, encoder.image_side, ask.box) as part:
                return encoder.encode_images([part])
        return None

    def category(self, written: str) -> str:
        """Return the category that somebody wrote, in full: a part of its name is enough.

        Raises
        ------
        Problem
            If there is none, or if several have that part.
        """
        names = self.collection.categories()
        if not written or written in names:
            return written
        folded = written.strip().casefold()
        near = [name for name in names if name.casefold() == folded]
        near = near or [name for name in names if folded in name.casefold()]
        if len(near) == 1:
            return near[0]
        if near:
            raise Problem(422, "categories", got=written[:80], categories=some_of(near, NAMED))
        raise self._no_category(written, names)

    @staticmethod
    def _no_category(got: str, names: Iterable[str]) -> Problem:
        return Problem(422, "category", got=got[:80], categories=some_of(names, NAMED))

    def _refuse_what_is_not_here(self, ask: Ask, encoder: Encoder) -> None:
        categories = self.collection.categories()
        if ask.category and ask.category not in categories:
            raise self._no_category(ask.category, categories)
        if ask.like is not None:
            self.embedding(ask.like, encoder)

    def captions(
        self, picture: Picture, model: str = "", *, n: int = 3
    ) -> tuple[list[CaptionMatch], list[CaptionMatch]]:
        """Return the captions of the collection that match a picture best, and worst.

        Parameters
        ----------
        picture
            Of the collection.
        model
            A dual encoder; empty for the default.
        n
            How many of each.

        Returns
        -------
        best, worst
            Best first, and worst first.
        """
        encoder = self.dual(model)
        pictures, texts = self._kept.captions(encoder)
        if not pictures:
            return [], []
        return best_and_worst(pictures, texts, self.embedding(picture.id, encoder)[0], n)

    def map(self, model: str = "") -> PictureMap:
        """Place the pictures of the collection on a plane, by principal components."""
        return self._kept.map(self.encoder(model))


def _lost(picture: Picture, error: ImageError) -> Problem:
    loss = error.loss if isinstance(error, LostPictureError) else "damaged"
    detail = f"{picture.shown_name}: {error.reason}"
    return Problem(404, f"file_{loss}", id=picture.id, detail=detail)
