"""Random pairings drawn as turns of a circle: thousands of them for the work of a few.

A test by permutations needs its statistic for thousands of random pairings of pictures and
captions. Where pictures stand on a circle in random order, all turns of that circle are pairings
too, and a sum of products under all turns at once is a circular correlation: one Fourier transform
instead of as many sums as there are pictures.

The turns form a group under composition. What is drawn is the group itself, which holds the pairing
that was observed, and as many random pairings of the whole, each followed by all turns (cosets of
the group). Under chance the observed pairing is any element of that set with the same probability,
so the test is exact (Hemerik and Goeman 2018, "Exact testing with random permutations", theorem 2).
All draws but the turns of the observed pairing, at most one for each picture, are uniform.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, rfft

from pareja.analysis.significance import Floats, Indices, chunks, grouped_pairings


@dataclass(frozen=True)
class Turns:
    """Random pairings of pictures, each with its captions.

    Pictures change places only with such that have as many captions.

    Parameters
    ----------
    circle
        The pictures that turn, in random order, ``(size,)``: the most that have the same number
        of captions.
    slots
        Their captions, those of each picture in random order, ``(size, captions a picture)``.
    other_images, other_captions
        All others. They change places in the random pairings, but do not turn.
    images, captions
        The pairings that are turned, the observed one first: who takes the place of each picture,
        ``(starts, n_images)``, and of each caption, ``(starts, n_captions)``.
    kept
        Which of the ``starts * size`` pairings are the draws, ``(permutations,)``; never the
        observed one.
    """

    circle: Indices
    slots: Indices
    other_images: Indices
    other_captions: Indices
    images: Indices
    captions: Indices
    kept: Indices

    @classmethod
    def of(cls, owner: Indices, n_images: int, permutations: int, seed: int) -> Turns:
        """Draw pairings.

        Parameters
        ----------
        owner
            The picture of each caption, ``(n_captions,)``.
        n_images
            How many pictures there are.
        permutations, seed
            How many pairings to draw, and the seed.
        """
        generator = np.random.default_rng([seed, 1])
        n_captions = len(owner)
        each = np.bincount(owner, minlength=n_images)
        commonest = int(np.bincount(each).argmax())
        circle = generator.permutation(np.flatnonzero(each == commonest))
        by_owner = np.argsort(owner, kind="stable")
        first = np.cumsum(each) - each
        slots = by_owner[first[circle][:, None] + np.arange(commonest)]
        starts = -(-(permutations + 1) // len(circle))
        members, groups = grouped_pairings(owner, n_images, starts - 1, seed)
        return cls(
            circle=circle,
            slots=generator.permuted(slots, axis=1) if commonest else slots,
            other_images=np.flatnonzero(each != commonest),
            other_captions=np.flatnonzero(each[owner] != commonest),
            images=np.vstack([np.arange(n_images), groups]),
            captions=np.vstack([np.arange(n_captions), members]),
            kept=1 + generator.choice(starts * len(circle) - 1, permutations, replace=False),
        )

    @classmethod
    def of_pictures(cls, n: int, permutations: int, seed: int) -> Turns:
        """Draw pairings of n pictures with n partners."""
        return cls.of(np.arange(n), n, permutations, seed)

    def products(self, fixed: Floats, moved: Floats) -> Floats:
        """Return ``sum(fixed * moved)`` with the second matrix paired anew.

        Parameters
        ----------
        fixed, moved
            Matrices of pictures and captions, ``(n_images, n_captions)``. In each pairing rows and
            columns of ``moved`` change places together, as Mantel (1967) has it.

        Returns
        -------
        Floats
            One number a draw, ``(permutations,)``.
        """
        size, width = len(self.circle), fixed.shape[1]
        flat_fixed, flat_moved = fixed.ravel(), moved.ravel()
        spectrum = np.zeros((len(self.images), size // 2 + 1), np.complex128)
        for rows, columns in self._lanes():
            still = rfft(flat_fixed.take(rows * width + columns), axis=-1).conj()
            for part in chunks(len(self.images), rows.size):
                places = self.images[part].take(rows, axis=1)
                places *= width
                places += self.captions[part].take(columns, axis=1)
                turning = rfft(flat_moved.take(places), axis=-1)
                spectrum[part] += np.einsum("lf,slf->sf", still, turning)
        sums = irfft(spectrum, size, axis=-1)
        rest = np.ix_(self.other_images, self.other_captions)
        if rest[0].size and rest[1].size:
            for start, (images, captions) in enumerate(
                zip(self.images, self.captions, strict=True)
            ):
                others = moved[np.ix_(images[self.other_images], captions[self.other_captions])]
                sums[start] += np.vdot(fixed[rest], others)
        draws: Floats = sums.ravel()[self.kept].astype(np.float64)
        return draws

    def sums(self, matrix: Floats) -> Floats:
        """Return the sum over all pictures of ``matrix[picture, who takes its place]``.

        Parameters
        ----------
        matrix
            Shape ``(n, n)``; all pictures must have the same number of captions.

        Returns
        -------
        Floats
            One number a draw, ``(permutations,)``.
        """
        size = len(self.circle)
        partners = self.images[:, self.circle]
        found = np.zeros((len(partners), size))
        for place, picture in enumerate(self.circle):
            numbers = matrix[picture].take(partners)
            found[:, : size - place] += numbers[:, place:]
            found[:, size - place :] += numbers[:, :place]
        draws: Floats = found.ravel()[self.kept]
        return draws

    def vector_products(self, fixed: Floats, moved: Floats) -> Floats:
        """Return ``fixed @ moved`` with the second vector paired anew.

        Parameters
        ----------
        fixed, moved
            A number for each caption, ``(n_captions,)`` both.

        Returns
        -------
        Floats
            One number a draw, ``(permutations,)``.
        """
        size, others = len(self.circle), self.other_captions
        still = rfft(fixed[self.slots.T], axis=-1).conj()
        sums = np.empty((len(self.captions), size))
        for part in chunks(len(self.captions), self.slots.size):
            turning = rfft(moved[self.captions[part].take(self.slots.T, axis=1)], axis=-1)
            sums[part] = irfft(np.einsum("lf,slf->sf", still, turning), size, axis=-1)
            sums[part] += (moved[self.captions[part][:, others]] @ fixed[others])[:, None]
        draws: Floats = sums.ravel()[self.kept]
        return draws

    def hits(self, asked: Indices, answered: Indices, shares: Floats) -> Floats:
        """Return the sum of the shares of those pairs that a pairing brings together.

        Parameters
        ----------
        asked, answered
            Pairs of pictures, ``(pairs,)`` both; all pictures must have the same number of
            captions.
        shares
            What each pair counts, ``(pairs,)``.

        Returns
        -------
        Floats
            One number a draw, ``(permutations,)``: the shares of the pairs in which the picture
            that answers takes the place of the one that asks.
        """
        size = len(self.circle)
        place = np.empty(size, np.intp)
        place[self.circle] = np.arange(size)
        sums = np.empty((len(self.images), size))
        for start, images in enumerate(self.images):
            now = np.empty(size, np.intp)
            now[images] = place
            turn = now[answered] - place[asked]
            sums[start] = np.bincount(turn % size, shares, minlength=size)
        draws: Floats = sums.ravel()[self.kept]
        return draws

    def _lanes(self) -> Iterator[tuple[Indices, Indices]]:
        """Yield rows and columns of the entries that follow each other when the circle turns.

        Of shape ``(lanes, size)`` both; together every entry that moves at all, once.
        """
        size, each = self.slots.shape
        around = np.arange(size)
        for part in chunks(size * each, size):
            lane = np.arange(part.start, part.stop)[:, None]
            columns = self.slots[(around + lane // max(each, 1)) % size, lane % max(each, 1)]
            yield np.broadcast_to(self.circle, columns.shape), columns
        for part in chunks(len(self.other_captions), size):
            others = np.repeat(self.other_captions[part][:, None], size, axis=1)
            yield np.broadcast_to(self.circle, others.shape), others
        for part in chunks(len(self.other_images) * each, size):
            lane = np.arange(part.start, part.stop)
            rows = np.repeat(self.other_images[lane // each][:, None], size, axis=1)
            yield rows, self.slots.T[lane % each]
