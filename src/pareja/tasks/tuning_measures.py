"""Two states of an encoder on the same pictures: what it learned, what it forgot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.classification import classification
from pareja.analysis.comparison import Agreement, hit_agreement
from pareja.analysis.retrieval import Direction, placement, retrieval
from pareja.analysis.significance import Estimate
from pareja.analysis.similarity import cosine_similarity
from pareja.classifiers.prompts import DEFAULT_TEMPLATES
from pareja.classifiers.zero_shot import activations, embed_labels
from pareja.datasets.records import Dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.pipeline import embed_dataset, embed_sources
from pareja.encoders.protocols import DualEncoder
from pareja.tasks.evaluation import Truth, choices

Learned = Literal["caption", "label", "category"]
"""What pictures are paired with: their captions, or a prompt for their label or category."""

Measure = Literal["image_to_text", "text_to_image", "accuracy"]

DIRECTIONS: tuple[Direction, ...] = ("image_to_text", "text_to_image")


@dataclass(frozen=True)
class Change:
    """One measure before and after, on the same queries.

    Parameters
    ----------
    before, after
        Share of queries whose right answer comes first, in [0, 1].
    chance
        What a random order gives.
    agreement
        Hits after (a) beside hits before (b): the paired difference with its interval, and
        McNemar's test.
    pictures
        The picture that each query is or belongs to, ``(n_queries,)``.
    hits_before, hits_after
        Whether each query's first answer is right (its probability, with ties), ``(n_queries,)``.
    first_before, first_after
        The first answer of each query: a text where pictures are asked, a picture where texts are.
    """

    before: Estimate
    after: Estimate
    chance: float
    agreement: Agreement
    pictures: NDArray[np.intp]
    hits_before: NDArray[np.float64]
    hits_after: NDArray[np.float64]
    first_before: NDArray[np.intp]
    first_after: NDArray[np.intp]


@dataclass(frozen=True)
class Measured:
    """One set of pictures before and after.

    Parameters
    ----------
    dataset
        The pictures that were asked about, those that do not decode left out.
    texts
        What they chose among: captions, or labels.
    changes
        R@1 as ``"image_to_text"`` and ``"text_to_image"``; or ``"accuracy"`` where pictures choose
        among labels.
    """

    dataset: Dataset
    texts: tuple[str, ...]
    changes: Mapping[Measure, Change]

    @property
    def name(self) -> str:
        """The name of the dataset."""
        return self.dataset.name


def measure(
    dataset: Dataset,
    before: DualEncoder,
    after: DualEncoder,
    *,
    learned: Learned = "caption",
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    resamples: int = 2000,
    cache: EmbeddingCache | None = None,
) -> Measured:
    """Measure two states of an encoder on the same pictures.

    Parameters
    ----------
    dataset
        Pictures that were not learned from.
    before, after
        The two states.
    learned
        Captions: retrieval in both directions. Labels or categories: pictures choose among them.
    templates
        Prompts with ``{}`` for a label.
    resamples
        Of the bootstrap behind every interval.
    cache
        Embeddings of earlier runs.

    Raises
    ------
    DatasetError
        If no picture decodes or has a text.
    """
    if learned == "caption":
        return _measure_captions(dataset, before, after, resamples, cache)
    return _measure_labels(dataset, before, after, learned, templates, resamples, cache)


def _measure_captions(
    dataset: Dataset,
    before: DualEncoder,
    after: DualEncoder,
    resamples: int,
    cache: EmbeddingCache | None,
) -> Measured:
    dataset = replace(dataset, records=tuple(r for r in dataset if r.captions))
    embedded = [embed_dataset(dataset, encoder, cache=cache) for encoder in (before, after)]
    kept = embedded[0].dataset
    similarities = [cosine_similarity(one.images, one.captions) for one in embedded]
    scores = [retrieval(each, kept.owner, resamples=resamples) for each in similarities]
    changes: dict[Measure, Change] = {}
    for axis, direction in enumerate(DIRECTIONS):
        places = [placement(each, kept.owner, direction) for each in similarities]
        changes[direction] = _change(
            before=scores[0][axis].recall[1],
            after=scores[1][axis].recall[1],
            chance=scores[0][axis].chance_recall[1],
            pictures=places[0].pictures,
            hits=[place.hits(1) for place in places],
            first=[each.argmax(axis=1 - axis) for each in similarities],
            resamples=resamples,
        )
    return Measured(kept, tuple(kept.captions), changes)


def _change(
    *,
    before: Estimate,
    after: Estimate,
    chance: float,
    pictures: NDArray[np.intp],
    hits: Sequence[NDArray[np.float64]],
    first: Sequence[NDArray[np.intp]],
    resamples: int,
) -> Change:
    agreement = hit_agreement(hits[1], hits[0], pictures, resamples, 0)
    return Change(before, after, chance, agreement, pictures, hits[0], hits[1], first[0], first[1])


def _measure_labels(
    dataset: Dataset,
    before: DualEncoder,
    after: DualEncoder,
    truth: Truth,
    templates: Sequence[str],
    resamples: int,
    cache: EmbeddingCache | None,
) -> Measured:
    labels, answers = choices(dataset, truth)
    asked = np.flatnonzero(answers >= 0)
    sources = [dataset.records[i].source for i in asked]
    scores, first = [], []
    for encoder in (before, after):
        images = embed_sources(sources, encoder, cache=cache)
        prompts = embed_labels(labels, encoder, templates=templates, cache=cache)
        logits = encoder.logits(cosine_similarity(images.vectors, prompts))
        probabilities = activations(logits.astype(np.float64))["softmax"]
        right = answers[asked][images.indices]
        scores.append(classification(probabilities, right, labels, resamples=resamples))
        first.append(probabilities.argmax(axis=1))
    kept = asked[images.indices]
    change = _change(
        before=scores[0].top1,
        after=scores[1].top1,
        chance=scores[0].chance_top1,
        pictures=np.arange(len(kept)),
        hits=[score.correct for score in scores],
        first=first,
        resamples=resamples,
    )
    records = tuple(dataset.records[i] for i in kept)
    return Measured(replace(dataset, records=records), tuple(labels), {"accuracy": change})
