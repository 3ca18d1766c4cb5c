"""The windows of a picture that are embedded one by one, so that small things in it are found.

`benchmarks/regions.py` measures how much better that is, and what smaller windows would bring.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from pareja.encoders.bases import ImageEncoderBase
from pareja.encoders.protocols import Embeddings, Fingerprint, ImageEncoder, Pixels, Rectangle
from pareja.regions.parts import cut_out


def overlapping(across: int) -> tuple[Rectangle, ...]:
    """Return windows of an n-th of a picture's sides, each half over the next one.

    Parameters
    ----------
    across
        How many lie side by side without overlapping, at least 2.

    Returns
    -------
    tuple of Rectangle
        ``(2 * across - 1) ** 2`` of them, row by row, as fractions of the picture's sides.

    Examples
    --------
    >>> overlapping(2)[:3]
    ((0.0, 0.0, 0.5, 0.5), (0.25, 0.0, 0.5, 0.5), (0.5, 0.0, 0.5, 0.5))
    """
    side = 1 / across
    steps = [step * side / 2 for step in range(2 * across - 1)]
    return tuple((left, top, side, side) for top in steps for left in steps)


WINDOWS = overlapping(2)
"""The parts of a picture that a collection can have vectors of: nine, a quarter of it each."""


def window(number: int, size: tuple[int, int]) -> Rectangle:
    """Return where one of the `WINDOWS` is, in pixels of a picture of some width and height.

    Examples
    --------
    >>> window(8, (800, 600))
    (400.0, 300.0, 400.0, 300.0)
    """
    left, top, width, height = WINDOWS[number]
    return left * size[0], top * size[1], width * size[0], height * size[1]


@dataclass(frozen=True)
class WindowsEncoder(ImageEncoderBase):
    """Embeds windows of a picture, one after the other in one long row.

    To whatever embeds and caches pictures it is an encoder like others, with a space of its own.

    Parameters
    ----------
    encoder
        What embeds each window.
    windows
        As fractions of the picture's sides, all of one size.
    """

    encoder: ImageEncoder
    windows: tuple[Rectangle, ...] = WINDOWS

    @property
    def name(self) -> str:
        """How the encoder is called in commands and messages."""
        return self.encoder.name

    @property
    def image_dim(self) -> int:
        """Length of a row: the windows' vectors one after the other."""
        return len(self.windows) * self.encoder.image_dim

    @property
    def image_side(self) -> int:
        """Side of a square in which each window has the side that the encoder sees."""
        return round(self.encoder.image_side / min(self.windows[0][2:]))

    @cached_property
    def image_fingerprint(self) -> Fingerprint:
        """The encoder's own, with the windows that it is applied to."""
        own = self.encoder.image_fingerprint
        return replace(own, pooling=f"{own.pooling}, in windows {self.windows}")

    def prepare(self, image: Image.Image) -> Pixels:
        """Return what the encoder sees of each window, ``(windows, side, side, 3)``."""
        return np.stack([self.encoder.prepare(cut_out(image, box)) for box in self.windows])

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        vectors = self.encoder.encode_pixels(pixels.reshape(-1, *pixels.shape[2:]))
        return vectors.reshape(len(pixels), -1)
