"""What the measures accept: every array that comes from outside is looked at here, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.levels import Levels
from pareja.analysis.significance import Floats, Indices, chunks
from pareja.errors import AnalysisError

# Equal captions have equal embeddings, yet a matrix product may add them up in another order.
_TIE = 1e-12
_AT_ONCE = 1 << 20

LARGE = 1 << 24
"""Similarities with more entries may be float32, which halves their memory. Cosines that lie closer
together than 6e-8 may then be equal, which embeddings in float32 do not tell apart either."""


def checked_rows(name: str, array: ArrayLike) -> Floats:
    """Return a matrix of finite numbers with at least one row and one column, in float64.

    Raises
    ------
    AnalysisError
        If it is anything else.
    """
    return _checked(name, array, np.dtype(np.float64))


def checked_scores(name: str, array: ArrayLike) -> Floats:
    """Return a matrix as `checked_rows` does, but leave a `LARGE` one of float32 as it is.

    Raises
    ------
    AnalysisError
        If it is anything else than a finite matrix.
    """
    found = np.asarray(array)
    single = found.dtype == np.float32 and found.size > LARGE
    return _checked(name, found, np.dtype(np.float32 if single else np.float64))


def _checked(name: str, array: ArrayLike, dtype: np.dtype[Any]) -> Floats:
    try:
        matrix = np.asarray(array, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"{name} must be a matrix of numbers: {error}") from error
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise AnalysisError(
            f"{name} must be a matrix with at least one row and one column, got shape "
            f"{matrix.shape}"
        )
    # The extremes of a row with NaN are NaN; nothing as large as the matrix is made.
    broken = np.flatnonzero(~(np.isfinite(matrix.max(axis=1)) & np.isfinite(matrix.min(axis=1))))
    if broken.size:
        raise AnalysisError(
            f"{name} of shape {matrix.shape} must be finite: row {broken[0]} is the first of "
            f"{broken.size} with NaN or infinity"
        )
    return matrix


def checked_owner(owner: ArrayLike, n_images: int, n_captions: int) -> Indices:
    """Return the index of each caption's picture, shape ``(n_captions,)``.

    Raises
    ------
    AnalysisError
        If its shape is another, or an index names no picture.
    """
    indices = np.asarray(owner)
    if indices.shape != (n_captions,) or not np.issubdtype(indices.dtype, np.integer):
        raise AnalysisError(
            f"owner must hold one picture index for each of {n_captions} captions, got shape "
            f"{indices.shape} of {indices.dtype}"
        )
    outside = np.flatnonzero((indices < 0) | (indices >= n_images))
    if outside.size:
        raise AnalysisError(
            f"owner[{outside[0]}] is {indices[outside[0]]}, but the {n_images} pictures have the "
            f"indices 0 to {n_images - 1}"
        )
    return indices.astype(np.intp)


def checked_similarity(similarity: ArrayLike, owner: ArrayLike) -> tuple[Floats, Indices]:
    """Return a similarity matrix whose equal entries are exactly equal, and its owner.

    Raises
    ------
    AnalysisError
        If either is malformed.
    """
    matrix = checked_scores("similarity", similarity)
    # Of numbers that are rounded to float32, those that differ by less are equal already.
    level = matrix if matrix.dtype == np.float32 else levelled(matrix)
    return level, checked_owner(owner, *matrix.shape)


def levelled(matrix: Floats) -> Floats:
    """Return a matrix in which entries that are equal but for rounding are equal.

    Entries that differ by less than 1e-12 of the largest magnitude become one value: such a
    difference is the rounding of a matrix product, and a rank must not rest on it.
    """
    values = np.sort(matrix, axis=None)
    tolerance = _TIE * max(abs(values[0]), abs(values[-1]))
    steps = []
    for start in range(0, len(values) - 1, _AT_ONCE):
        gaps = np.diff(values[start : start + _AT_ONCE + 1])
        steps.append(start + np.flatnonzero((gaps > 0) & (gaps <= tolerance)))
    close = np.concatenate([np.empty(0, np.intp), *steps])
    if not close.size:
        return matrix
    # Steps that follow each other lead to the same value, that before the first of them.
    lower, upper = values[close], values[close + 1]
    begins = np.append(True, lower[1:] != upper[:-1])
    target = lower[np.maximum.accumulate(np.where(begins, np.arange(len(close)), 0))]
    level = matrix.copy()
    steps_up = Levels(upper)
    for part in chunks(len(matrix), matrix[0].size):
        places = steps_up.places(matrix[part])
        # Odd where an entry equals a step, and then twice its index and one more.
        moved = places % 2 == 1
        level[part][moved] = target[places[moved] // 2]
    return level


def checked_pairs(
    images: ArrayLike, captions: ArrayLike, owner: ArrayLike
) -> tuple[Floats, Floats, Indices]:
    """Return embeddings ``(n_images, p)``, ``(n_captions, q)``, and the owner.

    Raises
    ------
    AnalysisError
        If one is malformed.
    """
    pictures = checked_rows("images", images)
    texts = checked_rows("captions", captions)
    return pictures, texts, checked_owner(owner, len(pictures), len(texts))


def checked_categories(categories: Sequence[str | None], n_images: int) -> tuple[str | None, ...]:
    """Return the category of each picture.

    Raises
    ------
    AnalysisError
        If there is not one for each, or none has any.
    """
    named = tuple(categories)
    if len(named) != n_images:
        raise AnalysisError(
            f"image_categories must name a category for each of {n_images} pictures, got "
            f"{len(named)}"
        )
    if all(category is None for category in named):
        raise AnalysisError(f"none of the {n_images} pictures has a category")
    return named


def checked_count(name: str, count: int, least: int = 1) -> int:
    """Return a number of draws or neighbours that is at least ``least``.

    Raises
    ------
    AnalysisError
        If it is smaller.
    """
    if count < least:
        raise AnalysisError(f"{name} must be at least {least}, got {count}")
    return int(count)


def required(what: str, found: int, least: int) -> None:
    """Refuse a sample on which a measure is not defined.

    Raises
    ------
    AnalysisError
        If ``found`` is less than ``least``.
    """
    if found < least:
        raise AnalysisError(f"{what} needs at least {least} pictures with captions, got {found}")
