"""Text encoders in the format of sentence-transformers, loaded the way their own files say.

The library itself is not used: importing it takes several seconds, and what it would do here are
three small layers over a transformers model, which `pareja.encoders.sentence_network` has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pareja.encoders.backends import choose
from pareja.encoders.backends.network import Network
from pareja.encoders.checkpoint import Checkpoint, require
from pareja.encoders.model_files import require_weights
from pareja.encoders.protocols import Fingerprint
from pareja.encoders.sentence_modules import Modules, described, output_dim, pooling_modes
from pareja.encoders.tokenizer_files import read_tokeniser
from pareja.encoders.towers import NetworkTextEncoder
from pareja.encoders.weights import load_network

if TYPE_CHECKING:
    import torch

# Their positions start behind the padding token's, so that two of them are never used.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet"}


def open_text_encoder(
    checkpoint: Checkpoint,
    modules: Modules,
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
    modules
        What that lists.
    prefix
        Put before every text if the folder names no default prompt of its own.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; by default the first that is here.
    precision
        ``"float32"`` or ``"bfloat16"``; by default what the device is fastest in.

    Raises
    ------
    EncoderError
        If a file is missing, or a module is of a kind that is not supported.
    """
    require("torch", "transformers", purpose=f"to load {checkpoint.name}")
    transformer, layers = modules.network, modules.layers
    require_weights(transformer)
    prompt = modules.prompts.get(modules.prompt or "", prefix)
    pooling = layers[0] if layers and layers[0].kind == "Pooling" else None
    if pooling is None:
        raise checkpoint.error("modules.json has no Pooling, so that a text has no single vector")
    modules.check_outputs(text=("forward", "last_hidden_state"))
    if prompt and pooling.settings.get("include_prompt") is False:
        raise checkpoint.error("its pooling leaves the prompt out, which is not supported")
    modes = pooling_modes(pooling)
    own_limit = modules.settings["max_seq_length"]
    tokeniser = read_tokeniser(
        transformer,
        min(_positions(transformer.config), own_limit or 10**6),
        binding=own_limit is not None,
        cleaning="lower" if modules.settings["do_lower_case"] else "none",
        prefix=prompt,
    )
    hidden = pooling.settings.get("embedding_dimension") or pooling.settings.get(
        "word_embedding_dimension"
    )
    if not hidden:
        raise checkpoint.error("its Pooling has no embedding_dimension")
    fingerprint = Fingerprint(
        model=checkpoint.model,
        revision=checkpoint.revision,
        preprocessing=tokeniser.identity(),
        pooling=" ".join([*modes, described(layers)]).strip(),
    )

    def build() -> torch.nn.Module:
        from pareja.encoders.sentence_network import SentenceNetwork

        return SentenceNetwork(load_network(transformer), layers).eval()

    where, what = choose(device, precision)
    return NetworkTextEncoder(
        name=checkpoint.name,
        fingerprint=fingerprint,
        text_network=Network(
            key=f"{fingerprint.digest}-text",
            modality="text",
            dim=output_dim(hidden * len(modes), layers),
            inputs=("input_ids", "attention_mask"),
            build=build,
        ),
        tokeniser=tokeniser,
        device=where,
        precision=what,
    )


def _positions(config: dict[str, Any]) -> int:
    """Tokens that the network has positions for."""
    positions = int(config.get("max_position_embeddings", 512))
    return positions - 2 if config.get("model_type") in _OFFSET_POSITIONS else positions
