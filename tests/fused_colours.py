"""A fused encoder that is fast enough for every test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from tests.conftest import ColourEncoder

from pareja.arrays import unit
from pareja.encoders.protocols import Embeddings, Pixels


@dataclass(frozen=True)
class FusedColours(ColourEncoder):
    """Two parts of a picture's colour and one of that of its text, or the other way round.

    It keeps what it was asked for: texts, and whether they were searched with.
    """

    name: str = "fused-colours"
    asked: list[tuple[str, bool]] = field(default_factory=list)

    def encode_fused_pixels(
        self, pixels: Pixels, texts: Sequence[str], *, query: bool = False
    ) -> Embeddings:
        self.asked.extend((text, query) for text in texts)
        seen, said = self.encode_pixels(pixels), self.encode_texts(texts)
        return unit(seen + 2 * said if query else 2 * seen + said)

    def encode_fused(
        self,
        images: Image.Image | Sequence[Image.Image],
        texts: str | Sequence[str],
        *,
        query: bool = False,
    ) -> Embeddings:
        assert isinstance(images, Image.Image)
        assert isinstance(texts, str)
        pixels: Pixels = np.asarray(self.prepare(images))[None]
        row: Embeddings = self.encode_fused_pixels(pixels, [texts], query=query)[0]
        return row
