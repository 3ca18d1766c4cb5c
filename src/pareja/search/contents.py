"""What is in a collection: its pictures, their labels and their vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pareja.datasets.images import image_size, read_file
from pareja.datasets.signatures import is_cut_off
from pareja.embedding.cache import picture_digest
from pareja.encoders.protocols import Embeddings, Fingerprint, ImageEncoder
from pareja.errors import (
    CollectionError,
    DatasetError,
    ImageError,
    LostPictureError,
    NoSuchPictureError,
    ParejaError,
    PictureLoss,
)
from pareja.search.catalogue import Catalogue
from pareja.search.contracts import Picture, PictureClassifier, PictureFile, Shows
from pareja.search.database import Database
from pareja.search.filing import Copy
from pareja.search.folding import Alike
from pareja.search.folds import Folds
from pareja.search.labels import LabelFilters, PictureLabels
from pareja.search.members import Members
from pareja.search.texts import Texts
from pareja.search.vectors.stores import VectorStores


class Contents:
    """The part of a collection that says what is in it.

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
        self._members = Members()
        self._filters = LabelFilters(database, catalogue, stores)
        self._texts = Texts(database)

    @property
    def has_moved(self) -> bool:
        """Whether the collection was deleted, moved or replaced since it was opened."""
        return self._database.has_moved

    def revision(self) -> int:
        """Return a number that is another one after every change of pictures or vectors."""
        return self._catalogue.revision()

    def models(self) -> tuple[str, ...]:
        """Return the names of the encoders with vectors here, the first indexed first."""
        return self._catalogue.models()

    def count(self) -> int:
        """Return how many pictures there are."""
        return self._catalogue.count()

    def require_pictures(self) -> None:
        """Raise `CollectionError` if there are no pictures yet."""
        if not self.count():
            raise self._catalogue.nothing_yet()

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

    def pictures_by_id(self, ids: Sequence[int]) -> dict[int, Picture]:
        """Return those of some pictures that are there, by id."""
        return self._catalogue.pictures_by_id(ids)

    def files(self, picture_id: int) -> tuple[PictureFile, ...]:
        """Return every file that holds a picture: its own, and copies of it.

        They are where they were when they were indexed, the one found first at the front; a picture
        is read from the first that still holds it.

        Raises
        ------
        NoSuchPictureError
            If there is none with that number.
        """
        self.picture(picture_id)
        return tuple(copy.file for copy in self._catalogue.copies(picture_id))

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
            If the collection has none of the space that it reads.
        """
        return self._filters.labels(classifier)

    def pictures(
        self,
        *,
        category: str | None = None,
        shows: Sequence[Shows] = (),
        offset: int = 0,
        limit: int | None = None,
        fold: bool = False,
    ) -> list[Picture]:
        """Return pictures in the order in which they came, those that pass the filters.

        With `fold`, of near duplicates only the first one that passes: `near_duplicates` has the
        others, and `offset` and `limit` do not count them.

        Raises
        ------
        CollectionError
            If `offset` or `limit` is below 0.
        FingerprintMismatchError
            If the collection has no vectors of the space that a classifier reads.
        LabelError
            If a classifier has no such label.
        """
        for name, number in (("offset", offset), ("limit", limit)):
            if number is not None and number < 0:
                raise CollectionError(f"`{name}` must be 0 or more, got {number}.")
        if not shows:
            return self._catalogue.pictures(category, offset, limit, fold=fold)
        with self._database.read():
            ids = self._filters.showing(shows, category).tolist()
            if fold:
                groups = Alike(self._database).groups(ids)
                ids = list({groups[picture_id]: picture_id for picture_id in ids[::-1]}.values())
                ids.reverse()
            ids = ids[offset:][:limit]
            found = self._catalogue.pictures_by_id(ids)
        return [found[picture_id] for picture_id in ids if picture_id in found]

    def near_duplicates(
        self,
        pictures: Sequence[Picture],
        *,
        category: str | None = None,
        shows: Sequence[Shows] = (),
    ) -> dict[int, list[Picture]]:
        """Return what pictures that were listed with `fold` stand for: the others like each.

        Parameters
        ----------
        pictures
            As `pictures` returned them.
        category, shows
            The same filters.

        Returns
        -------
        dict
            By the picture's number, in the order in which they came; pictures that nothing looks
            like are left out.
        """
        folds = Folds(self._database, self._catalogue, self._filters)
        shown = [picture.id for picture in pictures]
        with self._database.read():
            return folds.below(shown, category=category, shows=shows)

    def read(self, picture_id: int) -> bytes:
        """Return the bytes of a picture, from the first of its files that holds them.

        Raises
        ------
        NoSuchPictureError
            If there is none with that number.
        LostPictureError
            If no file of it holds them any more; it tells what has become of the first.
        MachineError, MissingDependencyError
            If one that may hold them cannot be read at present.
        """
        picture = self.picture(picture_id)
        copies = self._catalogue.copies(picture_id)
        if not copies:  # it was forgotten in this moment
            raise NoSuchPictureError(picture_id, self.path)
        failures: list[ParejaError] = []
        for copy in copies:
            try:
                return self._read(copy, picture.digest)
            except ParejaError as error:
                failures.append(error)
        passing = (error for error in failures if not isinstance(error, LostPictureError))
        raise next(passing, failures[0])

    def _read(self, copy: Copy, digest: str) -> bytes:
        file = copy.file
        try:
            if file.archive is None:
                content = read_file(file.path)
            else:
                source = self._members.find(copy.location, copy.split, copy.name)
                if source is None:
                    reason = f"is not in {copy.location} any more; index that again"
                    raise LostPictureError(file.shown_path, reason, "gone")
                content = source.read()
        except LostPictureError:
            raise
        except DatasetError as error:
            reason = error.reason if isinstance(error, ImageError) else str(error).rstrip(".")
            loss: PictureLoss = "gone" if file.is_gone else "damaged"
            raise LostPictureError(file.shown_path, reason, loss) from error
        return _as_indexed(content, digest, file.shown_path)

    def embeddings(
        self, space: ImageEncoder | Fingerprint | str, ids: Sequence[int] | None = None
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


def read_picture(picture: Picture) -> bytes:
    """Return the bytes of a picture's own file; of copies and archives, `Contents.read` does.

    Raises
    ------
    ImageError
        If the file cannot be read any more, or holds another picture by now.
    """
    return _as_indexed(read_file(picture.path), picture.digest, picture.shown_path)


def _as_indexed(content: bytes, digest: str, shown_path: str) -> bytes:
    """Return the content of a picture's file, if it is what was indexed.

    Another picture would be shown with the captions and the score of the one before.
    """
    if picture_digest(content) == digest:
        return content
    try:
        image_size(content)
        if is_cut_off(content):
            raise ImageError(shown_path, "ends early: the file is truncated")
    except ImageError as error:
        raise LostPictureError(shown_path, error.reason, "damaged") from error
    reason = "the file is another one than when it was indexed; index it again"
    raise LostPictureError(shown_path, reason, "replaced")
