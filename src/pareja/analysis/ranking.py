"""Rankings that somebody judged: how much of what came first was relevant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pareja.analysis.significance import (
    Estimate,
    Floats,
    paired_difference,
    ratio_draws,
    resample_counts,
    share_interval,
)
from pareja.errors import AnalysisError


@dataclass(frozen=True)
class RankingScores:
    """Means over queries, with intervals, and the numbers of each query.

    All are in [0, 1] and higher is better. What random results would give depends on how many
    pictures are relevant: the expected P@k is their share in the collection.

    Parameters
    ----------
    n_queries
        How many queries there were.
    precision
        P@k for each k: the share of relevant ones among the first k results. A query with fewer
        than k relevant pictures cannot reach 1.
    ndcg
        Normalised discounted cumulative gain of the first ``ndcg_at`` results (Järvelin and
        Kekäläinen 2002, with gains of 0 and 1 and a discount of log2 of the place plus 1): 1 when
        as many relevant ones as there can be stand first.
    ndcg_at
        How many results count for it.
    mrr
        Mean of 1 / the place of the first relevant result, 0 where there is none.
    precision_by_query, ndcg_by_query, reciprocal_rank_by_query
        The same for each query, ``(n_queries,)``.
    """

    n_queries: int
    precision: Mapping[int, Estimate]
    ndcg: Estimate
    ndcg_at: int
    mrr: Estimate
    precision_by_query: Mapping[int, Floats]
    ndcg_by_query: Floats
    reciprocal_rank_by_query: Floats


def ranking(
    relevance: Sequence[Sequence[bool]],
    relevant: Sequence[int],
    *,
    cutoffs: Sequence[int] = (1, 3, 5),
    ndcg_at: int = 5,
    resamples: int = 2_000,
    seed: int = 0,
) -> RankingScores:
    """Score ranked results.

    Parameters
    ----------
    relevance
        For each query whether each of its results is relevant, best first. Lists may differ in
        length; where one is shorter than a cutoff, the places that are missing are not relevant.
    relevant
        For each query how many relevant pictures there are in all, found or not; at least 1.
    cutoffs
        The k of P@k.
    ndcg_at
        How many results count for nDCG.
    resamples, seed
        Of the bootstrap over queries, which gives the intervals (`share_interval`). They tell how
        much the mean would vary with other queries like these; ten queries give wide ones.

    Returns
    -------
    RankingScores
        Means, intervals, and the numbers of each query.

    Raises
    ------
    AnalysisError
        If there are no queries, the lengths differ, or the counts cannot be.

    Examples
    --------
    >>> scores = ranking([[True, False, True]], [2], cutoffs=[1, 3])
    >>> scores.precision[3].value, scores.mrr.value
    (0.6666666666666666, 1.0)
    """
    if not relevance or len(relevance) != len(relevant):
        raise AnalysisError(
            f"{len(relevance)} rankings and {len(relevant)} counts of relevant pictures were "
            "given. Give one of each for every query, and at least one query."
        )
    if min([*cutoffs, ndcg_at]) < 1:
        raise AnalysisError("cutoffs must be at least 1.")
    for n, (found, count) in enumerate(zip(relevance, relevant, strict=True)):
        if not max(1, sum(found)) <= count:
            raise AnalysisError(
                f"query {n} has {sum(found)} relevant results and {count} relevant pictures in "
                "all. There must be at least one, and at least as many as were found."
            )
    depth = max([*cutoffs, ndcg_at, *map(len, relevance)])
    gains = np.zeros((len(relevance), depth))
    for row, found in zip(gains, relevance, strict=True):
        row[: len(found)] = found
    counts = resample_counts(len(gains), resamples, seed)
    ones = np.ones(len(gains))

    def mean(values: Floats) -> Estimate:
        draws = ratio_draws(counts, values, ones)
        return share_interval(float(values.mean()), draws, len(gains))

    discounts = 1 / np.log2(np.arange(2, ndcg_at + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant, ndcg_at) - 1]
    # Sums in another order than the ideal's may exceed it by a rounding.
    ndcg: Floats = np.minimum(gains[:, :ndcg_at] @ discounts / ideal, 1.0)
    first = np.where(gains.any(axis=1), 1 / (gains.argmax(axis=1) + 1.0), 0.0)
    precision = {k: np.asarray(gains[:, :k].mean(axis=1)) for k in cutoffs}
    return RankingScores(
        n_queries=len(gains),
        precision={k: mean(values) for k, values in precision.items()},
        ndcg=mean(ndcg),
        ndcg_at=ndcg_at,
        mrr=mean(first),
        precision_by_query=precision,
        ndcg_by_query=ndcg,
        reciprocal_rank_by_query=first,
    )


def ndcg_difference(
    a: RankingScores, b: RankingScores, *, resamples: int = 2_000, seed: int = 0
) -> Estimate:
    """Compare two systems on the same queries, by nDCG.

    Parameters
    ----------
    a, b
        Scores of the same queries in the same order, with the same ``ndcg_at``.
    resamples, seed
        Of the paired bootstrap over queries.

    Returns
    -------
    Estimate
        Mean nDCG of a minus that of b, in [-1, 1], with its interval (`paired_difference`).

    Raises
    ------
    AnalysisError
        If the number of queries, or of results that count, differs.
    """
    if (a.n_queries, a.ndcg_at) != (b.n_queries, b.ndcg_at):
        raise AnalysisError(
            f"nDCG@{a.ndcg_at} of {a.n_queries} queries and nDCG@{b.ndcg_at} of {b.n_queries} "
            "cannot be compared. Score both systems on the same queries."
        )
    gains = a.ndcg_by_query - b.ndcg_by_query
    return paired_difference(gains, np.ones(len(gains)), resamples, seed)
