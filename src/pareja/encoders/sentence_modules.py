"""The modules that a sentence-transformers folder lists, and what their own files say.

Settings that change a vector are read, or the folder is refused; `docs/checkpoints.md` names
them all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pareja.encoders.checkpoint import Checkpoint

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""Several are joined in this order."""

TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Where the settings of a Transformer may stand; the first that is there counts."""

_SENTENCE = "sentence_embedding"

# For each file the settings that are read, and those without effect on a vector.
READ: Mapping[str, Collection[str]] = {
    "Transformer": {
        "max_seq_length",
        "do_lower_case",
        "processor_kwargs",
        "tokenizer_args",
        "model_kwargs",
        "model_args",
        "config_kwargs",
        "config_args",
        "transformer_task",
        "modality_config",
        "module_output_name",
        "processing_kwargs",
        "query_length",
        "document_length",
        "query_expansion",
    },
    "Pooling": {
        "embedding_dimension",
        "word_embedding_dimension",
        "pooling_mode",
        "include_prompt",
        "pooling_mode_cls_token",
        "pooling_mode_max_tokens",
        "pooling_mode_mean_tokens",
        "pooling_mode_mean_sqrt_len_tokens",
        "pooling_mode_weightedmean_tokens",
        "pooling_mode_lasttoken",
    },
    "Dense": {
        "in_features",
        "out_features",
        "bias",
        "activation_function",
        "module_input_name",
        "module_output_name",
        "use_residual",
    },
    "Normalize": {"module_input_name", "module_output_name"},
    "model": {"prompts", "default_prompt_name", "truncate_dim", "model_type"},
}
NO_EFFECT: Mapping[str, Collection[str]] = {
    "Transformer": {"unpad_inputs"},
    "model": {"__version__", "similarity_fn_name", "requirements"},
}


@dataclass(frozen=True)
class Layer:
    """What follows a network: an entry of ``modules.json`` and its files, or a ``Truncate``."""

    kind: str
    checkpoint: Checkpoint
    settings: dict[str, Any]


@dataclass(frozen=True)
class Modules:
    """What a folder of sentence-transformers consists of.

    Parameters
    ----------
    network
        The folder of the transformers model.
    settings
        Of its texts: ``max_seq_length`` and ``do_lower_case``, where they are set.
    layers
        What follows it, in order.
    prompts
        What is put before texts, by name.
    prompt
        Which of them is put before every text; None for none.
    """

    network: Checkpoint
    settings: dict[str, Any]
    layers: tuple[Layer, ...]
    prompts: dict[str, str]
    prompt: str | None

    def check_outputs(self, **expected: tuple[str, str]) -> None:
        """Refuse a network that is asked for other outputs than these, by what goes in."""
        for modality, output in self.settings["modality_config"].items():
            named = (output.get("method"), output.get("method_output_name"))
            if named != expected.get(modality):
                raise self.network.error(
                    f"its modality_config takes {named[1]!r} of {named[0]!r} for {modality}, which "
                    "is not supported"
                )


def read_modules(checkpoint: Checkpoint) -> Modules:
    """Read ``modules.json`` and the files of the modules.

    Raises
    ------
    EncoderError
        If a module or a setting is of a kind that is not supported.
    """
    network, layers = None, []
    for module in checkpoint.read_json("modules.json"):
        kind, part = str(module["type"]).rpartition(".")[2], checkpoint.inside(module["path"])
        if kind in ("Transformer", "CLIPModel") and network is None:
            network = part
        elif kind in ("Pooling", "Dense", "Normalize"):
            # Normalize has often no folder of its own, and the root's config.json is the network's.
            settings = part.optional_json("config.json") if module["path"] else {}
            refuse_unknown(part, kind, settings)
            _refuse_other_vectors(part, kind, settings)
            layers.append(Layer(kind, part, settings))
        elif kind != "Dropout":  # which does nothing outside training
            raise checkpoint.error(
                f"modules.json has a {module['type']}, which is not supported; Transformer, "
                "CLIPModel, Pooling, Dense and Normalize are"
            )
    if network is None or network.config.get("is_encoder_decoder"):
        raise checkpoint.error("modules.json has no Transformer that is a plain encoder")
    own = checkpoint.optional_json("config_sentence_transformers.json")
    refuse_unknown(checkpoint, "model", own)
    if own.get("model_type") not in (None, "SentenceTransformer"):
        raise checkpoint.error(f"it is a {own['model_type']}, which gives no vector for a text")
    if own.get("truncate_dim") is not None:
        layers.append(Layer("Truncate", checkpoint, {"dim": int(own["truncate_dim"])}))
    return Modules(
        network,
        _transformer_settings(network),
        tuple(layers),
        own.get("prompts") or {},
        own.get("default_prompt_name"),
    )


def refuse_unknown(checkpoint: Checkpoint, kind: str, settings: Mapping[str, Any]) -> None:
    """Raise `EncoderError` for a setting of which nobody knows what it does to a vector."""
    known = {*READ[kind], *NO_EFFECT.get(kind, ())}
    if unknown := sorted(settings.keys() - known):
        where = "config_sentence_transformers.json" if kind == "model" else f"its {kind}"
        raise checkpoint.error(
            f"{where} has the setting {unknown[0]!r}, which is not supported: it may change vectors"
        )


def _refuse_other_vectors(checkpoint: Checkpoint, kind: str, settings: Mapping[str, Any]) -> None:
    """Refuse a layer that reads or writes something else than the vector of the text."""
    read = settings.get("module_input_name") or _SENTENCE
    written = settings.get("module_output_name") or read
    if settings.get("use_residual") or {read, written} != {_SENTENCE}:
        raise checkpoint.error(f"its {kind} is not a plain layer over the pooled vector")


def _transformer_settings(network: Checkpoint) -> dict[str, Any]:
    """Return how many tokens are read and in which case, from whichever file says it."""
    file = next((file for file in TRANSFORMER_FILES if network.has(file)), TRANSFORMER_FILES[0])
    own = network.optional_json(file)
    refuse_unknown(network, "Transformer", own)
    if own.get("transformer_task") not in (None, "feature-extraction"):
        raise network.error(
            f"{file} has the task {own['transformer_task']!r}, which gives no vector"
        )
    for key in ("processing_kwargs", "query_length", "document_length", "query_expansion"):
        if own.get(key):
            raise network.error(f"{file} has {key} = {own[key]!r}, which is not supported")
    for key in ("model_kwargs", "model_args", "config_kwargs", "config_args"):
        # How attention is computed and what weights are stored in changes no more than rounding.
        allowed = {"attn_implementation", "dtype", "torch_dtype"}
        if wrong := sorted((own.get(key) or {}).keys() - allowed):
            raise network.error(f"{file} has {wrong[0]!r} in {key}, which is not supported")
    tokens = (own.get("tokenizer_args") or {}) | (own.get("processor_kwargs") or {})
    if wrong := sorted(tokens.keys() - {"model_max_length", "use_fast"}):
        raise network.error(f"{file} has the tokenizer's {wrong[0]!r}, which is not supported")
    return {
        "max_seq_length": tokens.get("model_max_length") or own.get("max_seq_length"),
        "do_lower_case": bool(own.get("do_lower_case")),
        "modality_config": own.get("modality_config") or {},
    }


def output_dim(dim: int, layers: Sequence[Layer]) -> int:
    """Return how long a vector of length `dim` is after the layers."""
    for layer in layers:
        if layer.kind == "Dense":
            dim = int(layer.settings["out_features"])
        elif layer.kind == "Truncate":
            dim = min(dim, layer.settings["dim"])
    return dim


def described(layers: Sequence[Layer]) -> str:
    """Say what layers do to a vector, for a fingerprint; their weights are in its revision."""
    parts = []
    for layer in layers:
        if layer.kind == "Dense":
            parts.append("Dense")
        elif layer.kind == "Truncate":
            parts.append(f"first {layer.settings['dim']}")
    return " ".join(parts)


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
        old = {
            "cls_token": "cls",
            "max_tokens": "max",
            "mean_tokens": "mean",
            "weightedmean_tokens": "weightedmean",
        }
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
