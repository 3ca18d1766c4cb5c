"""Networks run by OpenVINO on the CPU: converted once, and from then on loaded without torch."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from pareja.arrays import core_limit
from pareja.encoders.backends.compiled import is_whole, open_compiled
from pareja.encoders.backends.forks import refuse_after_fork
from pareja.encoders.backends.network import Device, Network, Precision
from pareja.encoders.backends.runtime import openvino
from pareja.encoders.preprocessing import Preprocessing
from pareja.errors import EncoderError, ModelUnavailableError, OutputError
from pareja.files import staged_directory

if TYPE_CHECKING:
    import torch

_FAITHFUL = 0.9999
"""Smallest cosine, over random inputs, between a converted network and its original."""


class OpenVinoTower:
    """A `Tower` run by OpenVINO on the CPU.

    The network is converted the first time that it is needed and kept in the user's cache folder,
    with half-precision weights where it computes in bfloat16, which has fewer digits than they.

    Parameters
    ----------
    network
        What to run. Its ``build`` is called only to convert it.
    precision
        What the network computes in. A network in ``"int8"`` is there or not, and is never
        converted here.

    Raises
    ------
    EncoderError
        If OpenVINO cannot run the network, or computes something else than torch does.
    ModelUnavailableError
        If there is no such network in ``"int8"``, or its files are damaged.
    """

    device: Device = "openvino"

    def __init__(self, network: Network, precision: Precision) -> None:
        self.precision = precision
        self._lock = threading.Lock()
        path = converted_path(network, precision)
        try:
            compiled = _compiled(network, precision)
        except RuntimeError as error:
            raise EncoderError(
                f"OpenVINO cannot run {path.parent.name}: {_last_line(error)}. Delete "
                f"{path.parent} to convert it anew, or use the device 'cpu'."
            ) from error
        self._request = compiled.create_infer_request()
        self._name, self._process = network.key, os.getpid()

    def __call__(self, **inputs: NDArray[np.uint8] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Run the network on one batch, as `Tower` describes."""
        refuse_after_fork(self._process, self._name)
        arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        with self._lock:
            self._request.infer(arrays, share_inputs=True)
            # The next call writes into the same memory.
            return np.array(self._request.get_output_tensor().data, np.float32)


def _compiled(network: Network, precision: Precision) -> openvino.CompiledModel:
    """Return a network ready to run, converted now if it has not been."""
    path, how = converted_path(network, precision), settings(precision)
    sample = _sample(network, 3, 8)
    compiled = open_compiled(path, how, sample)
    if compiled is None:
        model = converted(network, precision)
        compiled = open_compiled(path, how, sample)
        if compiled is None:  # it could not be kept
            compiled = openvino.Core().compile_model(model, "CPU", how)
    return compiled


def settings(
    precision: Precision, hint: Literal["LATENCY", "THROUGHPUT"] = "LATENCY"
) -> dict[str, Any]:
    """Return how a network is compiled; ``LATENCY`` is all cores on one batch."""
    limit = core_limit()
    return {
        # By itself OpenVINO takes the cores of the machine, or those that `taskset` leaves it.
        **({} if limit is None else {"INFERENCE_NUM_THREADS": limit}),
        # Of a network in int8, this is what is not quantised.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "PERFORMANCE_HINT": hint,
        # A thread that is bound to a core waits while another program, or a thread that decodes
        # pictures, uses that core, and all other threads of the network wait for it.
        "ENABLE_CPU_PINNING": False,
    }


def converted(network: Network, precision: Precision) -> openvino.Model:
    """Return the converted network, converted now if it has not been.

    Raises
    ------
    EncoderError
        If OpenVINO computes something else than torch does.
    ModelUnavailableError
        If the network is to be in ``"int8"`` and is not there.
    """
    path = converted_path(network, precision)
    if _is_sound(path.parent):
        return openvino.Core().read_model(path)
    if precision == "int8":
        raise ModelUnavailableError(
            f"the network in int8 is not in {path.parent} any more, or was damaged. Make it again "
            "with: pareja models quantise MODEL"
        )
    return _convert(network, path, precision)


def converted_path(network: Network, precision: Precision) -> Path:
    """Return where the converted network is, or will be."""
    # Another version may convert better, or fail to read what this one wrote.
    version = openvino.__version__.split("-")[0]
    weights = {"float32": "f32", "bfloat16": "f16", "int8": "int8"}[precision]
    folder: Path = user_cache_path("pareja") / "openvino" / version / f"{network.key}-{weights}"
    return folder / "network.xml"


def _is_sound(folder: Path) -> bool:
    """Return whether a converted network is there and whole; a damaged one is removed."""
    if is_whole(folder):
        return True
    if folder.exists():
        # Renamed first: another process may have opened it, or be about to.
        aside = folder.with_name(f"{uuid4().hex}.part")
        with suppress(OSError):
            folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    return False


def _convert(network: Network, path: Path, precision: Precision) -> openvino.Model:
    """Build the network with torch, convert it, compare the two and keep the converted one."""
    import torch

    module = network.build()
    # Two batches of different shapes: what tracing took for a constant shows in the second.
    traced, checked = _sample(network, 2, 5), _sample(network, 3, 8)
    with _quiet(), torch.inference_mode():
        example, arguments = (
            tuple(map(torch.from_numpy, _module_inputs(network, sample)))
            for sample in (traced, checked)
        )
        model = _translate(module, example)
        expected = module(*arguments).numpy()
    _name_inputs(model, network)
    if network.preprocessing is not None:
        model = with_pixels(model, network.preprocessing)

    def is_faithful(candidate: openvino.Model) -> bool:
        compiled = openvino.Core().compile_model(candidate, "CPU", settings("float32"))
        return _cosine(compiled(checked)[0], expected) >= _FAITHFUL

    if not is_faithful(model):
        raise EncoderError(
            f"{network.key}: OpenVINO computes something else than torch. Use the device 'cpu'."
        )
    return _kept(model, path, is_faithful if precision == "bfloat16" else None)


def _sample(network: Network, count: int, length: int) -> dict[str, NDArray[Any]]:
    """Return random inputs of the tower."""
    random = np.random.default_rng(0)
    sample: dict[str, NDArray[Any]] = {}
    if network.preprocessing is not None:
        sample["pixels"] = network.preprocessing.sample(random, count)
    length = network.length or length
    # Texts of different lengths, padded at their end.
    mask = (np.arange(length) < length - np.arange(count)[:, None]).astype(np.int64)
    ids = random.integers(1, 8, mask.shape)
    texts = {"attention_mask": mask, "input_ids": ids}
    return sample | {name: texts[name] for name in network.inputs if name in texts}


def _module_inputs(network: Network, sample: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Return what the torch module gets where the tower gets `sample`."""
    if network.preprocessing is not None:
        sample = sample | {"pixel_values": network.preprocessing.normalise(sample["pixels"])}
    return [sample[name] for name in network.inputs]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what tracing says of every branch, and transformers of properties it looks at."""
    library = logging.getLogger("transformers")
    level = library.level
    library.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        library.setLevel(level)


def _translate(module: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> openvino.Model:
    """Convert a torch module."""
    # What openvino.convert_model does, without the usage report that it sends over the network.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import (
        TorchScriptPythonDecoder,
    )

    frontend = FrontEndManager().load_by_framework("pytorch")
    # torch's own check runs the network three more times, on the input that it was traced with.
    decoder = TorchScriptPythonDecoder(
        module, example_input=example, trace_kwargs={"check_trace": False}
    )
    return openvino.Model(frontend.convert(frontend.load(decoder)))


def _name_inputs(model: openvino.Model, network: Network) -> None:
    """Give the inputs their names and the shapes that they may have."""
    side = network.preprocessing.side if network.preprocessing is not None else -1
    for place, name in zip(model.inputs, network.inputs, strict=True):
        place.get_tensor().set_names({name})
        shape = [-1, 3, side, side] if name == "pixel_values" else [-1, network.length or -1]
        place.get_node().set_partial_shape(openvino.PartialShape(shape))
    model.validate_nodes_and_infer_types()


def with_pixels(model: openvino.Model, preprocessing: Preprocessing) -> openvino.Model:
    """Let a network whose first input is a picture take its pixels, and normalise them itself."""
    steps = openvino.preprocess.PrePostProcessor(model)
    image = steps.input(0)
    image.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    image.model().set_layout(openvino.Layout("NCHW"))
    mean, std = (
        [value / preprocessing.scale for value in colour]
        for colour in (preprocessing.mean, preprocessing.std)
    )
    image.preprocess().convert_element_type(openvino.Type.f32).mean(mean).scale(std)
    model = steps.build()
    model.inputs[0].get_tensor().set_names({"pixels"})
    return model


def _kept(
    model: openvino.Model, path: Path, may_halve: Callable[[openvino.Model], bool] | None
) -> openvino.Model:
    """Write the converted network and return it as it was written.

    Its weights are written in half precision if `may_halve` agrees with what comes of it.
    """
    try:
        with staged_directory(path.parent) as staging:
            written = staging / path.name
            openvino.save_model(model, written, compress_to_fp16=may_halve is not None)
            if may_halve is not None and not may_halve(openvino.Core().read_model(written)):
                openvino.save_model(model, written, compress_to_fp16=False)
    except (OSError, OutputError, RuntimeError) as error:
        # Another process may have converted the same network meanwhile.
        if not path.exists():
            warnings.warn(
                f"the converted network cannot be kept in {path.parent}, and is converted again "
                f"next time: {_last_line(error)}",
                stacklevel=2,
            )
            return model
    return openvino.Core().read_model(path)


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the smallest cosine of two arrays' rows; NaN where a row is not finite."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return float(((a * b).sum(axis=-1) / lengths).min())


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
