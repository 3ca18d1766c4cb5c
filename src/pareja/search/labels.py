"""Filters by the label that a learned classifier gives a picture, from the stored vectors.

Nothing is embedded again: a label follows from a stored vector, and is computed once for each
picture and classifier. Searches among the pictures that are left compare with every one of them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial, reduce
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.protocols import Embeddings
from pareja.errors import FingerprintMismatchError, LabelError
from pareja.search.catalogue import Catalogue
from pareja.search.contracts import PictureClassifier, Shows
from pareja.search.database import Database
from pareja.search.spaces import Space
from pareja.search.vectors.exact import Keys, Scan
from pareja.search.vectors.protocol import Stores, VectorStore, checked_rows

_AT_ONCE = 8192
# How many classifiers' labels stay in memory, at 16 bytes a picture.
_CLASSIFIERS = 8
# Of how many filters the vectors that pass stay in memory, and their size all together.
_SCANS = 64
_KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True)
class PictureLabels:
    """What a classifier gives the pictures of a collection: each of them one label.

    Parameters
    ----------
    labels
        The k labels that it tells apart.
    ids
        The pictures, rising, ``(n,)``.
    best
        Index of each picture's most probable label, ``(n,)``.
    probabilities
        Of that label, in (0, 1], ``(n,)``.
    """

    labels: tuple[str, ...]
    ids: Keys
    best: NDArray[np.int32]
    probabilities: NDArray[np.float32]

    def counts(self) -> dict[str, int]:
        """Return how many pictures have each label, in the order of the labels."""
        numbers = np.bincount(self.best, minlength=len(self.labels)).tolist()
        return dict(zip(self.labels, numbers, strict=True))

    def having(self, labels: Sequence[str], at_least: float = 0.0) -> Keys:
        """Return the ids of the pictures with any of some labels, rising.

        Raises
        ------
        LabelError
            If there is no such label, none is named, or `at_least` is not in [0, 1].
        """
        if not labels:
            raise LabelError(f"no label is named. There are: {', '.join(self.labels)}.")
        if not 0 <= at_least <= 1:
            raise LabelError(f"a probability lies between 0 and 1; got {at_least}.")
        wanted = [self._column(label) for label in labels]
        found: Keys = self.ids[np.isin(self.best, wanted) & (self.probabilities >= at_least)]
        return found

    def _column(self, label: str) -> int:
        if label in self.labels:
            return self.labels.index(label)
        known = {name.casefold(): name for name in self.labels}
        near = get_close_matches(label.casefold(), known, n=1)
        hint = f" Did you mean {known[near[0]]!r}?" if near else ""
        raise LabelError(
            f"the classifier has no label {label!r}.{hint} It has: {', '.join(self.labels)}."
        )


class LabelFilters:
    """The labels and the filtered vectors of one collection; any thread may ask for them.

    Both are found by what a picture *is*: ids are never used again, and the vector of a picture in
    a space never changes. So what was computed once holds as long as the picture is there.

    Parameters
    ----------
    database, catalogue, stores
        The collection.
    """

    def __init__(self, database: Database, catalogue: Catalogue, stores: Stores) -> None:
        self._database = database
        self._catalogue = catalogue
        self._stores = stores
        # By identity, which the entry keeps from being used again for another classifier.
        self._labelled: OrderedDict[int, tuple[PictureClassifier, int, PictureLabels]] = (
            OrderedDict()
        )
        self._scans: OrderedDict[tuple[int, bytes], tuple[Scan, int]] = OrderedDict()
        self._lock = threading.Lock()

    def space(self, classifier: PictureClassifier) -> Space:
        """Return the space that a classifier reads, or raise `FingerprintMismatchError`."""
        space = self._catalogue.space(classifier.fingerprint)
        if space is None:
            models = ", ".join(self._catalogue.models())
            raise FingerprintMismatchError(
                f"the classifier reads embeddings of {classifier.fingerprint}, and the collection "
                f"in {self._database.folder} has those of: {models or 'no encoder yet'}. Index "
                f"the pictures with {classifier.encoder} too, or learn the classifier anew."
            )
        return space

    def labels(self, classifier: PictureClassifier) -> PictureLabels:
        """Return the labels of all pictures that have a vector for the classifier to read."""
        store = self._stores(self.space(classifier))
        key = id(classifier)
        with self._database.read():
            revision = self._catalogue.revision()
            with self._lock:
                kept = self._labelled.get(key)
                if kept is None or kept[1] != revision:
                    labels = _brought_up_to_date(kept and kept[2], classifier, store)
                    kept = self._labelled[key] = classifier, revision, labels
                self._labelled.move_to_end(key)
                while len(self._labelled) > _CLASSIFIERS:
                    self._labelled.popitem(last=False)
        return kept[2]

    def showing(self, shows: Sequence[Shows], category: str | None) -> Keys:
        """Return the ids of the pictures that fulfil every condition, at least one, rising."""
        parts = [self.labels(one.classifier).having(one.labels, one.at_least) for one in shows]
        if category is not None:
            parts.append(np.array(self._catalogue.ids(category), np.int64))
        return reduce(partial(np.intersect1d, assume_unique=True), parts)

    def nearest(
        self,
        vector: NDArray[np.float32],
        k: int,
        ids: Keys,
        space: Space,
        exclude: Sequence[int] = (),
        store: VectorStore | None = None,
    ) -> list[tuple[int, float]]:
        """Return at most `k` ``(id, cosine)`` among some pictures, best first, ties by id.

        Parameters
        ----------
        vector
            What is looked for, ``(dim,)``.
        k
            How many.
        ids
            The pictures, rising.
        space
            Where vectors are compared; pictures that have none there are no hits.
        exclude
            Pictures that are left out.
        store
            The vectors of that space which are meant; by default those of the pictures. With those
            of their parts, the ids are the parts'.
        """
        store = store or self._stores(space)
        query = checked_rows(vector[None], 1, space.dim)[0]
        hits: list[tuple[int, float]] = []
        needed = k + len(exclude)
        for scan in self._filled(ids, space, store):
            wanted = needed
            while True:
                near = scan.nearest(query, wanted).keys
                found, rows = present(store, np.sort(near))
                # A server loses vectors a moment before the collection loses their pictures.
                lost = len(near) - len(found)
                if wanted - lost >= needed or len(near) == len(scan):
                    break
                wanted *= 4
            hits += zip(found.tolist(), cosines(rows, query), strict=True)
        left_out = set(exclude)
        hits = [hit for hit in hits if hit[0] not in left_out]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

    def _filled(self, ids: Keys, space: Space, store: VectorStore) -> Iterator[Scan]:
        """Yield the vectors of some pictures: all at once where they may stay in memory."""
        size = 2 * space.dim * len(ids)
        if size > _KEPT_BYTES:
            for start in range(0, len(ids), _AT_ONCE):
                yield _scan(ids[start : start + _AT_ONCE], space, store)
            return
        # A store stays as long as its collection is open.
        key = id(store), ids.tobytes()
        with self._lock:
            kept = self._scans.pop(key, None) or (_scan(ids, space, store), size)
            self._scans[key] = kept
            while (
                len(self._scans) > _SCANS
                or sum(held for _, held in self._scans.values()) > _KEPT_BYTES
            ):
                self._scans.popitem(last=False)
        yield kept[0]


def cosines(rows: Embeddings, vector: NDArray[np.float32]) -> list[float]:
    """Return the cosines of rows ``(n, dim)`` with a vector ``(dim,)``, all of length 1."""
    # Summed row by row, as a search without a filter does: equal vectors, equal scores.
    scores = np.clip((rows.astype(np.float64) * vector).sum(axis=1), -1, 1)
    return cast(list[float], scores.tolist())


def present(store: VectorStore, ids: Keys) -> tuple[Keys, Embeddings]:
    """Return those of the pictures that have a vector, ``(m,)``, and the vectors ``(m, dim)``."""
    wanted = ids.tolist()
    try:
        return ids, store.get(wanted)
    except KeyError:
        known = store.known(wanted)
        held = [picture_id for picture_id in wanted if picture_id in known]
        return np.array(held, np.int64), store.get(held)


def _brought_up_to_date(
    before: PictureLabels | None, classifier: PictureClassifier, store: VectorStore
) -> PictureLabels:
    """Return the labels of what is there now, computing those that are new."""
    here = np.array(store.ids(), np.int64)
    if before is None:
        nothing = np.empty(0, np.int64)
        before = PictureLabels(
            classifier.labels, nothing, nothing.astype(np.int32), nothing.astype(np.float32)
        )
    stays = np.isin(before.ids, here, assume_unique=True)
    fresh = here[~np.isin(here, before.ids, assume_unique=True)]
    ids = [before.ids[stays]]
    best = [before.best[stays]]
    shares = [before.probabilities[stays]]
    for start in range(0, len(fresh), _AT_ONCE):
        found, rows = present(store, fresh[start : start + _AT_ONCE])
        probable = classifier.probabilities(rows)
        ids.append(found)
        best.append(probable.argmax(axis=1).astype(np.int32))
        shares.append(probable.max(axis=1))
    joined = np.concatenate(ids)
    order = joined.argsort()
    return PictureLabels(
        labels=classifier.labels,
        ids=joined[order],
        best=np.concatenate(best)[order],
        probabilities=np.concatenate(shares)[order],
    )


def _scan(ids: Keys, space: Space, store: VectorStore) -> Scan:
    """Return the vectors of some pictures, to be compared with a query."""
    scan = Scan(space.dim)
    scan.reserve(len(ids))
    for start in range(0, len(ids), _AT_ONCE):
        found, rows = present(store, ids[start : start + _AT_ONCE])
        scan.extend(found.tolist(), [row.tobytes() for row in rows.astype("<f2")])
    return scan
