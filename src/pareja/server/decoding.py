"""The one door through which a server decodes pictures, and the memory that they share."""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from PIL import Image

from pareja.data_urls import read_data_url
from pareja.datasets.images import decode_image, image_size
from pareja.datasets.signatures import HEAD_BYTES, picture_format
from pareja.server.problems import Problem
from pareja.server.settings import Limits
from pareja.server.turns import busy, patience_of_request

NETWORK_SIDE = 512
"""Side of the largest network input that uploads are decoded for, in pixels."""

BYTES_PER_PIXEL = 16
"""Most memory that decoding a pixel takes: its samples, their RGB, and copies of both, each with
the four bytes that Pillow gives a pixel. ``benchmarks/server_memory.py`` measures it."""

BYTES_PER_TIFF_PIXEL = 40
"""The same for TIFF, whose samples may be floats."""

_ANY_SIZE = 1 << 62
_M_MMAP_THRESHOLD = -3
_LARGE_BLOCK = 2**20


class MemoryBudget:
    """Memory that several threads share; each takes its part in the order in which they came.

    Parameters
    ----------
    total
        Bytes that may be taken at once.
    patience
        Seconds that a thread waits for its part, unless it works for a request that has waited
        before (`pareja.server.turns`).
    """

    def __init__(self, total: int, patience: float) -> None:
        self._total, self._patience = total, patience
        self._taken = 0
        self._waiting: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Hold an amount of bytes; what exceeds the total waits until nobody else holds any.

        Raises
        ------
        Problem
            503 with ``Retry-After``, if the amount does not become free in time.
        """
        amount = min(amount, self._total)
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                with patience_of_request(self._patience).waiting() as most:
                    free = self._changed.wait_for(
                        lambda: self._waiting[0] is turn and self._taken + amount <= self._total,
                        most,
                    )
                if not free:
                    raise busy()
                self._taken += amount
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()


def memory_of(encoded: bytes, pixels: int) -> int:
    """Return the bytes that decoding a picture file of so many pixels takes at most."""
    is_tiff = picture_format(encoded[:HEAD_BYTES]) == "TIFF"
    return pixels * (BYTES_PER_TIFF_PIXEL if is_tiff else BYTES_PER_PIXEL)


def give_freed_memory_back() -> None:
    """Have glibc return large blocks to the system as soon as they are freed, in all threads.

    By default it keeps them for the thread that freed them once it has seen a few: every thread
    that ever decoded a large picture would hold the memory of one, and no budget would count it.
    Other C libraries have no such setting, and nothing changes there.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


class Decoder:
    """Decodes pictures for all routes of a server, within one budget of memory.

    Parameters
    ----------
    limits
        Largest upload, the budget, and how long a request waits for its part of it.
    """

    def __init__(self, limits: Limits) -> None:
        give_freed_memory_back()
        self._pixels = limits.pixels
        self.budget = MemoryBudget(limits.decoded_bytes, limits.patience)

    @contextmanager
    def upload(self, encoded: bytes, name: str) -> Iterator[Image.Image]:
        """Decode a picture that came over the network.

        Parameters
        ----------
        encoded
            The bytes of a picture file.
        name
            What an error calls it.

        Yields
        ------
        PIL.Image.Image
            Mode RGB. It is to be let go when the context ends, since its memory counts no more.

        Raises
        ------
        Problem, ImageError
            If it is too large, or memory is short for too long; if it is no picture, or damaged.
        """
        # The size is in the header, which is read before any memory is taken.
        width, height = image_size(encoded, max_pixels=_ANY_SIZE, name=name)
        if width * height > self._pixels:
            limit = f"{self._pixels / 1e6:.0f}"
            raise Problem(413, "pixels", name=name, width=width, height=height, limit=limit)
        with self.budget.take(memory_of(encoded, width * height)):
            yield decode_image(
                encoded, network_side=NETWORK_SIDE, max_pixels=self._pixels, name=name
            )

    @contextmanager
    def data_url(self, url: str, name: str) -> Iterator[Image.Image]:
        """Decode a picture that is written as ``data:image/png;base64,...``, as `upload` does.

        Raises
        ------
        Problem, ImageError
            If `url` is no such URL, and whenever `upload` does.
        """
        with self.upload(read_data_url(url, name), name) as image:
            yield image

    @contextmanager
    def stored(self, encoded: bytes, name: str, side: int) -> Iterator[Image.Image]:
        """Decode a picture of the collection to be shown at most `side` pixels wide and high.

        A JPEG may come at a half, a quarter or an eighth of its size.

        Raises
        ------
        Problem, ImageError
            If memory is short for too long; if the file is no picture, or damaged.
        """
        width, height = image_size(encoded, name=name)
        with self.budget.take(memory_of(encoded, width * height)):
            yield decode_image(encoded, network_side=side, name=name)
