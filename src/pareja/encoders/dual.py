"""Dual encoders of transformers: CLIP and its kin, SigLIP, MetaCLIP 2, AIMv2-lit, TIPSv2."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pareja.encoders.backends.network import Modality
from pareja.encoders.checkpoint import Checkpoint, require
from pareja.encoders.model_files import require_weights
from pareja.encoders.mosaics import Mosaic
from pareja.encoders.sentence_modules import Layer, described, output_dim
from pareja.encoders.tokenisation import Cleaning
from pareja.encoders.tokenizer_files import read_tokeniser
from pareja.encoders.towers import NetworkDualEncoder, dual_encoder
from pareja.encoders.weights import load_network, read_logit_terms, read_scalar

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Family:
    """What the models of one architecture share, beyond what their files say.

    Configs leave out what equals transformers' defaults, which are therefore repeated here:
    importing transformers only to ask would take longer than embedding a text.
    """

    loss: Literal["softmax", "sigmoid"]
    length: int = 77
    hidden: int = 512
    projection: int | None = 512
    side: int = 224
    texts: Literal["causal", "padded", "masked"] = "causal"
    regions: bool = True
    highest_scale: float = math.inf
    temperature: float | None = None


# Where the text model is causal and pools the end token, the padding after it changes nothing, and
# it gets no attention mask. SigLIP was trained without a mask on texts padded to full length, and
# pools the last token. TIPSv2 was trained on such texts too, and with a mask: it pools all tokens.
FAMILIES = {
    "clip": Family("softmax"),
    "metaclip_2": Family("softmax"),
    "aimv2": Family("softmax", highest_scale=100.0),
    "siglip": Family("sigmoid", length=64, hidden=768, projection=None, texts="padded"),
    # NaFlex: the side is that of a patch.
    "siglip2": Family(
        "sigmoid",
        length=64,
        hidden=768,
        projection=None,
        side=16,
        texts="padded",
        regions=False,
    ),
    "tipsv2": Family(
        "softmax",
        length=64,
        hidden=768,
        projection=None,
        side=448,
        texts="masked",
        temperature=0.005065968260169029,
    ),
}


def open_dual(
    checkpoint: Checkpoint,
    layers: Sequence[Layer] = (),
    *,
    device: str | None = None,
    precision: str | None = None,
) -> NetworkDualEncoder:
    """Read the files of a dual encoder; its weights are loaded when they are first used.

    Parameters
    ----------
    checkpoint
        A folder whose ``config.json`` has a ``model_type`` of `FAMILIES`.
    layers
        What sentence-transformers puts after both towers.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; by default the first that is here.
    precision
        ``"float32"`` or ``"bfloat16"``; by default what the device is fastest in.

    Raises
    ------
    EncoderError
        If a file is missing or does not fit the others.
    """
    require("torch", "transformers", purpose=f"to load {checkpoint.name}")
    config = checkpoint.config
    model_type = config["model_type"]
    family = FAMILIES[model_type]
    text, vision = config.get("text_config") or {}, config.get("vision_config") or {}
    require_weights(checkpoint)
    preprocessing = checkpoint.preprocessing()
    if isinstance(preprocessing, Mosaic):
        made, seen = preprocessing.patch, vision.get("patch_size", family.side)
    else:
        made, seen = preprocessing.side, vision.get("image_size", family.side)
    if made != seen:
        raise checkpoint.error(
            f"preprocessor_config.json makes squares of {made} pixels, and the network of "
            f"config.json sees {seen}"
        )
    length = text.get("max_position_embeddings", family.length)
    tokeniser = read_tokeniser(
        checkpoint,
        length,
        pad_to_max=family.texts != "causal",
        cleaning=_cleaning(checkpoint) if family.texts == "padded" else "none",
    )
    if family.projection is None:
        dim = text.get("projection_size") or text.get("hidden_size", family.hidden)
        pooled = vision.get("hidden_size", family.hidden)
        if pooled != dim or not vision.get("vision_use_head", True):
            raise checkpoint.error(
                f"config.json gives texts {dim} numbers and pictures {pooled}"
                f"{'' if vision.get('vision_use_head', True) else ' for each patch'}, which "
                "cannot be compared"
            )
    else:
        dim = config.get("projection_dim", family.projection)
    return dual_encoder(
        checkpoint,
        dim=output_dim(dim, layers),
        after=described(layers),
        preprocessing=preprocessing,
        tokeniser=tokeniser,
        builder=partial(_with_layers, layers) if layers else _builder,
        regions=family.regions and not layers,
        loss=family.loss,
        masked=family.texts == "masked",
        read_terms=partial(_read_terms, family),
        device=device,
        precision=precision,
    )


def _cleaning(checkpoint: Checkpoint) -> Cleaning:
    """Which form of a text SigLIP (no punctuation) and SigLIP 2 (lower case) were trained on."""
    named = checkpoint.optional_json("tokenizer_config.json").get("tokenizer_class")
    if named is None and checkpoint.has("spiece.model"):  # SigLIP 2 has none
        return "canonical"
    if named is None:
        raise checkpoint.error(
            "tokenizer_config.json has no tokenizer_class, so that it may be SigLIP, which reads "
            "texts without punctuation, or SigLIP 2. Name SiglipTokenizer or Siglip2Tokenizer there"
        )
    return "canonical" if str(named).startswith("SiglipTokenizer") else "lower"


def _read_terms(family: Family, checkpoint: Checkpoint) -> tuple[float, float]:
    """Return the factor and the offset of the logits."""
    config = checkpoint.config
    if family.temperature is None:
        return read_logit_terms(checkpoint, config.get("max_logit_scale", family.highest_scale))
    # Checkpoints need not have it: transformers then takes what the config says.
    kept = read_scalar(checkpoint, "temperature")
    return 1 / (kept or config.get("temperature_init_value", family.temperature)), 0.0


def _builder(checkpoint: Checkpoint, modality: Modality) -> Callable[[], torch.nn.Module]:
    """Return what builds one tower, reading no weights of the other."""
    other = "image" if modality == "text" else "text"

    family = FAMILIES[checkpoint.config["model_type"]]
    causal = modality == "text" and family.texts == "causal"

    def initialise(self: Any, config: Any) -> None:
        super(type(self), self).__init__(config)
        for part in (*_PARTS[other], "logit_scale", "logit_bias", "temperature"):
            if hasattr(self, part):
                delattr(self, part)
        if causal:
            # transformers' AIMv2 is causal only in batches that have padding (5.23), so that a
            # text's embedding would depend on the texts beside it.
            for module in self.modules():
                if hasattr(module, "is_causal"):
                    module.is_causal = True

    def fill(self: Any, module: Any) -> None:
        # Called for what is in no file. The model itself would look for the other tower.
        if module is not self:
            super(type(self), self)._init_weights(module)

    # transformers makes the module without memory, and then reads those tensors only that it
    # still has a place for.
    def build() -> torch.nn.Module:
        changes = {
            "__init__": initialise,
            "forward": _forward(checkpoint.config["model_type"], modality),
            "_init_weights": fill,
            "_keys_to_ignore_on_load_unexpected": [
                rf"^({'|'.join(_PARTS[other])}|logit_|temperature)"
            ],
        }
        return load_network(checkpoint, changes)

    return build


def _forward(model_type: str, modality: Modality) -> Callable[..., Any]:
    if modality == "image" and model_type == "siglip2":
        from pareja.encoders.naflex_network import naflex_image_forward

        return naflex_image_forward
    if modality == "image":
        return _image_forward
    if modality == "text":
        return _masked_forward if FAMILIES[model_type].texts == "masked" else _text_forward
    from pareja.encoders import region_towers

    forwards: dict[str, Callable[..., Any]] = {
        "siglip": region_towers.siglip_regions,
        "aimv2": region_towers.aimv2_regions,
        "tipsv2": region_towers.tips_regions,
    }
    return forwards.get(model_type, region_towers.clip_regions)


def _with_layers(
    layers: Sequence[Layer], checkpoint: Checkpoint, modality: Modality
) -> Callable[[], torch.nn.Module]:
    """Return what builds one tower and the layers after it."""

    def build() -> torch.nn.Module:
        import torch

        from pareja.encoders.sentence_network import after_pooling

        tower = _builder(checkpoint, modality)()
        return torch.nn.Sequential(tower, after_pooling(layers)).eval().requires_grad_(False)

    return build


_PARTS = {"image": ("vision_model", "visual_projection"), "text": ("text_model", "text_projection")}


def _image_forward(self: Any, pixel_values: torch.Tensor) -> Any:
    return self.get_image_features(pixel_values=pixel_values).pooler_output


def _text_forward(self: Any, input_ids: torch.Tensor) -> Any:
    return self.get_text_features(input_ids=input_ids).pooler_output


def _masked_forward(self: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
    output = self.get_text_features(input_ids=input_ids, attention_mask=attention_mask)
    return output.pooler_output
