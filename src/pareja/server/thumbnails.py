"""Pictures as browsers get them: small, upright, and without what cameras wrote into them."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import IntEnum
from threading import Lock

from PIL import Image

from pareja.search.contracts import Picture


class ThumbnailSize(IntEnum):
    """Longest sides, in pixels, that a picture is sent in."""

    TINY = 128
    SMALL = 320
    MEDIUM = 640
    LARGE = 1600


_CACHE_BYTES = 96 * 2**20


class Thumbnails:
    """Makes thumbnails when they are asked for, and keeps the last ones.

    The pictures' own files never leave the machine: what is sent is decoded and encoded anew, so
    that no place, camera or name goes with it, and no browser meets a file that lies.

    Parameters
    ----------
    opened
        Decodes a picture, to be seen so many pixels wide.
    """

    def __init__(
        self, opened: Callable[[Picture, int], AbstractContextManager[Image.Image]]
    ) -> None:
        self._opened = opened
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, picture: Picture, size: int) -> bytes:
        """Return a picture as WebP, its longer side at most `size` pixels.

        Parameters
        ----------
        picture
            Of the collection.
        size
            Such as a `ThumbnailSize`.

        Raises
        ------
        Problem
            If its file is gone, another one or damaged; if memory is short for too long.
        """
        key = picture.digest, size
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._opened(picture, size) as image:
            encoded = to_webp(image, size)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = encoded
                self._bytes += len(encoded)
            while self._bytes > _CACHE_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return encoded


def to_webp(image: Image.Image, size: int) -> bytes:
    """Return a picture as WebP, its longer side at most `size` pixels; `image` may shrink."""
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=82, method=2)
    return stream.getvalue()
