"""Image encoders that never saw a text, without their heads: ResNet, ViT, DINOv2 and DINOv3.

==========  =============================================================================
ResNet      global average pooling over the last stage, as before the head (He et al. 2016)
ViT         the class token after the last layer norm, as the head gets it (Dosovitskiy et
            al. 2021); transformers' ``pooler_output`` is a further layer with random weights
DINOv2      the class token after the last layer norm, as in the k-NN evaluation of Oquab et
            al. 2024
DINOv3      the same (Siméoni et al. 2025)
==========  =============================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pareja.encoders.backends import choose
from pareja.encoders.backends.network import Network
from pareja.encoders.checkpoint import Checkpoint, require
from pareja.encoders.model_files import require_weights
from pareja.encoders.protocols import Fingerprint
from pareja.encoders.towers import NetworkImageEncoder
from pareja.encoders.weights import load_network

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Pooling:
    """How the output of one architecture becomes a vector, and how long that is."""

    name: str
    pool: Callable[[Any], Any]
    dim: Callable[[dict[str, Any]], int]


def _class_token(hidden_size: int) -> Pooling:
    return Pooling(
        "class token",
        lambda output: output.last_hidden_state[:, 0],
        lambda config: int(config.get("hidden_size", hidden_size)),
    )


POOLINGS = {
    "resnet": Pooling(
        "global average",
        lambda output: output.pooler_output.flatten(1),
        lambda config: int(config.get("hidden_sizes", [2048])[-1]),
    ),
    "vit": _class_token(768),
    "dinov2": _class_token(768),
    "dinov3_vit": _class_token(384),
}


def open_image_encoder(
    checkpoint: Checkpoint, *, device: str | None = None, precision: str | None = None
) -> NetworkImageEncoder:
    """Read the files of an image network; its weights are loaded when they are first used.

    Parameters
    ----------
    checkpoint
        A folder whose ``config.json`` has a ``model_type`` of `POOLINGS`.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; by default the first that is here.
    precision
        ``"float32"`` or ``"bfloat16"``; by default what the device is fastest in.

    Raises
    ------
    EncoderError
        If a file is missing or makes no sense.
    """
    require("torch", "transformers", purpose=f"to load {checkpoint.name}")
    require_weights(checkpoint)
    pooling = POOLINGS[checkpoint.config["model_type"]]
    preprocessing = checkpoint.preprocessing()
    fingerprint = Fingerprint(
        model=checkpoint.model,
        revision=checkpoint.revision,
        preprocessing=preprocessing.identity(),
        pooling=pooling.name,
    )

    def forward(self: Any, pixel_values: torch.Tensor) -> Any:
        return pooling.pool(super(type(self), self).forward(pixel_values))

    def build() -> torch.nn.Module:
        return load_network(checkpoint, {"forward": forward})

    where, what = choose(device, precision)
    return NetworkImageEncoder(
        name=checkpoint.name,
        fingerprint=fingerprint,
        image_network=Network(
            key=f"{fingerprint.digest}-image",
            modality="image",
            dim=pooling.dim(checkpoint.config),
            inputs=("pixel_values",),
            build=build,
            preprocessing=preprocessing,
        ),
        preprocessing=preprocessing,
        device=where,
        precision=what,
    )
