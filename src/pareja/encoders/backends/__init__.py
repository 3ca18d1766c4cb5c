"""What runs a network: the small interface between the encoders and torch or OpenVINO.

An encoder hands over one tower as a `Network`, a recipe that costs nothing until somebody calls
its ``build``. A backend makes a `Tower` of it: torch by building it, OpenVINO by building and
converting it once, and from then on from its own file, without torch or transformers in memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.preprocessing import Preprocessing
from pareja.errors import EncoderError, MissingDependencyError

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]
"""What the network computes in; its inputs and its output stay as `Tower` says."""

Modality = Literal["image", "text"]
"""What a network embeds."""

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
        ``"image"`` or ``"text"``.
    dim
        Length of an output row.
    inputs
        Names of the inputs of ``build()``'s module: ``("pixel_values",)`` for images,
        ``("input_ids",)`` or ``("input_ids", "attention_mask")`` for texts (a causal network that
        pools its end token needs no mask).
    build
        Makes the torch module, in float32 and evaluation mode, on the CPU. Its ``forward`` takes
        `inputs` in that order: ``pixel_values`` is float, normalised, ``(n, 3, side, side)``; the
        others are int64 ``(n, length)``. It returns one tensor ``(n, dim)``, projected and not
        normalised.
    preprocessing
        Of an image network: what normalises the pixels (``mean``, ``std``, ``scale``), which a
        backend may fold into the network. None for texts.
    length
        Of a text network that only ever sees texts of one length (SigLIP): that length, so that a
        backend may compile for it. None where texts are padded to the longest of their batch.
    """

    key: str
    modality: Modality
    dim: int
    inputs: tuple[str, ...]
    build: Callable[[], torch.nn.Module]
    preprocessing: Preprocessing | None = None
    length: int | None = None


class Tower(Protocol):
    """A network that is loaded and can be called, from several threads one after the other.

    An image tower is called with ``pixels``, uint8 ``(n, side, side, 3)`` as
    `Preprocessing.prepare` makes them, and normalises them itself. A text tower is called with
    exactly the `Network.inputs`, int64 ``(n, length)``, where ``attention_mask`` is 1 on tokens and
    0 on padding. Both return float32 ``(n, dim)``, not normalised, in new memory; n is at least 1
    and may differ between calls. A row does not depend on the other rows of its batch beyond the
    rounding of the precision.
    """

    device: Device
    precision: Precision

    def __call__(self, **inputs: NDArray[np.uint8] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Run the network on one batch."""
        ...


def choose(device: str | None = None, precision: str | None = None) -> tuple[Device, Precision]:
    """Decide where a network runs and in which precision.

    Parameters
    ----------
    device
        One of `Device`; by default the first that this machine has of CUDA, MPS, OpenVINO, torch.
    precision
        One of `Precision`; by default bfloat16 on CUDA and on CPUs that multiply matrices of it
        (through OpenVINO), float32 elsewhere.

    Raises
    ------
    EncoderError
        If there is no such device or precision.
    MissingDependencyError
        If ``openvino`` is asked for and not installed.
    """
    refuse_unknown(device, precision)
    if device is None:
        device = _accelerator() or ("openvino" if find_spec("openvino") else "cpu")
    elif device in ("cuda", "mps") and _accelerator() != device:
        raise EncoderError(f"this machine has no {device!r} device that torch can use. Try 'cpu'.")
    elif device == "openvino" and not find_spec("openvino"):
        raise MissingDependencyError("openvino", "for the device 'openvino'", "openvino")
    if precision is None:
        fast = device == "cuda" or (device == "openvino" and _cpu_has_bfloat16())
        precision = "bfloat16" if fast else "float32"
    return cast(Device, device), cast(Precision, precision)


def refuse_unknown(device: str | None, precision: str | None) -> None:
    """Raise `EncoderError` for a device or precision that no machine has."""
    for what, given, known in (("device", device, Device), ("precision", precision, Precision)):
        if given is not None and given not in get_args(known):
            raise EncoderError(
                f"unknown {what} {given!r}. {what.capitalize()}s are {', '.join(get_args(known))}."
            )


def open_tower(network: Network, device: Device, precision: Precision) -> Tower:
    """Load a network on a device that `choose` returned."""
    if device == "openvino":
        from pareja.encoders.backends.openvino_tower import OpenVinoTower

        return OpenVinoTower(network, precision)
    from pareja.encoders.backends.torch_tower import TorchTower

    return TorchTower(network, device, precision)


def _accelerator() -> Literal["cuda", "mps"] | None:
    """Ask torch for a GPU, where one may exist: importing torch takes a second."""
    nvidia = ("/dev/nvidiactl", "/dev/dxg", r"C:\Windows\System32\nvcuda.dll")
    if sys.platform != "darwin" and not any(Path(path).exists() for path in nvidia):
        return None
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def _cpu_has_bfloat16() -> bool:
    """Whether OpenVINO multiplies bfloat16 on this CPU (AMX or AVX512-BF16)."""
    openvino = import_module("openvino")
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
