"""How well labels were predicted where a picture may have several of them, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.label_means import mean_interval, ratio
from pareja.analysis.significance import Estimate, Floats, resample_counts, share_interval
from pareja.analysis.validation import checked_count, checked_rows
from pareja.errors import AnalysisError


@dataclass(frozen=True)
class MultiLabelScores:
    """Measures over labels that are decided one by one.

    Parameters
    ----------
    labels
        Names of the k labels.
    n_images
        How many pictures were classified.
    mean_average_precision
        Mean over the labels with pictures of the average precision of ranking all pictures by
        that label's probability, in (0, 1].
    chance_map
        What a random order tends to: the mean share of pictures that have a label.
    micro_f1
        F1 of all decisions together, at `threshold`, in [0, 1].
    macro_f1
        Mean F1 over the labels that have pictures or predictions, at `threshold`.
    average_precision
        By label; only labels with pictures.
    threshold
        Probability from which a label counts as given.
    """

    labels: tuple[str, ...]
    n_images: int
    mean_average_precision: Estimate
    chance_map: float
    micro_f1: Estimate
    macro_f1: Estimate
    average_precision: Mapping[str, float]
    threshold: float


def multilabel(
    probabilities: ArrayLike,
    truth: ArrayLike,
    labels: Sequence[str],
    *,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
) -> MultiLabelScores:
    """Measure probabilities of labels that a picture may have any number of.

    Parameters
    ----------
    probabilities
        Shape ``(n_images, k)``, in [0, 1].
    truth
        Whether each picture has each label, shape ``(n_images, k)``; at least one is true.
    labels
        Names of the k labels.
    threshold
        Probability from which a label counts as given.
    resamples, seed
        Of the bootstrap over pictures.

    Raises
    ------
    AnalysisError
        If the shapes do not agree, or no picture has a label.

    Notes
    -----
    Average precision is the sum of precision times gain in recall over the distinct
    probabilities, so ties count as one step (as in scikit-learn); no interpolation.

    Examples
    --------
    >>> multilabel([[0.9], [0.8], [0.1]], [[1], [0], [1]], ["cat"]).average_precision
    {'cat': 0.8333333333333333}
    """
    scores = checked_rows("probabilities", probabilities)
    n, k = scores.shape
    true = np.asarray(truth, dtype=np.float64)
    checked_count("resamples", resamples)
    if true.shape != scores.shape or len(labels) != k or not true.any():
        raise AnalysisError(
            f"truth of shape {true.shape} and {len(labels)} labels must fit probabilities of "
            f"shape {scores.shape}, and at least one picture must have a label"
        )
    given = (scores >= threshold).astype(np.float64)
    weights = np.concatenate([np.ones((1, n)), resample_counts(n, resamples, seed)])
    members, claims, hits = weights @ true, weights @ given, weights @ (true * given)
    precision = np.stack([_average_precision(scores[:, c], true[:, c], weights) for c in range(k)])
    f1 = ratio(2 * hits, members + claims)
    micro = ratio(2 * hits.sum(axis=1), (members + claims).sum(axis=1))
    present = true.max(axis=0) > 0
    # A picture that has no label and gets none says nothing of F1.
    asked = int((true + given).any(axis=1).sum())

    return MultiLabelScores(
        labels=tuple(labels),
        n_images=n,
        mean_average_precision=mean_interval(precision[:, 0], precision.T[1:], members[0]),
        chance_map=float(true.mean(axis=0)[present].mean()),
        micro_f1=share_interval(float(micro[0]), micro[1:], asked),
        macro_f1=mean_interval(f1[0], f1[1:], (members + claims)[0] / 2),
        average_precision={
            label: float(precision[c, 0]) for c, label in enumerate(labels) if present[c]
        },
        threshold=threshold,
    )


def _average_precision(scores: Floats, true: Floats, weights: Floats) -> Floats:
    """Return the average precision under each row of weights, ``(draws,)``; NaN where undefined."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    found = (weights * true)[:, order].cumsum(axis=1)[:, ends]
    seen = weights[:, order].cumsum(axis=1)[:, ends]
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    gains = np.diff(found, axis=1, prepend=0.0)
    return ratio((precision * gains).sum(axis=1), found[:, -1])
