"""The maps that carry one space to another, fold by fold: ridge, CCA, Procrustes, relative."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from pareja.analysis.crossfit import (
    CrossFit,
    Cut,
    Fold,
    Gathered,
    Places,
    Side,
    vector_type,
)
from pareja.analysis.ridge import ridge_penalty
from pareja.analysis.significance import Floats, Indices
from pareja.arrays import unit

Spectrum = tuple[Floats, Floats]
"""What `Side.spectra` holds of a fold."""

_COMPONENTS = 32


def anchor_cosines(fold: Fold) -> Floats:
    """Describe rows by their cosines with the training pictures."""
    cosines: Floats = unit(fold.test) @ unit(fold.centred).T
    return cosines


def regularised_weights(fold: Fold, spectrum: Spectrum) -> Floats:
    """Return ``k (K + kappa I)^-1``, kappa being the mean of K's eigenvalues."""
    # Among axes, of which there are never more than pictures: (K + kappa I)^-1 X is
    # X (X^T X + kappa I)^-1.
    weights: Floats = whitened(fold, spectrum) @ fold.centred.T
    return weights


def whitened(fold: Fold, spectrum: Spectrum) -> Floats:
    """Return ``test (X^T X + kappa I)^-1``, ``(rows, dim)``; zeros where X has no spread."""
    values, vectors = spectrum
    kappa = values.sum() / (len(fold.train) - 1)
    if kappa <= 0:
        return np.zeros_like(fold.test)
    turned: Floats = fold.test @ (vectors / (values + kappa)) @ vectors.T
    return turned


def ridge_axes(fold: Fold, spectrum: Spectrum, targets: Floats) -> Floats:
    """Return rows ``(rows, dim)`` whose product with ``centred.T @ targets`` is ridge's prediction.

    Parameters
    ----------
    fold
        A fold of the pictures' space.
    spectrum
        Its spectrum.
    targets
        Caption embeddings of all training pictures of the study, ``(n, dim)``.
    """
    values, vectors = spectrum
    # What has next to no spread gets next to no weight by any penalty.
    some = values > 1e-14 * values[0]
    s, v = np.sqrt(values[some]), vectors[:, some]
    wanted = targets[fold.train] - targets[fold.train].mean(axis=0)
    chosen = ridge_penalty(fold.centred @ v / s, s, wanted)
    if chosen is None:
        return np.zeros_like(fold.test)
    turned: Floats = fold.test @ (v / (s * s + chosen)) @ v.T
    return turned


def relative(images: Side, captions: Side) -> CrossFit:
    """Cosines with the training pictures in one space beside those in the other."""
    if images.blocks.many:
        return _linked(images, captions, lambda fold, _: fold.test, unit)
    return _aligned(images, captions, lambda side: map(anchor_cosines, side.folds()))


def cca(images: Side, captions: Side) -> CrossFit:
    """Regularised canonical correlation, in its dual form."""
    if images.blocks.many:
        return _linked(images, captions, whitened, lambda rows: rows)
    return _aligned(
        images, captions, lambda side: map(regularised_weights, side.folds(), side.spectra)
    )


def _aligned(images: Side, captions: Side, place: Callable[[Side], Iterable[Floats]]) -> CrossFit:
    dtype = vector_type(images.blocks)

    def vectors(side: Side) -> Iterator[Floats]:
        for placed in place(side):
            yield unit(placed.astype(dtype))

    n = len(images.training)
    return CrossFit.of(images, captions, vectors(images), vectors(captions), n)


def _linked(
    images: Side,
    captions: Side,
    place: Callable[[Fold, Spectrum], Floats],
    scale: Callable[[Floats], Floats],
) -> CrossFit:
    """Compare as `_aligned` does, by way of one small matrix between the two spaces a fold.

    Rows are described by products with training rows, ``a X^T`` and ``b Y^T``. The inner product of
    two descriptions is ``a (X^T Y) b^T``: nothing is as long as there are pictures.

    Parameters
    ----------
    images, captions
        The two spaces.
    place
        The rows a or b of a fold, ``(rows, dim)``, of any length.
    scale
        Makes X or Y of the centred training rows.
    """
    blocks, dtype = images.blocks, vector_type(images.blocks)
    targets = captions.training.astype(dtype)
    trained: list[tuple[Indices, Floats]] = []

    def placed(fold: Fold, spectrum: Spectrum) -> Floats:
        rows, training = place(fold, spectrum), scale(fold.centred)
        lengths = np.sqrt(np.einsum("ij,ij->i", rows @ (training.T @ training), rows))
        vectors: Floats = rows / np.where(lengths > 0, lengths, 1.0)[:, None]
        return vectors.astype(dtype)

    cuts, lefts = [], []
    for fold, spectrum in zip(images.folds(), images.spectra, strict=True):
        cuts.append(Cut.of(fold))
        lefts.append(placed(fold, spectrum))
        trained.append((fold.train, scale(fold.centred).astype(dtype)))

    def vectors(pairing: Indices, chosen: Indices) -> Iterator[Floats]:
        for fold in chosen:
            train, rows = trained[fold]
            others = targets[pairing[train]]
            yield lefts[fold] @ (rows.T @ scale(others - others.mean(axis=0)))

    places = Places.of(blocks, cuts)
    judging = np.flatnonzero(blocks.judging)

    def refit(pairing: Indices, _: Indices) -> Gathered:
        return places.gathered(np.concatenate(list(vectors(pairing, judging))))

    rights = map(placed, captions.folds(), captions.spectra)
    observed = vectors(np.arange(len(targets)), np.arange(len(cuts)))
    return CrossFit.of(images, captions, observed, rights, targets.shape[1], refit)


def ridge(images: Side, captions: Side) -> CrossFit:
    """Predict a picture's caption embedding; strengths stay as chosen when pairing anew."""
    blocks, dtype = images.blocks, vector_type(images.blocks)
    targets = captions.training.astype(dtype)
    folds = list(images.folds())
    axes = [
        ridge_axes(fold, spectrum, captions.training)
        for fold, spectrum in zip(folds, images.spectra, strict=True)
    ]
    predicted: Callable[[Indices, Indices], Iterator[Floats]]
    if len(targets) > images.rows.shape[1]:
        covariances = Covariances(images, targets)
        rows = [turned.astype(dtype) for turned in axes]

        def predicted(pairing: Indices, chosen: Indices) -> Iterator[Floats]:
            for fold, covariance in zip(chosen, covariances.paired(pairing, chosen), strict=True):
                yield unit(rows[fold] @ covariance)

    else:
        weights = [
            (turned @ fold.centred.T).astype(dtype)
            for turned, fold in zip(axes, folds, strict=True)
        ]

        def predicted(pairing: Indices, chosen: Indices) -> Iterator[Floats]:
            paired = targets[pairing]
            for fold in chosen:
                yield unit(weights[fold] @ paired[folds[fold].train])

    places = Places.of(blocks, map(Cut.of, folds))
    judging = np.flatnonzero(blocks.judging)

    def refit(pairing: Indices, _: Indices) -> Gathered:
        return places.gathered(np.concatenate(list(predicted(pairing, judging))))

    observed = predicted(np.arange(len(targets)), np.arange(len(folds)))
    return CrossFit.of(images, captions, observed, captions.unit_tests(), targets.shape[1], refit)


class Covariances:
    """The pictures' axes times those of captions paired anew, summed over a fold's training.

    Every block's sum is computed once, and a fold's is that of all without its two blocks.

    Parameters
    ----------
    images
        The pictures.
    targets
        Captions' embeddings, ``(n, target_dim)``; their type is that of the sums.
    """

    def __init__(self, images: Side, targets: Floats) -> None:
        blocks = images.blocks
        self._targets = targets
        self._pairs = blocks.pairs
        self._order = np.argsort(blocks.block, kind="stable")
        sizes = np.bincount(blocks.block)
        self._ends = np.cumsum(sizes)[:-1]
        rows = (images.training - images.training.mean(axis=0))[self._order]
        self._rows = np.split(rows.astype(targets.dtype), self._ends)
        sums = np.array([part.sum(axis=0) for part in np.split(rows, self._ends)])
        self._trained = np.array(
            [[b not in pair for b in range(blocks.n_blocks)] for pair in self._pairs]
        ).astype(targets.dtype)
        self._means = self._trained @ sums / (self._trained @ sizes)[:, None]

    def paired(self, pairing: Indices, folds: Indices) -> Iterator[Floats]:
        """Yield ``centred.T @ targets[pairing][train]`` of folds, ``(dim, target_dim)``."""
        moved = np.split(self._targets[pairing[self._order]], self._ends)
        products = [rows.T @ others for rows, others in zip(self._rows, moved, strict=True)]
        whole = np.sum(products, axis=0)
        sums = self._trained @ np.array([others.sum(axis=0) for others in moved])
        for fold in folds:
            found = whole - np.outer(self._means[fold], sums[fold]).astype(whole.dtype)
            for b in self._pairs[fold]:
                if b < len(products):
                    found -= products[b]
            yield found


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
    first, second = np.array(blocks.pairs).T
    still = trained[first, second].transpose(0, 2, 1).copy()
    del trained

    def rotations(pairing: Indices, groups: Indices, chosen: Indices) -> Floats:
        moved = wanted[groups[first[chosen]], groups[second[chosen]]].take(pairing, axis=1)
        u, _, v = np.linalg.svd(still[chosen] @ moved)
        turns: Floats = u @ v
        return turns

    judging = np.flatnonzero(blocks.judging)
    places = Places.of(blocks, map(Cut.of, images.folds()))
    own, sums = places.gathered(np.concatenate([placed[fold] for fold in judging]))
    fold_of = places.half_of // 2
    own_fold = fold_of[blocks.block, blocks.left_out[0][blocks.block, blocks.block]]
    members = [(fold, np.flatnonzero(own_fold == fold)) for fold in np.unique(own_fold)]

    def refit(pairing: Indices, groups: Indices) -> Gathered:
        found = rotations(pairing, groups, judging)
        turned = np.empty_like(own)
        for fold, slots in members:
            turned[slots] = own[slots] @ found[fold]
        return turned, (sums[:, :, None] @ found[fold_of])[:, :, 0]

    every = np.arange(len(first))
    observed = rotations(np.arange(len(own)), np.arange(blocks.parts), every)
    lefts = (vectors @ turn for vectors, turn in zip(placed, observed, strict=True))
    return CrossFit.of(images, captions, lefts, towards, count, refit)
