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
    permutation_test,
)
from pareja.analysis.validation import checked_count, checked_similarity

_AT_ONCE = 1 << 22


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
    captioned = np.unique(owners)
    to_text = matrix[captioned]
    query, answer, share = _nearest(to_text)
    draws = (len(matrix), permutations, seed)
    query_t, answer_t, share_t = _nearest(matrix.T)
    return {
        # A query is right where its own picture, after pairing anew, owns the answer.
        "image_to_text": _test(captioned[query], owners[answer], share, len(captioned), draws),
        "text_to_image": _test(owners[query_t], answer_t, share_t, len(owners), draws),
    }


def _nearest(scores: Floats) -> tuple[Indices, Indices, Floats]:
    """Return each query with its nearest answers, and the share that each has of first place."""
    level = scores == scores.max(axis=1, keepdims=True)
    query, answer = np.nonzero(level)
    return query, answer, 1.0 / level.sum(axis=1)[query]


def _test(
    asked: Indices, answered: Indices, share: Floats, queries: int, draws: tuple[int, int, int]
) -> PermutationTest:
    """Compare the share of queries whose picture is the answer's with that under each pairing."""
    pictures, permutations, seed = draws
    rng = np.random.default_rng(seed)
    null = np.empty(permutations)
    stretch = max(1, _AT_ONCE // len(share))
    for start in range(0, permutations, stretch):
        count = min(stretch, permutations - start)
        pairings = rng.permuted(np.tile(np.arange(pictures), (count, 1)), axis=1)
        null[start : start + count] = (pairings[:, asked] == answered) @ share / queries
    return permutation_test(float((asked == answered) @ share) / queries, null)
