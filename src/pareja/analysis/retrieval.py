"""Retrieval in both directions: whether a right one is among the first k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    chunks,
    percentile_interval,
    ratio_draws,
    resample_counts,
    share_interval,
    summed,
)
from pareja.analysis.validation import checked_count, checked_similarity, required

Direction = Literal["image_to_text", "text_to_image"]
DIRECTIONS: tuple[Direction, ...] = ("image_to_text", "text_to_image")


@dataclass(frozen=True)
class RetrievalScores:
    """How well queries of one modality find their partners in the other.

    Parameters
    ----------
    direction
        ``"image_to_text"``: pictures are queries; ``"text_to_image"``: captions are.
    n_queries, n_candidates
        How many queries were asked, and among how many candidates.
    recall
        R@k for each k: the share of queries with a right answer among the first k, in [0, 1];
        with ties, its expectation over random orders.
    mrr
        Mean reciprocal rank of the first right answer, in (0, 1].
    median_rank
        Median over the queries of that answer's expected rank, from 1.
    chance_recall, chance_mrr, chance_median_rank
        What a random order of the candidates gives: on average, and for the rank its median
        (halfway where one half of the orders lies on either side).
    ranks
        Expected rank of the first right answer for each query, ``(n_queries,)``.
    """

    direction: Direction
    n_queries: int
    n_candidates: int
    recall: Mapping[int, Estimate]
    mrr: Estimate
    median_rank: Estimate
    chance_recall: Mapping[int, float]
    chance_mrr: float
    chance_median_rank: float
    ranks: Floats


@dataclass(frozen=True)
class Placement:
    """Where the first right answer of each query stands, ties left open.

    Parameters
    ----------
    pictures
        The picture that each query is or belongs to, ``(n_queries,)``.
    above
        How many candidates are closer to the query than its best right answer.
    tied
        How many are exactly as close as that answer, itself included.
    right
        How many of the tied are right answers too, at least 1.
    """

    pictures: Indices
    above: Indices
    tied: Indices
    right: Indices

    def hits(self, k: int) -> Floats:
        """Return the probability that a right answer is among the first k, over orders of ties."""
        places = np.clip(k - self.above, 0, self.tied)
        wrong = self.tied - self.right
        # All places go to wrong answers with probability C(wrong, places) / C(tied, places).
        filled = np.minimum(places, wrong)
        misses: Floats = np.exp(
            gammaln(wrong + 1)
            - gammaln(wrong - filled + 1)
            - gammaln(self.tied + 1)
            + gammaln(self.tied - filled + 1)
        )
        misses[places > wrong] = 0.0
        hits: Floats = 1.0 - misses
        return hits

    def reciprocal_ranks(self) -> Floats:
        """Return the expected 1 / rank of the first right answer, over orders of ties."""
        result: Floats = 1.0 / (self.above.astype(np.float64) + 1.0)
        cases = np.stack([self.above, self.tied, self.right], axis=1)
        open_ties = self.tied > self.right
        for case in np.unique(cases[open_ties], axis=0):
            above, tied, right = (int(number) for number in case)
            expected = _first_place(tied, right) @ (1.0 / (above + np.arange(1, tied - right + 2)))
            result[(cases == case).all(axis=1)] = expected
        return result

    def ranks(self) -> Floats:
        """Return the expected rank of the first right answer, over orders of ties."""
        within = (self.tied + 1) / (self.right + 1)
        return self.above.astype(np.float64) + within.astype(np.float64)


def _first_place(items: int, right: int) -> Floats:
    """Return P(the first of ``right`` among ``items`` in random order is at 1, 2, ...)."""
    places = np.arange(1, items - right + 2)
    later = items - places
    log_ways = gammaln(later + 1) - gammaln(right) - gammaln(later - right + 2)
    log_all = gammaln(items + 1) - gammaln(right + 1) - gammaln(items - right + 1)
    chances: Floats = np.exp(log_ways - log_all)
    return chances


def placement(similarity: Floats, owner: Indices, direction: Direction) -> Placement:
    """Find the first right answer of each query.

    Parameters
    ----------
    similarity
        ``(n_images, n_captions)``, finite, higher is closer.
    owner
        The picture of each caption, ``(n_captions,)``.
    direction
        Pictures are queries, those without captions left out; or captions are.

    Returns
    -------
    Placement
        One entry for each query, in the order of rows or columns.
    """
    n_images, n_captions = similarity.shape
    matched = similarity[owner, np.arange(n_captions)]
    if direction == "text_to_image":
        above, tied = np.zeros((2, n_captions), dtype=np.intp)
        for part in chunks(n_images, n_captions):
            above += (similarity[part] > matched).sum(axis=0)
            tied += (similarity[part] == matched).sum(axis=0)
        return Placement(owner, above, tied, np.ones(n_captions, dtype=np.intp))
    pictures = np.unique(owner)
    best = np.full(n_images, -np.inf)
    np.maximum.at(best, owner, matched)
    right = np.bincount(owner[matched == best[owner]], minlength=n_images)
    scores = ((similarity[picture], best[picture]) for picture in pictures)
    counted = [(np.count_nonzero(row > top), np.count_nonzero(row == top)) for row, top in scores]
    above, tied = np.array(counted, dtype=np.intp).T
    return Placement(pictures, above, tied, right[pictures])


def retrieval(
    similarity: ArrayLike,
    owner: ArrayLike,
    *,
    ks: tuple[int, ...] = (1, 5, 10),
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[RetrievalScores, RetrievalScores]:
    """Measure retrieval in both directions.

    Parameters
    ----------
    similarity
        Shape ``(n_images, n_captions)``, higher is closer.
    owner
        The picture of each caption, shape ``(n_captions,)``. A picture with several captions
        finds "a right one" with any of them; one without is no query, and a wrong answer to all.
    ks
        The k of R@k. Where there are no more candidates than k, R@k is 1.
    resamples, seed
        Of the bootstrap over pictures; the candidates stay as they are.

    Returns
    -------
    image_to_text, text_to_image : tuple[RetrievalScores, RetrievalScores]
        The measures; their ranges are those of `RetrievalScores`. Chance values are given there,
        computed for the number of right answers that each query has. A constant similarity
        scores exactly ``chance_recall`` and ``chance_mrr``.

    Raises
    ------
    AnalysisError
        If an array is malformed. One picture is enough: it scores 1, as chance does.

    Notes
    -----
    Ties are resolved by expectation over random orders: the hits of a query are hypergeometric,
    the place of the first right answer negative hypergeometric (McSherry and Najork 2008,
    "Computing information retrieval performance measures efficiently in the presence of tied
    scores"). None of the values is biased at small n, but R@k depends on the number of
    candidates: studies of different size cannot be compared. Intervals of R@k and MRR are those
    of `share_interval`, that of the median rank is an expanded percentile interval; they are for
    new queries to the same candidates.

    Examples
    --------
    >>> forward, _ = retrieval([[0.9, 0.1], [0.8, 0.7]], [0, 1], ks=(1,))
    >>> forward.recall[1].value, forward.mrr.value, forward.ranks.tolist()
    (0.5, 0.75, [1.0, 2.0])
    """
    matrix, owners = checked_similarity(similarity, owner)
    checked_count("resamples", resamples)
    required("retrieval with ks", len(ks), 1)
    for k in ks:
        checked_count("k", k)
    return (
        _scores(matrix, owners, "image_to_text", ks, resamples, seed),
        _scores(matrix, owners, "text_to_image", ks, resamples, seed),
    )


def _scores(
    similarity: Floats,
    owner: Indices,
    direction: Direction,
    ks: tuple[int, ...],
    resamples: int,
    seed: int,
) -> RetrievalScores:
    found = placement(similarity, owner, direction)
    answers = np.bincount(owner, minlength=len(similarity))
    n_queries = len(found.pictures)
    if direction == "image_to_text":
        n_candidates, right = len(owner), answers[found.pictures]
    else:
        n_candidates, right = len(similarity), np.ones(n_queries, dtype=np.intp)
    chance = Placement(
        pictures=found.pictures,
        above=np.zeros(n_queries, dtype=np.intp),
        tied=np.full(n_queries, n_candidates),
        right=right,
    )

    captioned, units = np.unique(found.pictures, return_inverse=True)
    counts = resample_counts(len(captioned), resamples, seed)
    queries = summed(units, np.ones(n_queries))

    def share(scores: Floats) -> Estimate:
        draws = ratio_draws(counts, summed(units, scores), queries)
        return share_interval(float(scores.mean()), draws, len(captioned))

    ranks = found.ranks()
    return RetrievalScores(
        direction=direction,
        n_queries=n_queries,
        n_candidates=n_candidates,
        # Among so many candidates the right one always is: nothing to be uncertain about.
        recall={
            k: share(found.hits(k)) if k < n_candidates else Estimate(1.0, 1.0, 1.0) for k in ks
        },
        mrr=share(found.reciprocal_ranks()),
        median_rank=percentile_interval(
            float(np.median(ranks)), _median_draws(ranks, counts, units), len(captioned)
        ),
        chance_recall={k: float(chance.hits(k).mean()) for k in ks},
        chance_mrr=float(chance.reciprocal_ranks().mean()),
        chance_median_rank=_chance_median(n_candidates, right),
        ranks=ranks,
    )


def _median_draws(ranks: Floats, counts: Floats, units: Indices) -> Floats:
    """Return the median rank in each sample, ``(resamples,)``.

    ``counts`` says how often a sample holds each picture, ``(resamples, n_pictures)``, and
    ``units`` whose each query is, ``(n_queries,)``.
    """
    order = np.argsort(ranks, kind="stable")
    ordered, units = ranks[order], units[order]
    middle = np.empty(len(counts))
    for part in chunks(len(counts), len(units)):
        reached = np.cumsum(counts[part].take(units, axis=1), axis=1)
        total = reached[:, -1:]
        lower = np.argmax(reached > np.floor((total - 1) / 2), axis=1)
        upper = np.argmax(reached > np.floor(total / 2), axis=1)
        middle[part] = (ordered[lower] + ordered[upper]) / 2
    return middle


def _chance_median(n_candidates: int, right: Indices) -> float:
    """Return the median rank of the first right answer over all queries and random orders."""
    chances = np.zeros(n_candidates)
    for answers, queries in zip(*np.unique(right, return_counts=True), strict=True):
        first = _first_place(n_candidates, int(answers))
        chances[: len(first)] += first * queries / len(right)
    reached = np.cumsum(chances)
    # The sums carry rounding, and exactly one half is the common case.
    lower = int(np.argmax(reached >= 0.5 - 1e-9))
    upper = int(np.argmax(reached > 0.5 + 1e-9))
    return (lower + upper) / 2 + 1
