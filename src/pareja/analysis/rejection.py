"""Telling pictures that show none of the labels from those that show one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    chunks,
    resample_counts,
    share_interval,
)
from pareja.errors import AnalysisError

KNOWN_KEPT = 0.95
"""Share of the pictures with a label that a threshold keeps where none without is there."""


@dataclass(frozen=True)
class RejectionScores:
    """How well certainty tells pictures with one of the labels from those with none.

    Parameters
    ----------
    n_known, n_unknown
        How many there are of both.
    auroc
        Probability that a picture with a label is more certain than one without, ties by half, in
        [0, 1]; 0.5 by chance (Hendrycks and Gimpel 2017).
    threshold
        The certainty below which a picture is refused.
    kept
        Share of the pictures with a label that are not refused, in [0, 1].
    refused
        Share of the pictures without that are.
    """

    n_known: int
    n_unknown: int
    auroc: Estimate
    threshold: float
    kept: Estimate
    refused: Estimate


def rejection(
    certainty: ArrayLike,
    known: ArrayLike,
    threshold: float,
    *,
    picture: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> RejectionScores:
    """Measure how well a threshold on certainty refuses what has none of the labels.

    Parameters
    ----------
    certainty
        One number for each picture, ``(n,)``, higher where a label fits; or for each pair of a
        picture and a label.
    known
        Whether the picture has one of the labels, or that label, ``(n,)``.
    threshold
        The certainty from which a picture keeps its label.
    picture
        The number of the picture that each pair belongs to, ``(n,)``; None where each has one
        certainty.
    resamples, seed
        Of the bootstrap: within either kind of pictures, or over pictures with all their pairs.

    Raises
    ------
    AnalysisError
        If the shapes differ, or a kind has no pictures.

    Examples
    --------
    >>> scores = rejection([0.9, 0.8, 0.6, 0.3], [True, True, False, False], 0.5)
    >>> scores.auroc.value, scores.kept.value, scores.refused.value
    (1.0, 1.0, 0.5)
    """
    values, inside = _checked(certainty, known)
    if inside.all() or not inside.any():
        missing = "without" if inside.all() else "with"
        raise AnalysisError(
            f"refusing is measured on pictures with and without one of the labels, and none of "
            f"{len(values)} is {missing} one"
        )
    units, counts = _resampled(inside, picture, resamples, seed)
    hits = inside == (values >= threshold)
    levels, place = np.unique(values, return_inverse=True)
    ins, outs = np.flatnonzero(inside), np.flatnonzero(~inside)

    def wins(weights: Floats) -> float:
        """Return how often a known one is more certain than an unknown one."""
        mass = np.bincount(place[outs], weights[outs], minlength=len(levels))
        return float(weights[ins] @ (np.cumsum(mass) - mass / 2)[place[ins]])

    won = np.empty(resamples)
    kept, refused, n_ins, n_outs = (np.empty(resamples) for _ in range(4))
    for part in chunks(resamples, len(values)):
        weights = counts[part][:, units]
        won[part] = [wins(row) for row in weights]
        kept[part], n_ins[part] = weights[:, ins] @ hits[ins], weights[:, ins].sum(axis=1)
        refused[part], n_outs[part] = weights[:, outs] @ hits[outs], weights[:, outs].sum(axis=1)
    in_units, out_units = len(np.unique(units[ins])), len(np.unique(units[outs]))
    # A sample of few pictures may have none of a kind: it is not a number, and is left out.
    with np.errstate(invalid="ignore"):
        return RejectionScores(
            n_known=len(ins),
            n_unknown=len(outs),
            auroc=share_interval(
                wins(np.ones(len(values))) / (len(ins) * len(outs)),
                won / (n_ins * n_outs),
                min(in_units, out_units),
            ),
            threshold=threshold,
            kept=share_interval(float(hits[ins].mean()), kept / n_ins, in_units),
            refused=share_interval(float(hits[outs].mean()), refused / n_outs, out_units),
        )


def _resampled(
    inside: NDArray[np.bool_], picture: ArrayLike | None, resamples: int, seed: int
) -> tuple[Indices, Floats]:
    """Return the unit that each certainty is drawn with, and how often each unit is drawn."""
    if picture is not None:
        pictures = np.asarray(picture)
        if pictures.shape != inside.shape:
            raise AnalysisError(
                f"picture must be one number a certainty, got shape {pictures.shape} for "
                f"{inside.shape}"
            )
        units = np.unique(pictures, return_inverse=True)[1]
        return units, resample_counts(int(units.max()) + 1, resamples, seed)
    counts = np.empty((resamples, len(inside)))
    counts[:, inside] = resample_counts(int(inside.sum()), resamples, seed)
    counts[:, ~inside] = resample_counts(int((~inside).sum()), resamples, seed + 1)
    return np.arange(len(inside)), counts


def choose_threshold(certainty: ArrayLike, known: ArrayLike) -> float:
    """Choose the certainty below which a picture has none of the labels.

    Parameters
    ----------
    certainty, known
        Of held-out pictures, ``(n_images,)`` each; at least one is known.

    Returns
    -------
    float
        Where pictures without a label are among them, the threshold with the largest sum of the
        share of known ones kept and of unknown ones refused (Youden 1950), in the middle of the
        gap that it lies in. Otherwise the one that keeps `KNOWN_KEPT` of the known.

    Raises
    ------
    AnalysisError
        If the shapes differ, or no picture is known.

    Examples
    --------
    >>> choose_threshold([0.9, 0.8, 0.4, 0.3], [True, True, False, False])
    0.6000000000000001
    """
    values, inside = _checked(certainty, known)
    if not inside.any():
        raise AnalysisError("a threshold needs pictures that do have one of the labels, got none")
    if inside.all():
        return float(np.quantile(values, 1 - KNOWN_KEPT))
    ranks = rankdata(values, method="dense") - 1
    levels = np.unique(values)
    above = np.bincount(ranks[inside], minlength=len(levels))[::-1].cumsum()[::-1] / inside.sum()
    below = np.bincount(ranks[~inside], minlength=len(levels)).cumsum() / (~inside).sum()
    # Cutting below level i keeps `above[i]` and refuses `below[i - 1]`.
    gain = above + np.concatenate([[0.0], below[:-1]])
    best = int(gain.argmax())
    return float(levels[best] if best == 0 else (levels[best] + levels[best - 1]) / 2)


def _checked(certainty: ArrayLike, known: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    values, inside = np.asarray(certainty, dtype=np.float64), np.asarray(known, dtype=bool)
    if values.ndim != 1 or values.shape != inside.shape or not np.isfinite(values).all():
        raise AnalysisError(
            f"certainty and known must be one finite number and one truth value a picture, got "
            f"shapes {values.shape} and {inside.shape}"
        )
    return values, inside
