"""From a picture of any size to the square that a network sees.

Image processors of model repositories differ in few things only: which side is resized to what,
by which filter, and the mean and standard deviation that follow. `Preprocessing` holds these and
does the work with Pillow alone, bit for bit as transformers' Pillow processors do it.
"""

from __future__ import annotations

import math
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

    @classmethod
    def from_config(cls, config: Mapping[str, Any], model_type: str | None = None) -> Preprocessing:
        """Read the ``preprocessor_config.json`` of a model.

        Parameters
        ----------
        config
            Its content. What it leaves out is as in the processor class that it names: CLIP, BiT
            (used by DINOv2), SigLIP, ViT, ConvNeXt (used by ResNet), DINOv3,
            SigLIP 2 NaFlex or TIPSv2.
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
        # TIPSv2's network sees values from 0 to 1 as they are.
        on = {
            step: bool(config.get(f"do_{step}", (family, step) != ("Tipsv2", "normalize")))
            for step in _STEPS
        }
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
        return default._with_sizes(config, family)

    def _with_sizes(self, config: Mapping[str, Any], family: str) -> Preprocessing:
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
        crops = config.get("do_center_crop", family in _CROPPING)
        if not crops:
            if resize == "shortest":
                raise EncoderError(
                    "preprocessor_config.json resizes the shorter side and crops nothing, which "
                    "makes no square. Set do_center_crop to true."
                )
            return replace(self, side=resize_to, resize=resize, resize_to=resize_to)
        crop = config.get("crop_size", self.side if family in _CROPPING else None)
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


# Of the numbers of rows and of columns, below the cells of a mosaic.
_BITS = 32


@dataclass(frozen=True)
class Mosaic(Preprocessing):
    """How pictures become patches for a network that takes them in any shape (SigLIP 2 NaFlex).

    A picture keeps its ratio, and becomes as large as a number of patches allows. The patches are
    packed row by row into the cells of a square, so that pictures of all shapes share a batch. To
    the right of the cells and below them is one more pixel: how many rows and columns of patches
    there are stands below, each as 16 bits of black and white, the rows first. The first two
    pixels of the last column are white and black.

    Parameters
    ----------
    patch
        Side of a patch, in pixels.
    most
        How many patches a picture has at most.
    """

    patch: int = 16
    most: int = 256

    @property
    def cells(self) -> int:
        """How many patches stand in a row of the square, with room for what is written below."""
        return max(math.isqrt(self.most - 1) + 1, math.ceil(_BITS / self.patch))

    def identity(self) -> str:
        """Everything that changes the network's input, as one line for a fingerprint."""
        return f"{self.most} patches of {self.patch}, {super().identity()}"

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize one RGB picture and pack its patches; ``(side, side, 3)``."""
        image = image if image.mode == "RGB" else image.convert("RGB")
        size, cells = self.patch, self.cells
        rows, cols = self._grid(*image.size)
        resized = np.asarray(image.resize((cols * size, rows * size), self.resample))
        patches = np.zeros((cells * cells, size, size, 3), np.uint8)
        by_patch = resized.reshape(rows, size, cols, size, 3).swapaxes(1, 2)
        patches[: rows * cols] = by_patch.reshape(-1, size, size, 3)
        packed = np.zeros((self.side, self.side, 3), np.uint8)
        square = patches.reshape(cells, cells, size, size, 3).swapaxes(1, 2)
        packed[:-1, :-1] = square.reshape(cells * size, cells * size, 3)
        bits = np.unpackbits(np.array([rows, cols], ">u2").view(np.uint8))
        packed[-1, : len(bits)] = 255 * bits[:, None]
        packed[0, -1] = 255
        packed[1, -1] = 0
        return packed

    def seen(self, width: int, height: int) -> Rectangle:
        """Return the part of a picture that `prepare` keeps: all of it."""
        return 0.0, 0.0, float(width), float(height)

    def sample(self, random: np.random.Generator, count: int) -> Pixels:
        """Return prepared pictures of different shapes."""
        shapes = random.integers(1, 5, (count, 2)) * self.patch
        noise = (random.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes)
        return np.stack([self.prepare(Image.fromarray(image)) for image in noise])

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        """Return how many rows and columns of patches a picture becomes.

        It is found by halving, to the precision with which the network was trained (big_vision,
        ``ops_naflex.py``).
        """

        def grid(scale: float) -> tuple[int, int]:
            rows, cols = (max(1, math.ceil(side * scale / self.patch)) for side in (height, width))
            return rows, cols

        low, high = 1e-6, 100.0
        while high - low >= 1e-5:
            middle = (low + high) / 2
            low, high = (middle, high) if math.prod(grid(middle)) <= self.most else (low, middle)
        return grid(low)

    def _with_sizes(self, config: Mapping[str, Any], family: str) -> Mosaic:
        """Apply the keys ``patch_size`` and ``max_num_patches``."""
        patch, most = (
            int(config.get(key, default))
            for key, default in (("patch_size", self.patch), ("max_num_patches", self.most))
        )
        if patch < 1 or not 1 <= most < 2**16:
            raise EncoderError(
                f"preprocessor_config.json has patch_size = {patch} and max_num_patches = {most}. "
                "Patches have at least one pixel, and there are 1 to 65535 of them."
            )
        found = replace(self, patch=patch, most=most)
        side = found.cells * patch + 1
        return replace(found, side=side, resize_to=side)


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
    "Tipsv2": Preprocessing(448, "squash", 448, (0, 0, 0), (1, 1, 1), Image.Resampling.BILINEAR),
}
_CROPPING = {"CLIP", "Bit"}
# Each step can be left out; these settings count only where it is not.
_STEPS = {
    "resize": ("size", "resample", "crop_pct", "patch_size", "max_num_patches"),
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
}


def as_colour(value: Any) -> Colour:
    """Return one number for each channel, of one number for all or of three."""
    if isinstance(value, int | float):
        return (float(value),) * 3
    red, green, blue = map(float, value)
    return red, green, blue
