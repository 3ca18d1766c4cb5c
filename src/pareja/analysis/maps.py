"""The maps that carry one space to another, fold by fold: ridge, CCA, Procrustes, relative."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from pareja.analysis.crossfit import CrossFit, Fold, Side, Vectors, vector_type
from pareja.analysis.ridge import ridge_penalty
from pareja.analysis.significance import Floats, Indices
from pareja.arrays import unit

_COMPONENTS = 32


def anchor_cosines(fold: Fold) -> Floats:
    """Describe rows by their cosines with the training pictures."""
    cosines: Floats = unit(fold.test) @ unit(fold.centred).T
    return cosines


def regularised_weights(fold: Fold) -> Floats:
    """Return ``k (K + kappa I)^-1``, kappa being the mean of K's eigenvalues."""
    scatter = fold.centred.T @ fold.centred
    kappa = np.trace(scatter) / (len(fold.train) - 1)
    if kappa <= 0:
        return np.zeros((len(fold.rows), len(fold.train)))
    np.fill_diagonal(scatter, scatter.diagonal() + kappa)
    # Among axes, of which there are never more than pictures: (K + kappa I)^-1 X is
    # X (X^T X + kappa I)^-1.
    weights: Floats = np.linalg.solve(scatter, fold.test.T).T @ fold.centred.T
    return weights


def ridge_weights(fold: Fold, targets: Floats) -> tuple[Floats, ...]:
    """Return weights ``(rows, n_train)`` whose product with the targets is ridge's prediction.

    Or two factors of them, where multiplying by one after the other is less work.

    Parameters
    ----------
    fold
        A fold of the pictures' space.
    targets
        Caption embeddings of all training pictures of the study, ``(n, dim)``.
    """
    u, s, v = np.linalg.svd(fold.centred, full_matrices=False)
    wanted = targets[fold.train] - targets[fold.train].mean(axis=0)
    chosen = ridge_penalty(u, s, wanted)
    if chosen is None:
        return (np.zeros((len(fold.rows), len(fold.train))),)
    turned = fold.test @ v.T * (s / (s * s + chosen))
    if turned.size + u.size < len(turned) * len(u):
        return turned, u.T
    return (turned @ u.T,)


def relative(images: Side, captions: Side) -> CrossFit:
    """Cosines with the training pictures in one space beside those in the other."""
    return _aligned(images, captions, anchor_cosines)


def cca(images: Side, captions: Side) -> CrossFit:
    """Regularised canonical correlation, in its dual form."""
    return _aligned(images, captions, regularised_weights)


def _aligned(images: Side, captions: Side, place: Callable[[Fold], Floats]) -> CrossFit:
    dtype = vector_type(images.blocks)

    def vectors(side: Side) -> Iterator[Floats]:
        for fold in side.folds():
            yield unit(place(fold).astype(dtype))

    n = len(images.training)
    return CrossFit.of(images, captions, vectors(images), vectors(captions), n)


def ridge(images: Side, captions: Side) -> CrossFit:
    """Predict a picture's caption embedding; strengths stay as chosen when pairing anew."""
    dtype = vector_type(images.blocks)
    targets = captions.training.astype(dtype)
    maps = [
        (fold.train, [factor.astype(dtype) for factor in ridge_weights(fold, captions.training)])
        for fold in images.folds()
    ]
    every = None
    if all(len(factors) == 1 for _, factors in maps):
        # One product with all weights is less work than one a fold.
        every = np.zeros((sum(len(weights) for _, (weights,) in maps), len(targets)), dtype)
        begin = 0
        for train, (weights,) in maps:
            every[begin : begin + len(weights), train] = weights
            begin += len(weights)

    def left(pairing: Indices, groups: Indices) -> Floats:
        paired = targets[pairing]
        if every is not None:
            return unit(every @ paired)
        return unit(np.concatenate([multiplied(factors, paired[train]) for train, factors in maps]))

    return _refitted(images, captions, left, captions.unit_tests(), targets.shape[1])


def multiplied(factors: Sequence[Floats], last: Floats) -> Floats:
    """Return the product of matrices, from the last one on."""
    for factor in reversed(factors):
        last = factor @ last
    return last


def _refitted(
    images: Side, captions: Side, left: Vectors, rights: Iterable[Floats], width: int
) -> CrossFit:
    """Compare by maps that are fitted anew for each pairing."""
    blocks = images.blocks
    observed = left(np.arange(len(blocks.captioned)), np.arange(blocks.parts))
    ends = np.cumsum([len(fold.rows) for fold in images.folds()])[:-1]
    return CrossFit.of(images, captions, np.split(observed, ends), rights, width, left)


def procrustes(images: Side, captions: Side) -> CrossFit:
    """Rotate the pictures' principal components onto the captions'."""
    blocks = images.blocks
    count = min(
        max(1, (blocks.smallest_training - 1) // 2),
        images.rows.shape[1],
        captions.rows.shape[1],
        _COMPONENTS,
    )
    placed, trained = images.components(count)
    towards, wanted = captions.components(count)
    cuts = [fold.blocks for fold in images.folds()]
    first, second = np.array(cuts).T
    still = trained[first, second].transpose(0, 2, 1).copy()

    def left(pairing: Indices, groups: Indices) -> Floats:
        moved = wanted[groups[first], groups[second]].take(pairing, axis=1)
        u, _, v = np.linalg.svd(still @ moved)
        rotations = u @ v
        return np.concatenate(
            [vectors @ rotation for vectors, rotation in zip(placed, rotations, strict=True)]
        )

    return _refitted(images, captions, left, towards, count)
