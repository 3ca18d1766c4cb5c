"""What the ``preprocessor_config.json`` of a model says, as a `Preprocessing`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PIL import Image

from pareja.encoders.mosaics import Mosaic, SoftTokens
from pareja.encoders.preprocessing import (
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocessing,
    as_colour,
)
from pareja.errors import EncoderError

_DEFAULTS = {
    "CLIP": Preprocessing(224, "shortest", 224),
    "Bit": Preprocessing(224, "shortest", 224),
    "Siglip": Preprocessing(224, "squash", 224, HALF, HALF),
    "ViT": Preprocessing(224, "squash", 224, HALF, HALF, Image.Resampling.BILINEAR),
    "ConvNext": Preprocessing(384, "shortest", 384, HALF, HALF),
    "DINOv3ViT": Preprocessing(
        224, "squash", 224, IMAGENET_MEAN, IMAGENET_STD, Image.Resampling.BILINEAR
    ),
    "Siglip2": Mosaic(257, "squash", 257, HALF, HALF, Image.Resampling.BILINEAR),
    "Gemma4": SoftTokens(
        17 * 48 + 1, "squash", 17 * 48 + 1, (0, 0, 0), (1, 1, 1), patch=48, most=280
    ),
    "Tipsv2": Preprocessing(448, "squash", 448, (0, 0, 0), (1, 1, 1), Image.Resampling.BILINEAR),
}
# Each step can be left out; these settings count only where it is not.
_STEPS = {
    "resize": (
        "size",
        "resample",
        "crop_pct",
        "patch_size",
        "max_num_patches",
        "max_soft_tokens",
        "pooling_kernel_size",
    ),
    "rescale": ("rescale_factor",),
    "normalize": ("image_mean", "image_std"),
}
# What transformers' AutoImageProcessor takes for a model.
_FAMILY_OF = {
    "clip": "CLIP",
    "metaclip_2": "CLIP",
    "aimv2": "CLIP",
    "siglip": "Siglip",
    "siglip2": "Siglip2",
    "resnet": "ConvNext",
    "vit": "ViT",
    "dinov2": "Bit",
    "dinov3_vit": "DINOv3ViT",
    "tipsv2": "Tipsv2",
    "embedding_gemma2": "Gemma4",
}


def read_preprocessing(config: Mapping[str, Any], model_type: str | None = None) -> Preprocessing:
    """Read the ``preprocessor_config.json`` of a model.

    Parameters
    ----------
    config
        Its content. What it leaves out is as in the processor class that it names: CLIP, BiT
        (used by DINOv2), SigLIP, ViT, ConvNeXt (used by ResNet), DINOv3,
        SigLIP 2 NaFlex, TIPSv2 or Gemma 4.
    model_type
        Of the model, which says the class where the file does not.

    Raises
    ------
    EncoderError
        If the processor is of another class, or its output is not one square per picture.
    """
    named = config.get("image_processor_type") or config.get("feature_extractor_type") or ""
    family = str(named or _FAMILY_OF.get(model_type or "", ""))
    for suffix in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        family = family.removesuffix(suffix)
    default = _DEFAULTS.get(family)
    if default is None:
        raise EncoderError(
            f"preprocessor_config.json names the image processor {named!r}, which is not "
            f"supported. Supported are those of {', '.join(_DEFAULTS)}."
        )
    # The networks of TIPSv2 and Gemma 4 see values from 0 to 1 as they are.
    plain = family in ("Tipsv2", "Gemma4")
    on = {step: bool(config.get(f"do_{step}", not plain or step != "normalize")) for step in _STEPS}
    for step, keys in _STEPS.items():
        if empty := [key for key in keys if on[step] and config.get(key, 0) is None]:
            raise EncoderError(
                f"preprocessor_config.json has {empty[0]} = null, for which some versions of "
                "transformers take their default and others nothing. Write the value, or leave "
                "the key out."
            )
    if not on["resize"]:
        raise EncoderError(
            "preprocessor_config.json has do_resize = false, so that pictures of different "
            "sizes could not share a batch. Set it to true."
        )
    mean: Any = 0
    std: Any = 1
    if on["normalize"]:
        mean = config.get("image_mean", default.mean)
        std = config.get("image_std", default.std)
    default = replace(
        default,
        mean=as_colour(mean),
        std=as_colour(std),
        resample=Image.Resampling(config.get("resample", default.resample)),
        scale=float(config.get("rescale_factor", default.scale)) if on["rescale"] else 1.0,
    )
    return default.with_sizes(config, family)
