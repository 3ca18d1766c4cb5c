"""Measure how often "probably nothing relevant" is right, with ``starter``.

    python benchmarks/relevance.py
    python benchmarks/relevance.py --store src/pareja/search/background.npz

``commons200`` is asked for its labels, ``pareja20`` for its captions in both languages. Each query
is put three times: to the whole dataset; to what is left without its category, where it has no
answer; and to its category alone, where all but everything answers.

A query is warned of when its score is below a quantile of the scores of the texts that a
collection is calibrated with. Beside what pareja does, the best score and the median, stands the
score and the quantile that tell absent from present best on the *other* dataset. Intervals
resample whole categories, since queries about one are alike.

``--store`` writes the embeddings of those texts that come with pareja.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareja.embedding import text_vectors
from pareja.encoders import load, require_dual
from pareja.encoders.protocols import DualEncoder, Embeddings
from pareja.search import Collection, Picture, Query
from pareja.search.relevance import BACKGROUND, words_digest

QUANTILES = np.linspace(0.05, 0.95, 19)
SHOWN = 5

Flags = NDArray[np.bool_]
Score = Callable[[Embeddings], NDArray[np.float32]]

SCORES: dict[str, Score] = {
    "best": lambda cosines: np.asarray(cosines.max(axis=1)),
    "best - median": lambda cosines: np.asarray(cosines.max(axis=1) - np.median(cosines, axis=1)),
}
USED = "best", 9


@dataclass(frozen=True)
class Asked:
    """The queries about a dataset, and of which of them is warned by score and quantile.

    Parameters
    ----------
    name
        Of the dataset.
    about
        Each query's category, ``(n,)``.
    shown
        Whether an answer is among the first `SHOWN` pictures, ``(n,)``.
    there, absent, alone
        Warnings, ``(n, n_quantiles)`` by score: in the whole dataset, without the category, and in
        the category alone.
    """

    name: str
    about: NDArray[np.str_]
    shown: Flags
    there: dict[str, Flags]
    absent: dict[str, Flags]
    alone: dict[str, Flags]

    def best_choice(self) -> tuple[str, int]:
        """Return the score and the quantile that tell absent from present best here."""
        told = {
            name: self.absent[name].mean(axis=0) - self.there[name].mean(axis=0) for name in SCORES
        }
        best = max(SCORES, key=lambda name: float(told[name].max()))
        return best, int(told[best].argmax())


def questions(pictures: list[Picture]) -> dict[tuple[str, str], set[int]]:
    """Return texts with their categories and right answers: labels, or captions where none is."""
    answers: dict[tuple[str, str], set[int]] = {}
    for picture in pictures:
        for text in [picture.label] if picture.label else [picture.caption, picture.caption_es]:
            if text and picture.category:
                answers.setdefault((text, picture.category), set()).add(picture.id)
    return answers


def ask(dataset: str, encoder: DualEncoder) -> Asked:
    with (
        tempfile.TemporaryDirectory() as folder,
        Collection.open(Path(folder, "collection"), create=True) as collection,
    ):
        collection.index([dataset], encoder)
        pictures = collection.pictures()
        _, images = collection.embeddings(encoder)
        answers = questions(pictures)
        results = [collection.search(Query(text=text), encoder, k=SHOWN) for text, _ in answers]
    texts = encoder.encode_texts([text for text, _ in answers])
    background = encoder.encode_texts(BACKGROUND)
    about = np.array([category for _, category in answers])
    categories = np.array([picture.category for picture in pictures])

    def warned(queries: Embeddings, among: Embeddings, score: Score) -> Flags:
        limits = np.quantile(score(background @ among.T), QUANTILES)
        return np.asarray(score(queries @ among.T)[:, None] < limits)

    there = {name: warned(texts, images, score) for name, score in SCORES.items()}
    absent = {name: np.zeros_like(flags) for name, flags in there.items()}
    alone = {name: np.zeros_like(flags) for name, flags in there.items()}
    for category in np.unique(about):
        own, inside = about == category, categories == category
        for name, score in SCORES.items():
            absent[name][own] = warned(texts[own], images[~inside], score)
            alone[name][own] = warned(texts[own], images[inside], score)
    said = [result.likely_relevant is False for result in results]
    if said != there[USED[0]][:, USED[1]].tolist():
        raise SystemExit("what is measured here is not what a search says")
    shown = [
        any(hit.picture.id in right for hit in result.hits)
        for right, result in zip(answers.values(), results, strict=True)
    ]
    return Asked(dataset, about, np.array(shown), there, absent, alone)


def rate(flags: Flags, groups: NDArray[np.str_]) -> str:
    """Return a share with its interval over groups."""
    names = np.unique(groups)
    draws = np.random.default_rng(0).integers(len(names), size=(2000, len(names)))
    hits = np.array([flags[groups == name].sum() for name in names])[draws].sum(axis=1)
    sizes = np.array([(groups == name).sum() for name in names])[draws].sum(axis=1)
    low, high = np.quantile(hits / sizes, (0.025, 0.975))
    return f"{flags.mean():.0%} [{low:.0%}, {high:.0%}]"


def print_rates(asked: Asked, name: str, quantile: int) -> None:
    about, shown = asked.about, asked.shown
    there = asked.there[name][:, quantile]
    print(f"  warned of where {name} is below quantile {QUANTILES[quantile]:.2f}:")
    print(f"    category absent   {rate(asked.absent[name][:, quantile], about)}")
    print(f"    present           {rate(there, about)}")
    print(f"      answer shown    {rate(there[shown], about[shown])}")
    print(f"    category alone    {rate(asked.alone[name][:, quantile], about)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, metavar="NPZ", help="write what pareja stores")
    options = parser.parse_args()
    encoder = require_dual(load("starter"))
    if options.store:
        rows: dict[str, Any] = {words_digest(encoder): text_vectors(BACKGROUND, encoder)}
        np.savez(options.store, **rows)
        return
    both = [ask(dataset, encoder) for dataset in ("commons200", "pareja20")]
    for asked, other in zip(both, reversed(both), strict=True):
        about = asked.about
        print(f"{asked.name}: {len(about)} queries about {len(np.unique(about))} categories")
        print(f"  an answer among the first {SHOWN}: {rate(asked.shown, about)}")
        print_rates(asked, *USED)
        print(f"  chosen on {other.name}:")
        print_rates(asked, *other.best_choice())
        print("  what a search would say of the gap to the median:")
        print_rates(asked, "best - median", USED[1])
        for category in np.unique(about):
            own = about == category
            rates = [part[USED[0]][own, USED[1]].mean() for part in (asked.absent, asked.there)]
            print("    {} ({}): absent {:.0%}, present {:.0%}".format(category, own.sum(), *rates))


if __name__ == "__main__":
    main()
