"""Whether probabilities can be believed: how often what is thought likely is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pareja.analysis.significance import (
    LEVEL,
    Estimate,
    Floats,
    Indices,
    chunks,
    resample_counts,
)


@dataclass(frozen=True)
class Reliability:
    """What a reliability diagram draws, bin by bin over the confidence in [0, 1].

    Parameters
    ----------
    edges
        Ends of the bins, ``(n_bins + 1,)``.
    confidence, accuracy
        Mean of each in the bin; NaN in an empty one.
    count
        How many pictures the bin holds.
    """

    edges: Floats
    confidence: Floats
    accuracy: Floats
    count: Indices


@dataclass(frozen=True)
class Calibration:
    """How far confidences are from how often they are right.

    Parameters
    ----------
    ece
        Expected calibration error over equally wide bins of confidence (Naeini et al. 2015; Guo
        et al. 2017), in [0, 1].
    honest_ece
        Mean ECE of as many pictures if the confidences were exactly right: what of `ece` is due
        to the small number of pictures alone.
    reliability
        The bins behind `ece`.
    correct
        For each picture the probability that it counts as right, ``(n_images,)``.
    """

    ece: Estimate
    honest_ece: float
    reliability: Reliability
    correct: Floats


def calibration(
    confidence: Floats, correct: Floats, *, bins: int = 15, resamples: int = 2000, seed: int = 0
) -> Calibration:
    """Measure confidences against how often they are right.

    Parameters
    ----------
    confidence
        The probability that each picture's answer has, ``(n_images,)``, in [0, 1] but for
        rounding.
    correct
        Whether it is right, or with which probability, ``(n_images,)``, in [0, 1].
    bins
        How many bins of confidence there are.
    resamples, seed
        Of the bootstrap over pictures.

    Notes
    -----
    ECE is biased upwards, and each bootstrap sample by as much again: the interval mirrors the
    draws at the value (Davison and Hinkley 1997, equation 5.6), and begins at 0 where honest
    confidences would often do as badly.
    """
    confidence, n = np.minimum(confidence, 1.0), len(confidence)
    bin_hot = np.minimum((confidence * bins).astype(np.intp), bins - 1)[:, None] == np.arange(bins)
    size = bin_hot.sum(axis=0)
    with np.errstate(invalid="ignore"):
        reliability = Reliability(
            edges=np.linspace(0, 1, bins + 1),
            confidence=confidence @ bin_hot / size,
            accuracy=correct @ bin_hot / size,
            count=size.astype(np.intp),
        )
    honest = _honest_draws(confidence, bin_hot, resamples, seed)
    gaps = bin_hot * (confidence - correct)[:, None]
    draws = np.abs(resample_counts(n, resamples, seed) @ gaps).sum(axis=1) / n
    return Calibration(
        ece=_ece_interval(float(np.abs(gaps.sum(axis=0)).sum() / n), draws, honest),
        honest_ece=float(honest.mean()),
        reliability=reliability,
        correct=correct,
    )


def hits_among(scores: Floats, answers: Indices, depth: int) -> Floats:
    """Return the probability that the answer is among the first ones, over orders of ties.

    Parameters
    ----------
    scores
        ``(n, k)``, higher comes first.
    answers
        The right column of each row, ``(n,)``.
    depth
        How many count as the first.
    """
    own = scores[np.arange(len(scores)), answers][:, None]
    above, tied = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    hits: Floats = np.clip(depth - above, 0, tied) / tied
    return hits


def _ece_interval(value: float, draws: Floats, honest: Floats) -> Estimate:
    """Return the basic bootstrap interval of an ECE, down to 0 where 0 is not refuted."""
    low, high = 2 * value - np.quantile(draws, [(1 + LEVEL) / 2, (1 - LEVEL) / 2])
    if value <= np.quantile(honest, (1 + LEVEL) / 2):
        low = 0.0
    return Estimate(value, min(value, max(0.0, float(low))), min(1.0, max(value, float(high))))


def _honest_draws(confidence: Floats, bin_hot: Indices, draws: int, seed: int) -> Floats:
    """Draw the ECE when every picture is right with its own confidence, ``(draws,)``."""
    generator = np.random.default_rng(seed)
    errors = np.empty(draws)
    for part in chunks(draws, len(confidence)):
        right = generator.random((part.stop - part.start, len(confidence))) < confidence
        errors[part] = np.abs((confidence - right) @ bin_hot).sum(axis=1)
    return errors / len(confidence)
