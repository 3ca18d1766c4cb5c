"""Matched pairs against mismatched ones: whether a picture is closest to its own caption."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    PermutationTest,
    percentile_interval,
    permutation_test,
    random_pairings,
    resample_counts,
    share_interval,
)
from pareja.analysis.validation import checked_count, checked_similarity
from pareja.errors import AnalysisError


@dataclass(frozen=True)
class MatchingScores:
    """Similarities of pictures with their own captions beside all the others.

    Parameters
    ----------
    matched
        Similarity of each caption with its own picture, ``(n_captions,)``.
    mismatched
        Similarity of every other combination, flat.
    matched_mean, mismatched_mean
        Their means.
    difference
        ``matched_mean - mismatched_mean`` with its interval (bootstrap over pictures).
    auc
        Probability that a matched pair is closer than a mismatched one, ties half, in [0, 1];
        0.5 under chance (Hanley and McNeil 1982). Interval by bootstrap over pictures.
    test
        Permutation of which picture each caption belongs to; the statistic is the difference, and
        p is two-sided: captions that were swapped make it far smaller than chance.
    """

    matched: Floats
    mismatched: Floats
    matched_mean: float
    mismatched_mean: float
    difference: Estimate
    auc: Estimate
    test: PermutationTest


def matching(
    similarity: ArrayLike,
    owner: ArrayLike,
    *,
    permutations: int = 9999,
    resamples: int = 2000,
    seed: int = 0,
) -> MatchingScores:
    """Compare pictures with their own captions and with all others.

    Parameters
    ----------
    similarity
        Shape ``(n_images, n_captions)``, higher is closer.
    owner
        The picture of each caption, shape ``(n_captions,)``.
    permutations
        How many random pairings to draw: the captions of a picture go to another one together.
    resamples
        How many bootstrap samples of pictures to draw.
    seed
        Seed of both.

    Returns
    -------
    MatchingScores
        The AUC is in [0, 1] with 0.5 under chance; the difference of means has the unit of the
        similarity, 0 under chance. Both are unbiased at every n. All-equal similarities give 0.5
        and 0 with p = 1.

    Raises
    ------
    AnalysisError
        If an array is malformed, or there is only one picture: then no pair is mismatched.

    Notes
    -----
    The AUC is the Mann-Whitney statistic by mid-ranks (Hanley and McNeil 1982, section 2). In a
    bootstrap sample that holds a picture twice, the copy's caption is no mismatch: each draw
    weighs matched pairs by how often the picture was drawn, mismatched ones by the product of
    both pictures' counts.
    """
    matrix, owners = checked_similarity(similarity, owner)
    checked_count("permutations", permutations)
    checked_count("resamples", resamples)
    n_images, n_captions = matrix.shape
    if n_images < 2:
        raise AnalysisError(
            f"matching needs at least 2 pictures, got similarity of shape {matrix.shape}: with "
            "one picture no pair is mismatched"
        )
    rows, columns = np.nonzero(owners[None, :] != np.arange(n_images)[:, None])
    matched = matrix[owners, np.arange(n_captions)]
    mismatched = matrix[rows, columns]
    difference = float(matched.mean() - mismatched.mean())

    counts = resample_counts(n_images, resamples, seed)
    levels, matched_level = np.unique(matched, return_inverse=True)
    # Even numbers lie between two levels of matched similarity, odd ones on a level.
    place = np.searchsorted(levels, mismatched, "left") + np.searchsorted(
        levels, mismatched, "right"
    )

    def win_rate(matched_weights: Floats, mismatched_weights: Floats) -> float:
        mass = np.bincount(place, mismatched_weights, minlength=2 * len(levels) + 1)
        beaten = (np.cumsum(mass) - mass / 2)[1::2]
        return float(matched_weights @ beaten[matched_level] / (matched_weights.sum() * mass.sum()))

    auc_draws = np.full(resamples, np.nan)
    difference_draws = np.full(resamples, np.nan)
    for draw, count in enumerate(counts):
        own = count[owners]
        other = count[rows] * own[columns]
        # A sample may miss every captioned picture, or consist of one picture alone.
        if own.any() and other.any():
            auc_draws[draw] = win_rate(own, other)
            difference_draws[draw] = own @ matched / own.sum() - other @ mismatched / other.sum()

    return MatchingScores(
        matched=matched,
        mismatched=mismatched,
        matched_mean=float(matched.mean()),
        mismatched_mean=float(mismatched.mean()),
        difference=percentile_interval(difference, difference_draws, n_images),
        auc=share_interval(
            win_rate(np.ones(n_captions), np.ones(len(mismatched))), auc_draws, n_images
        ),
        test=permutation_test(
            difference,
            _paired_anew(matrix, owners, random_pairings(n_images, permutations, seed)),
            two_sided=True,
        ),
    )


def _paired_anew(similarity: Floats, owner: Indices, pairings: Indices) -> Floats:
    """Return the difference of means when picture i gets the captions of ``pairing[i]``."""
    n_images, n_captions = similarity.shape
    sums = np.zeros((n_images, n_images))
    np.add.at(sums.T, owner, similarity.T)
    own = sums[np.arange(n_images), pairings].sum(axis=1)
    return mean_difference(own, float(sums.sum()), n_images, n_captions)


def mean_difference(own: Floats, total: Floats | float, n_images: int, n_captions: int) -> Floats:
    """Return matched mean minus mismatched mean, from the sums of matched and of all pairs."""
    differences: Floats = own / n_captions - (total - own) / (n_captions * (n_images - 1))
    return differences
