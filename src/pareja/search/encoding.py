"""Which encoder answers a query: the one that is given, or the collection's own."""

from __future__ import annotations

import os
from pathlib import Path

from pareja import encoders
from pareja.embedding.natural import Model
from pareja.encoders import ImageEncoder, require_images
from pareja.encoders.origins import is_model_folder, origin_of
from pareja.errors import CollectionError, EncoderError, FingerprintMismatchError
from pareja.search.catalogue import Catalogue
from pareja.search.spaces import Space

FIRST_MODEL = "starter"
"""What pictures are indexed with where nobody says otherwise: it needs no download."""


class Encoders:
    """The encoders of one collection; each is loaded once.

    Parameters
    ----------
    catalogue
        Of the collection.
    folder
        Where it is, for messages.
    """

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self._catalogue = catalogue
        self._folder = folder
        self._loaded: dict[tuple[str, str | None], ImageEncoder] = {}

    def to_index(self, model: Model | None, device: str | None) -> ImageEncoder:
        """Return the encoder that pictures are to be embedded with, as it is now.

        Raises
        ------
        EncoderError
            If it cannot be loaded, or embeds no pictures.
        """
        if model is None:
            first = next(iter(self._catalogue.spaces()), None)
            return self._load(FIRST_MODEL if first is None else first.origin, device)
        return self._load(self._known_origin(model), device)

    def to_search(self, model: Model | None, device: str | None) -> ImageEncoder:
        """Return the encoder that a query is to be embedded with.

        Raises
        ------
        CollectionError
            If the collection holds no pictures, or its own encoder cannot be loaded.
        EncoderError
            If another one cannot be loaded, or embeds no pictures.
        FingerprintMismatchError
            If the collection's own encoder is another one by now.
        """
        if model is not None:
            return self._load(self._known_origin(model), device)
        first = next(iter(self._catalogue.spaces()), None)
        if first is None:
            raise self._catalogue.nothing_yet()
        try:
            encoder = self._load(first.origin, device)
        except EncoderError as error:
            raise CollectionError(
                f"the pictures in {self._folder} were embedded by {first.origin}, which cannot be "
                f"loaded: {error} Name another encoder as model, or give the encoder itself."
            ) from error
        if self._catalogue.space(encoder.image_fingerprint) is None:
            raise FingerprintMismatchError(
                f"the pictures in {self._folder} were embedded by {_called(first)}, and "
                f"{first.origin} is {encoder.image_fingerprint} now. Index them again, or give the "
                "encoder that embedded them."
            )
        return encoder

    def _known_origin(self, model: Model) -> Model:
        """Return where a model of the collection is that is named as it was when it was indexed."""
        if isinstance(model, str) and not is_model_folder(model):
            for space in self._catalogue.spaces():
                if space.model == model:
                    return space.origin
        return model

    def _load(self, model: Model, device: str | None) -> ImageEncoder:
        if not isinstance(model, str | os.PathLike):
            encoder = require_images(encoders.load(model, device=device))
            # It answers from now on where none is named.
            self._loaded[origin_of(encoder), None] = encoder
            return encoder
        key = os.fspath(model), device
        if key not in self._loaded:
            self._loaded[key] = require_images(encoders.load(model, device=device))
        return self._loaded[key]


def _called(space: Space) -> str:
    return str(space.whole_fingerprint or f"{space.model}@{space.fingerprint}")
