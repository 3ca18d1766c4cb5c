"""Dual encoders that only the ``open_clip`` library builds: EVA02-CLIP, MobileCLIP2 and others.

The library makes the networks; pictures and texts are prepared here, as its configuration says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from pareja.encoders.backends.network import Modality
from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.model_files import require_weights
from pareja.encoders.preprocessing import CLIP_MEAN, CLIP_STD, Preprocessing, as_colour
from pareja.encoders.tokenisation import Cleaning
from pareja.encoders.tokenizer_files import read_tokeniser
from pareja.encoders.towers import NetworkDualEncoder, dual_encoder
from pareja.encoders.weights import refuse_broken, unreadable
from pareja.errors import MissingDependencyError

if TYPE_CHECKING:
    import torch


Places = Literal["openclip", "eva", "fastvit"]
"""Which network's places have shares of its embeddings."""

_CLEANING: dict[str, Cleaning] = {
    "whitespace": "open_clip whitespace",
    "lower": "open_clip lower",
    "canonicalize": "open_clip canonicalize",
}

# "random" is of training only.
_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "random": Image.Resampling.BICUBIC,
}


# By timm's name: what the model pools by, and which shares its patches have. Larger EVA02 put their
# norms elsewhere.
_TIMM: dict[str, tuple[str, Places]] = {
    "eva02_(base|large)_patch[0-9]+_clip_[0-9]+": ("token", "eva"),
    "fastvit_mci[0-9]": ("avg", "fastvit"),
}

# open_clip's options under which a vision transformer of its own attends and pools as CLIP does.
_AS_CLIP = {
    "act_kwargs",
    "final_ln_after_pool",
    "head_width",
    "image_size",
    "layers",
    "ls_init_value",
    "mlp_ratio",
    "no_ln_pre",
    "norm_kwargs",
    "patch_dropout",
    "patch_size",
    "pos_embed_type",
    "width",
}


def open_openclip(
    checkpoint: Checkpoint, *, device: str | None = None, precision: str | None = None
) -> NetworkDualEncoder:
    """Read a folder of ``open_clip``; its weights are loaded when they are first used.

    Parameters
    ----------
    checkpoint
        A folder with an ``open_clip_config.json`` and a ``tokenizer.json``.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; by default the first that is here.
    precision
        ``"float32"`` or ``"bfloat16"``; by default what the device is fastest in.

    Raises
    ------
    MissingDependencyError
        If ``open_clip`` is not installed.
    EncoderError
        If a file is missing, or the model wants its pictures in a way that is not supported.
    """
    for package, module in (("open_clip_torch", "open_clip"), ("ftfy", "ftfy")):
        if find_spec(module) is None:
            raise MissingDependencyError(package, f"to load {checkpoint.name}", "open-clip")
    require_weights(checkpoint)
    described = checkpoint.read_json("open_clip_config.json")
    model, given = described["model_cfg"], described.get("preprocess_cfg") or {}
    # open_clip takes its default for null.
    pictures = {key: value for key, value in given.items() if value is not None}
    side = model["vision_cfg"].get("image_size", 224)
    resize = pictures.get("resize_mode", "shortest")
    if resize not in ("shortest", "squash") or not isinstance(side, int):
        raise checkpoint.error(f"it resizes pictures by {resize!r} to {side}: not supported")
    preprocessing = Preprocessing(
        side,
        resize,
        side,
        mean=as_colour(pictures.get("mean", CLIP_MEAN)),
        std=as_colour(pictures.get("std", CLIP_STD)),
        resample=_FILTERS[pictures.get("interpolation", "bicubic")],
        crop="even",
    )
    text = model["text_cfg"]
    options = text.get("tokenizer_kwargs") or {}
    own = bool(text.get("hf_tokenizer_name"))
    refused = sorted(options.keys() - {"clean"})
    if refused or text.get("tokenizer_mode"):
        raise checkpoint.error(
            f"its text_cfg has {refused[0] if refused else 'tokenizer_mode'!r}, which is not "
            "supported"
        )
    # Padded to full length, as in training: some of the text networks are not causal. open_clip's
    # own tokenizer pads with zeros.
    tokeniser = read_tokeniser(
        checkpoint,
        text.get("context_length", 77),
        binding=True,
        pad_to_max=True,
        pad_id=None if own else 0,
        cleaning=_CLEANING[options.get("clean", "whitespace" if own else "lower")],
    )
    return dual_encoder(
        checkpoint,
        dim=model["embed_dim"],
        preprocessing=preprocessing,
        tokeniser=tokeniser,
        builder=_builder,
        regions=places_of(model["vision_cfg"]) is not None,
        loss="softmax" if model.get("init_logit_bias") is None else "sigmoid",
        device=device,
        precision=precision,
    )


def places_of(vision: dict[str, Any]) -> Places | None:
    """Say how the shares of a picture network's places are computed; None where they are not.

    Parameters
    ----------
    vision
        The table ``vision_cfg`` of ``open_clip_config.json``.

    Returns
    -------
    str or None
        ``"openclip"`` for a vision transformer of the library itself, ``"eva"`` for EVA02-CLIP and
        ``"fastvit"`` for MobileCLIP of timm. None for all others: ResNet, networks that pool by
        attention or a mean of patches, and layers that are built differently.
    """
    given = {name for name, value in vision.items() if value}
    if "timm_model_name" in given:
        for pattern, (pool, kind) in _TIMM.items():
            if re.fullmatch(pattern, vision["timm_model_name"]):
                own_head = not vision.get("timm_proj", "linear")
                return kind if own_head and vision.get("timm_pool", "avg") == pool else None
        return None
    if vision.get("pool_type", "tok") != "tok" or not isinstance(vision.get("layers", 12), int):
        return None
    return "openclip" if given <= _AS_CLIP | {"pool_type"} else None


def _builder(checkpoint: Checkpoint, modality: Modality) -> Callable[[], torch.nn.Module]:
    """Return what builds one tower."""

    def build() -> torch.nn.Module:
        import torch

        regions = _regions(checkpoint) if modality == "regions" else None

        class Tower(torch.nn.Module):
            """The half of the model that is needed, under one forward method."""

            def __init__(self, model: Any) -> None:
                super().__init__()
                self.model = model

            def forward(self, tensor: torch.Tensor) -> Any:
                if regions is not None:
                    return regions(self.model.visual, tensor)
                encode = self.model.encode_image if modality == "image" else self.model.encode_text
                return encode(tensor)

        open_clip = import_module("open_clip")
        try:
            model = open_clip.create_model(
                f"local-dir:{checkpoint.folder}", load_weights=True, precision="fp32"
            )
        except Exception as error:  # what open_clip raises here is not documented
            raise unreadable(checkpoint, error) from error
        if modality == "text":
            del model.visual
        refuse_broken(checkpoint, model.state_dict())
        return Tower(model).eval().requires_grad_(False)

    return build


def _regions(checkpoint: Checkpoint) -> Callable[..., Any]:
    """Return what runs the picture network for its places too."""
    from pareja.encoders import region_towers

    forwards: dict[Places | None, Callable[..., Any]] = {
        "openclip": region_towers.openclip_regions,
        "eva": region_towers.eva_regions,
        "fastvit": region_towers.fastvit_regions,
    }
    described = checkpoint.read_json("open_clip_config.json")
    return forwards[places_of(described["model_cfg"]["vision_cfg"])]
