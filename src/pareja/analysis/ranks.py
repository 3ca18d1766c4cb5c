"""Ranks, and their correlation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.significance import Floats, Indices, chunks

Places = NDArray[np.signedinteger[Any]]

_LEVELS = 1 << 20
_MOST_SORTED = 1 << 20
_MOST_IN_A_LEVEL = 1e-3


@dataclass(frozen=True)
class Ranked:
    """Numbers, by their places.

    Parameters
    ----------
    places
        For each number its dense rank from 0, equal for equal numbers, in the shape of the
        numbers.
    mass
        How many numbers have each place, ``(places,)``.
    """

    places: Places
    mass: Floats

    @classmethod
    def of(cls, values: Floats) -> Ranked:
        """Rank numbers.

        Of more than a million numbers, those within the same millionth of their range count as
        equal, unless a thousandth of all would lie in one.
        """
        places = _fine_places(values) if values.size > _MOST_SORTED else None
        if places is None:
            places = np.unique(values, return_inverse=True)[1].reshape(values.shape)
        return cls(places, _masses(places, int(places.max()) + 1))

    @cached_property
    def table(self) -> Floats:
        """The centred mid-rank of each place, ``(places,)``: it sums to 0 over the numbers."""
        return _centred(self.mass)

    def ranks(self, dtype: type[np.floating] = np.float64) -> Floats:
        """Return the centred mid-ranks in the shape of the numbers."""
        ranks: Floats = self.table.astype(dtype)[self.places]
        return ranks


def _fine_places(values: Floats) -> Places | None:
    """Return the places on an even grid; None where too much falls onto one of them."""
    low, high = float(values.min()), float(values.max())
    places = np.empty(values.shape, np.int32)
    scale = (_LEVELS - 1) / (high - low) if high > low else 0.0
    for part in chunks(len(values), values[0].size):
        places[part] = (values[part].astype(np.float64) - low) * scale
    mass = _masses(places, _LEVELS)
    return places if mass.max() <= _MOST_IN_A_LEVEL * values.size else None


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of two matrices, and what each picture adds to it.

    Parameters
    ----------
    value
        In [-1, 1]; 0 where either side is constant.
    influence
        How fast the correlation changes with the number of times that each picture is in the
        sample, ``(n_images,)``.
    """

    value: float
    influence: Floats


def matrix_correlation(x: Ranked, y: Ranked, owner: Indices) -> RankCorrelation:
    """Correlate the entries of two similarity matrices.

    Parameters
    ----------
    x, y
        Their ranks, ``(n_images, n_captions)`` both.
    owner
        The picture of each caption, ``(n_captions,)``.

    Notes
    -----
    A mid-rank is a sum over all entries of half the sign of a difference, so covariance and
    variances of ranks are cubic in the weights of the entries. An entry has three parts in each:
    its own product, and what it does to the ranks of all others on either side. In a sample an own
    pair has the weight of its picture, any other the product of its two pictures' (Efron and
    Tibshirani 1993, chapter 21, on influence and bootstrap).
    """
    n_images, n_captions = x.places.shape
    total = x.places.size
    f, g = x.table / total, y.table / total
    # Summed over entries: by place the ranks of the other side, and of its own.
    x_across, y_across = _sums_at(x, g, y) / total, _sums_at(y, f, x) / total
    x_own, y_own = x.mass * f / total, y.mass * g / total
    covariance, x_variance, y_variance = x_across @ f, x_own @ f, y_own @ g
    if x_variance <= 0 or y_variance <= 0:
        return RankCorrelation(0.0, np.zeros(n_images))
    scale = np.sqrt(x_variance * y_variance)
    value = float(np.clip(covariance / scale, -1, 1))
    # By place: what an entry there does to the ranks of the others.
    x_shift = _displacement(x_across) / scale
    x_shift -= value * (f * f / 2 + _displacement(x_own)) / x_variance
    y_shift = _displacement(y_across) / scale
    y_shift -= value * (g * g / 2 + _displacement(y_own)) / y_variance
    by_image, by_caption = np.empty(n_images), np.zeros(n_captions)
    matched = np.empty(n_captions)
    for part in chunks(n_images, n_captions):
        i, j = x.places[part], y.places[part]
        entries = f[i] * g[j] / scale + x_shift[i] + y_shift[j]
        by_image[part] = entries.sum(axis=1)
        by_caption += entries.sum(axis=0)
        here = np.flatnonzero((owner >= part.start) & (owner < part.stop))
        matched[here] = entries[owner[here] - part.start, here]
    influence = by_image + np.bincount(owner, by_caption - matched, minlength=n_images)
    return RankCorrelation(value, influence / total)


def _sums_at(at: Ranked, table: Floats, other: Ranked) -> Floats:
    """Return the sum of the other side's numbers at each place of this one."""
    sums = np.zeros(len(at.table))
    for part in chunks(len(at.places), at.places[0].size):
        sums += np.bincount(
            at.places[part].ravel(), table[other.places[part].ravel()], minlength=len(sums)
        )
    return sums


def _displacement(sums: Floats) -> Floats:
    """Return what an entry at each place adds to numbers with these sums by place.

    Those above it gain half a rank, those below lose half of one.
    """
    moved: Floats = sums.sum() / 2 - np.cumsum(sums) + sums / 2
    return moved


def _masses(places: Places, count: int) -> Floats:
    """Return how many numbers have each place, ``(count,)``."""
    masses = np.zeros(count)
    flat = places.reshape(-1)
    # In parts, since counting copies them to wider integers.
    for part in chunks(flat.size, 1):
        masses += np.bincount(flat[part], minlength=count)
    return masses


def spearman(a: Places, b: Places, weights: Floats) -> float:
    """Return the rank correlation of weighted observations.

    Parameters
    ----------
    a, b
        Dense ranks of the observations from 0, equal for equal values (the inverse of
        `numpy.unique`), shape ``(n,)``.
    weights
        How often each observation is in the sample, shape ``(n,)``, not all 0.

    Returns
    -------
    float
        In [-1, 1]; 0 where either side has only one value. Spearman (1904), with mid-ranks.
    """
    x, y = centred_ranks(a, weights), centred_ranks(b, weights)
    scale = np.sqrt((weights @ (x * x)) * (weights @ (y * y)))
    return float(np.clip(weights @ (x * y) / scale, -1, 1)) if scale > 0 else 0.0


def centred_ranks(places: Places, weights: Floats) -> Floats:
    """Return the mid-ranks of weighted observations, minus their mean.

    Parameters
    ----------
    places
        Dense ranks from 0, equal for equal values, shape ``(n,)``.
    weights
        How often each observation is in the sample, shape ``(n,)``.
    """
    ranks: Floats = _centred(np.bincount(places, weights).astype(np.float64, copy=False))[places]
    return ranks


def _centred(mass: Floats) -> Floats:
    """Return the mid-rank of each place minus their mean, which is half the total mass."""
    ranks: Floats = np.cumsum(mass) - mass / 2 - mass.sum() / 2
    return ranks
