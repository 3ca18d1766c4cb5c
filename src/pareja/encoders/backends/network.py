"""What a backend gets and what it gives: a network as a recipe, and a tower that can be called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16", "int8"]
"""What the network computes in; its inputs and its output stay as `Tower` says.

``int8`` is for the image networks of `pareja.encoders.int8` alone."""

Modality = Literal["image", "text", "regions", "fused"]
"""What a network embeds: pictures, texts, pictures with each of their places, or pictures together
with their texts."""

Device = Literal["cuda", "mps", "openvino", "cpu"]
"""``openvino`` is the CPU through OpenVINO, ``cpu`` the CPU through torch."""


@dataclass(frozen=True)
class Network:
    """One tower before it is loaded.

    Parameters
    ----------
    key
        Identifies the weights, the architecture and the preprocessing, safe as a file name: two
        networks with the same key compute the same. A converted network is kept under it.
    modality
        ``"image"``, ``"text"``, ``"regions"`` or ``"fused"``.
    dim
        Length of an output row.
    inputs
        Names of the inputs of ``build()``'s module: ``("pixel_values",)`` for images,
        ``("input_ids",)`` or ``("input_ids", "attention_mask")`` for texts (a causal network that
        pools its end token needs no mask), and all three for pictures with their texts.
    build
        Makes the torch module, in float32 and evaluation mode, on the CPU. Its ``forward`` takes
        `inputs` in that order: ``pixel_values`` is float, normalised, ``(n, 3, side, side)``; the
        others are int64 ``(n, length)``. It returns one tensor ``(n, dim)``, projected and not
        normalised; of regions ``(n, 1 + rows * cols, dim)``, the picture and then its places.
    preprocessing
        Of an image network: what normalises the pixels (``mean``, ``std``, ``scale``), which a
        backend may fold into the network. None for texts.
    length
        Of a text network that only ever sees texts of one length (SigLIP): that length, so that a
        backend may compile for it. None where texts are padded to the longest of their batch.
    precision
        What this tower computes in where that is not what the rest of the encoder computes in.
    """

    key: str
    modality: Modality
    dim: int
    inputs: tuple[str, ...]
    build: Callable[[], torch.nn.Module]
    preprocessing: Preprocessing | None = None
    length: int | None = None
    precision: Precision | None = None


class Tower(Protocol):
    """A network that is loaded and can be called, from several threads one after the other.

    An image tower is called with ``pixels``, uint8 ``(n, side, side, 3)`` as
    `Preprocessing.prepare` makes them, and normalises them itself. A text tower is called with
    exactly the `Network.inputs`, int64 ``(n, length)``, where ``attention_mask`` is 1 on tokens and
    0 on padding. One of pictures with their texts is called with both. All return float32
    ``(n, dim)``, or for regions ``(n, 1 + rows * cols, dim)``, not normalised, in new memory; n is
    at least 1 and may differ between calls. A row does not depend on the other rows of its batch
    beyond the rounding of the precision.
    """

    device: Device
    precision: Precision

    def __call__(self, **inputs: NDArray[np.uint8] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Run the network on one batch."""
        ...
