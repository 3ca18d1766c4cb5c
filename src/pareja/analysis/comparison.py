"""Two encoders on the same pictures: where they agree, and whether one is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

from pareja.analysis.ranks import Ranked, matrix_correlation, spearman
from pareja.analysis.retrieval import DIRECTIONS, Direction, Placement, placement
from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    paired_difference,
    percentile_interval,
    permutation_p_value,
    resample_counts,
    summed,
)
from pareja.analysis.turns import Turns
from pareja.analysis.validation import LARGE, checked_categories, checked_count, checked_similarity
from pareja.errors import AnalysisError

_FEW = 64
"""Up to this many pictures, every bootstrap sample of the matrices is ranked anew."""


@dataclass(frozen=True)
class Agreement:
    """First-place hits and misses of two encoders on the same queries.

    Parameters
    ----------
    both, only_a, only_b, neither
        Expected counts of queries that each gets right at rank 1 (fractions appear with ties).
    difference
        R@1 of a minus R@1 of b, paired bootstrap over pictures.
    p_value
        Two-sided; 1 where no query is discordant. With one query a picture McNemar's exact test, a
        binomial on the discordant queries; with several, its like over pictures.
    """

    both: float
    only_a: float
    only_b: float
    neither: float
    difference: Estimate
    p_value: float


@dataclass(frozen=True)
class Disagreement:
    """A picture whose own caption the two encoders rank differently.

    ``image`` indexes the pictures; the ranks are the expected ranks of its own best caption.
    """

    image: int
    rank_a: float
    rank_b: float


@dataclass(frozen=True)
class Comparison:
    """Encoder a beside encoder b.

    Parameters
    ----------
    a, b
        Their names.
    matched_spearman
        Rank correlation of the similarities that they give to the matched pairs: do they find the
        same pairs easy? In [-1, 1]; 0 under chance. Bootstrap interval.
    matched_p
        Two-sided permutation p of ``matched_spearman``.
    matrix_spearman
        Rank correlation of the whole similarity matrices, interval by bootstrap over pictures.
    matrix_p
        Two-sided p by permuting pictures (rows and columns together, as Mantel 1967).
    agreement
        Hits and misses, for each direction.
    category_differences
        For each category R@1 of a minus R@1 of b, image to text and text to image pooled.
    disagreements
        The pictures on which the ranks differ most, largest difference first; only pictures
        where they do differ.
    matched_a, matched_b
        The similarities behind ``matched_spearman``, ``(n_captions,)``.
    """

    a: str
    b: str
    matched_spearman: Estimate
    matched_p: float
    matrix_spearman: Estimate
    matrix_p: float
    agreement: Mapping[Direction, Agreement]
    category_differences: Mapping[str, Estimate]
    disagreements: tuple[Disagreement, ...]
    matched_a: Floats
    matched_b: Floats


def compare(
    a_name: str,
    b_name: str,
    similarity_a: ArrayLike,
    similarity_b: ArrayLike,
    owner: ArrayLike,
    image_categories: Sequence[str | None] = (),
    *,
    permutations: int = 9999,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Lay two encoders' similarities of the same pictures and captions side by side.

    Parameters
    ----------
    a_name, b_name
        Their names.
    similarity_a, similarity_b
        Both of shape ``(n_images, n_captions)``; their scales may differ, only ranks count.
    owner
        The picture of each caption, shape ``(n_captions,)``.
    image_categories
        The category of each picture, None where it has none; empty if there are no categories.
    permutations, resamples, seed
        Of the tests and of the bootstrap, both over pictures with their captions.

    Returns
    -------
    Comparison
        Rank correlations are 0 under chance, unbiased there, and 0 with p = 1 where a side is
        constant. Pictures change places only with such that have as many captions; where no two
        have, captions of one picture still do.

    Raises
    ------
    AnalysisError
        If an array is malformed or the shapes differ.

    Notes
    -----
    Spearman (1904) with mid-ranks, ranked anew in every bootstrap sample; beyond 64 pictures the
    matrices' correlation in a sample is the sum of its pictures' influence, which differs by terms
    of the order 1 / n (`pareja.analysis.ranks.matrix_correlation`). Expanded percentile
    intervals, pulled towards 0 at small n as the bootstrap of any correlation is. Two-sided p:
    twice the smaller tail. The matrices' test moves pictures and captions together (Mantel 1967),
    so own captions stay own: two encoders that both see the diagonal and nothing else agree to
    the degree that shows in ``matrix_spearman``, and the test asks for more than that.

    Ties count by expectation, as if each encoder broke them independently. McNemar's (1947) exact
    test then meets fractions, for which the binomial tail is continued by the incomplete beta
    function; it takes captions of one picture as independent.
    """
    if np.shape(similarity_a) != np.shape(similarity_b):
        raise AnalysisError(
            f"{a_name} and {b_name} must be compared on the same pictures and captions, got "
            f"similarities of shapes {np.shape(similarity_a)} and {np.shape(similarity_b)}"
        )
    a, owners = checked_similarity(similarity_a, owner)
    b, _ = checked_similarity(similarity_b, owner)
    checked_count("permutations", permutations)
    checked_count("resamples", resamples)
    n_images, n_captions = a.shape
    categories = checked_categories(image_categories, n_images) if image_categories else ()
    counts = resample_counts(n_images, resamples, seed)
    turns = Turns.of(owners, n_images, permutations, seed)

    matched_a, matched_b = (side[owners, np.arange(n_captions)] for side in (a, b))
    ranks_a, ranks_b = (Ranked.of(side).ranks() for side in (matched_a, matched_b))
    matrix_spearman, matrix_p = _of_matrices(a, b, owners, counts, turns)
    placed = {
        direction: (placement(a, owners, direction), placement(b, owners, direction))
        for direction in DIRECTIONS
    }
    return Comparison(
        a=a_name,
        b=b_name,
        matched_spearman=_rank_correlation(
            matched_a, matched_b, (count[owners] for count in counts), n_images
        ),
        matched_p=permutation_p_value(
            float(ranks_a @ ranks_b), turns.vector_products(ranks_a, ranks_b), two_sided=True
        ),
        matrix_spearman=matrix_spearman,
        matrix_p=matrix_p,
        agreement={
            direction: hit_agreement(one.hits(1), other.hits(1), one.pictures, resamples, seed)
            for direction, (one, other) in placed.items()
        },
        category_differences=_by_category(categories, list(placed.values()), resamples, seed),
        disagreements=_disagreements(*placed["image_to_text"]),
        matched_a=matched_a,
        matched_b=matched_b,
    )


def _of_matrices(
    a: Floats, b: Floats, owner: Indices, counts: Floats, turns: Turns
) -> tuple[Estimate, float]:
    """Return the rank correlation of two similarity matrices, and its p."""
    x, y = Ranked.of(a), Ranked.of(b)
    found = matrix_correlation(x, y, owner)
    if len(a) > _FEW:
        draws = found.value + (counts - 1) @ found.influence
        estimate = percentile_interval(found.value, np.clip(draws, -1, 1), len(a))
    else:
        rows, columns = np.indices(a.shape).reshape(2, -1)
        # Where a sample holds a picture twice, its caption is no stranger to the copy.
        strangers = owner[columns] != rows
        weights = (
            count[rows] * np.where(strangers, count[owner[columns]], 1.0) for count in counts
        )
        estimate = _rank_correlation(a.ravel(), b.ravel(), weights, len(a))
    # Their scale is no matter, and half of the memory is enough where there are very many.
    dtype = np.float32 if a.size > LARGE else np.float64
    ranks_a, ranks_b = x.ranks(dtype), y.ranks(dtype)
    del x, y
    norm = float(np.linalg.norm(ranks_a) * np.linalg.norm(ranks_b)) or 1.0
    p_value = permutation_p_value(
        float(np.vdot(ranks_a, ranks_b)) / norm,
        turns.products(ranks_a, ranks_b) / norm,
        two_sided=True,
    )
    return estimate, p_value


def _rank_correlation(a: Floats, b: Floats, weights: Iterable[Floats], units: int) -> Estimate:
    """Return Spearman's correlation with the interval of its weighted repetitions."""
    x, y = Ranked.of(a).places, Ranked.of(b).places
    value = spearman(x, y, np.ones(len(x)))
    # A sample may miss all pictures that have captions.
    draws = np.array([spearman(x, y, weight) if weight.any() else np.nan for weight in weights])
    return percentile_interval(value, draws, units)


def hit_agreement(
    hits_a: Floats,
    hits_b: Floats,
    pictures: Indices,
    resamples: int,
    seed: int,
    *,
    permutations: int = 9999,
) -> Agreement:
    """Count the hits and misses of two systems, and test whether one has more hits.

    Parameters
    ----------
    hits_a, hits_b
        The probability that each counts a query as right, ``(n_queries,)``, in [0, 1].
    pictures
        The picture of each query, ``(n_queries,)``: what the bootstrap draws.
    resamples, seed
        Of that bootstrap.
    permutations
        How often signs are drawn where a picture has several queries.
    """
    only_a, only_b = float(hits_a @ (1 - hits_b)), float((1 - hits_a) @ hits_b)
    _, units, queries = np.unique(pictures, return_inverse=True, return_counts=True)
    if queries.max() > 1:
        p_value = _by_signs(summed(units, hits_a - hits_b), permutations, seed)
    else:
        p_value = _mcnemar(only_a, only_b)
    return Agreement(
        both=float(hits_a @ hits_b),
        only_a=only_a,
        only_b=only_b,
        neither=float((1 - hits_a) @ (1 - hits_b)),
        difference=_difference(pictures, hits_a - hits_b, resamples, seed),
        p_value=p_value,
    )


def _mcnemar(only_a: float, only_b: float) -> float:
    most, least = max(only_a, only_b), min(only_a, only_b)
    # P(X >= most) of a fair binomial on most + least queries.
    return min(1.0, 2 * float(betainc(most, least + 1, 0.5))) if most > 0 else 1.0


def _by_signs(gains: Floats, permutations: int, seed: int) -> float:
    """Test whether gains have a side: each picture's could as well be the other system's.

    With gains of 1 and -1 alone this is McNemar's test.
    """
    sizes, counts = np.unique(np.abs(gains[gains != 0]), return_counts=True)
    # The signs of gains of the same size sum to a binomial.
    plus = np.random.default_rng(seed).binomial(counts, 0.5, size=(permutations, len(counts)))
    return permutation_p_value(float(gains.sum()), (2 * plus - counts) @ sizes, two_sided=True)


def _difference(pictures: Indices, gains: Floats, resamples: int, seed: int) -> Estimate:
    """Return the mean gain over queries, resampled by picture."""
    _, units = np.unique(pictures, return_inverse=True)
    queries = summed(units, np.ones(len(units)))
    return paired_difference(summed(units, gains), queries, resamples, seed)


def _by_category(
    categories: Sequence[str | None],
    placed: Sequence[tuple[Placement, Placement]],
    resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    """Return the difference at rank 1 of each category that has queries."""
    pictures = np.concatenate([a.pictures for a, _ in placed])
    gains = np.concatenate([a.hits(1) - b.hits(1) for a, b in placed])
    differences = {}
    for name in dict.fromkeys(categories):
        asked = np.array([categories[picture] == name for picture in pictures])
        if name is not None and asked.any():
            differences[name] = _difference(pictures[asked], gains[asked], resamples, seed)
    return differences


def _disagreements(a: Placement, b: Placement) -> tuple[Disagreement, ...]:
    """Return the pictures that the two rank differently, most different first."""
    ranks_a, ranks_b = a.ranks(), b.ranks()
    order = np.argsort(-np.abs(ranks_a - ranks_b), kind="stable")
    return tuple(
        Disagreement(int(a.pictures[query]), float(ranks_a[query]), float(ranks_b[query]))
        for query in order
        if ranks_a[query] != ranks_b[query]
    )
