"""Pictures that visitors search by. They stay in memory, and the oldest make room."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from PIL import Image

from pareja.datasets.images import decode_image, image_size
from pareja.encoders.protocols import Embeddings, ImageEncoder
from pareja.errors import ImageError
from pareja.server.problems import Problem
from pareja.server.thumbnails import to_webp

PREVIEW_SIDE = 320
"""Longest side of the preview that a page shows, in pixels."""

_KEPT = 64
_NETWORK_SIDE = 512
_ANY_SIZE = 1 << 62
_DATA_URL = re.compile(r"data:image/[\w.+-]+(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)


@dataclass
class Upload:
    """A picture that somebody searches by.

    Parameters
    ----------
    id
        How URLs name it; it cannot be guessed.
    image
        Decoded, and reduced where it was a large JPEG.
    preview
        A small WebP of it.
    vectors
        Its embeddings so far, ``(1, dim)`` each, by fingerprint.
    """

    id: str
    image: Image.Image
    preview: bytes
    vectors: dict[str, Embeddings] = field(default_factory=dict)

    def embedding(self, encoder: ImageEncoder) -> Embeddings:
        """Return its embedding by an encoder, ``(1, dim)``."""
        key = encoder.image_fingerprint.digest
        if key not in self.vectors:
            self.vectors[key] = encoder.encode_images([self.image])
        return self.vectors[key]


class Uploads:
    """The last pictures that visitors searched by.

    Parameters
    ----------
    max_pixels
        Largest picture, width times height.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
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
            If it is too large; if it is no picture, or damaged.
        """
        image = decode_upload(encoded, name, self._max_pixels)
        image.thumbnail((2 * _NETWORK_SIDE, 2 * _NETWORK_SIDE), Image.Resampling.LANCZOS)
        upload = Upload(secrets.token_urlsafe(9), image, to_webp(image.copy(), PREVIEW_SIDE))
        with self._lock:
            self._kept[upload.id] = upload
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return upload

    def get(self, id: str) -> Upload | None:  # noqa: A002  what its URL calls it
        """Return a picture that is still kept, or None."""
        with self._lock:
            return self._kept.get(id)


def decode_upload(encoded: bytes, name: str, max_pixels: int) -> Image.Image:
    """Decode a picture that came over the network.

    Parameters
    ----------
    encoded
        The bytes of a picture file.
    name
        What an error calls it.
    max_pixels
        Largest width times height; the size is read from the header, before any memory is taken.

    Raises
    ------
    Problem, ImageError
        If it is too large; if it is no picture, or damaged.
    """
    width, height = image_size(encoded, max_pixels=_ANY_SIZE, name=name)
    if width * height > max_pixels:
        limit = f"{max_pixels / 1e6:.0f}"
        raise Problem(413, "pixels", name=name, width=width, height=height, limit=limit)
    return decode_image(encoded, network_side=_NETWORK_SIDE, max_pixels=max_pixels, name=name)


def decode_data_url(url: str, name: str, max_pixels: int) -> Image.Image:
    """Decode a picture that is written as ``data:image/png;base64,...``.

    Parameters and errors are those of `decode_upload`.
    """
    match = _DATA_URL.match(url)
    if match is None:
        raise ImageError(name, "is no data URL of a picture, as in data:image/png;base64,...")
    try:
        encoded = base64.b64decode(url[match.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(name, "is not valid base64") from error
    return decode_upload(encoded, name, max_pixels)
