"""Telling pictures that show none of the labels from those that show one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from pareja.analysis.significance import (
    Estimate,
    Floats,
    ratio_draws,
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
    resamples: int = 2000,
    seed: int = 0,
) -> RejectionScores:
    """Measure how well a threshold on certainty refuses what has none of the labels.

    Parameters
    ----------
    certainty
        One number for each picture, ``(n_images,)``, higher where a label fits.
    known
        Whether the picture has one of the labels, ``(n_images,)``.
    threshold
        The certainty from which a picture keeps its label.
    resamples, seed
        Of the bootstrap, within either kind of pictures.

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
    ins, outs = values[inside], values[~inside]
    # wins[i, j]: whether known picture i is more certain than unknown picture j.
    wins = (ins[:, None] > outs) + 0.5 * (ins[:, None] == outs)
    in_counts = resample_counts(len(ins), resamples, seed)
    out_counts = resample_counts(len(outs), resamples, seed + 1)
    draws = ((in_counts @ wins) * out_counts).sum(axis=1) / wins.size

    def share(hits: Floats, counts: Floats) -> Estimate:
        drawn = ratio_draws(counts, hits, np.ones(len(hits)))
        return share_interval(float(hits.mean()), drawn, len(hits))

    return RejectionScores(
        n_known=len(ins),
        n_unknown=len(outs),
        auroc=share_interval(float(wins.mean()), draws, min(len(ins), len(outs))),
        threshold=threshold,
        kept=share((ins >= threshold).astype(np.float64), in_counts),
        refused=share((outs < threshold).astype(np.float64), out_counts),
    )


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
