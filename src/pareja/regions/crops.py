"""Regions of any image encoder, by embedding overlapping crops one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image

from pareja.arrays import unit
from pareja.encoders.protocols import (
    Embeddings,
    ImageEncoder,
    Pixels,
    Rectangle,
    RegionEmbeddings,
    RegionEncoder,
)

GRID = 6
"""Cells along each side."""

_WIDE = 2
# A window is embedded at the encoder's own size; twice that holds enough detail for the windows.
_CANVAS = 2


@dataclass(frozen=True)
class CropRegions:
    """A `RegionEncoder` over an encoder that only embeds whole pictures.

    The picture is squashed to a square and divided into 6 x 6 cells. Every window of 2 x 2 cells is
    embedded by itself, and a cell is the mean of the windows that cover it. That takes 26 times as
    long as embedding the picture, and a window has lost what is around it.

    Parameters
    ----------
    encoder
        What embeds the windows.
    """

    encoder: ImageEncoder

    @property
    def name(self) -> str:
        """How the encoder is called in commands and messages."""
        return self.encoder.name

    def prepare(self, image: Image.Image) -> Pixels:
        """Squash one RGB picture to a square of twice the side that the encoder sees."""
        side = _CANVAS * self.encoder.image_side
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))

    def seen(self, width: int, height: int) -> Rectangle:
        """Return which part of a picture is seen: all of it."""
        return 0.0, 0.0, float(width), float(height)

    def encode_regions(self, pixels: Pixels) -> RegionEmbeddings:
        """Embed prepared pictures ``(n, side, side, 3)`` and the windows of each.

        Returns
        -------
        RegionEmbeddings
            ``(n, dim)`` and ``(n, 6, 6, dim)``; cells are means of embeddings of length 1.
        """
        found = [self._regions(Image.fromarray(picture)) for picture in pixels]
        return RegionEmbeddings(
            np.stack([picture for picture, _ in found]), np.stack([cells for _, cells in found])
        )

    def _regions(self, picture: Image.Image) -> tuple[Embeddings, Embeddings]:
        edges = np.linspace(0, picture.width, GRID + 1)
        places = [(row, col) for row in range(GRID - 1) for col in range(GRID - 1)]
        windows = [
            picture.crop(
                tuple(map(round, (edges[c], edges[r], edges[c + _WIDE], edges[r + _WIDE])))
            )
            for r, c in places
        ]
        prepared = np.stack([self.encoder.prepare(image) for image in (picture, *windows)])
        vectors = self.encoder.encode_pixels(prepared)
        cells = np.zeros((GRID, GRID, vectors.shape[1]), np.float32)
        covered = np.zeros((GRID, GRID, 1), np.float32)
        for (row, col), vector in zip(places, vectors[1:], strict=True):
            cells[row : row + _WIDE, col : col + _WIDE] += vector
            covered[row : row + _WIDE, col : col + _WIDE] += 1
        return unit(vectors[0]), cells / covered


def region_encoder(encoder: ImageEncoder) -> RegionEncoder:
    """Return an encoder's own regions where its network gives them, or else those of crops.

    Examples
    --------
    >>> from pareja.encoders import load
    >>> region_encoder(load("starter")).seen(400, 300)
    (0.0, 0.0, 400.0, 300.0)
    """
    own = getattr(encoder, "regions", None)
    return CropRegions(encoder) if own is None else cast(RegionEncoder, own)
