"""Pixels of every kind that Pillow knows, as 8-bit sRGB on a white ground."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 4 * 2**20
"""Larger ICC profiles are ignored: the largest in use, for CMYK presses, have about 2.5 MB."""

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF tags
_WHITE_IS_ZERO, _UNSIGNED = 0, 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded picture to sRGB and lay it on white.

    Parameters
    ----------
    image
        A picture of any mode. Its ``info`` is consulted for transparency and an ICC profile.

    Returns
    -------
    PIL.Image.Image
        A new picture of mode RGB and the same size, without ``info``.

    Notes
    -----
    *Colour.* A profile that fits the mode (RGB, CMYK or grey) is applied with relative colorimetric
    intent and black point compensation. Profiles that are broken or do not fit are ignored; so are
    those that change nothing, which is what most cameras write. CMYK without a profile is
    converted by ``r = (1 - c)(1 - k)``.

    *Deep greys.* 16-bit samples run from 0 to 65535 and 12-bit samples from 0 to 4095. A file does
    not say where white is for floats and for 32-bit or signed integers, so white is the smallest
    of 1 (floats only), 255 and 65535 that no sample exceeds. Where there is a sample below zero or
    above 65535, the range from the lowest to the highest one is stretched over black to white; a
    picture that is constant out there is mid-grey. NaN is black, and infinities are the ends of
    the range. TIFF's "white is zero" is honoured.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    alpha = None
    if image.has_transparency_data:
        # Pillow knows no direct way from grey that is multiplied by its alpha.
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        alpha = rgba.getchannel("A")
        image = rgba.convert("RGB")
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    image = _managed(image, profile)
    if alpha is not None and alpha.getextrema() != (255, 255):
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=alpha)
        image = ground
    # What is left in info has been applied: applying it again would turn the picture twice.
    image.info = {}
    return image


def _managed(image: Image.Image, profile: object) -> Image.Image:
    """Convert L, RGB or CMYK to a new RGB picture, through the profile where there is one."""
    if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE_BYTES:
        transform = _transform(profile, image.mode)
        if transform is not None:
            return transform.apply(image)
    return image.convert("RGB")


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way from a profile to sRGB; None where there is none, or nothing to do."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != {"L": "GRAY"}.get(mode, mode):
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return transform if mode == "CMYK" or _changes_colours(transform, mode) else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes_colours(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether any of some evenly spread colours moves by more than two levels of 255.

    sRGB profiles have many names and many encodings; what they do is the one reliable sign.
    """
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    axes = np.meshgrid(*[steps] * len(mode), indexing="ij")
    before = np.stack(axes, axis=-1).reshape(1, -1, len(mode))
    sample = Image.fromarray(before[..., 0] if mode == "L" else before)
    after = np.asarray(transform.apply(sample), np.int16)
    return bool(np.abs(after - before).max() > 2)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale integer or float greys to L, or to LA where one grey is declared transparent."""
    tags = getattr(image, "tag_v2", {})
    samples = np.asarray(image)
    # Pillow reads unsigned 32-bit TIFF into its signed mode, and PPM above 8 bits into 32 bits,
    # scaled to 65535.
    if image.mode == "I" and tags.get(_SAMPLE_FORMAT) in (_UNSIGNED, (_UNSIGNED,)):
        samples = samples.view(np.uint32)
    if image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I"):
        white = 4095 if tags.get(_BITS_PER_SAMPLE) in (12, (12,)) else 65535
        levels = np.rint(np.arange(65536) * (255 / white)).clip(0, 255).astype(np.uint8)
        greys = levels[samples]
    else:
        greys = _stretched(samples)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        greys = 255 - greys
    eight = Image.fromarray(greys)
    if "transparency" in image.info:
        eight.putalpha(
            Image.fromarray(
                np.where(samples == image.info["transparency"], 0, 255).astype(np.uint8)
            )
        )
    return eight


def _stretched(samples: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale samples whose white is not known to ``uint8``, by the rule of `to_rgb`."""
    values = samples.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    whites = (1, 255, 65535) if samples.dtype.kind == "f" else (255, 65535)
    white = next((w for w in whites if w >= high), None)
    if low < 0 or white is None:
        if low == high:
            return np.full(values.shape, 128, np.uint8)
    else:
        low, high = 0.0, float(white)
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    # Halved before subtracting: the whole range of float64 has no float64 for its length.
    values /= 2
    values -= low / 2
    values *= 255 / (high / 2 - low / 2)
    return np.rint(values).clip(0, 255).astype(np.uint8)
