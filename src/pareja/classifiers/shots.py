"""Pictures to learn from, with their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pareja.analysis.significance import Floats, Indices
from pareja.errors import LabelError

_MOST_FOLDS = 5


@dataclass(frozen=True)
class Shots:
    """A few examples of each label.

    Parameters
    ----------
    images
        Embeddings of the pictures, ``(n, dim)``, rows of length 1.
    answers
        Index of each picture's label, ``(n,)``, each of 0 to k - 1 at least once.
    prior
        Zero-shot logits of the pictures, ``(n, k)``; all 0 where no words are known. Says how
        many labels there are.

    Raises
    ------
    LabelError
        If a label has no picture.
    """

    images: Floats
    answers: Indices
    prior: Floats

    def __post_init__(self) -> None:
        lacking = np.flatnonzero(self.counts == 0)
        if lacking.size:
            raise LabelError(
                f"label {lacking[0]} has no picture to learn from ({lacking.size} such labels). "
                "Give at least one of each, or leave the label out."
            )

    @property
    def n_labels(self) -> int:
        """How many labels there are."""
        return int(self.prior.shape[1])

    @property
    def counts(self) -> Indices:
        """How many pictures each label has, ``(k,)``."""
        counts: Indices = np.bincount(self.answers, minlength=self.n_labels)
        return counts

    @property
    def values(self) -> Floats:
        """One-hot labels times what a picture counts, ``(n, k)``.

        All labels count the same in sum; where each has as many pictures, a picture counts 1.
        """
        balance = len(self.answers) / (self.n_labels * self.counts)
        values: Floats = np.diag(balance)[self.answers]
        return values

    def folds(self) -> Iterator[tuple[Shots, Shots]]:
        """Yield what to learn from and what to test on, up to five times, each label in both.

        Nothing is yielded where a label has one picture.
        """
        place = np.empty(len(self.answers), dtype=np.intp)
        for label in range(self.n_labels):
            own = np.flatnonzero(self.answers == label)
            place[own] = np.arange(len(own))
        folds = min(_MOST_FOLDS, int(self.counts.min()))
        if folds < 2:
            return
        for fold in range(folds):
            held_out = place % folds == fold
            yield self._part(~held_out), self._part(held_out)

    def _part(self, which: np.typing.NDArray[np.bool_]) -> Shots:
        return Shots(self.images[which], self.answers[which], self.prior[which])
