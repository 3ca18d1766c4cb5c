"""Encoders made of networks: what the protocols promise, over towers of any backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.encoders.backends import Device, Network, Precision, Tower, open_tower
from pareja.encoders.preprocessing import Preprocessing
from pareja.encoders.protocols import Embeddings, Fingerprint, Pixels
from pareja.encoders.tokenisation import Tokeniser

_IMAGES_AT_ONCE = 32
_TEXTS_AT_ONCE = 64


def unit(raw: NDArray[np.floating]) -> Embeddings:
    """Bring rows ``(n, dim)`` to length 1, as float32; a row of zeros stays one."""
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    result: Embeddings = (raw / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return result


@dataclass(eq=False, kw_only=True)
class NetworkImageEncoder:
    """An `ImageEncoder` over an image network, which is loaded when it is first used.

    Parameters
    ----------
    name
        How the encoder is called.
    fingerprint
        The space of its embeddings.
    image_network, preprocessing
        The network, and what it wants to see.
    device, precision
        Where it runs and what it computes in.
    """

    name: str
    fingerprint: Fingerprint = field(repr=False)
    image_network: Network = field(repr=False)
    preprocessing: Preprocessing = field(repr=False)
    device: Device
    precision: Precision

    @property
    def image_dim(self) -> int:
        """Length of a picture's embedding."""
        return self.image_network.dim

    @property
    def image_side(self) -> int:
        """The side, in pixels, of the square that the network sees."""
        return self.preprocessing.side

    @property
    def image_fingerprint(self) -> Fingerprint:
        """The space that the embeddings of pictures lie in."""
        return self.fingerprint

    @cached_property
    def image_tower(self) -> Tower:
        """The loaded network."""
        return open_tower(self.image_network, self.device, self.precision)

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop one RGB picture to ``(side, side, 3)``."""
        return self.preprocessing.prepare(image)

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """Embed prepared pictures, ``(n, side, side, 3)``; returns ``(n, image_dim)``."""
        if not len(pixels):
            return np.empty((0, self.image_dim), dtype=np.float32)
        return unit(self.image_tower(pixels=pixels))

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Embed RGB pictures of any size; returns ``(n, image_dim)``."""
        rows = [np.empty((0, self.image_dim), dtype=np.float32)]
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            batch = [self.prepare(image) for image in images[start : start + _IMAGES_AT_ONCE]]
            rows.append(self.encode_pixels(np.stack(batch)))
        return np.concatenate(rows)


@dataclass(eq=False, kw_only=True)
class NetworkTextEncoder:
    """A `TextEncoder` over a text network, which is loaded when it is first used.

    Parameters
    ----------
    name
        How the encoder is called.
    fingerprint
        The space of its embeddings.
    text_network, tokeniser
        The network, and what makes its token ids.
    device, precision
        Where it runs and what it computes in.
    """

    name: str
    fingerprint: Fingerprint = field(repr=False)
    text_network: Network = field(repr=False)
    tokeniser: Tokeniser = field(repr=False)
    device: Device
    precision: Precision

    @property
    def text_dim(self) -> int:
        """Length of a text's embedding."""
        return self.text_network.dim

    @property
    def text_fingerprint(self) -> Fingerprint:
        """The space that the embeddings of texts lie in."""
        return self.fingerprint

    @cached_property
    def text_tower(self) -> Tower:
        """The loaded network."""
        return open_tower(self.text_network, self.device, self.precision)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts; returns ``(n, text_dim)``.

        Texts of similar length share a batch. Those longer than the network reads are cut, with a
        warning that names them.
        """
        result = np.empty((len(texts), self.text_dim), dtype=np.float32)
        if len(texts):
            for indices, inputs in self.tokeniser.batches(texts, _TEXTS_AT_ONCE):
                wanted = {name: inputs[name] for name in self.text_network.inputs}
                result[indices] = self.text_tower(**wanted)
        return unit(result)


@dataclass(eq=False, kw_only=True)
class NetworkDualEncoder(NetworkImageEncoder, NetworkTextEncoder):
    """A `DualEncoder` over two networks; each is loaded when it is first used.

    Parameters
    ----------
    loss
        How it was trained.
    read_logit_terms
        Returns what cosine similarities are multiplied by, and what is added then, to get logits;
        called when they are first needed.
    """

    loss: Literal["softmax", "sigmoid"]
    read_logit_terms: Callable[[], tuple[float, float]] = field(repr=False)
    kind: Literal["dual"] = "dual"

    @cached_property
    def logit_terms(self) -> tuple[float, float]:
        """Scale and bias of the logits."""
        return self.read_logit_terms()

    def logits(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scale cosine similarities, ``(n_images, n_texts)``, into the model's logits."""
        scale, bias = (np.float32(term) for term in self.logit_terms)
        return np.asarray(similarity, dtype=np.float32) * scale + bias
