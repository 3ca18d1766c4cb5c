"""Two spaces that share no axes: maps between them, and geometry that needs no map."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis import crossfit, maps
from pareja.analysis.blocks import MANY, Blocks
from pareja.analysis.first_place import first_place
from pareja.analysis.matching import MatchingScores, matching, mean_difference
from pareja.analysis.ranks import Ranked
from pareja.analysis.retrieval import Direction, RetrievalScores, retrieval
from pareja.analysis.significance import (
    Floats,
    Indices,
    PermutationTest,
    permutation_test,
)
from pareja.analysis.similarity import random_projection_similarity, random_projections
from pareja.analysis.turns import Turns
from pareja.analysis.validation import checked_count, checked_pairs, levelled, required
from pareja.arrays import unit
from pareja.errors import AnalysisError

BridgeName = Literal["random_projection", "ridge", "cca", "procrustes", "relative"]

MOST_PICTURES = 10_000
"""Bridges keep a vector of this length for each picture and block; beyond it memory would end."""

Fit = Callable[[crossfit.Side, crossfit.Side], crossfit.CrossFit]

_LEAST_PICTURES = 5
_REFITS, _REFITS_OF_MANY = 199, 99
_PAIRED_ANEW = 999


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
        that picture nor that caption's picture. None where nobody asked for it.
    image_to_text, text_to_image, matching
        The measures of that similarity.
    first_place
        The test of R@1 in each direction.
    """

    name: BridgeName
    similarity: Floats | None
    image_to_text: RetrievalScores
    text_to_image: RetrievalScores
    matching: MatchingScores
    first_place: Mapping[Direction, PermutationTest]


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


def bridges(
    images: ArrayLike,
    captions: ArrayLike,
    owner: ArrayLike,
    *,
    permutations: int = 9999,
    resamples: int = 2000,
    seed: int = 0,
    keep: Collection[BridgeName] | None = None,
) -> tuple[Bridge, ...]:
    """Compare two spaces that share no axes, in every way that is known to be honest.

    Parameters
    ----------
    images, captions
        Embeddings, shapes ``(n_images, p)`` and ``(n_captions, q)``; lengths do not matter.
    owner
        The picture of each caption, shape ``(n_captions,)``.
    permutations
        Random pairings for the tests. CCA and relative representations use at most 999; ridge and
        Procrustes, whose maps are fitted anew for each, at most 199, as does the random
        projection. With more than 2000 pictures, where each pairing costs seconds of work, all
        use at most 99. The p of a test by 999, 199 or 99 pairings is as valid as by more; where
        all pairings together would give 0.05 it has a standard error of 0.007, 0.015 or 0.022.
    resamples, seed
        Of the bootstrap over pictures, which takes the maps as given; the seed is that of the
        random projection, too.
    keep
        The bridges whose similarity is part of the result; all unless given. Each takes 8 bytes
        for a picture and a caption, or 4 where there are more than 16 million of both together.

    Returns
    -------
    tuple[Bridge, ...]
        In the order of `BridgeName`. On unrelated spaces all are at chance: AUC 0.5, difference
        0, p uniform.

    Raises
    ------
    AnalysisError
        If an array is malformed, fewer than 5 pictures have captions, or more than 10,000.

    Notes
    -----
    Maps are trained on one pair a picture: its embedding and the mean of its captions'. What is
    left out when, and why the tests fit again, is told in `pareja.analysis.crossfit`. Means are
    those of the training pictures.

    ``random_projection``
        One draw of `random_projection_similarity` for the seed, tested against other draws.
        Pairing anew would be the wrong null: where the two spaces are arranged alike, a random
        map strays further to either side than a random pairing does, and would often seem to
        have found something.
    ``ridge``
        Linear map from pictures to captions with ridge penalty (Hoerl and Kennard 1970), its
        strength chosen in each fold by leave-one-out error among the training pictures, from
        0.001 to 1000 times the mean eigenvalue of their kernel. Only this direction: one
        similarity then serves both directions of retrieval.
    ``cca``
        Regularised canonical correlation (Vinod 1976; Hardoon et al. 2004). With n pictures in
        hundreds of dimensions it is computed among the pictures: x and y are described by
        ``(K + kappa I)^-1 k``, and the inner product of these is the sum over all canonical
        pairs, each weighted by its correlation. kappa is the mean eigenvalue of each training
        kernel; a choice by validation among 18 pictures would be noise.
    ``procrustes``
        Orthogonal map (Schönemann 1966) between principal components, half as many as training
        pictures and at most 32.
    ``relative``
        Cosines with all training pairs as anchors (Moschella et al. 2023, section 3), after
        centring, without which all pictures of a network look alike.

    With 20 pictures 18 are left to train on; a bridge at chance does not show that none exists.
    The candidates of one query are scored by different maps and so scatter more than a single map
    would have them: on unrelated spaces R@1 of the fitted bridges lies a little *below* chance,
    by about a tenth of it with 10 pictures. AUC and p are not affected.
    """
    pictures, texts, owners = checked_pairs(images, captions, owner)
    checked_count("permutations", permutations)
    blocks = Blocks.of(owners, len(pictures), seed)
    n_captioned = len(blocks.captioned)
    required("leaving two pictures out", n_captioned, _LEAST_PICTURES)
    if n_captioned > MOST_PICTURES:
        raise AnalysisError(
            f"bridges are fitted for at most {MOST_PICTURES} pictures, got {n_captioned}. "
            "Take a random part of them"
        )

    rows, columns = unit(pictures), unit(texts)
    image_side = crossfit.Side.of(rows[blocks.captioned], rows, blocks.image_block, blocks)
    caption_side = crossfit.Side.of(
        _picture_means(columns, blocks.caption_slot),
        columns,
        blocks.block[blocks.caption_slot],
        blocks,
    )

    def bridge(name: BridgeName, similarity: Floats, test: PermutationTest) -> Bridge:
        forward, backward = retrieval(similarity, owners, resamples=resamples, seed=seed)
        scores = matching(similarity, owners, permutations=1, resamples=resamples, seed=seed)
        hits = first_place(similarity, owners, permutations=permutations, seed=seed)
        left = similarity if keep is None or name in keep else None
        return Bridge(name, left, forward, backward, replace(scores, test=test), hits)

    refits = min(permutations, _REFITS_OF_MANY if blocks.many else _REFITS)
    paired_anew = min(permutations, _REFITS_OF_MANY if blocks.many else _PAIRED_ANEW)
    common = min(pictures.shape[1], texts.shape[1])
    projected = random_projection_similarity(pictures, texts, dim=common, seed=seed)
    test = _projected_anew(
        projected, rows, columns, owners, dim=common, projections=refits, seed=seed
    )
    found = [bridge("random_projection", projected, test)]
    del projected
    methods: tuple[tuple[BridgeName, Fit, int], ...] = (
        ("ridge", maps.ridge, refits),
        ("cca", maps.cca, paired_anew),
        ("procrustes", maps.procrustes, refits),
        ("relative", maps.relative, paired_anew),
    )
    for name, fit, pairings in methods:
        fitted = fit(image_side, caption_side)
        test, similarity = fitted.test(pairings, seed), fitted.similarity
        # Vectors of very many pictures take as much room as the similarity itself.
        del fitted
        found.append(bridge(name, similarity, test))
    return tuple(found)


def _projected_anew(
    similarity: Floats,
    rows: Floats,
    columns: Floats,
    owner: Indices,
    *,
    dim: int,
    projections: int,
    seed: int,
) -> PermutationTest:
    """Compare the difference of means with that of other random projections."""
    dtype = np.float32 if len(rows) > MANY else np.float64
    rows, columns = _sample_axes(rows, dtype), _sample_axes(columns, dtype)
    # Another stream than the one that drew the projection itself.
    seeds = np.random.default_rng([seed, 1]).integers(2**63, size=projections)
    own, total = np.empty(projections), np.empty(projections)
    for draw, other in enumerate(seeds):
        left, right = random_projections(rows, columns, dim=dim, seed=int(other))
        own[draw] = np.vdot(left[owner], right)
        total[draw] = left.sum(axis=0, dtype=np.float64) @ right.sum(axis=0, dtype=np.float64)
    null = mean_difference(own, total, len(rows), len(columns))
    observed = mean_difference(
        similarity[owner, np.arange(len(owner))].sum(dtype=np.float64, keepdims=True),
        float(similarity.sum(dtype=np.float64)),
        *similarity.shape,
    )
    return permutation_test(float(observed[0]), null, two_sided=True, scale=1.0)


def _sample_axes(rows: Floats, dtype: type[np.floating]) -> Floats:
    """Return rows of fewer columns with the same inner products, where that is possible."""
    turned: Floats = rows
    if rows.shape[1] > len(rows):
        u, s, _ = np.linalg.svd(rows, full_matrices=False)
        turned = u * s
    return turned.astype(dtype)


def _picture_means(captions: Floats, slots: Indices) -> Floats:
    """Return the mean of each picture's captions, ``(n_captioned, dim)``."""
    sums = np.zeros((int(slots.max()) + 1, captions.shape[1]))
    np.add.at(sums, slots, captions)
    means: Floats = sums / np.bincount(slots)[:, None]
    return means


def geometry(
    images: ArrayLike,
    captions: ArrayLike,
    owner: ArrayLike,
    *,
    k: int | None = None,
    permutations: int = 9999,
    seed: int = 0,
) -> Geometry:
    """Measure whether two spaces arrange the same pictures and captions alike.

    Parameters
    ----------
    images, captions
        Embeddings, shapes ``(n_images, p)`` and ``(n_captions, q)``; lengths do not matter.
    owner
        The picture of each caption, shape ``(n_captions,)``. Captions of one picture are averaged
        first; pictures without captions are left out.
    k
        Neighbours that `Geometry.mutual_knn` compares; a quarter of the others unless given,
        from 1 to 10.
    permutations, seed
        Of the tests, which pair whole pictures anew; all three use the same pairings.

    Returns
    -------
    Geometry
        Three statistics that turning, scaling and (but for cosines) shifting a space does not
        change. A space in which all are alike has no arrangement: RSA and CKA are 0 with p = 1,
        and mutual k-NN is at chance.

    Raises
    ------
    AnalysisError
        If an array is malformed, fewer than 4 pictures have captions, or k is not between 1 and
        the number of other pictures.

    Notes
    -----
    RSA: Spearman correlation of the upper triangles of both cosine matrices (Kriegeskorte et al.
    2008), unbiased under chance. CKA: plain linear CKA approaches 1 for *any* two spaces of more
    dimensions than pictures; the estimator HSIC_1 of Song et al. (2012, equation 4) removes that
    bias (Murphy et al. 2024), its chance mean is 0 and it may be negative. It is the inner
    product of U-centred kernels (Székely and Rizzo 2014). Mutual k-NN: Huh et al. (2024),
    appendix; neighbours that tie at the k-th place share it. Chance is k / (n - 1).
    """
    pictures, texts, owners = checked_pairs(images, captions, owner)
    checked_count("permutations", permutations)
    captioned, slots = np.unique(owners, return_inverse=True)
    n = len(captioned)
    required("geometry", n, 4)
    nearest = min(10, max(1, (n - 1) // 4)) if k is None else checked_count("k", k)
    if nearest >= n:
        raise AnalysisError(f"k must be less than the {n} pictures with captions, got {nearest}")

    spaces = unit(pictures)[captioned], _picture_means(unit(texts), slots)
    kernels = [levelled(space @ space.T) for space in spaces]
    cosines = [levelled(rows @ rows.T) for rows in map(unit, spaces)]
    turns = Turns.of_pictures(n, permutations, seed)

    def mantel(matrices: list[Floats], scale: float) -> PermutationTest:
        a, b = matrices
        # A correlation with a constant is undefined; "no relation" is what it means here.
        factor = 1 / scale if scale > 0 else 0.0
        null = turns.products(a, b) * factor
        return permutation_test(float(np.vdot(a, b)) * factor, null)

    def correlated(matrices: list[Floats]) -> PermutationTest:
        return mantel(matrices, float(np.prod([np.linalg.norm(matrix) for matrix in matrices])))

    return Geometry(
        rsa=correlated([_pair_ranks(matrix) for matrix in cosines]),
        cka=correlated([_u_centred(kernel) for kernel in kernels]),
        mutual_knn=mantel([_neighbours(matrix, nearest) for matrix in cosines], n * nearest),
        k=nearest,
    )


def _pair_ranks(similarity: Floats) -> Floats:
    """Return centred ranks of the upper triangle, in both triangles, 0 on the diagonal."""
    upper = np.triu_indices(len(similarity), 1)
    ranks = np.zeros_like(similarity)
    ranks[upper] = Ranked.of(similarity[upper]).ranks()
    return ranks + ranks.T


def _u_centred(kernel: Floats) -> Floats:
    """Centre a kernel so that inner products of two such are unbiased (diagonal 0)."""
    n = len(kernel)
    hollow = kernel - np.diag(np.diag(kernel))
    sums = hollow.sum(axis=0)
    centred = hollow - (sums[:, None] + sums[None, :]) / (n - 2)
    centred += sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    # Of a constant kernel rounding remains, which a correlation would blow up.
    noise = np.abs(centred).max() <= 1e-12 * np.abs(kernel).max()
    return np.zeros_like(centred) if noise else centred


def shared_neighbours(a: ArrayLike, b: ArrayLike, k: int) -> float:
    """Return how much of each item's k nearest two embeddings of the same items share, on average.

    Parameters
    ----------
    a, b
        Rows of length 1, ``(n, dim)``; the dimensions may differ.
    k
        From 1 to n - 1. Neighbours that tie at the k-th place share it.

    Returns
    -------
    float
        In [0, 1]; ``k / (n - 1)`` under chance.

    Examples
    --------
    >>> import numpy as np
    >>> shared_neighbours(np.eye(3), np.eye(3), 2)
    1.0
    """
    one, other = (
        _neighbours(np.asarray(rows, float) @ np.asarray(rows, float).T, k) for rows in (a, b)
    )
    return float((one * other).sum() / (k * len(one)))


def _neighbours(similarity: Floats, k: int) -> Floats:
    """Return each row's share of being among the k nearest, rows summing to k."""
    others = similarity.copy()
    np.fill_diagonal(others, -np.inf)
    last = np.partition(others, -k, axis=1)[:, -k][:, None]
    closer, tied = others > last, others == last
    open_places = k - closer.sum(axis=1, keepdims=True)
    shares: Floats = closer + tied * open_places / tied.sum(axis=1, keepdims=True)
    return shares
