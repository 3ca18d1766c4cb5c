"""Two states of an encoder on the same pictures: what it learned, what it forgot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.classification import classification
from pareja.analysis.comparison import Agreement, hit_agreement
from pareja.analysis.retrieval import DIRECTIONS, placement, retrieval
from pareja.analysis.significance import Estimate
from pareja.analysis.similarity import cosine_similarity
from pareja.classifiers.prompts import DEFAULT_TEMPLATES
from pareja.classifiers.zero_shot import activations, embed_labels
from pareja.datasets.records import Dataset
from pareja.decimals import counted
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.pipeline import embed_dataset, embed_sources
from pareja.encoders.protocols import DualEncoder
from pareja.errors import DatasetError
from pareja.tasks.evaluation import Truth, choices, distinct, true_labels

if TYPE_CHECKING:
    from pareja.training.material import Texts

Indices = NDArray[np.intp]

Learned = Literal["caption", "label", "category"]
"""What pictures are paired with: their captions, or a prompt for their label or category."""

Measure = Literal["image_to_text", "text_to_image", "accuracy"]


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
    pictures: Indices
    hits_before: NDArray[np.float64]
    hits_after: NDArray[np.float64]
    first_before: Indices
    first_after: Indices


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


def require_captions(dataset: Dataset) -> None:
    """Raise `DatasetError` where captions are too few to measure on."""
    captioned = sum(bool(record.captions) for record in dataset)
    if captioned < 2:
        raise DatasetError(
            f"{dataset.name}: {counted(captioned, 'picture has', 'pictures have')} a caption, and "
            "at least 2 are needed to measure on. Name another dataset."
        )


def every_label(datasets: Iterable[Dataset | None], truth: Truth) -> tuple[str, ...]:
    """Return what pictures choose among: every label of what is learned from and measured on.

    The pictures that are measured may lack some, and among fewer labels the right one is easier to
    find.

    Raises
    ------
    DatasetError
        If a dataset has no labels.
    """
    told = [label for each in datasets if each is not None for label in true_labels(each, truth)]
    return distinct(told)


def measure(
    dataset: Dataset,
    before: DualEncoder,
    after: DualEncoder,
    *,
    learned: Learned = "caption",
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    labels: Sequence[str] | None = None,
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
    labels
        What pictures choose among; by default every label of `dataset`.
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
    return _measure_labels(dataset, before, after, learned, templates, labels, resamples, cache)


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
    return _captions_changed(kept, tuple(kept.captions), kept.owner, similarities, resamples)


def _captions_changed(
    dataset: Dataset,
    captions: tuple[str, ...],
    owner: Indices,
    similarities: Sequence[NDArray[np.float64]],
    resamples: int,
    blocks: Indices | None = None,
) -> Measured:
    """Compare two similarities of pictures and captions; candidates are those of the same block."""
    scores = [retrieval(each, owner, resamples=resamples) for each in similarities]
    changes: dict[Measure, Change] = {}
    for axis, direction in enumerate(DIRECTIONS):
        places = [placement(each, owner, direction) for each in similarities]
        chance = scores[0][axis].chance_recall[1]
        if blocks is not None:
            alone = [_block_chance(owner, blocks, block, axis) for block in np.unique(blocks)]
            chance = float(np.concatenate(alone).mean())
        changes[direction] = _change(
            before=scores[0][axis].recall[1],
            after=scores[1][axis].recall[1],
            chance=chance,
            pictures=places[0].pictures,
            hits=[place.hits(1) for place in places],
            first=[each.argmax(axis=1 - axis) for each in similarities],
            resamples=resamples,
        )
    return Measured(dataset, captions, changes)


def _block_chance(owner: Indices, blocks: Indices, block: int, axis: int) -> NDArray[np.float64]:
    """Return for each query of a block the probability that a random candidate is right."""
    captions = np.flatnonzero(blocks[owner] == block)
    pictures, counts = np.unique(owner[captions], return_counts=True)
    if axis:
        return np.full(len(captions), 1 / len(pictures))
    chances: NDArray[np.float64] = counts / len(captions)
    return chances


def _change(
    *,
    before: Estimate,
    after: Estimate,
    chance: float,
    pictures: Indices,
    hits: Sequence[NDArray[np.float64]],
    first: Sequence[Indices],
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
    labels: Sequence[str] | None,
    resamples: int,
    cache: EmbeddingCache | None,
) -> Measured:
    labels, answers = choices(dataset, truth, labels)
    asked = np.flatnonzero(answers >= 0)
    sources = [dataset.records[i].source for i in asked]
    similarities = []
    for encoder in (before, after):
        images = embed_sources(sources, encoder, cache=cache)
        prompts = embed_labels(labels, encoder, templates=templates, cache=cache)
        similarities.append(cosine_similarity(images.vectors, prompts))
    kept = asked[images.indices]
    records = tuple(dataset.records[i] for i in kept)
    dataset = replace(dataset, records=records)
    return _labels_changed(dataset, tuple(labels), answers[kept], similarities, resamples)


def _labels_changed(
    dataset: Dataset,
    labels: tuple[str, ...],
    answers: Indices,
    similarities: Sequence[NDArray[np.floating]],
    resamples: int,
) -> Measured:
    scores = [
        # The scale of the logits does not matter for what comes first.
        classification(
            activations(each.astype(np.float64))["softmax"], answers, labels, resamples=resamples
        )
        for each in similarities
    ]
    change = _change(
        before=scores[0].top1,
        after=scores[1].top1,
        chance=scores[0].chance_top1,
        pictures=np.arange(len(answers)),
        hits=[score.correct for score in scores],
        first=[each.argmax(axis=1) for each in similarities],
        resamples=resamples,
    )
    return Measured(dataset, labels, {"accuracy": change})


@dataclass(frozen=True)
class Fold:
    """The pictures that one training of a cross-validation did not learn from.

    Parameters
    ----------
    pictures
        Which, ``(n,)``.
    texts
        What they choose among, as rows of all texts, ``(m,)``.
    before, after
        Their similarity in both states, ``(n, m)``.
    """

    pictures: Indices
    texts: Indices
    before: NDArray[np.floating]
    after: NDArray[np.floating]


def measure_folds(
    dataset: Dataset, texts: Texts, folds: Sequence[Fold], *, resamples: int = 2000
) -> Measured:
    """Measure the trainings of a cross-validation together, each on the pictures it left out.

    Pictures and captions search each other within their fold: an encoder that learned from a
    caption must not be asked whether it is the right one. Chance is that of a fold, too.

    Parameters
    ----------
    dataset
        Every picture.
    texts
        Its captions.
    folds
        Every training.
    resamples
        Of the bootstrap behind every interval.
    """
    pictures = np.concatenate([fold.pictures for fold in folds])
    captions = [(i, int(text)) for i in pictures for text in texts.owned[i]]
    position = {int(picture): row for row, picture in enumerate(pictures)}
    owner = np.array([position[int(i)] for i, _ in captions], np.intp)
    blocks = np.repeat(np.arange(len(folds)), [len(fold.pictures) for fold in folds])
    similarities = []
    for state in ("before", "after"):
        # Below every cosine: what lies in another fold is never found.
        whole = np.full((len(pictures), len(captions)), -2.0)
        for block, fold in enumerate(folds):
            columns = np.flatnonzero(blocks[owner] == block)
            found = np.searchsorted(fold.texts, [captions[column][1] for column in columns])
            rows = np.flatnonzero(blocks == block)
            whole[np.ix_(rows, columns)] = getattr(fold, state)[:, found]
        similarities.append(whole)
    records = tuple(dataset.records[i] for i in pictures)
    said = tuple(texts.texts[text] for _, text in captions)
    kept = replace(dataset, records=records)
    return _captions_changed(kept, said, owner, similarities, resamples, blocks)


def measure_folds_of_labels(
    dataset: Dataset,
    labels: Sequence[str],
    answers: Indices,
    folds: Sequence[Fold],
    *,
    resamples: int = 2000,
) -> Measured:
    """Measure the trainings of a cross-validation on labels, as `measure_folds` on captions.

    Parameters
    ----------
    dataset
        Every picture.
    labels
        What the columns of each fold's similarity are.
    answers
        The label of each picture, by position.
    folds
        Every training.
    resamples
        Of the bootstrap behind every interval.
    """
    pictures = np.concatenate([fold.pictures for fold in folds])
    similarities = [
        np.concatenate([fold.before for fold in folds]),
        np.concatenate([fold.after for fold in folds]),
    ]
    kept = replace(dataset, records=tuple(dataset.records[i] for i in pictures))
    return _labels_changed(kept, tuple(labels), answers[pictures], similarities, resamples)
