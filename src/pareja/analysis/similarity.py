"""How close a picture and a caption are, as the cosine of their embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.significance import Floats, chunks
from pareja.analysis.validation import LARGE, checked_count, checked_rows
from pareja.arrays import unit
from pareja.errors import AnalysisError


def normalise(raw: ArrayLike) -> Floats:
    """Scale every row to length 1.

    Parameters
    ----------
    raw
        Embeddings, shape ``(n, dim)``.

    Returns
    -------
    Floats
        Shape ``(n, dim)``. A row of zeros stays one, as `pareja.arrays.unit` says: its cosine
        with everything is 0, and so it ranks at chance.

    Raises
    ------
    AnalysisError
        If ``raw`` is no finite matrix.

    Examples
    --------
    >>> normalise([[3.0, 4.0], [0.0, 0.0]]).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    return unit(checked_rows("embeddings", raw))


def cosine_similarity(images: ArrayLike, captions: ArrayLike) -> Floats:
    """Return the cosine of every picture with every caption, in one space.

    Parameters
    ----------
    images, captions
        Embeddings, shapes ``(n_images, dim)`` and ``(n_captions, dim)``, of any length.

    Returns
    -------
    Floats
        ``similarity[i, j]`` in [-1, 1], shape ``(n_images, n_captions)``. Under chance it is not
        0: the embeddings of a network usually share a direction. Computed in float64; a `LARGE`
        matrix is kept in float32.

    Raises
    ------
    AnalysisError
        If the dimensions differ, or a matrix is malformed.
    """
    rows, columns = normalise(images), normalise(captions)
    if rows.shape[1] != columns.shape[1]:
        raise AnalysisError(
            f"images of shape {rows.shape} and captions of shape {columns.shape} have no common "
            "axes: a cosine needs one dimension. Two spaces are compared by bridges() or geometry()"
        )
    return products(rows, columns)


def products(rows: Floats, columns: Floats) -> Floats:
    """Return the inner products of unit vectors, in [-1, 1]; `LARGE` matrices in float32.

    Parameters
    ----------
    rows, columns
        Shapes ``(n, dim)`` and ``(m, dim)``.
    """
    shape = len(rows), len(columns)
    found = np.empty(shape, np.float32 if np.prod(shape) > LARGE else np.float64)
    # Larger parts than those that stay in cache: a product of a few rows is slow.
    for part in chunks(len(rows), len(columns) // 16):
        np.clip(rows[part] @ columns.T, -1.0, 1.0, out=found[part], casting="same_kind")
    result: Floats = found
    return result


def random_projection_similarity(
    images: ArrayLike, captions: ArrayLike, *, dim: int | None = None, seed: int
) -> Floats:
    """Return the cosine after projecting both spaces at random to one dimension.

    This is the naive answer to "the dimensions differ": make them equal, then compare.
    Projections keep the distances within each space (Johnson and Lindenstrauss 1984) and say
    nothing across the two.

    Parameters
    ----------
    images, captions
        Embeddings of two spaces, shapes ``(n_images, p)`` and ``(n_captions, q)``.
    dim
        The common dimension; the smaller of p and q unless given.
    seed
        Seed of the two Gaussian matrices, drawn independently of each other.

    Returns
    -------
    Floats
        Shape ``(n_images, n_captions)``, in [-1, 1]. Over seeds its mean is 0 for every entry,
        matched or not. It is one projection, not an average: an average of such matrices is a
        matrix of the same kind, only smaller.

    Raises
    ------
    AnalysisError
        If a matrix is malformed or ``dim`` is not positive.
    """
    rows, columns = normalise(images), normalise(captions)
    common = min(rows.shape[1], columns.shape[1]) if dim is None else checked_count("dim", dim)
    return products(*random_projections(rows, columns, dim=common, seed=seed))


def random_projections(
    rows: Floats, columns: Floats, *, dim: int, seed: int
) -> tuple[Floats, Floats]:
    """Project two spaces at random to unit vectors of one dimension.

    Parameters
    ----------
    rows, columns
        Embeddings of two spaces, shapes ``(n, p)`` and ``(m, q)``, in float64 or float32.
    dim
        The common dimension.
    seed
        Seed of the two Gaussian matrices.
    """
    generator = np.random.default_rng(seed)
    left, right = (
        generator.standard_normal((side.shape[1], dim), dtype=side.dtype)
        for side in (rows, columns)
    )
    return unit(rows @ left), unit(columns @ right)
