"""Two spaces that share no axes: maps between them, and geometry that needs no map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pareja.analysis.matching import MatchingScores
from pareja.analysis.retrieval import RetrievalScores
from pareja.analysis.significance import Floats, PermutationTest

BridgeName = Literal["random_projection", "ridge", "cca", "procrustes", "relative"]


@dataclass(frozen=True)
class Bridge:
    """One way of comparing embeddings of two spaces, and how well it does.

    Parameters
    ----------
    name
        ``"random_projection"`` (the naive baseline: chance), ``"ridge"``, ``"cca"`` and
        ``"procrustes"`` (linear maps, scored by leaving each picture out), ``"relative"``
        (relative representations, Moschella et al. 2023; anchors exclude the pair in question).
    similarity
        Shape ``(n_images, n_captions)``, in [-1, 1]; every entry comes from a map that saw neither
        that picture nor that caption's picture.
    image_to_text, text_to_image, matching
        The measures of that similarity.
    """

    name: BridgeName
    similarity: Floats
    image_to_text: RetrievalScores
    text_to_image: RetrievalScores
    matching: MatchingScores


@dataclass(frozen=True)
class Geometry:
    """Do two spaces arrange the same pictures and captions alike? No map is fitted.

    Parameters
    ----------
    rsa
        Spearman correlation of the two spaces' pairwise similarities, with a Mantel test, in
        [-1, 1]; 0 under chance (Kriegeskorte et al. 2008; Mantel 1967).
    cka
        Debiased linear CKA, at most 1; 0 under chance in expectation (Kornblith et al. 2019;
        Song et al. 2012; Murphy et al. 2024).
    mutual_knn
        Mean overlap of the k nearest neighbours in both spaces, in [0, 1]; k/(n-1) under chance
        (Huh et al. 2024).
    k
        The k of ``mutual_knn``.
    """

    rsa: PermutationTest
    cka: PermutationTest
    mutual_knn: PermutationTest
    k: int
