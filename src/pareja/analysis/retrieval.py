"""Retrieval in both directions: whether a right one is among the first k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pareja.analysis.significance import Estimate, Floats

Direction = Literal["image_to_text", "text_to_image"]


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
        What a random order of the candidates gives on average.
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
