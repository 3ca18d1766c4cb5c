"""What runs a network: the small interface between the encoders and torch or OpenVINO.

An encoder hands over one tower as a `Network`, a recipe that costs nothing until somebody calls
its ``build``. A backend makes a `Tower` of it: torch by building it, OpenVINO by building and
converting it once, and from then on from its own file, without torch or transformers in memory.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, cast, get_args

from pareja.encoders.backends.network import Device, Network, Precision, Tower
from pareja.errors import EncoderError


def choose(device: str | None = None, precision: str | None = None) -> tuple[Device, Precision]:
    """Decide where a network runs and in which precision.

    Parameters
    ----------
    device
        One of `Device`; by default the first that this machine has of CUDA, MPS, OpenVINO.
    precision
        One of `Precision`; by default bfloat16 on CUDA and on CPUs that multiply matrices of it
        (through OpenVINO), float32 elsewhere.

    Raises
    ------
    EncoderError
        If there is no such device or precision.
    """
    refuse_unknown(device, precision)
    if device is None:
        device = _accelerator() or "openvino"
    elif device in ("cuda", "mps") and _accelerator() != device:
        raise EncoderError(f"this machine has no {device!r} device that torch can use. Try 'cpu'.")
    if precision == "int8":
        raise EncoderError(
            "only an image network computes in int8, once `pareja models quantise` has made it. "
            "Load it by name, with :int8 after that of the model."
        )
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
    if find_spec("torch") is None:
        return None
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def _cpu_has_bfloat16() -> bool:
    """Whether OpenVINO multiplies bfloat16 on this CPU (AMX or AVX512-BF16)."""
    from pareja.encoders.backends.runtime import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
