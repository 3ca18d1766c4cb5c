"""What only a space that holds both modalities has: the gap between them, and probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.special import expit, softmax

from pareja.analysis.calibration import Calibration, Reliability, calibration, hits_among
from pareja.analysis.retrieval import Direction
from pareja.analysis.significance import (
    Estimate,
    PermutationTest,
    chunks,
    permutation_test,
)
from pareja.analysis.validation import (
    checked_count,
    checked_owner,
    checked_pairs,
    checked_scores,
)
from pareja.errors import AnalysisError


@dataclass(frozen=True)
class PromptScores:
    """R@1 of captions put into one template.

    Parameters
    ----------
    template
        The text around a caption; ``{}`` stands for it.
    recall
        R@1 in each direction.
    """

    template: str
    recall: Mapping[Direction, Estimate]


@dataclass(frozen=True)
class DualScores:
    """The measures that only a dual encoder has.

    Parameters
    ----------
    gap
        From `modality_gap`.
    ece, honest_ece
        Expected calibration error of the encoder's confidence in the caption that it takes for a
        picture's own, from `caption_calibration`, and what honest confidences would score.
    reliability
        The bins behind `ece`.
    prompts
        The same captions in several templates; the bare caption first.
    """

    gap: PermutationTest
    ece: Estimate
    honest_ece: float
    reliability: Reliability
    prompts: tuple[PromptScores, ...]


def modality_gap(
    images: ArrayLike, captions: ArrayLike, owner: ArrayLike, *, permutations: int, seed: int
) -> PermutationTest:
    """Measure how far apart the two modalities lie.

    Parameters
    ----------
    images, captions
        Embeddings in one space, unit length, ``(n_images, dim)`` and ``(n_captions, dim)``.
    owner
        For each caption the index of its picture, ``(n_captions,)``. Pictures without a caption
        are left out; several captions are averaged.
    permutations, seed
        Of the test.

    Returns
    -------
    PermutationTest
        The statistic is the distance between the mean picture and the mean caption, in [0, 2]
        (Liang et al. 2022, "Mind the gap", section 2). It is never 0 on a sample, so it is read
        beside its null: each picture changes places with its caption, or not, at random.

    Raises
    ------
    AnalysisError
        If the arrays are malformed, or their lengths ``dim`` differ.
    """
    pictures, texts, indices = checked_pairs(images, captions, owner)
    checked_count("permutations", permutations)
    if pictures.shape[1] != texts.shape[1]:
        raise AnalysisError(
            f"a modality gap needs one space: pictures have {pictures.shape[1]} dimensions, "
            f"captions {texts.shape[1]}"
        )
    sizes = np.bincount(indices, minlength=len(pictures))
    means = np.zeros_like(pictures)
    np.add.at(means, indices, texts)
    told = sizes > 0
    differences = pictures[told] - means[told] / sizes[told, None]
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(permutations, len(differences)))
    null = np.empty(permutations)
    for part in chunks(permutations, differences.shape[1]):
        null[part] = np.linalg.norm(signs[part] @ differences, axis=1) / len(differences)
    return permutation_test(float(np.linalg.norm(differences.mean(axis=0))), null)


def caption_calibration(
    logits: ArrayLike,
    owner: ArrayLike,
    *,
    loss: Literal["softmax", "sigmoid"],
    resamples: int = 2000,
    seed: int = 0,
) -> Calibration:
    """Measure whether the probabilities of captions can be believed.

    Every picture is asked which picture's captions are its own. With a softmax the captions share
    one probability, and those of one picture add up; with a sigmoid each caption has its own, and
    the highest counts, as each kind of model was trained.

    Parameters
    ----------
    logits
        ``(n_images, n_captions)``.
    owner
        For each caption the index of its picture, ``(n_captions,)``. Pictures without a caption
        take no part.
    loss
        How the encoder was trained.
    resamples, seed
        Of the bootstrap.

    Returns
    -------
    Calibration
        Of the picture that each picture takes for its own captions'.

    Raises
    ------
    AnalysisError
        If the arrays are malformed.
    """
    scores = checked_scores("logits", logits)
    indices = checked_owner(owner, *scores.shape)
    told, places = np.unique(indices, return_inverse=True)
    n, n_captions = len(told), len(places)
    by_picture = csr_array((np.ones(n_captions), (np.arange(n_captions), places)))
    ordered = np.argsort(places, kind="stable")
    first = np.searchsorted(places[ordered], np.arange(n))
    confidence, correct = np.empty((2, n))
    for part in chunks(n, n_captions):
        rows = scores[told[part]].astype(np.float64)
        if loss == "softmax":
            probabilities = np.asarray(softmax(rows, axis=1) @ by_picture)
        else:
            probabilities = np.maximum.reduceat(expit(rows)[:, ordered], first, axis=1)
        confidence[part] = probabilities.max(axis=1)
        correct[part] = hits_among(probabilities, np.arange(part.start, part.stop), 1)
    return calibration(confidence, correct, resamples=resamples, seed=seed)
