"""Saying what pictures show by naming the choices, without any example (Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp, softmax

from pareja.analysis.significance import Indices
from pareja.analysis.similarity import normalise
from pareja.classifiers.prompts import (
    DEFAULT_TEMPLATES,
    PLACE,
    background_texts,
    checked_labels,
    checked_templates,
)
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.pipeline import text_vectors
from pareja.encoders.protocols import DualEncoder, Embeddings, TextEncoder
from pareja.errors import FingerprintMismatchError, LabelError

SURE_ENOUGH = 0.5
"""Certainty below which a picture has none of the labels, unless a threshold was calibrated."""

PRESENT = 0.5
"""Probability from which a picture has a label, where it may have several."""

Loss = Literal["softmax", "sigmoid"]
"""How logits become probabilities."""

# So many labels, and so many pictures, are at work at once: memory does not grow with either
# beyond the result.
_LABELS_AT_ONCE = 128
_IMAGES_AT_ONCE = 1024


@dataclass(frozen=True)
class Classification:
    """What pictures show, as far as the labels say it.

    Parameters
    ----------
    labels
        The choices, in the order of the columns.
    probabilities
        Shape ``(n_images, n_labels)``, in [0, 1]. Under a softmax a row sums to 1; under sigmoids
        each label has its own probability and rows have any sum.
    certainty
        For each picture the share of its best label when all labels and the background texts
        compete in one softmax, in (0, 1], ``(n_images,)``.
    multi_label
        Whether a picture may have several labels, or none.
    threshold
        Certainty below which a picture has none of the labels; None where it always has one.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float32]
    certainty: NDArray[np.float64]
    multi_label: bool = False
    threshold: float | None = None

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def best(self) -> Indices:
        """The most probable label of each picture, the first of equal ones, ``(n_images,)``."""
        best: Indices = self.probabilities.argmax(axis=1)
        return best

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Which pictures have none of the labels, ``(n_images,)``."""
        if self.multi_label:
            lacking: NDArray[np.bool_] = np.less(self.probabilities.max(axis=1), PRESENT)
            return lacking
        if self.threshold is None:
            return np.zeros(len(self), dtype=bool)
        return self.certainty < self.threshold

    def assigned(self, image: int) -> tuple[str, ...]:
        """Return the labels that a picture gets, most probable first; none where it is unknown."""
        if self.unknown[image]:
            return ()
        order = np.argsort(-self.probabilities[image], kind="stable")
        if self.multi_label:
            order = order[self.probabilities[image, order] >= PRESENT]
        else:
            order = order[:1]
        return tuple(self.labels[i] for i in order)

    def scores(self, image: int, most: int | None = None) -> dict[str, float]:
        """Return the probabilities of a picture's labels, highest first, perhaps not all."""
        order = np.argsort(-self.probabilities[image], kind="stable")[:most]
        return {self.labels[i]: float(self.probabilities[image, i]) for i in order}


def embed_labels(
    labels: Sequence[str],
    encoder: TextEncoder,
    *,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    cache: EmbeddingCache | None = None,
) -> Embeddings:
    """Embed labels as the mean of their prompts.

    Parameters
    ----------
    labels
        What pictures may show.
    encoder
        What embeds the prompts.
    templates
        Prompts with ``{}`` for the label.
    cache
        Embeddings of earlier runs, of prompts.

    Returns
    -------
    ndarray
        ``(n_labels, dim)``. The prompts' embeddings are averaged and scaled to length 1 again, so
        that an ensemble costs no more than one prompt once this is done (Radford et al. 2021,
        section 3.1.4).

    Raises
    ------
    LabelError
        If a template has no ``{}``.
    """
    templates = checked_templates(templates)
    parts = [np.empty((0, encoder.text_dim), np.float32)]
    for start in range(0, len(labels), _LABELS_AT_ONCE):
        some = labels[start : start + _LABELS_AT_ONCE]
        # Not str.format: a label or a template may hold braces of its own.
        texts = [template.replace(PLACE, label) for label in some for template in templates]
        prompts = text_vectors(texts, encoder, cache=cache)
        means = prompts.reshape(len(some), len(templates), -1).mean(axis=1)
        parts.append(normalise(means).astype(np.float32))
    return np.concatenate(parts)


@dataclass(frozen=True)
class ZeroShot:
    """Labels that are embedded, ready for any number of pictures.

    Parameters
    ----------
    labels
        What pictures may show.
    encoder
        The dual encoder that embeds both.
    prompts
        One embedding a label, ``(n_labels, dim)``.
    background
        Embeddings of the texts about none of the labels, ``(n_texts, dim)``.
    multi_label, threshold
        As `Classification` says.
    """

    labels: tuple[str, ...]
    encoder: DualEncoder
    prompts: Embeddings
    background: Embeddings
    multi_label: bool = False
    threshold: float | None = None

    def __call__(self, images: Embeddings) -> Classification:
        """Say which of the labels each picture shows.

        Parameters
        ----------
        images
            Embeddings of the pictures by the encoder, ``(n_images, dim)``.

        Raises
        ------
        FingerprintMismatchError
            If they are not the encoder's.
        """
        probabilities = np.empty((len(images), len(self.labels)), np.float32)
        certainty = np.empty(len(images))
        for part in _stretches(len(images)):
            logits = self.logits(images[part])
            rivals = self._scaled(images[part], self.background)
            # The mean of the exponentials: a second text must not count as a second rival.
            rival = logsumexp(rivals, axis=1, keepdims=True) - np.log(len(self.background))
            certainty[part] = softmax(np.hstack([rival, logits]), axis=1)[:, 1:].max(axis=1)
            if self.encoder.loss == "sigmoid":
                probabilities[part] = expit(logits)
            elif self.multi_label:
                probabilities[part] = expit(logits - rival)
            else:
                probabilities[part] = softmax(logits, axis=1)
        return Classification(
            labels=self.labels,
            probabilities=probabilities,
            certainty=certainty,
            multi_label=self.multi_label,
            threshold=self.threshold,
        )

    def logits(self, images: Embeddings) -> NDArray[np.float64]:
        """Return the encoder's logits of each picture and label, ``(n_images, n_labels)``.

        Raises
        ------
        FingerprintMismatchError
            If the embeddings are not the encoder's.
        """
        if images.ndim != 2 or images.shape[1] != self.encoder.image_dim:
            raise FingerprintMismatchError(
                f"embeddings of shape {images.shape} are not those of {self.encoder.name}, which "
                f"have {self.encoder.image_dim} numbers. Embed the pictures with it."
            )
        return self._scaled(images, self.prompts)

    def _scaled(self, images: Embeddings, texts: Embeddings) -> NDArray[np.float64]:
        return self.encoder.logits(images @ texts.T).astype(np.float64)


def zero_shot(
    labels: Sequence[str],
    encoder: DualEncoder,
    *,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    multi_label: bool = False,
    unknown: float | None = None,
    cache: EmbeddingCache | None = None,
) -> ZeroShot:
    """Embed labels, so that pictures can be classified.

    Parameters
    ----------
    labels
        Names of what pictures may show; two or more, or one with `multi_label` or `unknown`.
    encoder
        A dual encoder.
    templates
        Prompts with ``{}`` for the label.
    multi_label
        Whether a picture may have several labels or none. Each label is then decided on its own:
        by its sigmoid where the encoder was trained so, otherwise by a softmax of the label and
        the background texts.
    unknown
        Certainty below which a picture has none of the labels, in [0, 1]; `SURE_ENOUGH` is one
        that needs no examples, `pareja.analysis.rejection.choose_threshold` finds one.
    cache
        Embeddings of earlier runs, of prompts.

    Raises
    ------
    LabelError
        If labels or templates cannot be used, or both `multi_label` and `unknown` are given.
    """
    if multi_label and unknown is not None:
        raise LabelError(
            "with several labels a picture, one that has none of them is told already. Leave out "
            "the threshold for unknown pictures."
        )
    least = 1 if multi_label or unknown is not None else 2
    labels = checked_labels(labels, least=least)
    return ZeroShot(
        labels=labels,
        encoder=encoder,
        prompts=embed_labels(labels, encoder, templates=templates, cache=cache),
        background=text_vectors(background_texts(), encoder, cache=cache),
        multi_label=multi_label,
        threshold=unknown,
    )


def activations(logits: NDArray[np.float64]) -> dict[Loss, NDArray[np.float64]]:
    """Turn logits, ``(n_images, n_labels)``, into probabilities in both ways, each of that shape.

    An encoder's own way is that of its ``loss``. Of one trained with a softmax the sigmoid means
    little: nothing in its training fixed where logits have their zero.
    """
    return {"softmax": softmax(logits, axis=1), "sigmoid": expit(logits)}


def classify(
    images: Embeddings,
    labels: Sequence[str],
    encoder: DualEncoder,
    *,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    multi_label: bool = False,
    unknown: float | None = None,
    cache: EmbeddingCache | None = None,
) -> Classification:
    """Say which of the labels each picture shows: `zero_shot`, and its call, in one.

    Parameters and errors are those of `zero_shot` and of `ZeroShot.__call__`.

    Returns
    -------
    Classification
        Probabilities as the encoder was trained to give them: a softmax over the labels, or a
        sigmoid of each.
    """
    classifier = zero_shot(
        labels,
        encoder,
        templates=templates,
        multi_label=multi_label,
        unknown=unknown,
        cache=cache,
    )
    return classifier(images)


def _stretches(total: int) -> Iterator[slice]:
    for start in range(0, total, _IMAGES_AT_ONCE):
        yield slice(start, start + _IMAGES_AT_ONCE)
