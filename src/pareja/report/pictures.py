"""Thumbnails: the dataset's pictures, small enough to travel inside a report."""

from __future__ import annotations

import io
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from PIL import Image, ImageDraw

from pareja.datasets.images import decode_image
from pareja.datasets.records import Dataset, Source
from pareja.errors import ImageError

# A page of hundreds of pictures stays below a few megabytes when each is smaller.
_SIDES = ((60, 240), (400, 160), (10**9, 96))


@dataclass(frozen=True)
class Thumbnail:
    """A small copy of one picture: the decoded pixels, and a JPEG file of them."""

    image: Image.Image
    jpeg: bytes


class Thumbnails(Sequence[Thumbnail]):
    """Small copies of a dataset's pictures, in its order, each made when it is first looked at.

    A picture that can no longer be decoded is a crossed-out frame, so that the numbers stay right.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._sources = [record.source for record in dataset]
        self._side = next(side for most, side in _SIDES if len(dataset) <= most)
        self._made: dict[int, Thumbnail] = {}
        self._count = len(self._sources)

    def __len__(self) -> int:
        return self._count

    def followed_by(self, more: Sequence[Thumbnail]) -> Thumbnails:
        """Return these and, after them, others that are made already."""
        longer = copy(self)
        longer._made = self._made | dict(enumerate(more, len(self)))
        longer._count += len(more)
        return longer

    @overload
    def __getitem__(self, index: int) -> Thumbnail: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Thumbnail]: ...
    def __getitem__(self, index: int | slice) -> Thumbnail | Sequence[Thumbnail]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        if place not in self._made:
            self._made[place] = thumbnail(self._sources[place], self._side)
        return self._made[place]


def thumbnails(dataset: Dataset) -> Thumbnails:
    """Return a small copy of every picture, in the dataset's order."""
    return Thumbnails(dataset)


def thumbnail(source: Source | Path | bytes, side: int) -> Thumbnail:
    """Return a copy of one picture whose longer side has at most `side` pixels.

    A picture that cannot be decoded is a crossed-out frame.
    """
    try:
        image = decode_image(source, network_side=side)
    except ImageError:
        image = crossed_out(side)
    # A picture of 1 x 4000 keeps a visible breadth.
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    if min(image.size) < side // 8:
        image = image.resize((max(image.width, side // 8), max(image.height, side // 8)))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=82, optimize=True)
    return Thumbnail(image, stream.getvalue())


def crossed_out(side: int) -> Image.Image:
    """Return what stands for a picture that cannot be shown, `side` pixels wide."""
    image = Image.new("RGB", (side, side * 3 // 4), "#e6e9ee")
    draw = ImageDraw.Draw(image)
    right, bottom = image.width - 1, image.height - 1
    draw.line((0, 0, right, bottom), fill="#9aa3b0", width=2)
    draw.line((0, bottom, right, 0), fill="#9aa3b0", width=2)
    return image
