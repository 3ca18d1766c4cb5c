"""Which encoder of a collection names best what the collection's own pictures show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pareja.arrays import evenly
from pareja.classifiers.zero_shot import ZeroShot
from pareja.search.collection import Collection
from pareja.search.contracts import Picture
from pareja.tasks.compare_embeddings import EmbeddingComparison, compare_embeddings
from pareja.tasks.evaluation import Truth, distinct

MAX_COMPARED = 2_000
"""Most pictures that encoders are compared on; of more, evenly many are left out."""


@dataclass(frozen=True)
class StoredComparison:
    """Encoders on the same pictures of a collection.

    Parameters
    ----------
    pictures, labels
        What was compared on.
    found
        How they compare, in the order of the classifiers.
    total
        How many pictures could have been compared on.
    """

    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]
    found: EmbeddingComparison
    total: int


def compare_stored(
    collection: Collection,
    classifiers: Callable[[tuple[str, ...]], Sequence[ZeroShot]],
    truth: Truth = "category",
    *,
    least: int = 1,
    resamples: int = 2_000,
) -> StoredComparison | None:
    """Compare zero-shot classifiers on the embeddings that a collection keeps.

    Parameters
    ----------
    collection
        Its pictures, and their embeddings.
    classifiers
        Called with the labels; returns a classifier for each encoder that is compared.
    truth
        Which of a picture's fields says what it shows.
    least
        Pictures that a label needs to be among the choices.
    resamples
        Of the bootstrap behind every interval.

    Returns
    -------
    StoredComparison or None
        None where fewer than two labels have that many pictures.
    """
    told = [(p, (p.label if truth == "label" else p.category) or "") for p in collection.pictures()]
    told = [(picture, name.strip()) for picture, name in told if name.strip()]
    counts = Counter(name.casefold() for _, name in told)
    told = [(picture, name) for picture, name in told if counts[name.casefold()] >= least]
    labels = distinct([name for _, name in told])
    if len(labels) < 2:
        return None
    column = {label.casefold(): i for i, label in enumerate(labels)}
    ready = []
    for classifier in classifiers(labels):
        known, vectors = collection.embeddings(classifier.encoder, [p.id for p, _ in told])
        ready.append((classifier, dict(zip(known.tolist(), vectors, strict=True))))
    # The tests between encoders are paired: only what all of them have seen can be compared.
    told = [(p, name) for p, name in told if all(p.id in rows for _, rows in ready)]
    total = len(told)
    told = [told[i] for i in evenly(total, MAX_COMPARED)]
    ready = ready if told else []
    answers = np.array([column[name.casefold()] for _, name in told], dtype=np.intp)
    found = compare_embeddings(
        [classifier for classifier, _ in ready],
        [np.stack([rows[p.id] for p, _ in told]) for _, rows in ready],
        answers,
        labels,
        resamples=resamples,
    )
    return StoredComparison(tuple(picture for picture, _ in told), labels, found, total)
