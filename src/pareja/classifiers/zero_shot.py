"""Saying what pictures show by naming the choices, without any example (Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp, softmax

from pareja.analysis.similarity import normalise
from pareja.classifiers.classification import Classification, Loss
from pareja.classifiers.learned import Classifier, Linear
from pareja.classifiers.predictor import Predictor
from pareja.classifiers.prompts import (
    DEFAULT_TEMPLATES,
    PLACE,
    background_texts,
    checked_labels,
    checked_templates,
)
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.pipeline import text_vectors
from pareja.encoders.origins import origin_of
from pareja.encoders.protocols import DualEncoder, Embeddings, Fingerprint, TextEncoder
from pareja.errors import FingerprintMismatchError, LabelError

# So many labels, and so many pictures, are at work at once: memory does not grow with either
# beyond the result.
_LABELS_AT_ONCE = 128
_IMAGES_AT_ONCE = 1024


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
class ZeroShot(Predictor):
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
    multi_label
        Whether a picture may have several labels, or none.
    threshold
        Certainty below which a picture has none of the labels; None where it always has one.
    """

    labels: tuple[str, ...]
    encoder: DualEncoder
    prompts: Embeddings
    background: Embeddings
    multi_label: bool = False
    threshold: float | None = None

    @property
    def space(self) -> Fingerprint:
        """The space of the pictures that it reads."""
        return self.encoder.image_fingerprint

    @property
    def embedder(self) -> DualEncoder:
        """What embeds pictures for it."""
        return self.encoder

    def classified(self, rows: Embeddings) -> Classification:
        """Say which of the labels each picture shows.

        Parameters
        ----------
        rows
            Embeddings of the pictures, ``(n_images, dim)``, that are known to be the encoder's.

        Raises
        ------
        FingerprintMismatchError
            If they have another length than the encoder's.
        """
        probabilities = np.empty((len(rows), len(self.labels)), np.float32)
        certainty = np.empty(len(rows))
        for part in _stretches(len(rows)):
            logits = self.logits(rows[part])
            rivals = self._scaled(rows[part], self.background)
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

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write the classifier to one file, which `pareja.load_classifier` reads.

        Parameters
        ----------
        path
            The file (safetensors).
        force
            Replace a file that exists.

        Raises
        ------
        LabelError
            If a picture may have several labels or none: files hold classifiers that always give
            one.
        OutputError
            If it cannot be written, or exists and `force` is off.
        """
        if self.multi_label or self.threshold is not None:
            raise LabelError(
                "a classifier is saved only where each picture has exactly one label. Leave out "
                "multi_label and unknown."
            )
        scale, bias = self.encoder.logits(np.array([[1.0], [0.0]], np.float32)).ravel()
        rule = Linear(
            weights=(scale - bias) * self.prompts,
            bias=np.full(len(self.labels), bias, np.float32),
        )
        learned = Classifier(
            labels=self.labels,
            encoder=origin_of(self.encoder),
            fingerprint=self.space,
            method="zero-shot",
            rule=rule,
            activation=self.encoder.loss,
        )
        return learned.save(path, force=force)

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


def _stretches(total: int) -> Iterator[slice]:
    for start in range(0, total, _IMAGES_AT_ONCE):
        yield slice(start, start + _IMAGES_AT_ONCE)
