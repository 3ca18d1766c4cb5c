"""Matched pairs against mismatched ones: whether a picture is closest to its own caption."""

from __future__ import annotations

from dataclasses import dataclass

from pareja.analysis.significance import Estimate, Floats, PermutationTest


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
        Permutation of which picture each caption belongs to; the statistic is the difference.
    """

    matched: Floats
    mismatched: Floats
    matched_mean: float
    mismatched_mean: float
    difference: Estimate
    auc: Estimate
    test: PermutationTest
