"""Encoders made of networks: what the protocols promise, over towers of any backend."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.arrays import unit
from pareja.encoders.backends import choose, open_tower
from pareja.encoders.backends.network import Device, Modality, Network, Precision, Tower
from pareja.encoders.bases import ImageEncoderBase, TextEncoderBase, finite
from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.preprocessing import Preprocessing
from pareja.encoders.protocols import (
    Embeddings,
    Fingerprint,
    Pixels,
    Rectangle,
    RegionEmbeddings,
)
from pareja.encoders.tokenisation import Tokeniser
from pareja.encoders.truncation import cut
from pareja.encoders.weights import read_logit_terms
from pareja.errors import EncoderError

if TYPE_CHECKING:
    import torch

_TEXTS_AT_ONCE = 64
# Of pictures whose places are embedded: every layer stays in memory until the last one is done.
_PIXELS_AT_ONCE = 8 * 224**2
# One for all encoders: while transformers builds a network it puts other functions in the place of
# torch.nn.init's, and while OpenVINO converts one the process hides warnings.
_LOADING = threading.Lock()


@dataclass(eq=False, kw_only=True)
class _NetworkEncoder:
    """An encoder whose networks are loaded when they are first used.

    Parameters
    ----------
    name
        How the encoder is called.
    fingerprint
        The space of its embeddings.
    device, precision
        Where its networks run and what they compute in.
    dims
        Shorter lengths that its vectors may be cut to, because it was trained for them.
    dim
        How many numbers of the networks' vectors are kept; None for all.
    """

    name: str
    fingerprint: Fingerprint = field(repr=False)
    device: Device
    precision: Precision
    dims: tuple[int, ...] = field(default=(), repr=False)
    dim: int | None = field(default=None, repr=False)
    _towers: dict[Modality, Tower] = field(default_factory=dict, init=False, repr=False)

    @property
    def loaded(self) -> frozenset[Modality]:
        """What it has a network in memory for."""
        return frozenset(self._towers)

    def _shortened(self, rows: NDArray[np.float32]) -> Embeddings:
        """Return the numbers that are kept of what a network gave, as vectors of length 1."""
        return cut(rows, self.dim)

    def _tower(self, network: Network) -> Tower:
        """Return a network, loaded once however many threads ask for it at once."""
        if network.modality not in self._towers:
            with _LOADING:
                if network.modality not in self._towers:
                    tower = open_tower(network, self.device, network.precision or self.precision)
                    self._towers[network.modality] = tower
        return self._towers[network.modality]


@dataclass(eq=False, kw_only=True)
class NetworkImageEncoder(_NetworkEncoder, ImageEncoderBase):
    """An `ImageEncoder` over an image network.

    Parameters
    ----------
    image_network, preprocessing
        The network, and what it wants to see.
    region_network
        The same network, which also gives what each patch adds; None where it cannot.
    """

    image_network: Network = field(repr=False)
    preprocessing: Preprocessing = field(repr=False)
    region_network: Network | None = field(default=None, repr=False)

    @property
    def image_dim(self) -> int:
        """Length of a picture's embedding."""
        return self.dim or self.image_network.dim

    @property
    def image_side(self) -> int:
        """The side, in pixels, of the square that the network sees."""
        return self.preprocessing.side

    @property
    def image_fingerprint(self) -> Fingerprint:
        """The space that the embeddings of pictures lie in."""
        return self.fingerprint

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop one RGB picture to ``(side, side, 3)``."""
        return self.preprocessing.prepare(image)

    @property
    def regions(self) -> Self | None:
        """What embeds the places of pictures: itself, or nothing where its network cannot."""
        return None if self.region_network is None else self

    def seen(self, width: int, height: int) -> Rectangle:
        """Return which part of a picture the network sees, in the picture's pixels."""
        return self.preprocessing.seen(width, height)

    def encode_regions(self, pixels: Pixels) -> RegionEmbeddings:
        """Embed prepared pictures and what each patch adds to them, from one forward pass.

        Parameters
        ----------
        pixels
            ``(n, side, side, 3)``.

        Returns
        -------
        RegionEmbeddings
            The patches are shares of the pictures' embeddings, which are of length 1.

        Raises
        ------
        EncoderError
            If its architecture gives no shares, or numbers that are not finite.
        """
        if self.region_network is None:
            raise EncoderError(f"{self.name!r} does not say what each place of a picture adds.")
        tower = self._tower(self.region_network)
        count = max(1, _PIXELS_AT_ONCE // self.image_side**2)
        parts = range(0, len(pixels), count)
        found = np.concatenate([tower(pixels=pixels[i : i + count]) for i in parts])
        found = found[:, :, : self.dim]
        finite(found.reshape(len(found), -1), self.name, "picture")
        side = math.isqrt(found.shape[1] - 1)
        lengths = np.linalg.norm(found[:, :1], axis=2, keepdims=True)
        cells = (found[:, 1:] / np.where(lengths == 0, 1, lengths)).astype(np.float32)
        return RegionEmbeddings(
            unit(found[:, 0]), cells.reshape(len(found), side, side, self.image_dim)
        )

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        return self._shortened(self._tower(self.image_network)(pixels=pixels))


@dataclass(eq=False, kw_only=True)
class NetworkTextEncoder(_NetworkEncoder, TextEncoderBase):
    """A `TextEncoder` over a text network.

    Parameters
    ----------
    text_network, tokeniser
        The network, and what makes its token ids.
    """

    text_network: Network = field(repr=False)
    tokeniser: Tokeniser = field(repr=False)

    @property
    def text_dim(self) -> int:
        """Length of a text's embedding."""
        return self.dim or self.text_network.dim

    @property
    def text_fingerprint(self) -> Fingerprint:
        """The space that the embeddings of texts lie in."""
        return self.fingerprint

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        # Texts of similar length share a batch.
        result = np.empty((len(texts), self.text_dim), dtype=np.float32)
        for indices, inputs in self.tokeniser.batches(texts, _TEXTS_AT_ONCE):
            wanted = {name: inputs[name] for name in self.text_network.inputs}
            result[indices] = self._shortened(self._tower(self.text_network)(**wanted))
        return result


@dataclass(eq=False, kw_only=True)
class NetworkDualEncoder(NetworkImageEncoder, NetworkTextEncoder):
    """A `DualEncoder` over two networks.

    Parameters
    ----------
    loss
        How it was trained.
    read_logit_terms
        Returns what cosine similarities are multiplied by, and what is added then, to get logits;
        called when they are first needed.
    folder
        Where its files are.
    """

    loss: Literal["softmax", "sigmoid"]
    read_logit_terms: Callable[[], tuple[float, float]] = field(repr=False)
    kind: Literal["dual"] = "dual"
    folder: Path | None = field(default=None, repr=False)

    @cached_property
    def logit_terms(self) -> tuple[float, float]:
        """Scale and bias of the logits."""
        return self.read_logit_terms()

    def logits(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scale cosine similarities, ``(n_images, n_texts)``, into the model's logits."""
        scale, bias = (np.float32(term) for term in self.logit_terms)
        return np.asarray(similarity, dtype=np.float32) * scale + bias


def dual_encoder(
    checkpoint: Checkpoint,
    *,
    dim: int,
    preprocessing: Preprocessing,
    tokeniser: Tokeniser,
    builder: Callable[[Checkpoint, Modality], Callable[[], torch.nn.Module]],
    loss: Literal["softmax", "sigmoid"],
    read_terms: Callable[[Checkpoint], tuple[float, float]] = read_logit_terms,
    masked: bool = False,
    after: str = "",
    regions: bool = False,
    device: str | None = None,
    precision: str | None = None,
) -> NetworkDualEncoder:
    """Put a dual encoder together from what the files of its format say.

    Parameters
    ----------
    checkpoint
        Its files.
    dim
        Length of an embedding.
    preprocessing, tokeniser
        What prepares pictures and texts.
    builder
        Returns what builds one tower.
    loss
        How it was trained.
    after
        What is done to the vectors that its towers give, for the fingerprint.
    read_terms
        Reads the factor and the offset of its logits.
    masked
        Whether its text network wants to know which tokens are padding.
    regions
        Whether `builder` also makes a network that says what each patch adds to a picture.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; by default the first that is here.
    precision
        ``"float32"`` or ``"bfloat16"``; by default what the device is fastest in.
    """
    fingerprint = Fingerprint(
        model=checkpoint.model,
        revision=checkpoint.revision,
        preprocessing=f"{preprocessing.identity()}; text {tokeniser.identity()}",
        pooling=f"the model's own {after}".strip(),
    )
    where, what = choose(device, precision)

    def of_pictures(modality: Modality) -> Network:
        return Network(
            key=f"{fingerprint.digest}-{modality}",
            modality=modality,
            dim=dim,
            inputs=("pixel_values",),
            build=builder(checkpoint, modality),
            preprocessing=preprocessing,
        )

    return NetworkDualEncoder(
        name=checkpoint.name,
        fingerprint=fingerprint,
        image_network=of_pictures("image"),
        region_network=of_pictures("regions") if regions else None,
        preprocessing=preprocessing,
        text_network=Network(
            key=f"{fingerprint.digest}-text",
            modality="text",
            dim=dim,
            inputs=("input_ids", "attention_mask") if masked else ("input_ids",),
            build=builder(checkpoint, "text"),
            length=tokeniser.max_length if tokeniser.pad_to_max else None,
        ),
        tokeniser=tokeniser,
        device=where,
        precision=what,
        loss=loss,
        read_logit_terms=partial(read_terms, checkpoint),
        folder=checkpoint.folder,
    )
