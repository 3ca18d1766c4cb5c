"""Parts of pictures that somebody names: which rectangle is meant, and what is in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from PIL import Image

from pareja.datasets.images import decode_image, image_size
from pareja.datasets.records import Source
from pareja.encoders.protocols import Rectangle
from pareja.errors import BoxError

GivenBox: TypeAlias = "str | Sequence[float]"
"""Left, top, width and height: four numbers, or text with commas between them."""

_TAKEN = "Give left, top, width and height, as in 120,40,300,200 or 0.1,0.2,0.5,0.4."
# Of a pixel: what the sum of two decimal fractions may be off.
_ROUNDING = 1e-3


def rectangle(box: GivenBox, size: tuple[int, int]) -> Rectangle:
    """Return which part of a picture is meant, in its pixels.

    Parameters
    ----------
    box
        Left, top, width and height. Four numbers of at most 1 are fractions of the picture's width
        and height; all others are pixels.
    size
        Width and height of the upright picture, in pixels.

    Raises
    ------
    BoxError
        If it is no such box, is empty, or reaches out of the picture.

    Examples
    --------
    >>> rectangle((120, 40, 300, 200), (800, 600))
    (120.0, 40.0, 300.0, 200.0)
    >>> rectangle("0.5,0,0.5,1", (800, 600))
    (400.0, 0.0, 400.0, 600.0)
    """
    numbers = numbers_of(box)
    left, top, width, height = numbers
    if width <= 0 or height <= 0:
        raise BoxError(
            f"`box` is {box_as_typed(numbers)}, which has no width or no height. {_TAKEN}"
        )
    if max(numbers) <= 1:
        left, width = left * size[0], width * size[0]
        top, height = top * size[1], height * size[1]
    right, bottom = left + width, top + height
    if min(left, top) < 0 or right > size[0] + _ROUNDING or bottom > size[1] + _ROUNDING:
        raise BoxError(_outside(numbers, (left, top, right, bottom), size))
    return left, top, min(right, size[0]) - left, min(bottom, size[1]) - top


def cut_out(image: Image.Image, box: GivenBox, size: tuple[int, int] | None = None) -> Image.Image:
    """Cut a part out of a picture, or out of a smaller copy of it.

    Parameters
    ----------
    image
        The upright picture, or a copy.
    box
        What `rectangle` takes.
    size
        Width and height of the picture that `box` speaks of; by default those of `image`.

    Returns
    -------
    PIL.Image.Image
        Every pixel that the part touches, at least one.

    Raises
    ------
    BoxError
        If `box` is no part of the picture.
    """
    whole = size or image.size
    left, top, width, height = rectangle(box, whole)
    across, down = image.width / whole[0], image.height / whole[1]
    # A part that lies in the last pixel begins before the picture ends.
    x0 = min(math.floor(left * across), image.width - 1)
    y0 = min(math.floor(top * down), image.height - 1)
    x1 = min(math.ceil((left + width) * across), image.width)
    y1 = min(math.ceil((top + height) * down), image.height)
    return image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))


def read_part(source: Source | bytes, box: GivenBox, network_side: int) -> Image.Image:
    """Decode a part of a picture, with at least twice as many pixels as an encoder looks at.

    Parameters
    ----------
    source
        Where the picture is, or its bytes.
    box
        What `rectangle` takes, of the upright picture.
    network_side
        Side in pixels of the square that the encoder looks at.

    Raises
    ------
    BoxError
        If `box` is no part of the picture.
    ImageError
        If the picture cannot be decoded.
    """
    size = image_size(source)
    return cut_out(decode_image(source, network_side=side_for(box, size, network_side)), box, size)


def side_for(box: GivenBox, size: tuple[int, int], network_side: int) -> int:
    """Return for which network a whole picture is to be decoded, so that a part has enough pixels.

    Parameters
    ----------
    box, size
        The part, and the picture's width and height.
    network_side
        Side of the square that an encoder looks at the part in.
    """
    _, _, width, height = rectangle(box, size)
    return math.ceil(network_side * min(size) / min(width, height, *size))


def numbers_of(box: GivenBox) -> tuple[float, float, float, float]:
    """Return the four numbers of a box, or raise `BoxError` if it has no such numbers."""
    given = box.split(",") if isinstance(box, str) else box
    try:
        left, top, width, height = (float(number) for number in given)
    except (TypeError, ValueError):
        raise BoxError(f"`box` is {box!r}, and no four numbers. {_TAKEN}") from None
    numbers = left, top, width, height
    if not all(map(math.isfinite, numbers)):
        raise BoxError(f"`box` is {box!r}, and a number of it is not finite. {_TAKEN}")
    return numbers


def _outside(
    numbers: tuple[float, float, float, float],
    edges: tuple[float, float, float, float],
    size: tuple[int, int],
) -> str:
    """Say how a box reaches out of a picture, and what was probably meant."""
    left, top, right, bottom = edges
    said = (
        f"`box` is {box_as_typed(numbers)}, and reaches from {left:.6g}, {top:.6g} to {right:.6g}, "
        f"{bottom:.6g} in a picture of {size[0]} x {size[1]} pixels."
    )
    x0, y0, x1, y1 = numbers
    whole = (1, 1) if max(numbers) <= 1 else size
    if 0 <= x0 < x1 <= whole[0] and 0 <= y0 < y1 <= whole[1]:
        sides = box_as_typed((x0, y0, x1 - x0, y1 - y0))
        return f"{said} If these are two corners, give left, top, width and height: {sides}."
    return f"{said} Give a part that lies in the picture: left, top, width and height."


def box_as_typed(box: GivenBox) -> str:
    """Return a box as the command line takes it.

    Examples
    --------
    >>> box_as_typed((120.0, 40, 300, 200.5))
    '120,40,300,200.5'
    """
    return ",".join(f"{number:.6g}" for number in numbers_of(box))
