"""Which pictures are left out together while a map between two spaces is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.significance import Indices

_FEW = 64
MANY = 2000
"""Beyond this many pictures there are fewer blocks, and vectors of pictures are float32."""


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
        n_blocks = min(n, 20 if n <= 100 else 10 if n <= MANY else 5)
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

    @property
    def many(self) -> bool:
        """Whether there are so many pictures that a vector of their number is too long."""
        return len(self.captioned) > MANY

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The two blocks that each fold leaves out, fold by fold."""
        return [pair for pair in combinations(range(self.parts), 2) if pair[0] < self.n_blocks]

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
    def judged(self) -> tuple[Indices, Indices]:
        """The blocks of pictures and of captions that tests compare with each other.

        Up to 64 pictures all. Of more those that a map compares which compares own pairs, too.
        """
        if len(self.captioned) <= _FEW:
            images, captions = np.indices((self.parts, self.n_blocks)).reshape(2, -1)
            return images, captions
        own = np.arange(self.n_blocks)
        partner = self.left_out[0][own, own]
        return np.concatenate([own, own, partner]), np.concatenate([own, partner, own])

    @cached_property
    def judging(self) -> NDArray[np.bool_]:
        """Whether a fold takes part in tests, ``(folds,)``."""
        images, captions = self.judged
        partners = self.left_out[0][images, captions]
        taking = set(zip(images.tolist(), partners.tolist(), strict=True))
        return np.array([(b, c) in taking or (c, b) in taking for b, c in self.pairs])

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
