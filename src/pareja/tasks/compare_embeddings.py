"""Which of several zero-shot classifiers is better on pictures that are embedded already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.classification import (
    ClassificationScores,
    classification,
    compare_classifiers,
)
from pareja.analysis.comparison import Agreement
from pareja.classifiers.classification import Loss
from pareja.classifiers.zero_shot import ZeroShot, activations
from pareja.encoders.protocols import Embeddings
from pareja.tasks.disputes import Dispute, disputes


@dataclass(frozen=True)
class ModelAnswers:
    """What one encoder took the pictures for.

    Parameters
    ----------
    name, loss
        What it is, and how it was trained.
    trained, softmax
        Probabilities ``(n_images, n_labels)``: as it was trained to give them, and by a softmax.
    scores
        The former against the truth.
    """

    name: str
    loss: Loss
    trained: NDArray[np.float64]
    softmax: NDArray[np.float64]
    scores: ClassificationScores

    def confusions(self, most: int) -> list[tuple[str, str, float]]:
        """Return the commonest mistakes: true label, what it was taken for, how often."""
        wrong = self.scores.confusion - np.diag(np.diag(self.scores.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        labels = self.scores.labels
        places = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(labels[a], labels[b], float(wrong[a, b])) for a, b in places if wrong[a, b] > 0]


@dataclass(frozen=True)
class EmbeddingComparison:
    """Encoders on the same pictures.

    Parameters
    ----------
    models
        In the order that they were given.
    agreements
        Every two of them, by name, and the test between them.
    disputes
        Pictures that two take for different things, most telling first.
    """

    models: tuple[ModelAnswers, ...]
    agreements: tuple[tuple[str, str, Agreement], ...]
    disputes: tuple[Dispute, ...]


def compare_embeddings(
    classifiers: Sequence[ZeroShot],
    images: Sequence[Embeddings],
    truth: NDArray[np.intp],
    labels: Sequence[str],
    *,
    resamples: int = 2_000,
    seed: int = 0,
) -> EmbeddingComparison:
    """Compare zero-shot classifiers on the same pictures, each with embeddings of its own.

    Parameters
    ----------
    classifiers
        One for each encoder, all with the same labels.
    images
        The pictures as each encoder embeds them, ``(n_images, dim)``, in one order.
    truth
        Index of each picture's label, ``(n_images,)``.
    labels
        The choices, at least two.
    resamples, seed
        Of the bootstrap behind every interval.

    Raises
    ------
    AnalysisError
        If there is no picture, or the lengths differ.
    """
    models = []
    for classifier, vectors in zip(classifiers, images, strict=True):
        both, loss = activations(classifier.logits(vectors)), classifier.encoder.loss
        scores = classification(both[loss], truth, labels, resamples=resamples, seed=seed)
        models.append(
            ModelAnswers(classifier.encoder.name, loss, both[loss], both["softmax"], scores)
        )
    return EmbeddingComparison(
        models=tuple(models),
        agreements=tuple(
            (
                a.name,
                b.name,
                compare_classifiers(
                    a.scores.correct, b.scores.correct, resamples=resamples, seed=seed
                ),
            )
            for a, b in combinations(models, 2)
        ),
        disputes=disputes(models, labels, truth),
    )
