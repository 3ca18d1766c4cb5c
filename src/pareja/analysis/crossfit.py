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
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pareja.analysis.matching import mean_difference
from pareja.analysis.significance import (
    Floats,
    Indices,
    PermutationTest,
    grouped_pairings,
    permutation_test,
)
from pareja.analysis.validation import LARGE
from pareja.arrays import unit

_MANY = 2000
"""Beyond this many pictures there are fewer blocks, and vectors of pictures are float32."""


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
        n_blocks = min(n, 20 if n <= 100 else 10 if n <= _MANY else 5)
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

    def own(self, fold: tuple[int, int], place: int) -> bool:
        """Whether the fold of two blocks compares pictures of one with their own captions."""
        block, partner = fold[place], fold[1 - place]
        return block < self.n_blocks and self.left_out[0][block, block] == partner

    @cached_property
    def slot(self) -> Indices:
        """The position in ``captioned`` of every picture that has captions, ``(n_images,)``."""
        slot = np.full(len(self.image_block), -1)
        slot[self.captioned] = np.arange(len(self.captioned))
        return slot

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

    def unit_tests(self) -> Iterator[Floats]:
        """Yield the directions of the left-out rows from the training mean, fold by fold."""
        for fold in self.folds():
            yield unit(fold.test)

    def components(self, count: int) -> tuple[list[Floats], Floats]:
        """Return principal components of left-out rows and of training pictures.

        Of the rows a list of ``(rows, count)`` by fold; of the training pictures ``(parts, parts,
        n, count)``, zero for those that are left out.
        """
        placed = []
        trained = np.zeros((self.blocks.parts, self.blocks.parts, len(self.training), count))
        for fold in self.folds():
            _, _, axes = np.linalg.svd(fold.centred, full_matrices=False)
            placed.append(unit(fold.test @ axes[:count].T))
            b, c = fold.blocks
            trained[b, c, fold.train] = trained[c, b, fold.train] = fold.centred @ axes[:count].T
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


Vectors = Callable[[Indices, Indices], Floats]


@dataclass(frozen=True)
class CrossFit:
    """Both spaces, placed where they can be compared, by every fold.

    Parameters
    ----------
    left
        Unit vectors of the left-out pictures for a pairing of pictures and of blocks, fold after
        fold, ``(all rows, width)``; None where they do not depend on the pairing.
    own, sums
        Those vectors for the observed pairing: of each picture that has captions in the fold that
        compares it with its own, ``(n, width)``, and summed by block and the block that is out
        beside it, ``(parts, parts, width)``.
    right
        Unit vectors of the captions in each fold that leaves them out, those of one picture added
        up, ``(n, parts, width)``; the second axis is the other block that is out.
    similarity
        Of every picture and caption, ``(n_images, n_captions)``.
    """

    blocks: Blocks
    cuts: list[Cut]
    left: Vectors | None
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
        left: Vectors | None = None,
    ) -> CrossFit:
        """Compare what every fold leaves out.

        Parameters
        ----------
        images, captions
            The two spaces.
        lefts, rights
            Unit vectors of left-out pictures and captions, fold by fold. Without ``left`` their
            axes are the fold's training pictures, and are paired anew with them.
        width
            How many axes there are over all folds.
        left
            See `CrossFit`.
        """
        blocks = images.blocks
        n, parts = len(blocks.captioned), blocks.parts
        shape = len(images.rows), len(captions.rows)
        similarity = np.empty(shape, np.float32 if np.prod(shape) > LARGE else np.float64)
        right = np.zeros((n, parts, width), vector_type(blocks))
        own = np.zeros((n, width), vector_type(blocks))
        sums = np.zeros((parts, parts, width))
        cuts = []
        for fold, other, found, opposite in zip(
            images.folds(), captions.folds(), lefts, rights, strict=True
        ):
            cut, answer = Cut.of(fold), Cut.of(other)
            cuts.append(cut)
            pictures, texts = cut.halves(found), answer.halves(opposite)
            axes = slice(None) if left else cut.train
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
        return cls(blocks, cuts, left, own, sums, right, similarity)

    def test(self, statistic: float, permutations: int, seed: int) -> PermutationTest:
        """Pair the pictures anew, fit again, and compare the difference of means."""
        blocks, right = self.blocks, self.right
        parts = blocks.parts
        # Cosines are sums: captions of one picture, and pictures of one block, add up first.
        right_sums = np.zeros((blocks.n_blocks, *right.shape[1:]))
        for block in range(blocks.n_blocks):
            right_sums[block] = right[blocks.block == block].sum(axis=0, dtype=np.float64)

        members, groups = grouped_pairings(blocks.block, blocks.n_blocks, permutations, seed)
        uncaptioned = np.arange(blocks.n_blocks, parts)
        with_images, with_captions = blocks.left_out
        with_own = with_images[blocks.block, blocks.block]
        image_part, caption_part = np.indices(with_images.shape)
        own, total = np.empty(permutations), np.empty(permutations)
        starts, half_of, own_rows = self._layout()
        left_own, left_sums = self.own, self.sums[image_part, with_images]
        for draw, (pairing, moved) in enumerate(zip(members, groups, strict=True)):
            partners = np.concatenate([moved, uncaptioned])
            matched = right[pairing, partners[with_own]]
            sums = right_sums[moved[caption_part], partners[with_captions]]
            if self.left is None:
                matched, sums = matched.take(pairing, axis=1), sums.take(pairing, axis=2)
            else:
                found = self.left(pairing, partners)
                left_own = found[own_rows]
                by_half = np.add.reduceat(found, starts, axis=0, dtype=np.float64)
                left_sums = by_half[half_of[image_part, with_images]]
            own[draw] = np.vdot(left_own, matched)
            total[draw] = np.vdot(left_sums, sums)
        null = mean_difference(own, total, len(blocks.image_block), len(blocks.caption_slot))
        return permutation_test(statistic, null, two_sided=True, scale=1.0)

    def _layout(self) -> tuple[Indices, Indices, Indices]:
        """Return where each half of a fold begins, whose it is, and where own vectors stand.

        Shapes ``(halves,)``, ``(parts, parts)`` by block and partner, and ``(n,)``.
        """
        blocks = self.blocks
        half_of = np.zeros((blocks.parts, blocks.parts), np.intp)
        own_rows = np.empty(len(blocks.captioned), np.intp)
        starts: list[int] = []
        begin = 0
        for cut in self.cuts:
            for k in (0, 1):
                rows = cut.rows[k]
                half_of[cut.blocks[k], cut.blocks[1 - k]] = len(starts)
                starts.append(begin)
                if blocks.own(cut.blocks, k):
                    own_rows[blocks.slot[rows]] = begin + np.arange(len(rows))
                begin += len(rows)
        return np.array(starts), half_of, own_rows


def _at(rows: Indices, *others: int | slice | Indices) -> Any:
    """Return an index whose last axis goes with every row."""
    *before, axes = others
    return (rows, *before, axes) if isinstance(axes, slice) else (rows[:, None], *before, axes)


def vector_type(blocks: Blocks) -> type[np.floating]:
    """Return how precisely vectors of pictures are kept: of very many, in float32."""
    return np.float32 if len(blocks.captioned) > _MANY else np.float64


def _sums_by_slot(slots: Indices, vectors: Floats) -> tuple[Indices, Floats]:
    """Return the slots that occur, and the sum of the vectors of each."""
    order = np.argsort(slots, kind="stable")
    found, first = np.unique(slots[order], return_index=True)
    return found, np.add.reduceat(vectors[order], first, axis=0)
