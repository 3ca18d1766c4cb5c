"""Pictures and labels in, a result that can be written down out: what ``pareja classify`` does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.rejection import choose_threshold
from pareja.classifiers.classification import SURE_ENOUGH, Classification, Loss
from pareja.classifiers.learned import Classifier, load_classifier
from pareja.classifiers.predictor import Predictor
from pareja.classifiers.prompts import DEFAULT_TEMPLATES, find_labels, find_templates
from pareja.classifiers.zero_shot import zero_shot
from pareja.datasets.records import Dataset
from pareja.embedding.embedded import Embedded
from pareja.embedding.natural import Cache, Model, embed, loaded, opened, vectors_of
from pareja.embedding.pipeline import OnProgress
from pareja.encoders import require_dual, require_images
from pareja.encoders.protocols import DualEncoder, Fingerprint, ImageEncoder
from pareja.errors import DatasetError, FingerprintMismatchError, InputError, LabelError
from pareja.inputs import Pictures, find_dataset, find_pictures, within
from pareja.tasks.evaluation import (
    Evaluation,
    Truth,
    column_told,
    distinct,
    evaluate,
    true_labels,
)
from pareja.tasks.other_words import in_other_words
from pareja.tasks.results import write


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

    def save(
        self,
        path: Path | str,
        *,
        lang: Literal["en", "es"] = "en",
        most: int | None = None,
        force: bool = False,
    ) -> Path:
        """Write the result to one file.

        Parameters
        ----------
        path
            Ends in ``.csv`` (a table), ``.json`` (everything) or ``.html`` (a page with the
            pictures sorted into their labels).
        lang
            The language of the page.
        most
            How many labels of each picture a table or JSON has, the most probable ones; None
            gives all.
        force
            Replace a file that exists.

        Returns
        -------
        Path
            Absolute path of the file.

        Raises
        ------
        OutputError
            If it has another ending, exists and `force` is off, or cannot be written.
        """
        return write(self, path, lang=lang, most=most, force=force)


def classify(
    pictures: Pictures | Embedded | NDArray[np.floating],
    labels: str | PathLike[str] | Iterable[str] | Mapping[str, str] | None = None,
    *,
    model: Model | None = None,
    classifier: Predictor | Path | str | None = None,
    templates: str | Iterable[str] = DEFAULT_TEMPLATES,
    multi_label: bool = False,
    unknown: bool | float | None = None,
    unknown_from: Pictures | None = None,
    truth: Truth | None = None,
    space: Fingerprint | None = None,
    resamples: int = 2000,
    seed: int = 0,
    device: str | None = None,
    batch_size: int | None = None,
    cache: Cache = True,
    progress: OnProgress | None = None,
) -> Labelled:
    """Say what pictures show, and measure that where the truth is known.

    Parameters
    ----------
    pictures
        One picture or many, in every form that `pareja.embed` takes; or what it returned.
    labels
        What they may show: a list, ``"cat,dog"``, or the path of a file with one label a line. By
        default every label that `truth` knows. Where `truth` calls it otherwise, as in another
        language, ``{"pájaro": "birds"}`` or ``"pájaro=birds"``.
    model
        A dual encoder, or what `pareja.load` takes; by default ``"starter"``, or the encoder of
        `classifier`.
    classifier
        One that is ready, or the file of one, in place of `labels`: `pareja.learn` makes it.
    templates
        Prompts with ``{}`` for the label: a list, one template, the name of a set
        (`pareja.classifiers.prompts.template_sets`), or a file of templates.
    multi_label
        Whether a picture may have several labels, or none.
    unknown
        Certainty in [0, 1] below which a picture has none of the labels; True takes
        `SURE_ENOUGH`. None and False give every picture a label.
    unknown_from
        Held-out pictures of a dataset with other labels too, from which that certainty is found.
    truth
        The column that says what a picture shows, ``"label"`` or ``"category"``; None measures
        nothing.
    space
        The fingerprint of the encoder that made `pictures`, where these are bare vectors.
    resamples, seed
        Of the bootstrap behind every interval.
    device
        What a model that is named here runs on: ``"cuda"``, ``"mps"``, ``"openvino"`` or
        ``"cpu"``; by default the first of these that this machine has.
    batch_size
        Pictures that the model gets at once; 32 by default.
    cache
        Whether embeddings are looked up in the user's cache, and kept there; or the
        `pareja.embedding.EmbeddingCache` to use.
    progress
        Called after each batch, in the caller's thread.

    Returns
    -------
    Labelled
        Probabilities as the model was trained to give them: a softmax over the labels, or a
        sigmoid of each. ``skipped`` names the pictures that cannot be read.

    Raises
    ------
    LabelError
        If there are no labels, or they or the templates cannot be used; or one stands for a name
        that the truth has not.
    InputError
        If `pictures` is something else, `classifier` is given with `labels`, labels that stand for
        others with `unknown_from`, or `unknown` is outside [0, 1].
    DatasetError
        If no picture decodes, or the truth has none of the labels.
    EncoderError
        If the model cannot be loaded, or its words share no space with its pictures.
    FingerprintMismatchError
        If vectors, or a classifier, lie in another space than the model's.

    Examples
    --------
    >>> found = classify("pareja20", ["bird", "castle"], model="starter", cache=False)
    >>> found.result.assigned(0)
    ('bird',)
    """
    start = time.perf_counter()
    vectors = vectors_of(pictures, space)
    given = find_pictures(cast(Pictures, pictures)) if vectors is None else None
    dataset = given.dataset if given is not None else cast(Embedded, vectors).dataset()
    answers = None if truth is None else true_labels(dataset, truth)
    with opened(cache) as kept:
        shared: dict[str, Any] = {
            "device": device,
            "batch_size": batch_size,
            "cache": kept,
            "progress": progress,
        }
        if classifier is not None:
            if labels is not None or multi_label or unknown or unknown_from is not None:
                raise InputError(
                    "classifier has its own labels and always gives one. Leave out labels, "
                    "multi_label, unknown and unknown_from."
                )
            ready = classifier if isinstance(classifier, Predictor) else load_classifier(classifier)
            encoder = loaded(ready.embedder if model is None else model, device)
            used: tuple[str, ...] = ()
            activation: Loss = "softmax"
        else:
            dual = require_dual(loaded("starter" if model is None else model, device))
            encoder, activation = dual, dual.loss
            used = find_templates(templates)
            threshold = _threshold(unknown, unknown_from)
            if isinstance(labels, Mapping):
                told = [f"{words}={meant}" for words, meant in labels.items()]
                labels = list(labels) if answers is None else told
            names = _choices(labels, answers, threshold, multi_label=multi_label)
            if answers is None:
                _refuse_other_words(names)
            if answers is not None and labels is not None:
                names, answers, renamed = in_other_words(names, answers)
                if renamed and unknown_from is not None:
                    raise InputError(
                        "`unknown_from` knows the truth by its own names, and `labels` gives "
                        "others. Leave one of the two away."
                    )
            if unknown_from is not None:
                threshold = _found_threshold(
                    unknown_from, names, dual, truth, threshold, used, multi_label, **shared
                )
            # Before the pictures, which may take hours: a label that cannot be used is told now.
            ready = zero_shot(
                names,
                dual,
                templates=used,
                multi_label=multi_label,
                unknown=threshold,
                cache=kept,
            )
        embedder = require_images(encoder)
        _require_space(ready, embedder)
        found = embed(dataset if vectors is None else vectors, embedder, **shared)
    result = ready.classified(found.rows)
    seconds = time.perf_counter() - start
    rows = found.indices if vectors is None else range(len(found))
    truths = None if answers is None else tuple(answers[i] for i in rows)
    return Labelled(
        dataset=replace(dataset, records=tuple(dataset.records[i] for i in rows)),
        result=result,
        model=embedder.name,
        templates=used,
        activation=activation,
        truth=truths,
        evaluation=None
        if truths is None
        else evaluate(result, truths, resamples=resamples, seed=seed),
        skipped=(given.skipped if given is not None else ()) + found.skipped,
        seconds=seconds,
    )


def _threshold(unknown: bool | float | None, unknown_from: object) -> float | None:
    if unknown is True or (unknown_from is not None and not unknown):
        return SURE_ENOUGH
    return None if unknown is None or unknown is False else within("unknown", unknown, 0, 1)


def _choices(
    labels: str | PathLike[str] | Iterable[str] | None,
    answers: Sequence[str | None] | None,
    threshold: float | None,
    *,
    multi_label: bool,
) -> tuple[str, ...]:
    """Return the labels to choose among."""
    least = 2 if threshold is None and not multi_label else 1
    if labels is None:
        return distinct(answers or [], several=multi_label)
    return find_labels(labels, least=least)


def _refuse_other_words(labels: Sequence[str]) -> None:
    """Refuse ``pájaro=birds`` where nothing is called birds: it would be put into the prompt."""
    for label in labels:
        said, sign, _ = label.partition("=")
        # Of "=1+1", or an arrow, nothing is said: it is a label as it stands.
        if sign and any(map(str.isalnum, said)):
            raise LabelError(
                f"label {label!r} says what the truth calls it, and there is no truth. Pass "
                f"`truth`, or give {said.strip()!r} alone."
            )


def _found_threshold(
    held_out: Pictures,
    labels: tuple[str, ...],
    encoder: DualEncoder,
    truth: Truth | None,
    threshold: float | None,
    templates: tuple[str, ...],
    multi_label: bool,
    **shared: Any,
) -> float:
    """Return the certainty below which held-out pictures would best be refused."""
    apart = find_dataset(held_out, "unknown_from")
    return calibrated_threshold(
        classify(
            apart,
            labels,
            model=encoder,
            templates=templates,
            multi_label=multi_label,
            unknown=threshold,
            truth=truth or column_told(apart),
            **shared,
        )
    )


def _require_space(classifier: Predictor, encoder: ImageEncoder) -> None:
    """Refuse an encoder that embeds pictures elsewhere than a classifier reads."""
    if isinstance(classifier, Classifier):
        classifier.check(encoder.image_fingerprint)
    elif classifier.space != encoder.image_fingerprint:
        raise FingerprintMismatchError(
            f"the classifier reads embeddings of {classifier.space}, and {encoder.name} makes "
            f"those of {encoder.image_fingerprint}. Use the encoder that it was made with."
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
