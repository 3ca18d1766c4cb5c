"""Pictures and labels in, a result that can be written down out: what ``pareja classify`` does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pareja.analysis.rejection import choose_threshold
from pareja.classifiers.learned import Classifier
from pareja.classifiers.prompts import DEFAULT_TEMPLATES
from pareja.classifiers.zero_shot import Classification, ZeroShot, zero_shot
from pareja.datasets.records import Dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.pipeline import OnProgress, embed_sources
from pareja.encoders.protocols import DualEncoder, ImageEncoder
from pareja.errors import DatasetError
from pareja.tasks.evaluation import Evaluation, Truth, distinct, evaluate, true_labels


@dataclass(frozen=True)
class Labelled:
    """Pictures with what they were taken for.

    Parameters
    ----------
    dataset
        The pictures that decoded, in the order of the rows of `result`.
    result
        Labels and probabilities.
    model, templates
        What gave them; no templates where a classifier learned from examples.
    activation
        How the model's logits became probabilities.
    truth
        What each picture shows, None where it is not known; None where nobody asked.
    evaluation
        The result beside the truth.
    skipped
        ``(name, reason)`` of the pictures that did not decode.
    seconds
        How long embedding and classifying took.
    """

    dataset: Dataset
    result: Classification
    model: str
    templates: tuple[str, ...]
    activation: Literal["softmax", "sigmoid"]
    truth: tuple[str | None, ...] | None
    evaluation: Evaluation | None
    skipped: tuple[tuple[str, str], ...]
    seconds: float


def label_pictures(
    dataset: Dataset,
    encoder: DualEncoder,
    labels: Sequence[str] | None = None,
    *,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    multi_label: bool = False,
    unknown: float | None = None,
    truth: Truth | None = None,
    resamples: int = 2000,
    seed: int = 0,
    batch_size: int | None = None,
    cache: EmbeddingCache | None = None,
    progress: OnProgress | None = None,
) -> Labelled:
    """Embed pictures, say what they show, and measure that if the truth is known.

    Parameters
    ----------
    dataset
        The pictures.
    encoder
        What embeds them.
    labels
        What they may show; by default every label that `truth` knows.
    templates, multi_label, unknown, cache
        As `pareja.classifiers.zero_shot.classify` takes them.
    truth
        The column that says what a picture shows; None measures nothing.
    resamples, seed
        Of the bootstrap behind every interval.
    batch_size
        Pictures that the encoder gets at once, as `pareja.embedding.pipeline.stream_images` takes
        it.
    progress
        Called after each batch of pictures.

    Raises
    ------
    LabelError
        If there are no labels, or they or the templates cannot be used.
    DatasetError
        If no picture decodes, or the truth has none of the labels.
    """
    start = time.perf_counter()
    if labels is None:
        told = [] if truth is None else true_labels(dataset, truth)
        labels = distinct(told, several=multi_label)
    # Before the pictures, which may take hours: a label that cannot be used is told at once.
    classifier = zero_shot(
        labels,
        encoder,
        templates=templates,
        multi_label=multi_label,
        unknown=unknown,
        cache=cache,
    )
    labelled = label_by(
        dataset,
        encoder,
        classifier,
        truth=truth,
        resamples=resamples,
        seed=seed,
        batch_size=batch_size,
        cache=cache,
        progress=progress,
    )
    return replace(
        labelled,
        templates=tuple(templates),
        activation=encoder.loss,
        seconds=time.perf_counter() - start,
    )


def label_by(
    dataset: Dataset,
    encoder: ImageEncoder,
    classifier: ZeroShot | Classifier,
    *,
    truth: Truth | None = None,
    resamples: int = 2000,
    seed: int = 0,
    batch_size: int | None = None,
    cache: EmbeddingCache | None = None,
    progress: OnProgress | None = None,
) -> Labelled:
    """Embed pictures and give them to a classifier that is ready.

    Parameters
    ----------
    dataset, truth, resamples, seed, batch_size, cache, progress
        As `label_pictures` takes them.
    encoder
        What embeds the pictures, into the space that the classifier reads.
    classifier
        What says what they show.

    Raises
    ------
    FingerprintMismatchError
        If the classifier was learned in another space.
    DatasetError
        If no picture decodes, or the truth has none of the labels.
    """
    start = time.perf_counter()
    answers = None if truth is None else true_labels(dataset, truth)
    if isinstance(classifier, Classifier):
        classifier.check(encoder.image_fingerprint)
    images = embed_sources(
        [record.source for record in dataset],
        encoder,
        batch_size=batch_size,
        cache=cache,
        progress=progress,
    )
    if not len(images.indices):
        name, reason = images.skipped[0]
        raise DatasetError(
            f"{dataset.name}: no picture can be decoded. The first, {name}: {reason}."
        )
    result = classifier(images.vectors)
    seconds = time.perf_counter() - start
    kept = None if answers is None else tuple(answers[i] for i in images.indices)
    return Labelled(
        dataset=replace(dataset, records=tuple(dataset.records[i] for i in images.indices)),
        result=result,
        model=encoder.name,
        templates=(),
        activation="softmax",
        truth=kept,
        evaluation=None if kept is None else evaluate(result, kept, resamples=resamples, seed=seed),
        skipped=images.skipped,
        seconds=seconds,
    )


def calibrated_threshold(labelled: Labelled) -> float:
    """Return the certainty below which held-out pictures would best be refused.

    Parameters
    ----------
    labelled
        Held-out pictures, labelled with `truth`; those with another label than the ones asked for
        stand for everything unknown.

    Raises
    ------
    DatasetError
        If the truth is not known.
    """
    if labelled.truth is None:
        raise DatasetError(f"{labelled.dataset.name}: a threshold needs a truth.")
    known = {label.casefold() for label in labelled.result.labels}
    told = [i for i, name in enumerate(labelled.truth) if name]
    return choose_threshold(
        labelled.result.certainty[told],
        [(labelled.truth[i] or "").casefold() in known for i in told],
    )
