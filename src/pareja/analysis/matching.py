"""Matched pairs against mismatched ones: whether a picture is closest to its own caption."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.levels import Levels
from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    PermutationTest,
    chunks,
    percentile_interval,
    permutation_test,
    resample_counts,
    share_interval,
)
from pareja.analysis.turns import Turns
from pareja.analysis.validation import checked_count, checked_similarity
from pareja.errors import AnalysisError

_FEW = 64
"""Up to this many pictures, bootstrap samples of the AUC are computed pair by pair."""

_MOST_MISMATCHED = 1_000_000


@dataclass(frozen=True)
class MatchingScores:
    """Similarities of pictures with their own captions beside all the others.

    Parameters
    ----------
    matched
        Similarity of each caption with its own picture, ``(n_captions,)``.
    mismatched
        Similarity of every other combination, flat; of more than a million, a million that are
        drawn at random.
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
    both pictures' counts. That is computed for each draw up to 64 pictures; beyond them the AUC and
    the mismatched mean of a draw come from the sum of its pictures' influence, which differs by
    terms of the order 1 / n.
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
    own = matrix[owners, np.arange(n_captions)].astype(np.float64)
    sums = _sums_by_picture(matrix, owners)
    own_sum, total = float(own.sum()), float(sums.sum())
    mismatched_mean = (total - own_sum) / (n_captions * (n_images - 1))
    difference = float(own.mean()) - mismatched_mean
    counts = resample_counts(n_images, resamples, seed)
    auc_value, auc_draws = (_few if n_images <= _FEW else _many)(matrix, owners, counts)
    paired_anew = Turns.of_pictures(n_images, permutations, seed).sums(sums)
    return MatchingScores(
        matched=own,
        mismatched=_mismatched(matrix, owners, seed),
        matched_mean=float(own.mean()),
        mismatched_mean=mismatched_mean,
        difference=percentile_interval(
            difference, _difference_draws(sums, owners, counts, mismatched_mean), n_images
        ),
        auc=share_interval(auc_value, auc_draws, n_images),
        test=permutation_test(
            difference,
            mean_difference(paired_anew, total, n_images, n_captions),
            two_sided=True,
            scale=max(float(matrix.max()), -float(matrix.min())),
        ),
    )


def _sums_by_picture(similarity: Floats, owner: Indices) -> Floats:
    """Return each picture's summed similarity with the captions of each, ``(n, n)``."""
    sums = np.zeros((len(similarity), len(similarity)))
    order = np.argsort(owner, kind="stable")
    captioned, first = np.unique(owner[order], return_index=True)
    for part in chunks(*similarity.shape):
        sums[part, captioned] = np.add.reduceat(
            similarity[part].take(order, axis=1), first, axis=1, dtype=np.float64
        )
    return sums


def _mismatched(similarity: Floats, owner: Indices, seed: int) -> Floats:
    """Return the similarities of strangers, or a million of them."""
    if similarity.size - len(owner) <= _MOST_MISMATCHED:
        strangers = owner[None, :] != np.arange(len(similarity))[:, None]
        every: Floats = similarity[strangers]
        return every
    generator = np.random.default_rng(seed)
    columns = generator.integers(len(owner), size=_MOST_MISMATCHED)
    # Any picture but the caption's own.
    rows = (owner[columns] + generator.integers(1, len(similarity), len(columns))) % len(similarity)
    drawn: Floats = similarity[rows, columns].astype(np.float64)
    return drawn


def _difference_draws(
    sums: Floats, owner: Indices, counts: Floats, mismatched_mean: float
) -> Floats:
    """Return matched mean minus mismatched mean of each bootstrap sample."""
    captions = np.bincount(owner, minlength=len(sums)).astype(np.float64)
    matched = counts @ captions
    mismatched = counts.sum(axis=1) * matched - (counts * counts) @ captions
    own = sums.diagonal()
    # What strangers have more or less than usual, summed over pairs.
    if len(sums) <= _FEW:
        excess = sums - mismatched_mean * captions
        np.fill_diagonal(excess, 0.0)
        above = np.einsum("dn,dn->d", counts @ excess, counts)
    else:
        by_row = sums.sum(axis=1) - own - mismatched_mean * (captions.sum() - captions)
        by_column = sums.sum(axis=0) - own - mismatched_mean * (len(sums) - 1) * captions
        above = counts @ (by_row + by_column)
    # A sample may miss every captioned picture, or consist of one picture alone.
    with np.errstate(divide="ignore", invalid="ignore"):
        draws: Floats = counts @ own / matched - mismatched_mean - above / mismatched
    draws[mismatched <= 0] = np.nan
    return draws


def _few(similarity: Floats, owner: Indices, counts: Floats) -> tuple[float, Floats]:
    """Return the AUC, and that of each bootstrap sample by its weighted pairs."""
    matched = similarity[owner, np.arange(len(owner))]
    rows, columns = np.nonzero(owner[None, :] != np.arange(len(similarity))[:, None])
    mismatched = similarity[rows, columns]
    levels, matched_level = np.unique(matched, return_inverse=True)
    place = Levels(levels).places(mismatched)

    def win_rate(matched_weights: Floats, mismatched_weights: Floats) -> float:
        mass = np.bincount(place, mismatched_weights, minlength=2 * len(levels) + 1)
        beaten = (np.cumsum(mass) - mass / 2)[1::2]
        return float(matched_weights @ beaten[matched_level] / (matched_weights.sum() * mass.sum()))

    draws = np.full(len(counts), np.nan)
    for draw, count in enumerate(counts):
        own, other = count[owner], count[rows] * count[owner[columns]]
        if own.any() and other.any():
            draws[draw] = win_rate(own, other)
    return win_rate(np.ones(len(matched)), np.ones(len(mismatched))), draws


def _many(similarity: Floats, owner: Indices, counts: Floats) -> tuple[float, Floats]:
    """Return the AUC, and that of each bootstrap sample by the influence of its pictures.

    The weighted number of pairs that are won is a polynomial in how often each picture was drawn,
    once as a matched pair, once as the picture and once as the caption of a mismatched one. Its
    linear part is what remains of the variance as n grows (Efron and Tibshirani 1993, chapter 21).
    """
    n_images, n_captions = similarity.shape
    matched = similarity[owner, np.arange(n_captions)]
    levels = Levels(np.sort(matched))
    places = np.zeros(2 * n_captions + 1)
    # Over all pairs first; own pairs are taken out below.
    lost_by_row, lost_by_column = np.zeros(n_images), np.zeros(n_captions)
    for part in chunks(n_images, n_captions):
        place = levels.places(similarity[part])
        places += np.bincount(place.ravel(), minlength=len(places))
        lost_by_row[part] = n_captions - place.mean(axis=1) / 2
        lost_by_column += len(place) - place.sum(axis=0) / (2 * n_captions)
    own_place = levels.places(matched)
    own_lost = n_captions - own_place / 2
    places -= np.bincount(own_place, minlength=len(places))
    beaten = (np.cumsum(places) - places / 2)[own_place]

    def by_picture(numbers: Floats) -> Floats:
        return np.bincount(owner, numbers, minlength=n_images).astype(np.float64)

    won = beaten.sum()
    captions = by_picture(np.ones(n_captions))
    pairs = (n_images - 1) * n_captions
    slope = (
        by_picture(beaten + n_captions * lost_by_column - own_lost)
        + n_captions * lost_by_row
        - by_picture(own_lost)
    )
    shares = captions / n_captions + (n_captions + (n_images - 2) * captions) / pairs
    influence = (slope - won * shares) / (n_captions * pairs)
    value = float(won / (n_captions * pairs))
    return value, value + counts @ influence


def mean_difference(own: Floats, total: Floats | float, n_images: int, n_captions: int) -> Floats:
    """Return matched mean minus mismatched mean, from the sums of matched and of all pairs."""
    differences: Floats = own / n_captions - (total - own) / (n_captions * (n_images - 1))
    return differences
