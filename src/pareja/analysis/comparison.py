"""Two encoders on the same pictures: where they agree, and whether one is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pareja.analysis.retrieval import Direction
from pareja.analysis.significance import Estimate, Floats


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
        Exact McNemar test (two-sided binomial on the discordant queries); 1 where none is.
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
