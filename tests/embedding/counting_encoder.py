"""An encoder that counts what it is asked, and can be slow; importable by child processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image

from pareja.encoders.bases import ImageEncoderBase, TextEncoderBase
from pareja.encoders.protocols import Embeddings, Fingerprint, Pixels


@dataclass
class CountingEncoder(ImageEncoderBase, TextEncoderBase):
    """Embeds a picture by its pixels and a text by its letters."""

    name: str = "counting"
    kind: Literal["dual"] = "dual"
    image_dim: int = 12
    text_dim: int = 12
    image_side: int = 2
    revision: str = "1"
    seconds: float = 0.0
    batches: list[int] = field(default_factory=list)
    text_batches: list[list[str]] = field(default_factory=list)

    @property
    def image_fingerprint(self) -> Fingerprint:
        return Fingerprint(self.name, self.revision, "2x2", "none")

    @property
    def text_fingerprint(self) -> Fingerprint:
        return self.image_fingerprint

    def prepare(self, image: Image.Image) -> Pixels:
        return np.asarray(image.resize((self.image_side, self.image_side)), np.uint8)

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        self.batches.append(len(pixels))
        time.sleep(self.seconds)
        return self._unit(pixels.reshape(len(pixels), -1).astype(np.float32) + 1)

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        self.text_batches.append(list(texts))
        rows = [np.bincount([ord(c) % 12 for c in text], minlength=12) + 1 for text in texts]
        return self._unit(np.array(rows, np.float32))

    @staticmethod
    def _unit(raw: Embeddings) -> Embeddings:
        result: Embeddings = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        return result
