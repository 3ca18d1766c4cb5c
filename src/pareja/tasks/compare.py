"""Which model, and which prompts, are better on these pictures, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.classification import (
    ClassificationScores,
    classification,
    compare_classifiers,
)
from pareja.analysis.comparison import Agreement
from pareja.analysis.retrieval import RetrievalScores, retrieval
from pareja.analysis.similarity import cosine_similarity
from pareja.classifiers.classification import Loss
from pareja.classifiers.prompts import find_labels, read_templates
from pareja.classifiers.zero_shot import activations, zero_shot
from pareja.datasets.records import Dataset
from pareja.decimals import counted
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.natural import Cache, Model, listed, loaded, opened
from pareja.embedding.pipeline import Progress, embed_sources, text_vectors
from pareja.encoders import require_dual
from pareja.encoders.protocols import DualEncoder, Embeddings, Fingerprint
from pareja.errors import DatasetError, EncoderError
from pareja.inputs import Pictures, find_dataset, find_texts
from pareja.tasks.cost import Cost, measured_cost
from pareja.tasks.disputes import Dispute, disputes
from pareja.tasks.evaluation import (
    Truth,
    choices,
    column_told,
    distinct,
    no_such_labels,
    true_labels,
)
from pareja.tasks.results import FolderResult


@dataclass(frozen=True)
class Variant:
    """One model with one set of prompt templates.

    Parameters
    ----------
    model, prompts
        Their names.
    scores
        Against the truth, probabilities as the model was trained to give them.
    """

    model: str
    prompts: str
    scores: ClassificationScores


@dataclass(frozen=True)
class ModelResult:
    """One model on the dataset.

    Parameters
    ----------
    name, loss, fingerprint
        What it is.
    variants
        Its results by set of templates, in the order asked for.
    softmax, sigmoid
        Both probabilities of the first variant, ``(n_images, n_labels)``, whichever way the model
        was trained.
    softmax_scores, sigmoid_scores
        What each is worth.
    image_to_text, text_to_image
        Retrieval with the dataset's captions; None where fewer than two pictures have one.
    cost
        Speed and size.
    """

    name: str
    loss: Literal["softmax", "sigmoid"]
    fingerprint: Fingerprint
    variants: tuple[Variant, ...]
    softmax: NDArray[np.float64]
    sigmoid: NDArray[np.float64]
    softmax_scores: ClassificationScores
    sigmoid_scores: ClassificationScores
    image_to_text: RetrievalScores | None
    text_to_image: RetrievalScores | None
    cost: Cost

    @property
    def trained(self) -> NDArray[np.float64]:
        """The probabilities as the model was trained to give them."""
        return self.softmax if self.loss == "softmax" else self.sigmoid


@dataclass(frozen=True)
class Difference:
    """Two variants on the same pictures that differ in the model or in the prompts, not both."""

    a: Variant
    b: Variant
    agreement: Agreement


@dataclass(frozen=True)
class ModelComparison(FolderResult):
    """Models and prompts side by side.

    Parameters
    ----------
    dataset
        The pictures that were compared on: decoded, and with a true label.
    labels
        The choices.
    truth
        Index of each picture's label, ``(n_images,)``.
    models
        In the order they were named.
    differences
        Every pair of variants that differ in one thing.
    disputes
        Where two models differ, first those that only one gets right, surest first.
    skipped
        ``(name, reason)`` of pictures that did not decode.
    left_out
        How many pictures have no label among the choices.
    price
        Of a core-hour; None where none was given.
    resamples, seed
        Of the bootstrap.
    """

    dataset: Dataset
    labels: tuple[str, ...]
    truth: NDArray[np.intp]
    models: tuple[ModelResult, ...]
    differences: tuple[Difference, ...]
    disputes: tuple[Dispute, ...]
    skipped: tuple[tuple[str, str], ...]
    left_out: int
    price: float | None
    resamples: int
    seed: int


def compare(
    data: Pictures,
    models: Model | Sequence[Model] = "starter",
    *,
    templates: str | Sequence[str] | Mapping[str, Sequence[str]] = ("photo", "bare"),
    truth: Truth | None = None,
    labels: str | Iterable[str] | None = None,
    price: float | None = None,
    resamples: int = 2000,
    seed: int = 0,
    device: str | None = None,
    batch_size: int | None = None,
    cache: Cache = True,
    progress: Callable[[str, Progress | None], None] = lambda title, progress: None,
) -> ModelComparison:
    """Compare models and prompts on the same labelled pictures.

    Parameters
    ----------
    data
        A dataset of pictures with a label or a category, its name or its place.
    models
        One or more dual encoders, or what `pareja.load` takes.
    templates
        One or more sets of templates: their names, single templates, files of templates; or a
        dictionary of lists of templates by name.
    truth
        The column that says what a picture shows, ``"label"`` or ``"category"``; by default
        labels, and categories where no picture has a label.
    labels
        The choices: a list, ``"cat,dog"``, or the path of a file with one label a line; by default
        every label that occurs.
    price
        Of one core for one hour, in any currency.
    resamples, seed
        Of the bootstrap behind every interval.
    device
        What models that are named here run on: ``"cuda"``, ``"mps"``, ``"openvino"`` or
        ``"cpu"``; by default the first of these that this machine has.
    batch_size
        Pictures that a model gets at once, 32 by default; speed is measured so too.
    cache
        Whether embeddings are looked up in the user's cache, and kept there; or the cache to use.
        Speed is measured on pictures that are embedded anew.
    progress
        Called with the title of each stage, and with its progress where it has a length.

    Raises
    ------
    DatasetError
        If no picture has one of the labels, or none of those decodes.
    LabelError
        If there are fewer than two labels, or two are the same but for case.
    EncoderError
        If there is nothing to compare, or a model is named twice, cannot be loaded, or has words
        that share no space with its pictures.
    InputError
        If `data` is something else.
    """
    dataset = find_dataset(data)
    encoders = [require_dual(loaded(model, device)) for model in listed(models)]
    sets = (
        templates
        if isinstance(templates, Mapping)
        else {given: read_templates(given) for given in find_texts(templates, "templates")[0]}
    )
    with opened(cache) as kept:
        return _compare(
            dataset,
            encoders,
            sets,
            truth=truth or column_told(dataset),
            labels=None if labels is None else find_labels(labels),
            price=price,
            resamples=resamples,
            seed=seed,
            batch_size=batch_size,
            cache=kept,
            progress=progress,
        )


def _compare(
    dataset: Dataset,
    encoders: Sequence[DualEncoder],
    templates: Mapping[str, Sequence[str]],
    *,
    truth: Truth,
    labels: Sequence[str] | None,
    price: float | None,
    resamples: int,
    seed: int,
    batch_size: int | None,
    cache: EmbeddingCache | None,
    progress: Callable[[str, Progress | None], None],
) -> ModelComparison:
    repeated = [name for name, n in Counter(e.name for e in encoders).items() if n > 1]
    if repeated:
        raise EncoderError(f"model {repeated[0]!r} is given twice. Name each model once.")
    if len(encoders) * len(templates) < 2:
        raise EncoderError(
            "one model with one set of templates leaves nothing to compare. Name a second model "
            "with `models`, or a second set with `templates`."
        )
    names, places = choices(dataset, truth, labels)
    told = np.flatnonzero(places >= 0)
    if not len(told):
        raise no_such_labels(names, distinct(true_labels(dataset, truth)), dataset.name)
    labelled = replace(dataset, records=tuple(dataset.records[i] for i in told))
    kept, answers = labelled, places[told]
    skipped: tuple[tuple[str, str], ...] = ()
    embedded: list[tuple[DualEncoder, Embeddings, Cost]] = []
    for encoder in encoders:
        sources = [record.source for record in kept]
        found = embed_sources(
            sources,
            encoder,
            batch_size=batch_size,
            cache=cache,
            progress=partial(progress, f"embed · {encoder.name}"),
        )
        if not embedded:
            skipped = found.skipped
            kept = replace(labelled, records=tuple(labelled.records[i] for i in found.indices))
            answers = answers[found.indices]
            sources = [record.source for record in kept]
            if not sources:
                raise DatasetError(
                    f"{dataset.name}: none of {counted(len(labelled), 'picture')} can be decoded."
                )
        elif found.skipped:
            raise DatasetError("{}: {}; it could be read before.".format(*found.skipped[0]))
        progress(f"time · {encoder.name}", None)
        cost = measured_cost(sources, encoder, batch_size=batch_size, price=price)
        embedded.append((encoder, found.vectors, cost))
    measure = partial(
        _measure,
        dataset=kept,
        labels=names,
        truth=answers,
        templates=templates,
        resamples=resamples,
        seed=seed,
        cache=cache,
    )
    models = []
    for encoder, images, cost in embedded:
        progress(f"measure · {encoder.name}", None)
        models.append(measure(encoder, images, cost))
    variants = [variant for model in models for variant in model.variants]
    return ModelComparison(
        dataset=kept,
        labels=names,
        truth=answers,
        models=tuple(models),
        differences=tuple(
            Difference(
                a,
                b,
                compare_classifiers(
                    a.scores.correct, b.scores.correct, resamples=resamples, seed=seed
                ),
            )
            for a, b in combinations(variants, 2)
            if (a.model == b.model) != (a.prompts == b.prompts)
        ),
        disputes=disputes(models, names, answers),
        skipped=skipped,
        left_out=len(dataset) - len(labelled),
        price=price,
        resamples=resamples,
        seed=seed,
    )


def _measure(
    encoder: DualEncoder,
    images: Embeddings,
    cost: Cost,
    *,
    dataset: Dataset,
    labels: Sequence[str],
    truth: NDArray[np.intp],
    templates: Mapping[str, Sequence[str]],
    resamples: int,
    seed: int,
    cache: EmbeddingCache | None,
) -> ModelResult:
    score = partial(classification, truth=truth, labels=labels, resamples=resamples, seed=seed)
    variants: list[Variant] = []
    first: dict[Loss, NDArray[np.float64]] | None = None
    for name, texts in templates.items():
        logits = zero_shot(labels, encoder, templates=texts, cache=cache).logits(images)
        both = activations(logits)
        first = both if first is None else first
        variants.append(Variant(encoder.name, name, score(both[encoder.loss])))
    if first is None:
        raise EncoderError("no templates. Give at least one set.")
    ways: tuple[RetrievalScores | None, RetrievalScores | None] = (None, None)
    if sum(bool(record.captions) for record in dataset) > 1:
        captions = text_vectors(dataset.captions, encoder, cache=cache)
        similarity = cosine_similarity(images, captions)
        ways = retrieval(similarity, dataset.owner, resamples=resamples, seed=seed)
    return ModelResult(
        name=encoder.name,
        loss=encoder.loss,
        fingerprint=encoder.image_fingerprint,
        variants=tuple(variants),
        softmax=first["softmax"],
        sigmoid=first["sigmoid"],
        softmax_scores=score(first["softmax"]),
        sigmoid_scores=score(first["sigmoid"]),
        image_to_text=ways[0],
        text_to_image=ways[1],
        cost=cost,
    )
