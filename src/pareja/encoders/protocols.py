"""What every encoder promises, whatever network is inside."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.errors import some_of

Embeddings = NDArray[np.float32]
"""float32, shape ``(n, dim)``; rows have length 1 unless a name says ``raw``."""


Pixels = NDArray[np.uint8]
"""uint8 RGB in [0, 255], shape ``(side, side, 3)``, or ``(n, side, side, 3)`` for several."""


class TruncationWarning(UserWarning):
    """Texts are longer than what a network reads, and were cut."""


def warn_of_truncation(encoder: str, limit: str, texts: Sequence[str]) -> None:
    """Issue a `TruncationWarning` that names the texts.

    Parameters
    ----------
    encoder
        The encoder's name.
    limit
        How much it reads of a text, as in ``"77 tokens"``.
    texts
        The texts that were cut; none, no warning.
    """
    if not texts:
        return
    named = some_of([repr(text[:40] + "…") for text in texts], most=3)
    warnings.warn(
        f"{encoder} reads the first {limit} of a text and ignores the rest of {named}. "
        "Shorten such texts, or split them.",
        TruncationWarning,
        stacklevel=3,
    )


@dataclass(frozen=True)
class Fingerprint:
    """Identifies an embedding space.

    Two arrays of embeddings may be compared only if their fingerprints are equal.

    Parameters
    ----------
    model
        The model's id in the catalogue, its folder or its repository.
    revision
        Which weights: a commit, a package version or a digest of the file.
    preprocessing
        What happens to a picture or a text before the network sees it.
    pooling
        How the network's output becomes one vector.
    normalisation
        ``"l2"``, or ``"centred+l2"`` where a mean is taken away first.
    """

    model: str
    revision: str
    preprocessing: str
    pooling: str
    normalisation: str = "l2"

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for all fields."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.model}@{self.digest}"


@runtime_checkable
class ImageEncoder(Protocol):
    """Turns pictures into embeddings."""

    @property
    def name(self) -> str:
        """How the encoder is called in commands and messages."""
        ...

    @property
    def image_dim(self) -> int:
        """Length of a picture's embedding."""
        ...

    @property
    def image_side(self) -> int:
        """The side, in pixels, of the square that the network sees."""
        ...

    @property
    def image_fingerprint(self) -> Fingerprint:
        """The space that the embeddings of pictures lie in."""
        ...

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop one RGB picture to what the network sees, ``(side, side, 3)``.

        This is the part of the work that decoding threads do; it needs no model in memory.
        """
        ...

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """Embed prepared pictures, ``(n, side, side, 3)``; returns ``(n, image_dim)``.

        A picture's embedding does not depend on the other pictures of the batch.
        """
        ...

    def encode_images(self, images: Image.Image | Sequence[Image.Image]) -> Embeddings:
        """Embed RGB pictures of any size: ``(n, image_dim)``, or ``(image_dim,)`` for one.

        The same as ``prepare`` and then ``encode_pixels``. An empty list gives an array of shape
        ``(0, image_dim)``; what is no picture is a `TypeError`.
        """
        ...


Rectangle = tuple[float, float, float, float]
"""Left, top, width and height in pixels of an upright picture."""


@dataclass(frozen=True)
class RegionEmbeddings:
    """Pictures and their places, embedded in one pass.

    Parameters
    ----------
    pictures
        The pictures' own embeddings, ``(n, dim)``, of length 1.
    cells
        For each place of a picture a vector in the same space, ``(n, rows, cols, dim)``: the share
        of the picture's embedding that comes from that place, or the embedding of that place alone.
        Its product with a text's embedding says how much that place speaks for the text.
    """

    pictures: Embeddings
    cells: NDArray[np.float32]


@runtime_checkable
class RegionEncoder(Protocol):
    """Turns pictures into embeddings of their places."""

    @property
    def name(self) -> str:
        """How the encoder is called in commands and messages."""
        ...

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop one RGB picture to what the network sees, ``(side, side, 3)``."""
        ...

    def seen(self, width: int, height: int) -> Rectangle:
        """Return which part of a picture of that size the network sees, in the picture's pixels.

        The cells of `encode_regions` divide it evenly. It may end outside the picture, where the
        network sees black.
        """
        ...

    def encode_regions(self, pixels: Pixels) -> RegionEmbeddings:
        """Embed prepared pictures, ``(n, side, side, 3)``, and each of their places.

        A picture's rows do not depend on the other pictures of the batch.
        """
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into embeddings."""

    @property
    def name(self) -> str:
        """How the encoder is called in commands and messages."""
        ...

    @property
    def text_dim(self) -> int:
        """Length of a text's embedding."""
        ...

    @property
    def text_fingerprint(self) -> Fingerprint:
        """The space that the embeddings of texts lie in."""
        ...

    def encode_texts(self, texts: str | Sequence[str]) -> Embeddings:
        """Embed texts: ``(n, text_dim)``, or ``(text_dim,)`` for one.

        A text's embedding does not depend on the other texts of the batch. Texts longer than the
        network reads are truncated, with a warning that names them. What is no text is a
        `TypeError`.
        """
        ...


@runtime_checkable
class Encoder(ImageEncoder, TextEncoder, Protocol):
    """Both towers under one name: a dual encoder (one space) or an encoder pair (two spaces)."""

    @property
    def kind(self) -> Literal["dual", "pair"]:
        """Whether both towers share one space."""
        ...


AnyEncoder = Encoder | ImageEncoder | TextEncoder
"""It has ``encode_images``, ``encode_texts`` or both."""


@runtime_checkable
class DualEncoder(Encoder, Protocol):
    """One model, two towers, one space: ``image_fingerprint == text_fingerprint``."""

    @property
    def loss(self) -> Literal["softmax", "sigmoid"]:
        """How the model was trained, hence how its logits become probabilities."""
        ...

    def logits(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scale cosine similarities, shape ``(n_images, n_texts)``, into the model's logits."""
        ...


@runtime_checkable
class FusedEncoder(DualEncoder, Protocol):
    """A dual encoder that also makes one vector of a picture and a text together.

    That vector lies in the same space as those of pictures and of texts, and stands for both.
    """

    def encode_fused(
        self,
        images: Image.Image | Sequence[Image.Image],
        texts: str | Sequence[str],
        *,
        query: bool = False,
    ) -> Embeddings:
        """Embed RGB pictures, each with its text: ``(n, image_dim)``, or ``(image_dim,)`` for one.

        With `query` they are searched with, otherwise searched for: models put other words before
        the text.
        """
        ...

    def encode_fused_pixels(
        self, pixels: Pixels, texts: Sequence[str], *, query: bool = False
    ) -> Embeddings:
        """Embed prepared pictures, ``(n, side, side, 3)``, each with its text; ``(n, image_dim)``.

        A row does not depend on the other rows of the batch.
        """
        ...


@dataclass(frozen=True)
class EncoderPair:
    """An image encoder and a text encoder that never met: two spaces, no common axes.

    Written ``resnet50+distiluse`` on the command line. The dimensions may differ.
    """

    name: str
    image_encoder: ImageEncoder
    text_encoder: TextEncoder
    kind: Literal["pair"] = "pair"

    @property
    def image_dim(self) -> int:
        """Length of a picture's embedding."""
        return self.image_encoder.image_dim

    @property
    def image_side(self) -> int:
        """The side, in pixels, of the square that the image network sees."""
        return self.image_encoder.image_side

    @property
    def text_dim(self) -> int:
        """Length of a text's embedding."""
        return self.text_encoder.text_dim

    @property
    def image_fingerprint(self) -> Fingerprint:
        """The space of the image network."""
        return self.image_encoder.image_fingerprint

    @property
    def text_fingerprint(self) -> Fingerprint:
        """The space of the text network."""
        return self.text_encoder.text_fingerprint

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop one picture as the image network wants it, ``(side, side, 3)``."""
        return self.image_encoder.prepare(image)

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """Embed prepared pictures with the image network; ``(n, image_dim)``."""
        return self.image_encoder.encode_pixels(pixels)

    def encode_images(self, images: Image.Image | Sequence[Image.Image]) -> Embeddings:
        """Embed pictures with the image network: ``(n, image_dim)``, or ``(image_dim,)``."""
        return self.image_encoder.encode_images(images)

    def encode_texts(self, texts: str | Sequence[str]) -> Embeddings:
        """Embed texts with the text network: ``(n, text_dim)``, or ``(text_dim,)``."""
        return self.text_encoder.encode_texts(texts)
