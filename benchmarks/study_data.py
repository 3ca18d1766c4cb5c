"""Made-up embeddings, and a dataset and encoders that have them: what the cost of studies needs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.encoders.bases import ImageEncoderBase, TextEncoderBase
from pareja.encoders.protocols import EncoderPair, Fingerprint, Pixels

CAPTIONS = 5
DIM, FOREIGN_DIM = 512, 384
KINDS = 10

Rows = NDArray[np.float32]


def world(n: int) -> tuple[Rows, Rows, Rows]:
    """Return embeddings of n pictures and five captions each, which share 64 directions.

    Returns
    -------
    images, captions, foreign : tuple
        Pictures ``(n, 512)``, their captions in the same space ``(5 n, 512)``, and these in
        another, ``(5 n, 384)``.
    """
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((n, 64))
    owner = np.repeat(np.arange(n), CAPTIONS)

    def rows(mixing: NDArray[np.float64], of: NDArray[np.intp], noise: float) -> Rows:
        raw = shared[of] @ mixing
        raw += noise * rng.standard_normal(raw.shape)
        raw /= np.linalg.norm(raw, axis=1, keepdims=True)
        return raw.astype(np.float32)

    own, other = rng.standard_normal((64, DIM)), rng.standard_normal((64, FOREIGN_DIM))
    return rows(own, np.arange(n), 6.0), rows(own, owner, 8.0), rows(other, owner, 8.0)


def write_dataset(n: int, folder: Path) -> Path:
    """Write n small pictures with five captions each; their colour says which one it is."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = []
    for i in range(n):
        pixels = np.empty((48, 64, 3), np.uint8)
        pixels[:] = rng.integers(60, 200, 3)
        pixels[16:40, 12:52] = rng.integers(0, 255, 3)
        pixels[0, 0] = divmod(i, 256 * 256)[0], i // 256 % 256, i % 256
        name = f"{i:05}.png"
        Image.fromarray(pixels).save(folder / "images" / name)
        texts = [f"A box on a wall that is no other, number {i}.{k}" for k in range(CAPTIONS)]
        row = {"file_name": f"images/{name}", "captions": texts, "category": f"kind {i % KINDS}"}
        lines.append(json.dumps(row))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@dataclass(frozen=True)
class MadeUpImages(ImageEncoderBase):
    """Looks up a picture's embedding by its first pixel."""

    name: str
    rows: Rows
    image_side: int = 16

    @property
    def image_dim(self) -> int:
        return int(self.rows.shape[1])

    @property
    def image_fingerprint(self) -> Fingerprint:
        return Fingerprint(self.name, str(len(self.rows)), "none", "none")

    def prepare(self, image: Image.Image) -> Pixels:
        first = np.asarray(image)[0, 0]
        return np.broadcast_to(first, (self.image_side, self.image_side, 3)).astype(np.uint8)

    def _embed_pixels(self, pixels: Pixels) -> Rows:
        codes = pixels[:, 0, 0].astype(np.intp)
        found: Rows = self.rows[codes @ np.array([256 * 256, 256, 1])]
        return found


@dataclass(frozen=True)
class MadeUpTexts(TextEncoderBase):
    """Looks up a caption's embedding by its number; other words around it move it a little."""

    name: str
    captions: Rows

    @property
    def text_dim(self) -> int:
        return int(self.captions.shape[1])

    @property
    def text_fingerprint(self) -> Fingerprint:
        return Fingerprint(self.name, str(len(self.captions)), "none", "none")

    def _embed_texts(self, texts: Sequence[str]) -> Rows:
        found = np.empty((len(texts), self.text_dim), np.float32)
        for place, text in enumerate(texts):
            picture, which = map(int, re.findall(r"(\d+)\.(\d+)", text)[0])
            found[place] = self.captions[picture * CAPTIONS + which]
            if not text.startswith("A box"):
                noise = np.random.default_rng([picture, which, len(text)])
                found[place] += 0.02 * noise.standard_normal(self.text_dim)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found


@dataclass(frozen=True)
class MadeUpDual(MadeUpImages, MadeUpTexts):
    """One space for both."""

    kind: Literal["dual"] = "dual"
    loss: Literal["softmax", "sigmoid"] = "softmax"

    @property
    def text_fingerprint(self) -> Fingerprint:
        return self.image_fingerprint

    def logits(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.asarray(100 * similarity, dtype=np.float32)


def encoders(n: int) -> tuple[MadeUpDual, EncoderPair]:
    """Return a dual encoder and a pair of encoders for the dataset of that size."""
    images, captions, foreign = world(n)
    dual = MadeUpDual(name="dual", captions=captions, rows=images)
    pair = EncoderPair(
        "pictures+words", MadeUpImages("pictures", images), MadeUpTexts("words", foreign)
    )
    return dual, pair
