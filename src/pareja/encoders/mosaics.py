"""Pictures of any shape in one square, for networks that take patches and not squares.

SigLIP 2 NaFlex and EmbeddingGemma 2 keep a picture's ratio and see as many patches as that makes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from pareja.encoders.preprocessing import Preprocessing
from pareja.encoders.protocols import Pixels, Rectangle
from pareja.errors import EncoderError

# Of the numbers of rows and of columns, below the cells of a mosaic.
_BITS = 32


@dataclass(frozen=True)
class Mosaic(Preprocessing):
    """How pictures become patches for a network that takes them in any shape.

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

    def with_sizes(self, config: Mapping[str, Any], family: str) -> Mosaic:
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


@dataclass(frozen=True)
class SoftTokens(Mosaic):
    """How pictures become patches for Gemma's vision network (EmbeddingGemma 2).

    It averages square groups of patches to one token each. A cell of the mosaic is such a group,
    so that `patch` is its side, and `most` is how many tokens a picture has at most.

    Parameters
    ----------
    kernel
        How many patches of the network stand along a side of a group.
    """

    kernel: int = 3

    def identity(self) -> str:
        """Everything that changes the network's input, as one line for a fingerprint."""
        return f"{self.kernel} by {self.kernel} to a token, {super().identity()}"

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        """Return how many rows and columns of cells a picture becomes.

        Both are rounded down, so that a picture has somewhat fewer tokens than it might (Gemma 4's
        image processor in transformers).
        """
        scale = math.sqrt(self.most * self.patch**2 / (height * width))
        rows, cols = (math.floor(scale * side / self.patch) for side in (height, width))
        if rows == 0:
            return 1, min(width // height, self.most)
        if cols == 0:
            return min(height // width, self.most), 1
        return rows, cols

    def with_sizes(self, config: Mapping[str, Any], family: str) -> SoftTokens:
        """Apply the keys ``patch_size``, ``pooling_kernel_size`` and ``max_soft_tokens``."""
        kernel = int(config.get("pooling_kernel_size", self.kernel))
        patch = int(config.get("patch_size", self.patch // self.kernel))
        most = int(config.get("max_soft_tokens", self.most))
        if min(kernel, patch) < 1 or not 1 <= most < 2**16:
            raise EncoderError(
                f"its image processor has patch_size = {patch}, pooling_kernel_size = {kernel} and "
                f"max_soft_tokens = {most}. All are whole numbers above 0, the last below 65536."
            )
        found = replace(self, patch=patch * kernel, most=most, kernel=kernel)
        side = found.cells * found.patch + 1
        return replace(found, side=side, resize_to=side)
