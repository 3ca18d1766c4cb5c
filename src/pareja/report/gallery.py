"""All pictures of a small dataset on one sheet, whole and numbered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pareja.report.drawing import FULL_WIDTH, INK, Drawing, bare, finish, sheet
from pareja.report.frame import Frame
from pareja.report.pictures import Thumbnail

_COLUMNS = 5
# Of a cell whose side is 1: what a picture takes at most, and what its number takes.
_WIDTH, _HEIGHT, _NUMBER = 0.94, 0.68, 0.14


def draw_gallery(frame: Frame, pictures: Sequence[Thumbnail]) -> Drawing:
    """Draw the pictures in rows of five, in the dataset's order, each under its number."""
    rows = -(-len(pictures) // _COLUMNS)
    cell = _HEIGHT + _NUMBER + 0.04
    with sheet(FULL_WIDTH, FULL_WIDTH / _COLUMNS * cell * rows) as figure:
        axes = figure.subplots()
        bare(axes)
        for place, picture in enumerate(pictures):
            row, column = divmod(place, _COLUMNS)
            left, top = column, row * cell
            width, height = picture.image.size
            scale = min(_WIDTH / width, _HEIGHT / height)
            bottom = top + _NUMBER + height * scale
            axes.imshow(
                np.asarray(picture.image),
                extent=(left, left + width * scale, bottom, top + _NUMBER),
            )
            number = frame.words.integer(place + 1)
            axes.text(left, top + _NUMBER - 0.02, number, color=INK, va="bottom", weight="bold")
        axes.set(xlim=(0, _COLUMNS), ylim=(rows * cell, 0), aspect="equal", xticks=(), yticks=())
        return finish(figure, "pictures")
