"""Where pictures lie on a plane, and which are nearest: what embedding-atlas shows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from pareja.arrays import unit
from pareja.encoders.protocols import Embeddings

NEIGHBOURS = 15
"""How many rows are listed for each, itself included, as embedding-atlas does."""

_ROWS_AT_ONCE = 512


def atlas_columns(vectors: Embeddings) -> dict[str, list[Any]]:
    """Return the columns ``x``, ``y`` and ``neighbors`` for rows of embeddings.

    Parameters
    ----------
    vectors
        ``(n, dim)``, in the order of the rows.

    Returns
    -------
    dict
        ``x``, ``y``: the first two principal components. ``neighbors``: for each row ``ids``, the
        places of the nearest rows, from 0, the row itself first, and ``distances``, 1 minus
        their cosines, in [0, 2]. There are 15, or as many as there are rows.
    """
    from pareja.analysis.projection import plane

    if not len(vectors):
        return {"x": [], "y": [], "neighbors": []}
    placed = plane(vectors, vectors, np.arange(len(vectors)), shared=True).images
    return {
        "x": placed[:, 0].tolist(),
        "y": placed[:, 1].tolist(),
        # Stored as float16, their lengths are only nearly 1.
        "neighbors": _neighbours(unit(vectors), min(NEIGHBOURS, len(vectors))),
    }


def _neighbours(vectors: Embeddings, k: int) -> list[dict[str, list[Any]]]:
    found = []
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        rows = vectors[start : start + _ROWS_AT_ONCE]
        distances = np.clip(1 - rows @ vectors.T, 0, 2)
        # Before its copies, which may be as near.
        distances[np.arange(len(rows)), start + np.arange(len(rows))] = -1
        near = np.argpartition(distances, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(distances, near, axis=1)
        order = np.lexsort((near, values), axis=1)
        near = np.take_along_axis(near, order, axis=1)
        values = np.maximum(np.take_along_axis(values, order, axis=1), 0)
        found += [
            {"ids": ids.tolist(), "distances": away.tolist()}
            for ids, away in zip(near, values, strict=True)
        ]
    return found
