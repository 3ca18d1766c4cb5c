"""Comparing what pictures were taken for with what their dataset says that they show."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.classification import ClassificationScores, classification
from pareja.analysis.multilabel import MultiLabelScores, multilabel
from pareja.analysis.rejection import RejectionScores, rejection
from pareja.classifiers.classification import PRESENT, SURE_ENOUGH, Classification
from pareja.classifiers.prompts import checked_labels
from pareja.datasets.records import Dataset
from pareja.errors import DatasetError, LabelError, some_of
from pareja.inputs import one_of

Truth = Literal["label", "category"]
"""Which column of a dataset says what a picture shows."""

SEPARATOR = ";"
"""What stands between the labels of a picture that has several."""


@dataclass(frozen=True)
class Evaluation:
    """A classification measured against the truth.

    Parameters
    ----------
    scores
        Over the pictures whose true label is among the labels; None where several may be right.
    several
        The measures where a picture may have several labels; None where it has one.
    rejection
        How well pictures with another label are refused; None where there are none.
    indices
        Which pictures `scores` is about, in its order, rising.
    outside
        How many pictures have a label that is not among the labels.
    unlabelled
        How many have none at all.
    empty
        Labels that no picture has.
    """

    scores: ClassificationScores | None
    several: MultiLabelScores | None
    rejection: RejectionScores | None
    indices: tuple[int, ...]
    outside: int
    unlabelled: int
    empty: tuple[str, ...]


def true_labels(dataset: Dataset, truth: Truth) -> list[str | None]:
    """Return what each picture of a dataset shows, None where it is not said.

    Raises
    ------
    DatasetError
        If no picture has it.
    InputError
        If it is no such column.

    Warns
    -----
    UserWarning
        If the dataset has numbers in place of names, which say nothing as prompts.
    """
    one_of("truth", truth, get_args(Truth))
    for note in dataset.notes:
        if note.code == "class_numbers" and note.path == truth:
            warnings.warn(f"{dataset.name}: {note.message}", stacklevel=2)
    found = [record.label if truth == "label" else record.category for record in dataset]
    if not any(found):
        other = "category" if truth == "label" else "label"
        # Who has neither is not sent from one to the other.
        there = any(getattr(record, other) for record in dataset)
        raise DatasetError(
            f"{dataset.name}: no picture has a {truth}. Add a column {truth!r} to its metadata"
            + (f", or pass `truth={other!r}`." if there else ".")
        )
    return [name.strip() or None if name else None for name in found]


def column_told(dataset: Dataset) -> Truth:
    """Return the column that says what pictures show: categories only where no label is given."""
    labelled = any(record.label for record in dataset)
    return "category" if not labelled and any(record.category for record in dataset) else "label"


def choices(
    dataset: Dataset, truth: Truth, labels: Sequence[str] | None = None
) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the labels to choose among, and which of them each picture has.

    Parameters
    ----------
    dataset
        The pictures.
    truth
        The column that says what they show.
    labels
        Labels to choose among instead of all that occur there. Case does not count.

    Returns
    -------
    tuple
        The labels, and the place of each picture's among them, ``(n_images,)``; -1 where it has
        none of them.

    Raises
    ------
    DatasetError
        If no picture has a label.
    LabelError
        If there is only one label, or one of `labels` is empty or given twice.
    """
    given = true_labels(dataset, truth)
    names = distinct(given) if labels is None else checked_labels(labels)
    if len(names) < 2:
        other = "category" if truth == "label" else "label"
        raise LabelError(
            f"{dataset.name}: {names[0]!r} is the only {truth}, and there must be two to tell "
            f"apart. Give other pictures another {truth}, or pass `truth={other!r}`."
        )
    place = {name.casefold(): i for i, name in enumerate(names)}
    return names, np.array([place.get((name or "").casefold(), -1) for name in given], np.intp)


def no_such_labels(labels: Sequence[str], own: Sequence[str], where: str = "") -> DatasetError:
    """Return the error for labels that no picture has.

    Parameters
    ----------
    labels
        What was asked for.
    own
        The labels that pictures have.
    where
        The dataset, for the message.
    """
    place = f"{where}: " if where else ""
    return DatasetError(
        f"{place}no picture has one of the labels {some_of(labels)}; the dataset's own are "
        f"{some_of(own)}. Use those, or leave `labels` out."
    )


def distinct(truth: Sequence[str | None], *, several: bool = False) -> tuple[str, ...]:
    """Return the labels that occur, in order of first appearance."""
    found: dict[str, str] = {}
    for cell in truth:
        for name in _names(cell, several):
            found.setdefault(name.casefold(), name)
    return tuple(found.values())


def evaluate(
    result: Classification,
    truth: Sequence[str | None],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Evaluation:
    """Measure a classification.

    Parameters
    ----------
    result
        What pictures were taken for.
    truth
        What each shows, None where it is not known; with ``result.multi_label`` several names
        with semicolons between them. Case does not count.
    resamples, seed
        Of the bootstrap over pictures behind every interval.

    Raises
    ------
    DatasetError
        If no picture has one of the labels.
    """
    column = {label.casefold(): i for i, label in enumerate(result.labels)}
    named = [[name.casefold() for name in _names(cell, result.multi_label)] for cell in truth]
    inside = [[column[name] for name in names if name in column] for names in named]
    known = np.array([bool(columns) for columns in inside], dtype=bool)
    labelled = np.array([bool(names) for names in named], dtype=bool)
    outside = int((labelled & ~known).sum())
    if not known.any():
        raise no_such_labels(result.labels, distinct(truth, several=result.multi_label))
    counts = np.bincount([c for columns in inside for c in columns], minlength=len(result.labels))
    indices = np.flatnonzero(labelled if result.multi_label else known)
    scores = several = refusal = None
    if result.multi_label:
        true_hot = np.zeros((len(indices), len(result.labels)), dtype=bool)
        for row, image in enumerate(indices):
            true_hot[row, inside[image]] = True
        several = multilabel(
            result.probabilities[indices],
            true_hot,
            result.labels,
            threshold=PRESENT,
            resamples=resamples,
            seed=seed,
        )
    else:
        scores = classification(
            result.probabilities[indices],
            np.array([inside[image][0] for image in indices]),
            result.labels,
            resamples=resamples,
            seed=seed,
        )
        if outside:
            refusal = rejection(
                result.certainty[labelled],
                known[labelled],
                SURE_ENOUGH if result.threshold is None else result.threshold,
                resamples=resamples,
                seed=seed,
            )
    return Evaluation(
        scores=scores,
        several=several,
        rejection=refusal,
        indices=tuple(int(i) for i in indices),
        outside=outside,
        unlabelled=int((~labelled).sum()),
        empty=tuple(label for label, n in zip(result.labels, counts, strict=True) if not n),
    )


def _names(cell: str | None, several: bool) -> list[str]:
    if cell is None:
        return []
    parts = cell.split(SEPARATOR) if several else [cell]
    return [part.strip() for part in parts if part.strip()]
