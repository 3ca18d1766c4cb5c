"""The one door through which a server decodes pictures, and the memory that they share."""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from PIL import Image

from pareja.data_urls import read_inline
from pareja.datasets.images import DEFAULT_MAX_PIXELS, decode_image, image_size
from pareja.datasets.signatures import HEAD_BYTES, picture_format
from pareja.regions.parts import GivenBox, cut_out, side_for
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
    def upload(
        self, encoded: bytes, name: str, box: GivenBox | None = None
    ) -> Iterator[Image.Image]:
        """Decode a picture that came over the network.

        Parameters
        ----------
        encoded
            The bytes of a picture file.
        name
            What an error calls it.
        box
            The part of it that is wanted; None for all of it.

        Yields
        ------
        PIL.Image.Image
            Mode RGB. It is to be let go when the context ends, since its memory counts no more.

        Raises
        ------
        Problem, ImageError
            If it is too large, or memory is short for too long; if it is no picture, or damaged.
        BoxError
            If it has no such part.
        """
        # The size is in the header, which is read before any memory is taken.
        width, height = image_size(encoded, max_pixels=_ANY_SIZE, name=name)
        if width * height > self._pixels:
            limit = f"{self._pixels / 1e6:.0f}"
            raise Problem(413, "pixels", name=name, width=width, height=height, limit=limit)
        with self._decoded(
            encoded, name, (width, height), NETWORK_SIDE, box, self._pixels
        ) as image:
            yield image

    @contextmanager
    def data_url(self, url: str, name: str, box: GivenBox | None = None) -> Iterator[Image.Image]:
        """Decode a picture that is written as ``data:image/png;base64,...``, as `upload` does.

        Raises
        ------
        Problem, ImageError, BoxError
            If `url` is no such URL, and whenever `upload` does.
        """
        with self.upload(read_inline(url, name), name, box) as image:
            yield image

    @contextmanager
    def stored(
        self, encoded: bytes, name: str, side: int, box: GivenBox | None = None
    ) -> Iterator[Image.Image]:
        """Decode a picture of the collection, or a part of it, to be seen at most `side` wide.

        A JPEG may come at a half, a quarter or an eighth of its size.

        Raises
        ------
        Problem, ImageError
            If memory is short for too long; if the file is no picture, or damaged.
        BoxError
            If it has no such part.
        """
        size = image_size(encoded, name=name)
        with self._decoded(encoded, name, size, side, box, DEFAULT_MAX_PIXELS) as image:
            yield image

    @contextmanager
    def _decoded(
        self,
        encoded: bytes,
        name: str,
        size: tuple[int, int],
        side: int,
        box: GivenBox | None,
        max_pixels: int,
    ) -> Iterator[Image.Image]:
        if box is not None:
            side = side_for(box, size, side)
        with self.budget.take(memory_of(encoded, size[0] * size[1])):
            image = decode_image(encoded, network_side=side, max_pixels=max_pixels, name=name)
            yield image if box is None else cut_out(image, box, size)
