"""EmbeddingGemma 2: pictures, texts, and both as one, by one language model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pareja.encoders.backends import choose
from pareja.encoders.backends.network import Modality, Network
from pareja.encoders.checkpoint import Checkpoint, require
from pareja.encoders.fused import NetworkFusedEncoder
from pareja.encoders.model_files import require_weights
from pareja.encoders.mosaics import SoftTokens
from pareja.encoders.protocols import Fingerprint
from pareja.encoders.sentence_modules import Modules, described, output_dim, pooling_modes
from pareja.encoders.tokenizer_files import read_tokeniser
from pareja.encoders.truncation import truncated
from pareja.encoders.weights import load_network

if TYPE_CHECKING:
    import torch

MODEL_TYPE = "embedding_gemma2"

DIMS = (512, 256, 128)
"""Lengths that its vectors were trained to be cut to (Matryoshka representation learning)."""

LOGIT_SCALE = 20.0
"""What similarities are multiplied by for probabilities. The model comes without a number of its
own; this is the usual one of embeddings trained on pairs (sentence-transformers' losses)."""

_CONTEXT = 8192
# Names in the model's own list of prompts, and what stands there.
_PROMPTS = {
    "SearchQuery": "task: search result | query: ",
    "Document": "title: none | text: ",
}


def open_gemma(
    checkpoint: Checkpoint,
    modules: Modules | None,
    *,
    device: str | None = None,
    precision: str | None = None,
) -> NetworkFusedEncoder:
    """Read the files of an EmbeddingGemma 2; its weights are loaded when they are first used.

    Texts are searched with, and begin with the model's prompt for that; a picture alone has none;
    a picture with a text begins with the prompt of documents.

    Parameters
    ----------
    checkpoint
        Its folder.
    modules
        What its ``modules.json`` lists; None where it has none.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; by default the first that is here.
    precision
        ``"float32"`` or ``"bfloat16"``; by default what the device is fastest in. Half precision
        (float16) is never used: numbers inside of the network exceed its range.

    Raises
    ------
    EncoderError
        If a file is missing or does not fit the others, or the model sees no pictures.
    """
    require("torch", "transformers", purpose=f"to load {checkpoint.name}")
    network = checkpoint if modules is None else modules.network
    require_weights(network)
    preprocessing = _preprocessing(network)
    layers = () if modules is None else modules.layers
    if modules is not None:
        _refuse_other_modules(checkpoint, modules)
    kept = {} if modules is None else modules.prompts
    query, document = (kept.get(name, prompt) for name, prompt in _PROMPTS.items())
    own = None if modules is None else modules.settings["max_seq_length"]
    # A text leaves room for a picture and for the tokens around it.
    limit = min(own or _CONTEXT, _CONTEXT) - preprocessing.most - 2
    tokeniser = read_tokeniser(network, limit, binding=own is not None, prefix=query)
    empty = tokeniser.backend.encode("").ids
    if len(empty) != 2:
        raise checkpoint.error(
            f"its tokenizer makes {len(empty)} tokens of an empty text. The model was trained "
            "with one before and one after every text: set add_bos_token and add_eos_token"
        )
    fingerprint = Fingerprint(
        model=checkpoint.model,
        revision=checkpoint.revision,
        preprocessing=f"{preprocessing.identity()}; text {tokeniser.identity()}; "
        f"with a picture {document!r}",
        pooling="mean",
    )
    dim = int((network.config.get("text_config") or {}).get("embedding_dim", 768))
    where, what = choose(device, precision)

    def part(modality: Modality, *inputs: str) -> Network:
        return Network(
            key=f"{fingerprint.digest}-{modality}",
            modality=modality,
            dim=dim,
            inputs=inputs,
            build=_builder(network, modality, empty),
            preprocessing=preprocessing if "pixel_values" in inputs else None,
        )

    encoder = NetworkFusedEncoder(
        name=checkpoint.name,
        fingerprint=fingerprint,
        dims=tuple(length for length in DIMS if length < dim),
        image_network=part("image", "pixel_values"),
        text_network=part("text", "input_ids", "attention_mask"),
        fused_network=part("fused", "pixel_values", "input_ids", "attention_mask"),
        preprocessing=preprocessing,
        tokeniser=tokeniser,
        document_prompt=document,
        device=where,
        precision=what,
        loss="softmax",
        read_logit_terms=lambda: (LOGIT_SCALE, 0.0),
        folder=checkpoint.folder,
    )
    short = output_dim(dim, layers)
    return encoder if short == dim else truncated(encoder, short, named=False)


def _preprocessing(network: Checkpoint) -> SoftTokens:
    """Return how pictures are prepared, which must be as the network wants them."""
    vision: dict[str, Any] | None = network.config.get("vision_config")
    if vision is None:
        raise network.error(
            "config.json has no vision_config, so that it sees no pictures: an EmbeddingGemma 2 "
            "for texts alone is not supported"
        )
    made = network.preprocessing()
    kernel, size = vision.get("pooling_kernel_size", 3), vision.get("patch_size", 16)
    if not isinstance(made, SoftTokens) or (made.kernel, made.patch) != (kernel, kernel * size):
        raise network.error(
            f"its image processor does not make groups of {kernel} by {kernel} patches of {size} "
            "pixels, which the network of config.json sees"
        )
    return made


def _refuse_other_modules(checkpoint: Checkpoint, modules: Modules) -> None:
    """Refuse what sentence-transformers would do with the tokens besides averaging them."""
    first = modules.layers[0] if modules.layers else None
    if first is None or first.kind != "Pooling" or pooling_modes(first) != ["mean"]:
        raise checkpoint.error("it pools tokens in another way than by their mean: not supported")
    if described([layer for layer in modules.layers if layer.kind == "Dense"]):
        raise checkpoint.error("it has a Dense after its pooling: not supported")
    if modules.prompt:
        raise checkpoint.error(
            f"it puts the prompt {modules.prompt!r} before everything: not supported"
        )
    if modules.settings["do_lower_case"]:
        raise checkpoint.error("it reads texts in lower case: not supported")
    forward = ("forward", "last_hidden_state")
    modules.check_outputs(**dict.fromkeys(("text", "image", "audio", "video", "message"), forward))


def _builder(
    network: Checkpoint, modality: Modality, empty: list[int]
) -> Callable[[], torch.nn.Module]:
    """Return what builds the network of one modality, reading no weights of the others."""

    def initialise(self: Any, config: Any) -> None:
        config.audio_config = None
        if modality == "text":
            config.vision_config = None
        super(type(self), self).__init__(config)

    def build() -> torch.nn.Module:
        from pareja.encoders.gemma_network import gemma_forward

        changes = {"__init__": initialise, "forward": gemma_forward(modality, empty)}
        return load_network(network, changes)

    return build
