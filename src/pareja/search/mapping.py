"""The pictures of a collection on a plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareja.arrays import evenly
from pareja.encoders.protocols import Embeddings
from pareja.search.contracts import Picture

MAX_MAPPED = 1_500
"""Most pictures on a map; of more, evenly many are left out."""


@dataclass(frozen=True)
class MapPoint:
    """A picture and its place; both coordinates in [-1, 1]."""

    picture: Picture
    x: float
    y: float


@dataclass(frozen=True)
class PictureMap:
    """The pictures of a collection on a plane.

    Parameters
    ----------
    points
        The pictures that are shown.
    total
        How many there are.
    explained
        Share of the embeddings' variance that the plane keeps, in [0, 1].
    """

    points: tuple[MapPoint, ...]
    total: int
    explained: float


def picture_map(
    find: Callable[[Sequence[int]], Mapping[int, Picture]],
    ids: NDArray[np.int64],
    vectors: Embeddings,
) -> PictureMap:
    """Place pictures on a plane, by the principal components of their embeddings.

    Parameters
    ----------
    find
        Returns pictures by their ids. An embedding whose picture is missing there gets no point.
    ids, vectors
        The id of each embedding, ``(n,)``, and the embeddings, ``(n, dim)``. Of more than
        `MAX_MAPPED`, evenly many are left out.

    Returns
    -------
    PictureMap
        Along each axis the point that lies farthest out is at 1.
    """
    # SciPy takes as long to import as a search takes.
    from pareja.analysis.projection import plane

    if not len(ids):
        return PictureMap((), 0, 1.0)
    shown = evenly(len(ids), MAX_MAPPED)
    rows = np.asarray(vectors, dtype=np.float64)[shown]
    placed = plane(rows, rows, np.arange(len(rows)), shared=True)
    extent = np.abs(placed.images).max(axis=0)
    positions = placed.images / np.where(extent > 0, extent, 1.0)
    pictures = find(ids[shown].tolist())
    points = tuple(
        MapPoint(pictures[int(ids[row])], round(float(x), 4), round(float(y), 4))
        for row, (x, y) in zip(shown, positions, strict=True)
        if int(ids[row]) in pictures
    )
    return PictureMap(points, len(ids), placed.explained[0])
