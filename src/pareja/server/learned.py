"""Classifiers that were learned from examples, as the server knows them: by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from pareja.classifiers.learned import Classifier, load_classifier
from pareja.errors import ServerError, some_of
from pareja.search.contracts import Shows
from pareja.server.problems import NAMED, Problem

if TYPE_CHECKING:
    from pareja.search import Collection


def load_classifiers(files: Sequence[str | PathLike[str]]) -> dict[str, Classifier]:
    """Read saved classifiers; each is called after its file, without the ending.

    Raises
    ------
    ServerError
        If two would have the same name.
    DatasetError
        If a file cannot be read, or holds no classifier.
    """
    named: dict[str, Classifier] = {}
    for file in map(Path, files):
        if file.stem in named:
            raise ServerError(
                f"two classifiers are called {file.stem!r}, after their files. Rename one of them."
            )
        named[file.stem] = load_classifier(file)
    return named


@dataclass(frozen=True)
class Facet:
    """A classifier as a filter.

    Parameters
    ----------
    name
        Of the classifier.
    counts
        How many pictures have each of its labels.
    chosen
        The label that is asked for; empty for all.
    """

    name: str
    counts: Mapping[str, int]
    chosen: str

    def value(self, label: str) -> str:
        """Return how a URL names a label."""
        return f"{self.name}/{label}"


class LearnedClassifiers:
    """The classifiers that a server was started with.

    Requests name them, and never a file.

    Parameters
    ----------
    collection
        Whose pictures they label.
    named
        The classifiers, by name; no name has a slash.

    Raises
    ------
    FingerprintMismatchError
        If the collection has no vectors that one of them can read.
    """

    def __init__(self, collection: Collection, named: Mapping[str, Classifier]) -> None:
        self._collection = collection
        self._named = dict(named)
        for classifier in named.values():
            collection.encoder_of(classifier)

    @property
    def classifiers(self) -> Mapping[str, Classifier]:
        """The classifiers, by name."""
        return self._named

    def names(self) -> tuple[str, ...]:
        """Return the names, in the order in which they were given."""
        return tuple(self._named)

    def get(self, name: str) -> Classifier:
        """Return a classifier.

        Raises
        ------
        Problem
            If there is none of that name.
        """
        if name not in self._named:
            raise Problem(
                404, "unknown_classifier", name=name[:80], names=some_of(self._named, NAMED)
            )
        return self._named[name]

    def counts(self, name: str) -> dict[str, int]:
        """Return how many pictures of the collection have each label."""
        return self._collection.labels(self.get(name)).counts()

    def shows(self, written: Sequence[str], at_least: float) -> tuple[Shows, ...]:
        """Return the filters that a request names.

        Parameters
        ----------
        written
            As ``kinds/castle``: a classifier, and one of its labels. Pictures pass that have, for
            each classifier, any of the labels that are named of it.
        at_least
            How probable a picture's label must be, in [0, 1].

        Raises
        ------
        Problem
            If one is not written so, or there is no such classifier or label.
        """
        wanted: dict[str, list[str]] = {}
        # A form sends a filter that is left at "all" as an empty one.
        for one in filter(None, written):
            name, slash, label = one.partition("/")
            if not slash:
                raise Problem(422, "shows", got=one[:80])
            known = self.get(name).labels
            if label not in known:
                raise Problem(
                    404, "no_label", name=name, got=label[:80], labels=some_of(known, NAMED)
                )
            wanted.setdefault(name, []).append(label)
        return tuple(
            Shows(self.get(name), tuple(labels), at_least) for name, labels in wanted.items()
        )

    def facets(self, written: Sequence[str]) -> list[Facet]:
        """Return every classifier as a filter, with what a request chooses of it."""
        return [
            Facet(
                name,
                self.counts(name),
                next((o.partition("/")[2] for o in written if o.partition("/")[0] == name), ""),
            )
            for name in self._named
        ]
