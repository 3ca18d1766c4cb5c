"""Pictures that visitors search by. They stay in memory, and the oldest make room."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from PIL import Image

from pareja.datasets.images import image_size
from pareja.encoders.protocols import Embeddings, ImageEncoder
from pareja.regions.parts import cut_out
from pareja.server.decoding import NETWORK_SIDE, Decoder
from pareja.server.thumbnails import to_webp

PREVIEW_SIDE = 320
"""Longest side of the preview that a page shows, in pixels."""

Box = tuple[float, ...]

_KEPT = 64
_VECTORS = 32


@dataclass
class Upload:
    """A picture that somebody searches by.

    Parameters
    ----------
    id
        How URLs name it; it cannot be guessed.
    image
        Decoded, and reduced where it was a large JPEG.
    size
        Width and height of the upright picture before that.
    preview
        A small WebP of it.
    vectors
        Its embeddings so far and those of its parts, ``(1, dim)`` each, by fingerprint and box.
    """

    id: str
    image: Image.Image
    size: tuple[int, int]
    preview: bytes
    vectors: dict[tuple[str, Box], Embeddings] = field(default_factory=dict)

    def large(self) -> bytes:
        """Return a WebP of it in which a part can be marked."""
        return to_webp(self.image.copy(), 2 * NETWORK_SIDE)

    def embedding(self, encoder: ImageEncoder, box: Box = ()) -> Embeddings:
        """Return the embedding by an encoder, ``(1, dim)``, of all of it or of a part.

        Raises
        ------
        BoxError
            If it has no such part.
        """
        key = encoder.image_fingerprint.digest, box
        if key not in self.vectors:
            part = cut_out(self.image, box, self.size) if box else self.image
            while len(self.vectors) >= _VECTORS:
                self.vectors.pop(next(iter(self.vectors)), None)
            self.vectors[key] = encoder.encode_images([part])
        return self.vectors[key]


class Uploads:
    """The last pictures that visitors searched by.

    Parameters
    ----------
    decoder
        Decodes them.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = Lock()

    def add(self, encoded: bytes, name: str) -> Upload:
        """Decode a picture and keep it.

        Parameters
        ----------
        encoded
            The bytes of a picture file.
        name
            What an error calls it.

        Raises
        ------
        Problem, ImageError
            If it is too large, or memory is short for too long; if it is no picture, or damaged.
        """
        with self._decoder.upload(encoded, name) as image:
            image.thumbnail((2 * NETWORK_SIDE, 2 * NETWORK_SIDE), Image.Resampling.LANCZOS)
        preview = to_webp(image.copy(), PREVIEW_SIDE)
        upload = Upload(secrets.token_urlsafe(9), image, image_size(encoded), preview)
        with self._lock:
            self._kept[upload.id] = upload
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return upload

    def get(self, id: str) -> Upload | None:  # noqa: A002  what its URL calls it
        """Return a picture that is still kept, or None."""
        with self._lock:
            return self._kept.get(id)
