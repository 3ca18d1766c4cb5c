"""Pictures with what was located in them: maps laid over them, outlines, and places in words."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from pareja.datasets.images import decode_image
from pareja.encoders.protocols import Rectangle
from pareja.regions.maps import Box, Map, relative
from pareja.report.drawing import short
from pareja.report.pictures import Thumbnail
from pareja.tasks.locating import LocatedPicture
from pareja.tasks.locating_looks import Place
from pareja.words.wording import Wording

# Okabe and Ito (2008): told apart by the colour-blind, and each bright enough on a dark rim.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2")
_RIM = "#111111"
_LARGEST = 1600
# The picture stays visible under the warmest place, and recognisable outside of all.
_STRONGEST, _DIMMED = 0.35, 0.5


def outlined_png(picture: LocatedPicture) -> bytes:
    """Return a picture as PNG, with an outline and a name around everything found in it.

    Parameters
    ----------
    picture
        Its longer side is brought to at most 1600 pixels.
    """
    image, scale = _scaled(picture, _LARGEST)
    shown = [place for place in picture.places if place.here is not False]
    draw_outlines(image, [(place.words, place.boxes) for place in shown], scale)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def warmed(picture: LocatedPicture, place: Place, side: int) -> Thumbnail:
    """Return a picture with the map of some words over it, and outlines around what was found.

    Words that are taken not to be there leave it as it is: their map would be warm somewhere, too.

    Parameters
    ----------
    picture, place
        The picture, and the words' place in it.
    side
        Most pixels of the longer side.
    """
    image, scale = _scaled(picture, side)
    if place.here is not False:
        if place.heat is not None:
            image = lay_over(image, place.heat, tuple(edge * scale for edge in place.seen))
        draw_outlines(image, [("", place.boxes)], scale)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85, optimize=True)
    return Thumbnail(image, stream.getvalue())


def lay_over(image: Image.Image, heat: Map, seen: Sequence[float]) -> Image.Image:
    """Return a picture in which the places that speak for the words are warm, and others dim.

    Parameters
    ----------
    image
        RGB.
    heat
        The map.
    seen
        The part of the picture that it covers: left, top, width and height in its pixels.
    """
    left, top, width, height = seen
    strength = Image.fromarray(np.clip(relative(heat, 8), 0, 1).astype(np.float32))
    size = max(1, round(width)), max(1, round(height))
    canvas = Image.new("F", image.size, 0.0)
    canvas.paste(strength.resize(size, Image.Resampling.BILINEAR), (round(left), round(top)))
    warm = np.asarray(canvas)[..., None]
    pixels = np.asarray(image, np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    dim = _DIMMED * (0.35 * pixels + 0.65 * grey)
    lit = (1 - _STRONGEST) * pixels + _STRONGEST * np.array(ImageColor.getrgb(COLOURS[0]))
    return Image.fromarray((dim + warm * (lit - dim)).clip(0, 255).astype(np.uint8))


def draw_outlines(
    image: Image.Image, things: Iterable[tuple[str, Sequence[Box]]], scale: float
) -> None:
    """Draw boxes into a picture, those of each words in a colour of their own, with their name.

    Parameters
    ----------
    image
        RGB; it is changed.
    things
        Words and their boxes, in pixels of the whole picture. No name is drawn for empty words.
    scale
        What these pixels are multiplied by.
    """
    draw = ImageDraw.Draw(image)
    thick = max(2, round(min(image.size) / 160))
    font = _font(max(11, round(min(image.size) / 28)))
    for number, (words, found) in enumerate(things):
        colour = COLOURS[number % len(COLOURS)]
        for box in found:
            x0, y0 = box.left * scale, box.top * scale
            x1 = max(x0, (box.left + box.width) * scale - 1)
            y1 = max(y0, (box.top + box.height) * scale - 1)
            draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=_RIM, width=thick + 2)
            draw.rectangle((x0, y0, x1, y1), outline=colour, width=thick)
            if words:
                _draw_name(draw, f"{short(words, 40)} {box.score:.2f}", (x0, y0), colour, font)


def _draw_name(
    draw: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[float, float],
    colour: str,
    font: ImageFont.FreeTypeFont,
) -> None:
    """Draw a name on a plate above a corner, or inside of it where there is no room above."""
    _, _, width, height = draw.textbbox((0, 0), text, font=font)
    x = min(max(corner[0], 0), max(0.0, draw.im.size[0] - width - 6))
    y = corner[1] - height - 5 if corner[1] >= height + 5 else corner[1]
    draw.rectangle((x, y, x + width + 6, y + height + 4), fill=colour, outline=_RIM)
    draw.text((x + 3, y + 1), text, fill=_RIM, font=font)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Matplotlib brings it; Pillow's own font has no accents.
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _scaled(picture: LocatedPicture, side: int) -> tuple[Image.Image, float]:
    """Return a picture in at most `side` pixels, and how much smaller it is."""
    image = decode_image(picture.record.source)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image, image.width / picture.width


def place_in_words(part: Rectangle, size: tuple[int, int], words: Wording) -> str:
    """Return in which ninth of a picture of some size the middle of a part is: ``top left``."""
    left, top, width, height = part
    third = [("top", "middle", "bottom")[min(2, int(3 * (top + height / 2) / size[1]))]]
    third.append(("left", "centre", "right")[min(2, int(3 * (left + width / 2) / size[0]))])
    return words.text(f"locate.place.{'_'.join(third)}")


def part_in_words(part: Rectangle, size: tuple[int, int], words: Wording) -> str:
    """Return where a part of a picture is: ``top left, 12 % of the picture``.

    Parameters
    ----------
    part
        Left, top, width and height in pixels.
    size
        The picture's width and height.
    words
        The language.
    """
    _, _, width, height = part
    return words.text(
        "locate.part",
        place=place_in_words(part, size, words),
        share=words.percent(width * height / (size[0] * size[1])),
    )


def in_words(box: Box, size: tuple[int, int], words: Wording) -> str:
    """Return where a box is, for those who do not see it, and its score.

    Parameters
    ----------
    box
        In pixels of the picture.
    size
        The picture's width and height.
    words
        The language.
    """
    part = part_in_words(box.rectangle, size, words)
    return words.text("locate.box", part=part, score=words.number(box.score))
