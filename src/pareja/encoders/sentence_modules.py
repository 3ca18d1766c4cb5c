"""The modules that a sentence-transformers folder lists, and what their own files say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pareja.encoders.checkpoint import Checkpoint

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens")
"""Those that can be computed here; several are joined in this order."""


@dataclass(frozen=True)
class Layer:
    """One entry of ``modules.json`` after the transformer, with its own files."""

    kind: str
    checkpoint: Checkpoint
    settings: dict[str, Any]


def pooling_modes(layer: Layer) -> list[str]:
    """Return how a Pooling pools, in both of the formats that its config has had.

    Raises
    ------
    EncoderError
        If that is by a mode which is not supported.
    """
    settings = layer.settings
    modes = settings.get("pooling_mode")
    if modes is None:
        old = {"cls_token": "cls", "max_tokens": "max", "mean_tokens": "mean"}
        chosen = [
            key.removeprefix("pooling_mode_")
            for key, value in settings.items()
            if key.startswith("pooling_mode_") and value
        ]
        modes = [old.get(mode, mode) for mode in chosen] or ["mean"]
        modes.sort(key=lambda mode: [*POOLING_MODES, mode].index(mode))
    modes = [modes] if isinstance(modes, str) else list(modes)
    if unknown := [mode for mode in modes if mode not in POOLING_MODES]:
        raise layer.checkpoint.error(
            f"it pools by {unknown[0]!r}, which is not supported; {', '.join(POOLING_MODES)} are"
        )
    return modes


def read_modules(checkpoint: Checkpoint) -> tuple[Checkpoint, list[Layer]]:
    """Return the folder of the transformer, and the layers that follow it."""
    transformer, layers = None, []
    for module in checkpoint.read_json("modules.json"):
        kind, part = str(module["type"]).rpartition(".")[2], checkpoint.inside(module["path"])
        if kind == "Transformer" and transformer is None:
            transformer = part
        elif kind in ("Pooling", "Dense", "Normalize"):
            settings = part.optional_json("config.json")
            layer = Layer(kind, part, settings)
            if kind == "Dense" and (
                settings.get("use_residual")
                or settings.get("module_input_name", "sentence_embedding") != "sentence_embedding"
            ):
                raise checkpoint.error("its Dense is not a plain layer over the pooled vector")
            layers.append(layer)
        elif kind != "Dropout":  # which does nothing outside training
            raise checkpoint.error(
                f"modules.json has a {module['type']}, which is not supported; Transformer, "
                "Pooling, Dense and Normalize are"
            )
    if transformer is None or transformer.config.get("is_encoder_decoder"):
        raise checkpoint.error("modules.json has no Transformer that is a plain encoder")
    return transformer, layers
