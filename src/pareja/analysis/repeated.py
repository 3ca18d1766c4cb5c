"""Accuracy over repeated splits of the same pictures into examples and tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.label_means import mean_interval, ratio
from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    percentile_interval,
    resample_counts,
    share_interval,
)
from pareja.analysis.validation import checked_count
from pareja.errors import AnalysisError


@dataclass(frozen=True)
class RepeatedAccuracy:
    """How often pictures were told right, over splits and pictures.

    Parameters
    ----------
    accuracy
        Share of all tests that were right, in [0, 1].
    balanced
        Mean over the labels of that share, in [0, 1]; 1/k by chance with k labels.
    gain
        `balanced` minus that of a baseline in the same tests, in [-1, 1]; None without one.
    """

    accuracy: Estimate
    balanced: Estimate
    gain: Estimate | None


def repeated_accuracy(
    correct: NDArray[np.bool_],
    tested: NDArray[np.bool_],
    answers: Indices,
    *,
    baseline: NDArray[np.bool_] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> RepeatedAccuracy:
    """Summarise tests of several splits.

    Parameters
    ----------
    correct
        Whether a picture was told right in a split, ``(n_splits, n_images)``.
    tested
        Whether it was tested there at all; other entries of `correct` do not count.
    answers
        Index of each picture's label, ``(n_images,)``.
    baseline
        `correct` of something to compare with.
    resamples, seed
        Of the bootstrap.

    Raises
    ------
    AnalysisError
        If the shapes do not agree or nothing was tested.

    Notes
    -----
    Splits and pictures are drawn anew independently of each other, and a test counts as often as
    its split times its picture (Owen 2007, "The pigeonhole bootstrap"): which pictures happened to
    be the examples, and which are in the dataset at all, are two sources of chance. The variance
    comes out too large rather than too small.

    Examples
    --------
    >>> import numpy as np
    >>> right = np.array([[True, False, True], [True, True, True]])
    >>> found = repeated_accuracy(right, np.ones_like(right), np.array([0, 0, 1]))
    >>> round(found.accuracy.value, 3), found.balanced.value
    (0.833, 0.875)
    """
    if correct.shape != tested.shape or correct.shape[1:] != answers.shape or not tested.any():
        raise AnalysisError(
            "tests need one row a split and one column a picture, got shapes "
            f"{correct.shape}, {tested.shape} and {answers.shape}"
        )
    checked_count("resamples", resamples)
    splits, pictures = tested.shape
    labels = np.eye(int(answers.max()) + 1)[answers]
    by_split = resample_counts(splits, resamples, seed)
    by_picture = resample_counts(pictures, resamples, seed + 1)
    units = int(tested.any(axis=0).sum())

    def sums(which: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Weighted numbers by label: of the whole, ``(1, k)``, and drawn, ``(resamples, k)``."""
        counted = which.astype(np.float64)
        return counted.sum(axis=0)[None] @ labels, (by_split @ counted * by_picture) @ labels

    members, hits = sums(tested), sums(correct & tested)
    share = hits[0].sum() / members[0].sum()
    share_drawn = ratio(hits[1].sum(axis=1), members[1].sum(axis=1))
    gain = None
    by_label = tested.any(axis=0) @ labels
    if baseline is not None:
        gain = _gain(hits, sums(baseline & tested), members, by_label, seed)
    return RepeatedAccuracy(
        accuracy=share_interval(float(share), share_drawn, units),
        balanced=mean_interval(ratio(hits[0], members[0])[0], ratio(hits[1], members[1]), by_label),
        gain=gain,
    )


def _gain(
    hits: tuple[Floats, Floats],
    others: tuple[Floats, Floats],
    members: tuple[Floats, Floats],
    pictures: Floats,
    seed: int,
) -> Estimate:
    """Return the difference of two mean recalls in the same tests.

    Each label gets two imagined pictures, of which either side wins one (Agresti and Min 2005, as
    `paired_difference` does): of a label whose three pictures both tell right it is not known
    that both always will.
    """
    whole, drawn = map(ratio, (hits[0] - others[0], hits[1] - others[1]), members)
    present = np.isfinite(whole[0])
    value = float(whole[0, present].mean())
    sizes = pictures[present]
    rng = np.random.default_rng((seed, 2))
    # A picture is drawn about as often as a Poisson variable of mean 1 says.
    wins, losses = rng.poisson(1.0, (2, len(drawn), len(sizes)))
    gains = np.where(np.isfinite(drawn[:, present]), drawn[:, present], 0.0) * sizes
    shrunk = (gains + wins - losses) / (sizes + wins + losses)
    # One picture has an interval too: the imagined ones vary, and it is as wide as they get.
    return percentile_interval(value, shrunk.mean(axis=1), max(2, int(sizes.min())))
