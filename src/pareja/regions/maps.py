"""From a map of what speaks for words to a point and to boxes, by a stated rule.

The map of a picture has one number for each cell. It is enlarged bilinearly, and its median, which
stands for a place that has nothing to do with the words, is taken away. The point is the middle of
the highest cell. Places that reach `SHARE` of the highest one and hang together are one thing, and
the smallest rectangle around them is its box (Zhou et al. 2016, section 3.2, who take 0.2). A thing
whose own highest place does not reach `PEAK` is left out, as an echo of another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pareja.encoders.protocols import Rectangle

SHARE = 0.3
"""Share of the highest place from which a place belongs to a thing."""

PEAK = 0.7
"""Share of the highest place that the highest place of a thing reaches at least."""

_FINE = 8

Map = NDArray[np.float32]
"""One number for each cell of a picture, ``(rows, cols)``."""


@dataclass(frozen=True)
class Box:
    """A rectangle in a picture, and how sure it is.

    Parameters
    ----------
    left, top, width, height
        In pixels of the upright picture, inside of it.
    score
        Higher is surer; what it is made of depends on who found it.
    """

    left: float
    top: float
    width: float
    height: float
    score: float

    @property
    def rectangle(self) -> Rectangle:
        """Left, top, width and height."""
        return self.left, self.top, self.width, self.height


def peak(heat: Map, seen: Rectangle, size: tuple[int, int]) -> tuple[float, float]:
    """Return the middle of a map's highest cell as ``(x, y)`` in pixels of the picture.

    Parameters
    ----------
    heat
        The map.
    seen
        The part of the picture that it covers.
    size
        Width and height of the picture; the point is inside of it.

    Examples
    --------
    >>> peak(np.array([[0, 0], [0, 1]], np.float32), (0, 0, 40, 40), (40, 40))
    (30.0, 30.0)
    """
    row, col = np.unravel_index(heat.argmax(), heat.shape)
    left, top, width, height = seen
    x = left + (float(col) + 0.5) * width / heat.shape[1]
    y = top + (float(row) + 0.5) * height / heat.shape[0]
    return min(max(x, 0.0), size[0] - 1.0), min(max(y, 0.0), size[1] - 1.0)


def relative(heat: Map, factor: int = 1) -> Map:
    """Return a map enlarged, with 0 at its median and 1 at its highest place.

    Parameters
    ----------
    heat
        The map.
    factor
        How many places a cell becomes along each side.

    Returns
    -------
    ndarray
        ``(rows * factor, cols * factor)``; zeros where all cells are alike.
    """
    above = heat - np.median(heat)
    large = ndimage.zoom(above, factor, order=1, mode="nearest", grid_mode=True)
    highest = large.max()
    # Cells that differ by the rounding of the numbers alone say nothing.
    if highest <= 1e-6 * np.abs(heat).max():
        return np.zeros(large.shape, np.float32)
    return np.asarray(large / highest, np.float32)


def boxes(heat: Map, seen: Rectangle, size: tuple[int, int], score: float) -> tuple[Box, ...]:
    """Return the boxes of a map, best first.

    Parameters
    ----------
    heat
        The map.
    seen
        The part of the picture that it covers.
    size
        Width and height of the picture; boxes end at its edges.
    score
        Of the best box; the others have as much less as their highest place is lower.

    Returns
    -------
    tuple of Box
        At least one, unless all cells are alike.
    """
    large = relative(heat, _FINE)
    things, count = ndimage.label(large >= SHARE)
    if not large.any():
        return ()
    heights = ndimage.maximum(large, things, range(1, count + 1))
    rows, cols = large.shape
    left, top, width, height = seen
    found = []
    for reach, (down, across) in zip(heights, ndimage.find_objects(things), strict=True):
        if reach < PEAK:
            continue
        x0 = min(max(left + across.start * width / cols, 0.0), size[0])
        x1 = min(max(left + across.stop * width / cols, 0.0), size[0])
        y0 = min(max(top + down.start * height / rows, 0.0), size[1])
        y1 = min(max(top + down.stop * height / rows, 0.0), size[1])
        if x1 > x0 and y1 > y0:
            lower = abs(score) * (1 - float(reach))
            found.append(Box(x0, y0, x1 - x0, y1 - y0, score - lower))
    return tuple(sorted(found, key=lambda box: -box.score))
