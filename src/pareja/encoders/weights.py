"""Weights out of a model's folder: single numbers of them, and whole networks."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pickle import UnpicklingError
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.model_files import WEIGHTS, require_weights
from pareja.errors import EncoderError

if TYPE_CHECKING:
    import torch


def read_scalar(checkpoint: Checkpoint, key: str) -> float | None:
    """Read one number of the weights, without the rest; None where there is no such key."""
    for single in WEIGHTS:
        index = f"{single}.index.json"
        file = (
            checkpoint.read_json(index)["weight_map"].get(key) if checkpoint.has(index) else single
        )
        if file is None or not checkpoint.has(file):
            continue
        if file.endswith(".safetensors"):
            value = _safetensors_scalar(checkpoint, file, key)
        else:
            tensor = _unpickle(checkpoint, file).get(key)
            value = None if tensor is None else float(tensor)
        if value is not None:
            return value
    return None


def read_logit_terms(checkpoint: Checkpoint, highest: float = math.inf) -> tuple[float, float]:
    """Read what a dual encoder multiplies cosine similarities by, and what it adds then.

    Parameters
    ----------
    highest
        Where the factor is cut off.

    Raises
    ------
    EncoderError
        If the weights have no ``logit_scale``.
    """
    logarithm = read_scalar(checkpoint, "logit_scale")
    if logarithm is None:
        raise checkpoint.error("its weights have no logit_scale, as every dual encoder has")
    return min(math.exp(logarithm), highest), read_scalar(checkpoint, "logit_bias") or 0.0


def _safetensors_scalar(checkpoint: Checkpoint, file: str, key: str) -> float | None:
    """Read a number by way of the file's header, needing neither torch nor its bfloat16."""
    try:
        with (checkpoint.folder / file).open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            entry = json.loads(stream.read(size)).get(key)
            if entry is None:
                return None
            start, end = entry["data_offsets"]
            stream.seek(8 + size + start)
            content = stream.read(end - start)
        if entry["dtype"] == "BF16":  # the upper half of a float32
            return float(np.frombuffer(b"\0\0" + content, dtype="<f4").item())
        kinds = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
        return float(np.frombuffer(content, dtype=kinds[entry["dtype"]]).item())
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise checkpoint.error(f"{file} is broken: {error}") from error


def read_tensors(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Read the weights of a small layer that is no transformers model.

    Raises
    ------
    EncoderError
        If they are missing, broken, or only readable by running code.
    """
    require_weights(checkpoint)
    if not checkpoint.has(WEIGHTS[0]):
        weights = _unpickle(checkpoint, "pytorch_model.bin")
    else:
        from safetensors.torch import load_file

        try:
            weights = load_file(checkpoint.folder / WEIGHTS[0])
        except Exception as error:  # safetensors' own error has Exception as its only base
            raise unreadable(checkpoint, error) from error
    refuse_broken(checkpoint, weights)
    return weights


def _unpickle(checkpoint: Checkpoint, file: str) -> dict[str, torch.Tensor]:
    """Read pickled weights, running none of their code."""
    import torch

    try:
        weights: dict[str, torch.Tensor] = torch.load(
            checkpoint.folder / file,
            map_location="cpu",
            weights_only=True,
            mmap=zipfile.is_zipfile(checkpoint.folder / file),  # the format since torch 1.6
        )
    except Exception as error:  # pickle and zip errors share no base
        raise unreadable(checkpoint, error) from error
    return weights


def load_network(
    checkpoint: Checkpoint, changes: Mapping[str, Any] = MappingProxyType({})
) -> torch.nn.Module:
    """Load the transformers model in float32, in evaluation mode.

    Parameters
    ----------
    changes
        Attributes and methods that replace those of the model's class.

    Raises
    ------
    EncoderError
        If the weights are missing, incomplete, broken, or only readable by running code.
    """
    from transformers import MODEL_MAPPING, AutoConfig

    with quiet_transformers():
        try:
            # False and not left out: then transformers would ask on the terminal.
            config = AutoConfig.from_pretrained(
                checkpoint.folder, local_files_only=True, trust_remote_code=False
            )
            for part in (config, *(getattr(config, part) for part in config.sub_configs)):
                if part is not None:
                    # False makes tuples of the outputs that are read by name.
                    part.return_dict = True
            whole: Any = MODEL_MAPPING[type(config)]
            # transformers renames the weights of older checkpoints only for classes that seem
            # to be its own.
            origin = {"__module__": whole.__module__}
            changed: Any = type(whole.__name__, (whole,), origin | dict(changes))
            model, loading = changed.from_pretrained(
                checkpoint.folder,
                config=config,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                dtype="float32",
            )
        except Exception as error:  # what transformers raises here is not documented
            raise unreadable(checkpoint, error) from error
    # The pooler of BERT and ViT is not used, and many checkpoints come without it.
    unfit = [key for key in loading["missing_keys"] if not key.startswith("pooler.")]
    unfit += [str(key) for key in loading["mismatched_keys"]]
    if unfit:
        raise checkpoint.error(
            f"its weights do not fit its config.json: {len(unfit)} tensors are missing or of "
            f"another shape, {min(unfit)} for one"
        )
    module: torch.nn.Module = model.eval().requires_grad_(False)
    refuse_broken(checkpoint, module.state_dict())
    return module


def refuse_broken(checkpoint: Checkpoint, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise `EncoderError` if one of its weights is NaN or infinite."""
    import torch

    for name, tensor in weights.items():
        if tensor.numel() and tensor.is_floating_point():
            extremes = torch.stack(torch.aminmax(tensor))  # NaN if there is one
            if not torch.isfinite(extremes).all():
                raise checkpoint.error(
                    f"its weights are broken: {name} holds numbers that are not finite (NaN or "
                    "infinity), as after training that overflowed. Fetch or save it again"
                )


def unreadable(checkpoint: Checkpoint, error: Exception) -> EncoderError:
    """Make the error that says why the weights cannot be loaded."""
    if isinstance(error, UnpicklingError):
        return checkpoint.error(
            "its weights cannot be loaded: they are pickled and hold more than tensors, so "
            "that reading them could run code. Convert them to safetensors"
        )
    reason = str(error).strip().partition("\n")[0]
    return checkpoint.error(f"its weights cannot be loaded: {reason or type(error).__name__}")


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from writing progress bars and reports to the terminal."""
    logging = import_module("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
