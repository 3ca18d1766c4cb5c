"""Text encoders in the format of sentence-transformers, loaded the way their own files say.

The library itself is not used: importing it takes several seconds, and what it would do here are
three small layers over a transformers model, which `pareja.encoders.sentence_network` has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pareja.encoders.backends import Network, choose
from pareja.encoders.checkpoint import Checkpoint, require
from pareja.encoders.protocols import Fingerprint
from pareja.encoders.towers import NetworkTextEncoder

if TYPE_CHECKING:
    import torch

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens")
"""Those that can be computed here; several are joined in this order."""

# Their positions start behind the padding token's, so that two of them are never used.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet"}


@dataclass(frozen=True)
class Layer:
    """One entry of ``modules.json`` after the transformer, with its own files."""

    kind: str
    checkpoint: Checkpoint
    settings: dict[str, Any]


def open_text_encoder(
    checkpoint: Checkpoint,
    *,
    prefix: str = "",
    device: str | None = None,
    precision: str | None = None,
) -> NetworkTextEncoder:
    """Read a sentence-transformers folder; its weights are loaded when they are first used.

    Parameters
    ----------
    checkpoint
        A folder with a ``modules.json``.
    prefix
        Put before every text if the folder names no default prompt of its own.
    device, precision
        As `pareja.encoders.backends.choose` takes them.

    Raises
    ------
    EncoderError
        If a file is missing, or a module is of a kind that is not supported.
    """
    require("transformers", f"to load {checkpoint.name}")
    transformer, layers = _read_modules(checkpoint)
    transformer.check_weights()
    settings = checkpoint.optional_json("config_sentence_transformers.json")
    prompt = (settings.get("prompts") or {}).get(settings.get("default_prompt_name"), prefix)
    pooling = next((layer for layer in layers if layer.kind == "Pooling"), None)
    if pooling is None:
        raise checkpoint.error("modules.json has no Pooling, so that a text has no single vector")
    if prompt and pooling.settings.get("include_prompt") is False:
        raise checkpoint.error("its pooling leaves the prompt out, which is not supported")
    modes = pooling_modes(pooling)
    own = transformer.optional_json("sentence_bert_config.json")
    tokeniser = transformer.tokeniser(
        min(_positions(transformer.config), own.get("max_seq_length") or 10**6),
        cleaning="lower" if own.get("do_lower_case") else "none",
        prefix=prompt,
    )
    hidden = pooling.settings.get("embedding_dimension") or pooling.settings.get(
        "word_embedding_dimension"
    )
    if not hidden:
        raise checkpoint.error("its Pooling has no embedding_dimension")
    dims = [layer.settings["out_features"] for layer in layers if layer.kind == "Dense"]
    fingerprint = Fingerprint(
        model=checkpoint.model,
        revision=checkpoint.revision,
        preprocessing=tokeniser.identity(),
        pooling=" ".join([*modes, *(layer.kind for layer in layers if layer.kind == "Dense")]),
    )

    def build() -> torch.nn.Module:
        from pareja.encoders.sentence_network import SentenceNetwork

        return SentenceNetwork(transformer.load(), layers).eval()

    where, what = choose(device, precision)
    return NetworkTextEncoder(
        name=checkpoint.name,
        fingerprint=fingerprint,
        text_network=Network(
            key=f"{fingerprint.digest}-text",
            modality="text",
            dim=dims[-1] if dims else hidden * len(modes),
            inputs=("input_ids", "attention_mask"),
            build=build,
        ),
        tokeniser=tokeniser,
        device=where,
        precision=what,
    )


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


def _read_modules(checkpoint: Checkpoint) -> tuple[Checkpoint, list[Layer]]:
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


def _positions(config: dict[str, Any]) -> int:
    """Tokens that the network has positions for."""
    positions = int(config.get("max_position_embeddings", 512))
    return positions - 2 if config.get("model_type") in _OFFSET_POSITIONS else positions
