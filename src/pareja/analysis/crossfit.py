"""Maps between two spaces, each entry of the similarity by a map that has seen neither side.

``similarity[i, j]`` leaves out picture i and the picture of caption j. Leaving out picture i alone
and ranking all captions would be worse than chance on unrelated spaces: the own caption is the
only one that the map has not seen, and the training mean leans away from it (Airola et al. 2011,
"A comparison of AUC estimators in small-sample studies", for the same effect in other words). For
the comparison to be even, an own pair leaves out a second picture as well, drawn at random; with
one training pair more its cosine would vary less, and be the largest of a row too rarely.

Pictures are put into blocks, and there is one map for every two blocks that are left out. Up to 20
pictures each is a block of its own.

The tests of these similarities pair the pictures anew *and fit again*. Shuffling the finished
matrix would not do: picture i helps to place caption k and picture k to place caption i, so the
own pairs vary together, twice as much as shuffled ones, and small p-values come too often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pareja.analysis.matching import mean_difference
from pareja.analysis.ridge import ridge_penalty
from pareja.analysis.significance import (
    Floats,
    Indices,
    PermutationTest,
    grouped_pairings,
    permutation_test,
)
from pareja.arrays import unit

_COMPONENTS = 32


def sample_axes(rows: Floats) -> Floats:
    """Return rows of fewer columns with the same inner products, where that is possible."""
    if rows.shape[1] <= len(rows):
        return rows
    u, s, _ = np.linalg.svd(rows, full_matrices=False)
    turned: Floats = u * s
    return turned


@dataclass(frozen=True)
class Blocks:
    """Which pictures are left out together.

    Parameters
    ----------
    captioned
        Indices of the pictures that have captions; only these can be trained on, ``(n,)``.
    block
        The block of each of them, from 0, ``(n,)``.
    n_blocks
        How many blocks there are.
    image_block
        The block of every picture; ``n_blocks`` for pictures without captions, ``(n_images,)``.
    caption_slot
        For each caption the position in ``captioned`` of its picture, ``(n_captions,)``.
    """

    captioned: Indices
    block: Indices
    n_blocks: int
    image_block: Indices
    caption_slot: Indices

    @classmethod
    def of(cls, owner: Indices, n_images: int, seed: int) -> Blocks:
        """Divide the pictures that have captions at random."""
        captioned, slots = np.unique(owner, return_inverse=True)
        n = len(captioned)
        # The work is quadratic in blocks and cubic in pictures.
        n_blocks = min(n, 20 if n <= 100 else 10)
        order = np.random.default_rng(seed).permutation(n)
        block = np.empty(n, dtype=np.intp)
        block[order] = np.arange(n) % n_blocks
        image_block = np.full(n_images, n_blocks)
        image_block[captioned] = block
        return cls(captioned, block, n_blocks, image_block, slots)

    @property
    def parts(self) -> int:
        """Number of blocks, with the one of pictures without captions where there are any."""
        return int(self.image_block.max()) + 1

    @cached_property
    def left_out(self) -> tuple[Indices, Indices]:
        """What is left out beside b's pictures, and beside c's captions, to compare these.

        Each is the other's block, and the next one where b is c; ``(parts, n_blocks)`` both.
        """
        with_images, with_captions = np.indices((self.parts, self.n_blocks))[::-1].copy()
        own = np.arange(self.n_blocks)
        with_images[own, own] = with_captions[own, own] = (own + 1) % self.n_blocks
        return with_images, with_captions

    @cached_property
    def smallest_training(self) -> int:
        """How many pictures are left to train on when the two largest blocks are out."""
        sizes = np.sort(np.bincount(self.block))
        return int(sizes[:-2].sum())


@dataclass(frozen=True)
class Fold:
    """One left-out pair of blocks, seen from one space.

    Parameters
    ----------
    blocks
        The two blocks.
    train
        Positions of the training pictures among those that have captions.
    centred
        Their embeddings minus their mean, ``(n_train, dim)``.
    rows, partners
        The left-out rows of this space, and for each the other block that is out with it.
    test
        Embeddings of those rows minus the training mean.
    """

    blocks: tuple[int, int]
    train: Indices
    centred: Floats
    rows: Indices
    partners: Indices
    test: Floats


@dataclass(frozen=True)
class Side:
    """One of the two spaces.

    Parameters
    ----------
    training
        One row for each picture that has captions, ``(n, dim)``.
    rows
        Everything that is to be placed, ``(n_rows, dim)``.
    row_block
        The block of each row, ``(n_rows,)``.
    """

    training: Floats
    rows: Floats
    row_block: Indices
    blocks: Blocks

    def folds(self) -> Iterator[Fold]:
        """Yield every pair of blocks once."""
        block = self.blocks.block
        for b in range(self.blocks.n_blocks):
            for c in range(b + 1, self.blocks.parts):
                train = np.flatnonzero((block != b) & (block != c))
                first = np.flatnonzero(self.row_block == b)
                second = np.flatnonzero(self.row_block == c)
                rows = np.concatenate([first, second])
                mean = self.training[train].mean(axis=0)
                yield Fold(
                    blocks=(b, c),
                    train=train,
                    centred=self.training[train] - mean,
                    rows=rows,
                    partners=np.repeat([c, b], [len(first), len(second)]),
                    test=self.rows[rows] - mean,
                )

    def empty(self, width: int) -> Floats:
        """Return zeros for one vector per row and partner block, ``(n_rows, parts, width)``."""
        return np.zeros((len(self.rows), self.blocks.parts, width))

    def by_training_picture(self, place: Callable[[Fold], Floats]) -> Floats:
        """Describe each row by one number per training picture; 0 for the left-out ones."""
        placed = self.empty(len(self.training))
        for fold in self.folds():
            placed[fold.rows[:, None], fold.partners[:, None], fold.train] = place(fold)
        return placed

    def centred(self) -> Floats:
        """Return every row minus the training mean, for each partner block."""
        placed = self.empty(self.rows.shape[1])
        for fold in self.folds():
            placed[fold.rows, fold.partners] = fold.test
        return placed

    def components(self, count: int) -> tuple[Floats, Floats]:
        """Return principal components of rows and of training pictures.

        Shapes ``(n_rows, parts, count)`` and ``(parts, parts, n, count)``, zero for left-out
        training pictures.
        """
        placed = self.empty(count)
        trained = np.zeros((self.blocks.parts, self.blocks.parts, len(self.training), count))
        for fold in self.folds():
            _, _, axes = np.linalg.svd(fold.centred, full_matrices=False)
            placed[fold.rows, fold.partners] = fold.test @ axes[:count].T
            b, c = fold.blocks
            trained[b, c, fold.train] = trained[c, b, fold.train] = fold.centred @ axes[:count].T
        return placed, trained


def anchor_cosines(fold: Fold) -> Floats:
    """Describe rows by their cosines with the training pictures."""
    cosines: Floats = unit(fold.test) @ unit(fold.centred).T
    return cosines


def regularised_weights(fold: Fold) -> Floats:
    """Return ``k (K + kappa I)^-1``, kappa being the mean of K's eigenvalues."""
    kernel = fold.centred @ fold.centred.T
    kappa = np.trace(kernel) / (len(kernel) - 1)
    if kappa <= 0:
        return np.zeros((len(fold.rows), len(kernel)))
    np.fill_diagonal(kernel, kernel.diagonal() + kappa)
    return np.linalg.solve(kernel, fold.centred @ fold.test.T).T.astype(np.float64)


def ridge_weights(fold: Fold, targets: Floats) -> Floats:
    """Return weights ``(rows, n_train)`` whose product with the targets is ridge's prediction.

    Parameters
    ----------
    fold
        A fold of the pictures' space.
    targets
        Caption embeddings of all training pictures of the study, ``(n, dim)``.
    """
    u, s, _ = np.linalg.svd(fold.centred, full_matrices=False)
    wanted = targets[fold.train] - targets[fold.train].mean(axis=0)
    chosen = ridge_penalty(u, s, wanted)
    if chosen is None:
        return np.zeros((len(fold.rows), len(fold.train)))
    weights: Floats = (fold.test @ fold.centred.T @ u / (s * s + chosen)) @ u.T
    return weights


@dataclass(frozen=True)
class CrossFit:
    """Both spaces, placed where they can be compared, by every fold.

    Parameters
    ----------
    left
        Gives, for a pairing of pictures and of blocks, unit vectors of the pictures for each
        partner block, ``(n_images, parts, width)``.
    right
        Unit vectors of the captions, ``(n_captions, parts, width)``.
    aligned
        Whether the vectors' axes are the training pictures, and so are paired anew with them.
    """

    blocks: Blocks
    left: Callable[[Indices, Indices], Floats]
    right: Floats
    aligned: bool

    def similarity(self) -> Floats:
        """Return the similarity of every picture and caption, ``(n_images, n_captions)``."""
        blocks = self.blocks
        left = self.left(np.arange(len(blocks.captioned)), np.arange(blocks.parts))
        caption_block = blocks.block[blocks.caption_slot]
        with_images, with_captions = blocks.left_out
        result = np.empty((len(left), len(self.right)))
        for b in range(blocks.parts):
            rows = np.flatnonzero(blocks.image_block == b)
            for c in range(blocks.n_blocks):
                columns = np.flatnonzero(caption_block == c)
                places = left[rows, with_images[b, c]]
                result[np.ix_(rows, columns)] = places @ self.right[columns, with_captions[b, c]].T
        return np.clip(result, -1.0, 1.0)

    def test(self, statistic: float, permutations: int, seed: int) -> PermutationTest:
        """Pair the pictures anew, fit again, and compare the difference of means."""
        blocks = self.blocks
        n, parts = len(blocks.captioned), blocks.parts
        # Cosines are sums: captions of one picture, and pictures of one block, add up first.
        right = np.zeros((n, *self.right.shape[1:]))
        np.add.at(right, blocks.caption_slot, self.right)
        right_sums = np.zeros((blocks.n_blocks, *right.shape[1:]))
        np.add.at(right_sums, blocks.block, right)

        members, groups = grouped_pairings(blocks.block, blocks.n_blocks, permutations, seed)
        uncaptioned = np.arange(blocks.n_blocks, parts)
        with_images, with_captions = blocks.left_out
        with_own = with_images[blocks.block, blocks.block]
        image_part, caption_part = np.indices(with_images.shape)
        in_block = (blocks.image_block == np.arange(parts)[:, None]).astype(np.float64)
        own, total = np.empty(permutations), np.empty(permutations)
        for draw, (pairing, moved) in enumerate(zip(members, groups, strict=True)):
            partners = np.concatenate([moved, uncaptioned])
            left = self.left(pairing, partners)
            matched = right[pairing, partners[with_own]]
            sums = right_sums[moved[caption_part], partners[with_captions]]
            if self.aligned:
                matched, sums = matched[:, pairing], sums[:, :, pairing]
            if not draw or not self.aligned:
                left_own = left[blocks.captioned, with_own]
                left_sums = np.tensordot(in_block, left, axes=1)[image_part, with_images]
            own[draw] = np.vdot(left_own, matched)
            total[draw] = np.vdot(left_sums, sums)
        null = mean_difference(own, total, len(blocks.image_block), len(blocks.caption_slot))
        return permutation_test(statistic, null, two_sided=True, scale=1.0)


def relative(images: Side, captions: Side) -> CrossFit:
    """Cosines with the training pictures in one space beside those in the other."""
    return _aligned(images, captions, anchor_cosines)


def cca(images: Side, captions: Side) -> CrossFit:
    """Regularised canonical correlation, in its dual form."""
    return _aligned(images, captions, regularised_weights)


def _aligned(images: Side, captions: Side, place: Callable[[Fold], Floats]) -> CrossFit:
    left = unit(images.by_training_picture(place))
    right = unit(captions.by_training_picture(place))
    return CrossFit(images.blocks, lambda pairing, groups: left, right, aligned=True)


def ridge(images: Side, captions: Side) -> CrossFit:
    """Predict a picture's caption embedding; strengths stay as chosen when pairing anew."""
    targets = captions.training
    weights = images.by_training_picture(lambda fold: ridge_weights(fold, targets))
    return CrossFit(
        images.blocks,
        lambda pairing, groups: unit(weights @ targets[pairing]),
        unit(captions.centred()),
        aligned=False,
    )


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
    directions = unit(placed)
    first, second = np.triu_indices(blocks.parts)
    rotation = np.empty((blocks.parts, blocks.parts, count, count))

    def left(pairing: Indices, groups: Indices) -> Floats:
        moved = wanted[groups[first], groups[second]][:, pairing]
        u, _, v = np.linalg.svd(trained[first, second].transpose(0, 2, 1) @ moved)
        rotation[first, second] = rotation[second, first] = u @ v
        turned: Floats = (directions[:, :, None, :] @ rotation[blocks.image_block])[:, :, 0]
        return turned

    return CrossFit(blocks, left, unit(towards), aligned=False)
