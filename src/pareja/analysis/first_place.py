"""Whether more queries have a right answer in first place than a random pairing would give."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.retrieval import Direction
from pareja.analysis.significance import (
    Floats,
    Indices,
    PermutationTest,
    chunks,
    permutation_test,
)
from pareja.analysis.turns import Turns
from pareja.analysis.validation import checked_count, checked_similarity


def first_place(
    similarity: ArrayLike, owner: ArrayLike, *, permutations: int = 9999, seed: int = 0
) -> Mapping[Direction, PermutationTest]:
    """Test R@1 against random pairings of pictures and captions.

    Parameters
    ----------
    similarity
        Shape ``(n_images, n_captions)``, higher is closer.
    owner
        The picture of each caption, shape ``(n_captions,)``.
    permutations
        How many random pairings to draw: the captions of a picture go to another one together.
    seed
        Of the draw.

    Returns
    -------
    dict
        One test for each direction. Its statistic is R@1, in [0, 1], and its p is one-sided:
        among n pictures one hit is expected, so that no number of hits is too few.

    Raises
    ------
    AnalysisError
        If an array is malformed.

    Notes
    -----
    Hits come together where a picture has several captions, or where many queries have the same
    nearest answer. Pairing whole pictures anew keeps that; a binomial test would not. Of maps that
    were fitted by leaving pictures out, the similarity itself prefers wrong pairs slightly
    (`pareja.analysis.alignment.bridges`), so for these the test errs towards chance.

    Examples
    --------
    >>> tests = first_place(np.eye(5), np.arange(5), permutations=999)
    >>> tests["image_to_text"].statistic, round(tests["image_to_text"].null_mean, 1)
    (1.0, 0.2)
    """
    matrix, owners = checked_similarity(similarity, owner)
    checked_count("permutations", permutations)
    turns = Turns.of_pictures(len(matrix), permutations, seed)

    def test(asked: Indices, answered: Indices, shares: Floats) -> PermutationTest:
        shares = shares / shares.sum()
        null = turns.hits(asked, answered, shares)
        return permutation_test(float((asked == answered) @ shares), null)

    rows, columns, shares = nearest(matrix, "image_to_text")
    captioned = np.isin(rows, owners)
    rows_back, columns_back, shares_back = nearest(matrix, "text_to_image")
    return {
        # A query is right where its own picture, after pairing anew, owns the answer.
        "image_to_text": test(rows[captioned], owners[columns[captioned]], shares[captioned]),
        "text_to_image": test(owners[columns_back], rows_back, shares_back),
    }


def nearest(similarity: Floats, direction: Direction) -> tuple[Indices, Indices, Floats]:
    """Find what is nearest to each query.

    Parameters
    ----------
    similarity
        ``(n_images, n_captions)``, finite, higher is closer.
    direction
        Whether pictures are queries, or captions.

    Returns
    -------
    images, captions, shares : tuple[Indices, Indices, Floats]
        Pairs of a query with one of its nearest answers, and the share that this one has of first
        place: the shares of a query sum to 1. All of the same length.
    """
    axis = 1 if direction == "image_to_text" else 0
    best = similarity.max(axis=axis, keepdims=True)
    found = []
    for part in chunks(*similarity.shape):
        level = similarity[part] == (best[part] if axis else best)
        rows, columns = np.divmod(np.flatnonzero(level), level.shape[1])
        found.append((rows + part.start, columns))
    images, captions = (np.concatenate(side) for side in zip(*found, strict=True))
    queries = images if axis else captions
    return images, captions, 1.0 / np.bincount(queries)[queries]
