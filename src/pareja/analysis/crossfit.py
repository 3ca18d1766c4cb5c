"""Maps between two spaces, each entry of the similarity by a map that has seen neither side.

``similarity[i, j]`` leaves out picture i and the picture of caption j. Leaving out picture i alone
and ranking all captions would be worse than chance on unrelated spaces: the own caption is the
only one that the map has not seen, and the training mean leans away from it (Airola et al. 2011,
"A comparison of AUC estimators in small-sample studies", for the same effect in other words). For
the comparison to be even, an own pair leaves out a second picture as well, drawn at random; with
one training pair more its cosine would vary less, and be the largest of a row too rarely.

Pictures are put into blocks, and there is one map for every two blocks that are left out. Up to 20
pictures each is a block of its own. Nothing is kept of a map but what the test needs: vectors of
pictures and of captions are made fold by fold.

The tests of these similarities pair the pictures anew *and fit again*. Shuffling the finished
matrix would not do: picture i helps to place caption k and picture k to place caption i, so the
own pairs vary together, twice as much as shuffled ones, and small p-values come too often.
Of many pictures a test compares own pairs with those strangers alone that the same maps compare:
that is as exact, and leaves most maps of each pairing unfitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np

from pareja.analysis.blocks import Blocks
from pareja.analysis.significance import (
    Floats,
    Indices,
    PermutationTest,
    grouped_pairings,
    permutation_test,
)
from pareja.analysis.validation import LARGE
from pareja.arrays import unit


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
    beyond
        How long the part of each row is that lies outside these axes, ``(n_rows,)``.
    row_block
        The block of each row, ``(n_rows,)``.
    """

    training: Floats
    rows: Floats
    beyond: Floats
    row_block: Indices
    blocks: Blocks

    @classmethod
    def of(cls, training: Floats, rows: Floats, row_block: Indices, blocks: Blocks) -> Side:
        """Describe a space by the axes that the training pictures span: no map knows others."""
        if len(training) >= training.shape[1]:
            return cls(training, rows, np.zeros(len(rows)), row_block, blocks)
        axes = np.linalg.svd(training, full_matrices=False)[2].T
        inside = rows @ axes
        beyond = np.linalg.norm(rows - inside @ axes.T, axis=1)
        return cls(training @ axes, inside, beyond, row_block, blocks)

    def folds(self) -> Iterator[Fold]:
        """Yield every pair of blocks once."""
        block = self.blocks.block
        rows_of = [np.flatnonzero(self.row_block == b) for b in range(self.blocks.parts)]
        for b, c in self.blocks.pairs:
            train = np.flatnonzero((block != b) & (block != c))
            rows = np.concatenate([rows_of[b], rows_of[c]])
            trained = self.training[train]
            mean = trained.mean(axis=0)
            trained -= mean
            yield Fold(
                blocks=(b, c),
                train=train,
                centred=trained,
                rows=rows,
                partners=np.repeat([c, b], [len(rows_of[b]), len(rows_of[c])]),
                test=self.rows[rows] - mean,
            )

    def unit_tests(self) -> Iterator[Floats]:
        """Yield the directions of the left-out rows from the training mean, fold by fold."""
        for fold in self.folds():
            yield unit(np.column_stack([fold.test, self.beyond[fold.rows]]))[:, :-1]

    @cached_property
    def spectra(self) -> list[tuple[Floats, Floats]]:
        """Of every fold, the eigenvalues and eigenvectors of ``centred.T @ centred``.

        Falling, ``(dim,)``, and ``(dim, dim)``, one a column. The scatter of a fold is that of all
        pictures without those of its two blocks: one small matrix is decomposed, no tall one.
        """
        blocks = self.blocks
        middle = self.training.mean(axis=0)
        members = [self.training[blocks.block == b] - middle for b in range(blocks.n_blocks)]
        scatters = [rows.T @ rows for rows in members]
        sums = [rows.sum(axis=0) for rows in members]
        whole = np.sum(scatters, axis=0)
        found = []
        for pair in blocks.pairs:
            out = [b for b in pair if b < blocks.n_blocks]
            scatter, total = whole.copy(), np.zeros(len(whole))
            for b in out:
                scatter -= scatters[b]
                total -= sums[b]
            n_train = len(self.training) - sum(len(members[b]) for b in out)
            scatter -= np.outer(total, total / n_train)
            values, vectors = np.linalg.eigh(scatter)
            found.append((np.maximum(values[::-1], 0.0), vectors[:, ::-1]))
        return found

    def components(self, count: int) -> tuple[list[Floats], Floats]:
        """Return principal components of left-out rows and of training pictures.

        Of the rows a list of ``(rows, count)`` by fold; of the training pictures ``(parts, parts,
        n, count)``, zero for those that are left out.
        """
        placed = []
        trained = np.zeros((self.blocks.parts, self.blocks.parts, len(self.training), count))
        for fold, (_, axes) in zip(self.folds(), self.spectra, strict=True):
            placed.append(unit(fold.test @ axes[:, :count]))
            b, c = fold.blocks
            trained[b, c, fold.train] = trained[c, b, fold.train] = fold.centred @ axes[:, :count]
        return placed, trained


@dataclass(frozen=True)
class Cut:
    """Which rows a fold leaves out: those of each of its two blocks."""

    blocks: tuple[int, int]
    train: Indices
    rows: tuple[Indices, Indices]

    @classmethod
    def of(cls, fold: Fold) -> Cut:
        """Keep of a fold what does not grow with the dimension."""
        first = fold.partners == fold.blocks[1]
        return cls(fold.blocks, fold.train, (fold.rows[first], fold.rows[~first]))

    def halves(self, vectors: Floats) -> tuple[Floats, Floats]:
        """Divide what was computed for the fold's rows by block."""
        return vectors[: len(self.rows[0])], vectors[len(self.rows[0]) :]


@dataclass(frozen=True)
class Places:
    """Where vectors of left-out rows stand, those of folds that take part in tests one by one.

    Parameters
    ----------
    starts
        Where each half of a fold begins, ``(halves,)``.
    half_of
        The half that belongs to a block and its partner, ``(parts, parts)``.
    own_rows
        The row of each picture that has captions, in the fold that compares it with its own,
        ``(n,)``.
    """

    starts: Indices
    half_of: Indices
    own_rows: Indices

    @classmethod
    def of(cls, blocks: Blocks, cuts: Iterable[Cut]) -> Places:
        """Lay out the rows of those folds."""
        half_of = np.zeros((blocks.parts, blocks.parts), np.intp)
        own_rows = np.empty(len(blocks.captioned), np.intp)
        starts: list[int] = []
        begin = 0
        for cut in compress(cuts, blocks.judging):
            for k in (0, 1):
                rows = cut.rows[k]
                half_of[cut.blocks[k], cut.blocks[1 - k]] = len(starts)
                starts.append(begin)
                if blocks.own(cut.blocks, k):
                    own_rows[blocks.slot[rows]] = begin + np.arange(len(rows))
                begin += len(rows)
        return cls(np.array(starts), half_of, own_rows)

    def gathered(self, vectors: Floats) -> Gathered:
        """Return the own vectors, and the sums of all."""
        by_half = np.add.reduceat(vectors, self.starts, axis=0, dtype=np.float64)
        return vectors[self.own_rows], by_half[self.half_of]


Gathered = tuple[Floats, Floats]
"""Of left-out pictures the unit vectors that meet their own captions, ``(n, width)``, and the sums
of a block's by the block that is out beside it, ``(parts, parts, width)``."""

Refit = Callable[[Indices, Indices], Gathered]
"""Fits again for a pairing of pictures, ``(n,)``, and of blocks, ``(parts,)``."""


@dataclass(frozen=True)
class CrossFit:
    """Both spaces, placed where they can be compared, by every fold.

    Parameters
    ----------
    refit
        Vectors of the left-out pictures for another pairing; None where they do not depend on it.
    own, sums
        Those vectors for the observed pairing (`Gathered`).
    right
        Unit vectors of the captions in each fold that leaves them out, those of one picture added
        up, ``(n, parts, width)``; the second axis is the other block that is out.
    similarity
        Of every picture and caption, ``(n_images, n_captions)``.
    """

    blocks: Blocks
    refit: Refit | None
    own: Floats
    sums: Floats
    right: Floats
    similarity: Floats

    @classmethod
    def of(
        cls,
        images: Side,
        captions: Side,
        lefts: Iterable[Floats],
        rights: Iterable[Floats],
        width: int,
        refit: Refit | None = None,
    ) -> CrossFit:
        """Compare what every fold leaves out.

        Parameters
        ----------
        images, captions
            The two spaces.
        lefts, rights
            Unit vectors of left-out pictures and captions, fold by fold. Without ``refit`` their
            axes are the fold's training pictures, and are paired anew with them.
        width
            How many axes there are over all folds.
        refit
            See `CrossFit`.
        """
        blocks = images.blocks
        n, parts = len(blocks.captioned), blocks.parts
        shape = len(images.rows), len(captions.rows)
        similarity = np.empty(shape, np.float32 if np.prod(shape) > LARGE else np.float64)
        right = np.zeros((n, parts, width), vector_type(blocks))
        own = np.zeros((n, width), vector_type(blocks))
        sums = np.zeros((parts, parts, width))
        for fold, other, found, opposite in zip(
            images.folds(), captions.folds(), lefts, rights, strict=True
        ):
            cut, answer = Cut.of(fold), Cut.of(other)
            pictures, texts = cut.halves(found), answer.halves(opposite)
            axes = slice(None) if refit else cut.train
            for i, j in ((0, 1), (1, 0), *((k, k) for k in (0, 1) if blocks.own(cut.blocks, k))):
                cosines = np.clip(pictures[i] @ texts[j].T, -1.0, 1.0)
                similarity[np.ix_(cut.rows[i], answer.rows[j])] = cosines
            for k in (0, 1):
                block, partner = cut.blocks[k], cut.blocks[1 - k]
                sums[block, partner, axes] = pictures[k].sum(axis=0, dtype=np.float64)
                if blocks.own(cut.blocks, k):
                    own[_at(blocks.slot[cut.rows[k]], axes)] = pictures[k]
                if answer.rows[k].size:
                    slots, added = _sums_by_slot(blocks.caption_slot[answer.rows[k]], texts[k])
                    right[_at(slots, partner, axes)] = added
        return cls(blocks, refit, own, sums, right, similarity)

    def test(self, permutations: int, seed: int) -> PermutationTest:
        """Pair the pictures anew, fit again, and compare the difference of means."""
        blocks, right = self.blocks, self.right
        # Cosines are sums: captions of one picture, and pictures of one block, add up first.
        right_sums = np.zeros((blocks.n_blocks, *right.shape[1:]))
        for block in range(blocks.n_blocks):
            right_sums[block] = right[blocks.block == block].sum(axis=0, dtype=np.float64)

        members, groups = grouped_pairings(blocks.block, blocks.n_blocks, permutations, seed)
        uncaptioned = np.arange(blocks.n_blocks, blocks.parts)
        image_block, caption_block = blocks.judged
        with_images, with_captions = (
            partners[image_block, caption_block] for partners in blocks.left_out
        )
        with_own = blocks.left_out[0][blocks.block, blocks.block]
        n_images = np.bincount(blocks.image_block)[image_block]
        n_captions = np.bincount(blocks.block[blocks.caption_slot])
        n_own = int(n_captions.sum())

        def difference(pairing: Indices, moved: Indices) -> float:
            partners = np.concatenate([moved, uncaptioned])
            matched = right[pairing, partners[with_own]]
            opposite = moved[caption_block]
            sums = right_sums[opposite, partners[with_captions]]
            if self.refit is None:
                left, left_sums = self.own, self.sums
                matched, sums = matched.take(pairing, axis=1), sums.take(pairing, axis=1)
            else:
                left, left_sums = self.refit(pairing, partners)
            own = float(np.vdot(left, matched))
            total = float(np.vdot(left_sums[image_block, with_images], sums))
            strangers = int(n_images @ n_captions[opposite]) - n_own
            return own / n_own - (total - own) / strangers

        observed = difference(np.arange(len(blocks.captioned)), np.arange(blocks.n_blocks))
        null = np.array([difference(*draw) for draw in zip(members, groups, strict=True)])
        return permutation_test(observed, null, two_sided=True, scale=1.0)


def _at(rows: Indices, *others: int | slice | Indices) -> Any:
    """Return an index whose last axis goes with every row."""
    *before, axes = others
    return (rows, *before, axes) if isinstance(axes, slice) else (rows[:, None], *before, axes)


def vector_type(blocks: Blocks) -> type[np.floating]:
    """Return how precisely vectors of pictures are kept: of very many, in float32."""
    return np.float32 if blocks.many else np.float64


def _sums_by_slot(slots: Indices, vectors: Floats) -> tuple[Indices, Floats]:
    """Return the slots that occur, and the sum of the vectors of each."""
    order = np.argsort(slots, kind="stable")
    found, first = np.unique(slots[order], return_index=True)
    return found, np.add.reduceat(vectors[order], first, axis=0)
