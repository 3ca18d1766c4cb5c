"""Pictures as an agent sees them: one alone, or many on a numbered sheet."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

CELL = 256
"""Side of the square of a sheet that each picture fits into, in pixels."""

_BAND = 26  # for the number, above each picture
_COLUMNS = 4


def contact_sheet(pictures: Sequence[tuple[int, Image.Image]]) -> bytes:
    """Return a JPEG of pictures in rows of four, each whole, with its number above it.

    Parameters
    ----------
    pictures
        Each number, and its picture of at most `CELL` pixels on each side.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = min(_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    height = CELL + _BAND
    sheet = Image.new("RGB", (columns * CELL, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_BAND - 8)
    for place, (number, image) in enumerate(pictures):
        row, column = divmod(place, columns)
        left, top = column * CELL, row * height
        draw.text((left + 6, top + 2), str(number), "black", font)
        sheet.paste(image, (left + (CELL - image.width) // 2, top + _BAND))
    return jpeg(sheet)


def jpeg(image: Image.Image) -> bytes:
    """Return a picture as a JPEG."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return stream.getvalue()
