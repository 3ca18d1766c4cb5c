"""What every classifier answers, whether it learned from words or from examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareja.classifiers.classification import Classification
from pareja.embedding.embedded import Embedded
from pareja.embedding.natural import Cache, Model, embed, vectors_of
from pareja.encoders.protocols import Embeddings, Fingerprint
from pareja.errors import ImageError
from pareja.inputs import Pictures


class Predictor(ABC):
    """The protocol of classifiers, in the names of scikit-learn.

    Attributes
    ----------
    labels
        What pictures may show.
    """

    labels: tuple[str, ...]

    @property
    @abstractmethod
    def space(self) -> Fingerprint:
        """The space of the pictures that it reads."""

    @property
    @abstractmethod
    def embedder(self) -> Model:
        """What embeds pictures for it, or its name."""

    @abstractmethod
    def classified(self, rows: Embeddings) -> Classification:
        """Say what pictures show whose embeddings, ``(n, dim)``, are known to be of `space`."""

    @abstractmethod
    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write the classifier to one file, which `pareja.load_classifier` reads."""

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The labels, ``(k,)``, in the order of the columns of `predict_proba`."""
        return np.array(self.labels)

    def predict(
        self,
        pictures: Pictures | Embedded | NDArray[np.floating],
        *,
        space: Fingerprint | None = None,
        cache: Cache = True,
    ) -> Any:
        """Return the label of each picture.

        Parameters
        ----------
        pictures
            One picture or many, in every form that `pareja.embed` takes; or what it returned.
        space
            The fingerprint of the encoder that made `pictures`, where these are bare vectors.
        cache
            Whether embeddings are looked up in the user's cache, and kept there; or the
            `pareja.embedding.EmbeddingCache` to use.

        Returns
        -------
        ndarray
            ``(n,)`` labels; one label where one picture was given. None stands for a picture that
            shows none of them. Where a picture may have several labels, tuples of them.

        Raises
        ------
        ImageError
            If a picture cannot be read, since every picture gets an answer.
        FingerprintMismatchError
            If vectors were given that lie in another space.
        InputError
            If something else was given.
        """
        embedded = self._embedded(pictures, space, cache)
        result = self.classified(embedded.rows)
        answers = np.empty(len(embedded), object)
        for row in range(len(embedded)):
            assigned = result.assigned(row)
            answers[row] = assigned if result.multi_label else next(iter(assigned), None)
        return answers[0] if embedded.one else answers

    def predict_proba(
        self,
        pictures: Pictures | Embedded | NDArray[np.floating],
        *,
        space: Fingerprint | None = None,
        cache: Cache = True,
    ) -> NDArray[np.float32]:
        """Return how probable each label is for each picture.

        Parameters
        ----------
        pictures
            One picture or many, in every form that `pareja.embed` takes; or what it returned.
        space
            The fingerprint of the encoder that made `pictures`, where these are bare vectors.
        cache
            Whether embeddings are looked up in the user's cache, and kept there; or the
            `pareja.embedding.EmbeddingCache` to use.

        Returns
        -------
        ndarray
            ``(n, k)`` in [0, 1], columns in the order of `classes_`; ``(k,)`` where one picture
            was given. Rows sum to 1 unless each label has a probability of its own.

        Raises
        ------
        ImageError
            If a picture cannot be read, since every picture gets an answer.
        FingerprintMismatchError
            If vectors were given that lie in another space.
        InputError
            If something else was given.
        """
        embedded = self._embedded(pictures, space, cache)
        shares = self.classified(embedded.rows).probabilities
        return shares[0] if embedded.one else shares

    def _embedded(
        self,
        pictures: Pictures | Embedded | NDArray[np.floating],
        space: Fingerprint | None,
        cache: Cache,
    ) -> Embedded:
        known = vectors_of(pictures, space)
        embedded = embed(pictures, self.embedder, cache=cache) if known is None else known
        if embedded.skipped and known is None:
            raise ImageError(*embedded.skipped[0])
        embedded.require(self.space, "the classifier reads")
        return embedded
