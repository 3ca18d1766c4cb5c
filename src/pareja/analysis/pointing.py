"""The pointing game: whether the place that fits some words best lies on what they name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    paired_difference,
    ratio_draws,
    resample_counts,
    share_interval,
    summed,
)
from pareja.errors import AnalysisError


@dataclass(frozen=True)
class PointingScores:
    """How often the best place lies on the thing, beside what needs no model.

    Parameters
    ----------
    n_pictures, n_things, n_off_centre
        How many pictures there are, how many pairs of a picture and words with boxes in it, and how
        many of these pairs have no box at the centre of the picture.
    hits
        Share of these pairs whose best place lies in one of the boxes, in [0, 1] (Zhang et al.
        2018, "Top-down Neural Attention by Excitation Backprop", section 4.1).
    centre
        The same for the centre of each picture.
    random
        The same for a place drawn at random: the mean share of the picture that the boxes cover.
    above_centre
        ``hits - centre`` on the same pictures, in [-1, 1], with the interval of
        `pareja.analysis.significance.paired_difference`.
    off_centre
        `hits` of the pairs that have no box at the centre; None where there are none.
    """

    n_pictures: int
    n_things: int
    n_off_centre: int
    hits: Estimate
    centre: Estimate
    random: float
    above_centre: Estimate
    off_centre: Estimate | None


def pointing(
    picture: ArrayLike,
    hit: ArrayLike,
    centre: ArrayLike,
    covered: ArrayLike,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> PointingScores:
    """Score the pointing game, with intervals over pictures.

    Parameters
    ----------
    picture
        For each pair of a picture and words the number of the picture, ``(n,)``.
    hit, centre
        Whether the best place, and the picture's centre, lie in one of the boxes, ``(n,)``.
    covered
        The share of the picture that these boxes cover, in [0, 1], ``(n,)``.
    resamples, seed
        Of the bootstrap. A picture is drawn with all its pairs.

    Raises
    ------
    AnalysisError
        If there are no pairs, or the shapes differ.

    Examples
    --------
    >>> scores = pointing([0, 0, 1], [1, 0, 1], [0, 0, 1], [0.1, 0.2, 0.3])
    >>> round(scores.hits.value, 3), scores.n_pictures, round(scores.random, 3)
    (0.667, 2, 0.2)
    """
    _, owner = np.unique(np.asarray(picture), return_inverse=True)
    columns = [np.asarray(column, np.float64) for column in (hit, centre, covered)]
    if not len(owner) or any(column.shape != owner.shape for column in columns):
        raise AnalysisError(
            f"picture, hit, centre and covered must be of one length and not empty, got "
            f"{len(owner)} and {', '.join(str(column.shape) for column in columns)}"
        )
    hits, middle, shares = columns
    units = int(owner.max()) + 1
    counts = resample_counts(units, resamples, seed)
    apart = middle == 0
    off_centre = None
    if apart.any():
        _, few = np.unique(owner[apart], return_inverse=True)
        drawn = resample_counts(int(few.max()) + 1, resamples, seed)
        off_centre = _share(few, hits[apart], drawn)
    return PointingScores(
        n_pictures=units,
        n_things=len(owner),
        n_off_centre=int(apart.sum()),
        hits=_share(owner, hits, counts),
        centre=_share(owner, middle, counts),
        random=float(shares.mean()),
        above_centre=paired_difference(
            summed(owner, hits - middle), summed(owner, np.ones(len(owner))), resamples, seed
        ),
        off_centre=off_centre,
    )


def _share(owner: Indices, numbers: Floats, counts: Floats) -> Estimate:
    """Return the mean over pairs, with an interval over the pictures that they belong to."""
    drawn = ratio_draws(counts, summed(owner, numbers), summed(owner, np.ones(len(owner))))
    return share_interval(float(numbers.mean()), drawn, counts.shape[1])
