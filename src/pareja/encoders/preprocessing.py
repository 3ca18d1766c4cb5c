"""From a picture of any size to the square that a network sees.

Image processors of model repositories differ in few things only: which side is resized to what,
by which filter, and the mean and standard deviation that follow. `Preprocessing` holds these and
does the work with Pillow alone, bit for bit as transformers' Pillow processors do it. Pictures that
keep their shape are in `pareja.encoders.mosaics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from pareja.encoders.protocols import Pixels, Rectangle
from pareja.errors import EncoderError

Colour = tuple[float, float, float]
"""One number for each of red, green and blue."""

CLIP_MEAN: Colour = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Colour = (0.26862954, 0.26130258, 0.27577711)
HALF: Colour = (0.5, 0.5, 0.5)
IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)

CROPPING = ("CLIP", "Bit")
"""Image processors that crop unless their file says otherwise."""

# Beyond this ratio of the sides nearly all of the resized picture would be cropped away, and making
# it first could take gigabytes: 10000 x 1 pixels become 2 240 000 x 224.
_EXTREME_RATIO = 8


@dataclass(frozen=True)
class Preprocessing:
    """How pictures become the input of an image network.

    Parameters
    ----------
    side
        Side of the square that the network sees, in pixels; cropped out of the centre.
    resize
        ``"shortest"`` keeps the ratio and brings the shorter side to `resize_to`;
        ``"squash"`` makes the whole picture a square of `resize_to`.
    resize_to
        In pixels.
    mean, std
        Per channel (RGB), taken off and divided by after `scale`.
    resample
        Pillow's filter.
    scale
        What the values 0 to 255 are multiplied by first.
    crop
        Where the crop lies if an odd number of pixels is too many: the first column and row are
        rounded ``"down"``, as transformers does, or to the ``"even"`` number, as torchvision does
        for open_clip.
    """

    side: int
    resize: Literal["shortest", "squash"]
    resize_to: int
    mean: Colour = CLIP_MEAN
    std: Colour = CLIP_STD
    resample: Image.Resampling = Image.Resampling.BICUBIC
    scale: float = 1 / 255
    crop: Literal["down", "even"] = "down"

    def with_sizes(self, config: Mapping[str, Any], family: str) -> Preprocessing:
        """Apply the keys ``size``, ``crop_size``, ``do_center_crop`` and ``crop_pct``."""
        size = config.get("size")
        resize, resize_to = self.resize, self.resize_to
        if isinstance(size, int):
            square = config.get("default_to_square", family == "ViT")
            resize, resize_to = "squash" if square else "shortest", size
        elif isinstance(size, Mapping) and "shortest_edge" in size and "longest_edge" not in size:
            resize, resize_to = "shortest", int(size["shortest_edge"])
        elif isinstance(size, Mapping) and size.get("height") == size.get("width") is not None:
            resize, resize_to = "squash", int(size["height"])
        elif size is not None:
            raise EncoderError(
                f"preprocessor_config.json has size = {size!r}, which makes no square. "
                "Supported are a shortest_edge, or a height and width that are equal."
            )
        if family == "ConvNext":
            if resize != "shortest" or config.get("do_center_crop"):
                raise EncoderError(
                    "preprocessor_config.json has a height and width, or do_center_crop = true, "
                    "which ConvNext's processor does not take. Write size as a shortest_edge."
                )
            # The processor crops below 384 pixels and squashes from there on, as its paper did.
            side = resize_to
            if side >= 384:
                return replace(self, side=side, resize="squash", resize_to=side)
            enlarged = int(side / float(config.get("crop_pct", 224 / 256)))
            return replace(self, side=side, resize="shortest", resize_to=enlarged)
        crops = config.get("do_center_crop", family in CROPPING)
        if not crops:
            if resize == "shortest":
                raise EncoderError(
                    "preprocessor_config.json resizes the shorter side and crops nothing, which "
                    "makes no square. Set do_center_crop to true."
                )
            return replace(self, side=resize_to, resize=resize, resize_to=resize_to)
        crop = config.get("crop_size", self.side if family in CROPPING else None)
        height, width = (
            (crop.get("height"), crop.get("width")) if isinstance(crop, Mapping) else (crop, crop)
        )
        if height != width or height is None:
            raise EncoderError(
                f"preprocessor_config.json has crop_size = {crop!r}, which is no square. "
                "Only networks that see squares are supported."
            )
        return replace(self, side=int(height), resize=resize, resize_to=resize_to)

    def identity(self) -> str:
        """Everything that changes the network's input, as one line for a fingerprint.

        Examples
        --------
        >>> Preprocessing(224, "squash", 224, HALF, HALF).identity().partition(", std")[0]
        'squash 224 bicubic, crop 224, x 0.00392157, mean 0.5 0.5 0.5'
        """
        mean, std = (
            " ".join(f"{value:.7g}" for value in colour) for colour in (self.mean, self.std)
        )
        even = "" if self.crop == "down" else " even"
        return (
            f"{self.resize} {self.resize_to} {self.resample.name.lower()}, crop {self.side}{even}, "
            f"x {self.scale:.6g}, mean {mean}, std {std}{resizing_of(PIL.__version__)}"
        )

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop one RGB picture; ``(side, side, 3)``.

        A picture smaller than the crop is surrounded by black. Memory stays within a few times
        that of the result, however narrow the picture is.
        """
        image = image if image.mode == "RGB" else image.convert("RGB")
        width, height = image.size
        new_width, new_height = self._resized(width, height)
        left, top = (self._half(length - self.side) for length in (new_width, new_height))
        if max(new_width, new_height) > _EXTREME_RATIO * self.resize_to:
            # Pillow holds the box in single precision and may resize the two axes in the other
            # order, so that single pixels may differ by a level from resizing first: normal
            # pictures therefore do not come this way.
            across, down = width / new_width, height / new_height
            x, y = max(left, 0), max(top, 0)
            seen = min(self.side, new_width), min(self.side, new_height)
            box = (x * across, y * down, (x + seen[0]) * across, (y + seen[1]) * down)
            image = image.resize(seen, self.resample, box=box)
            left, top = min(left, 0), min(top, 0)
        else:
            image = image.resize((new_width, new_height), self.resample)
        if (left, top, *image.size) != (0, 0, self.side, self.side):
            image = image.crop((left, top, left + self.side, top + self.side))
        return np.asarray(image)

    def seen(self, width: int, height: int) -> Rectangle:
        """Return the part of a picture that `prepare` keeps, in the picture's own pixels.

        It ends outside the picture where the crop is larger than the resized picture.

        Examples
        --------
        >>> Preprocessing(224, "shortest", 256).seen(512, 256)
        (144.0, 16.0, 224.0, 224.0)
        """
        new_width, new_height = self._resized(width, height)
        left, top = (self._half(length - self.side) for length in (new_width, new_height))
        across, down = width / new_width, height / new_height
        return left * across, top * down, self.side * across, self.side * down

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that a picture is brought to before it is cropped."""
        if self.resize == "squash":
            return self.resize_to, self.resize_to
        # The longer side is rounded down, as torchvision and transformers do.
        if width <= height:
            return self.resize_to, int(self.resize_to * height / width)
        return int(self.resize_to * width / height), self.resize_to

    def _half(self, surplus: int) -> int:
        return surplus // 2 if self.crop == "down" else round(surplus / 2)

    def normalise(self, pixels: Pixels) -> NDArray[np.float32]:
        """Scale, centre and divide; uint8 ``(n, side, side, 3)`` to ``(n, 3, side, side)``."""
        factor = self.scale / np.array(self.std)
        shift = np.array(self.mean) / np.array(self.std)
        values = pixels.astype(np.float32) * factor.astype(np.float32) - shift.astype(np.float32)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    def sample(self, random: np.random.Generator, count: int) -> Pixels:
        """Return something that `prepare` may have made, to try a network on."""
        return random.integers(0, 256, (count, self.side, self.side, 3), np.uint8)


def resizing_of(pillow: str) -> str:
    """Return what a fingerprint says of how a version of Pillow resizes.

    From 13 on Pillow resizes the axes of many portraits in the other order, so that single pixels
    differ by a level. Within a generation the same picture gives the same pixels.

    Examples
    --------
    >>> resizing_of("12.2.0"), resizing_of("13.0.0"), resizing_of("14.1")
    ('', ', resized by pillow 13', ', resized by pillow 13')
    """
    return ", resized by pillow 13" if int(pillow.partition(".")[0]) >= 13 else ""


def as_colour(value: Any) -> Colour:
    """Return one number for each channel, of one number for all or of three."""
    if isinstance(value, int | float):
        return (float(value),) * 3
    red, green, blue = map(float, value)
    return red, green, blue
