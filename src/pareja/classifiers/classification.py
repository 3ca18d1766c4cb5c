"""What pictures were taken for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.significance import Indices

SURE_ENOUGH = 0.5
"""Certainty below which a picture has none of the labels, unless a threshold was calibrated."""

PRESENT = 0.5
"""Probability from which a picture has a label, where it may have several."""

Loss = Literal["softmax", "sigmoid"]
"""How logits become probabilities."""


@dataclass(frozen=True)
class Classification:
    """What pictures show, as far as the labels say it.

    Parameters
    ----------
    labels
        The choices, in the order of the columns.
    probabilities
        Shape ``(n_images, n_labels)``, in [0, 1]. Under a softmax a row sums to 1; under sigmoids
        each label has its own probability and rows have any sum.
    certainty
        For each picture the share of its best label when all labels and the background texts
        compete in one softmax, in (0, 1], ``(n_images,)``.
    multi_label
        Whether a picture may have several labels, or none.
    threshold
        Certainty below which a picture has none of the labels; None where it always has one.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float32]
    certainty: NDArray[np.float64]
    multi_label: bool = False
    threshold: float | None = None

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def best(self) -> Indices:
        """The most probable label of each picture, the first of equal ones, ``(n_images,)``."""
        best: Indices = self.probabilities.argmax(axis=1)
        return best

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Which pictures have none of the labels, ``(n_images,)``."""
        if self.multi_label:
            lacking: NDArray[np.bool_] = np.less(self.probabilities.max(axis=1), PRESENT)
            return lacking
        if self.threshold is None:
            return np.zeros(len(self), dtype=bool)
        return self.certainty < self.threshold

    def assigned(self, image: int) -> tuple[str, ...]:
        """Return the labels that a picture gets, most probable first; none where it is unknown."""
        if self.unknown[image]:
            return ()
        order = np.argsort(-self.probabilities[image], kind="stable")
        if self.multi_label:
            order = order[self.probabilities[image, order] >= PRESENT]
        else:
            order = order[:1]
        return tuple(self.labels[i] for i in order)

    def scores(self, image: int, most: int | None = None) -> dict[str, float]:
        """Return the probabilities of a picture's labels, highest first, perhaps not all."""
        order = np.argsort(-self.probabilities[image], kind="stable")[:most]
        return {self.labels[i]: float(self.probabilities[image, i]) for i in order}
