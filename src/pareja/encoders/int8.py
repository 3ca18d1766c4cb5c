"""Image networks in eight bits: made by NNCF from a sample of pictures, and found again by name.

They are the only networks of which a person has to ask for the rounding: another space, under a
name and a fingerprint of its own, that nothing takes by default.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from pareja.checksums import MARKER
from pareja.encoders.catalogue import INT8
from pareja.encoders.checkpoint import require
from pareja.encoders.protocols import AnyEncoder, EncoderPair, ImageEncoder, Pixels
from pareja.errors import EncoderError, ModelUnavailableError
from pareja.files import staged_directory

if TYPE_CHECKING:
    from pareja.encoders.backends.network import Precision
    from pareja.encoders.backends.runtime import openvino
    from pareja.encoders.towers import NetworkImageEncoder

    E = TypeVar("E", bound=NetworkImageEncoder)

# Networks that NNCF quantises with another recipe hold one of these.
_ATTENTION = {"Softmax", "ScaledDotProductAttention"}


def in_int8(encoder: AnyEncoder) -> AnyEncoder:
    """Return an encoder whose image network is the one in int8 that `quantised` made of it.

    Its texts, and the places of its pictures, are computed as before.

    Parameters
    ----------
    encoder
        A dual or an image encoder that OpenVINO runs; of a pair, its image half is taken.

    Raises
    ------
    EncoderError
        If it has no image network that OpenVINO runs.
    ModelUnavailableError
        If nothing in int8 was made of it on this machine.
    """
    if isinstance(encoder, EncoderPair):
        image = in_int8(cast(AnyEncoder, encoder.image_encoder))
        return replace(
            encoder,
            name=f"{image.name}+{encoder.text_encoder.name}",
            image_encoder=cast(ImageEncoder, image),
        )
    source = quantisable(encoder)
    marker = network_folder(source, "int8") / MARKER
    try:
        made = hashlib.sha256(marker.read_bytes()).hexdigest()[:16]
    except OSError:
        raise ModelUnavailableError(
            f"{source.name} has no image network in int8 on this machine. Make it from pictures "
            f"like those that it shall embed, with: pareja models quantise {source.name}"
        ) from None
    space = replace(
        source.fingerprint, revision=f"{source.fingerprint.revision}; pictures in int8 {made}"
    )
    return replace(
        source,
        name=f"{source.name}{INT8}",
        fingerprint=space,
        image_network=replace(source.image_network, precision="int8"),
    )


def quantised(encoder: E, pixels: Sequence[Pixels]) -> E:
    """Quantise the image network of an encoder, and keep it beside the converted one.

    Parameters
    ----------
    encoder
        What `quantisable` returned.
    pixels
        Batches of prepared pictures, each ``(n, side, side, 3)``, whose ranges decide the steps of
        every layer. A few hundred pictures are enough.

    Returns
    -------
    NetworkImageEncoder
        What `in_int8` returns from now on.

    Raises
    ------
    MissingDependencyError
        If NNCF is not installed.
    OutputError
        If it cannot be kept.
    """
    from pareja.encoders.backends.openvino_tower import converted
    from pareja.encoders.backends.runtime import openvino

    model = converted(encoder.image_network, "float32")
    with staged_directory(network_folder(encoder, "int8"), force=True) as staging:
        found = _quantise(model, pixels)
        openvino.save_model(found, staging / "network.xml", compress_to_fp16=False)
    made = in_int8(encoder)
    assert isinstance(made, type(encoder))  # noqa: S101  for the type checker
    return made


def quantisable(encoder: AnyEncoder) -> NetworkImageEncoder:
    """Return the encoder, whose image network OpenVINO runs.

    Raises
    ------
    EncoderError
        If it has none.
    """
    from pareja.encoders.towers import NetworkImageEncoder

    if not isinstance(encoder, NetworkImageEncoder):
        raise EncoderError(
            f"{encoder.name} has no image network that can be quantised. Name a dual encoder or an "
            "image encoder whose weights are files of its own, as in 'clip-vit-b32'."
        )
    if encoder.device != "openvino":
        raise EncoderError(
            f"{encoder.name} is on {encoder.device!r}, and networks in int8 run through OpenVINO "
            "alone. Load it with the device 'openvino'."
        )
    if encoder.image_network.precision == "int8":
        raise EncoderError(f"{encoder.name} is in int8 already. Name the model without {INT8!r}.")
    return encoder


def network_folder(encoder: NetworkImageEncoder, precision: Precision | None = None) -> Path:
    """Return where the image network of an encoder is kept, in its own precision or in another."""
    from pareja.encoders.backends.openvino_tower import converted_path

    network = encoder.image_network
    return converted_path(network, precision or network.precision or encoder.precision).parent


def _quantise(model: openvino.Model, pixels: Sequence[Pixels]) -> openvino.Model:
    require("nncf", purpose="to quantise a network", group="int8")
    from pareja.encoders.backends.runtime import without_reports

    with without_reports():
        import nncf

    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        nncf.set_log_level(logging.ERROR)
        attends = any(node.get_type_name() in _ATTENTION for node in model.get_ops())
        return nncf.quantize(
            model,
            nncf.Dataset(pixels),
            model_type=nncf.ModelType.TRANSFORMER if attends else None,
            subset_size=len(pixels),
        )
