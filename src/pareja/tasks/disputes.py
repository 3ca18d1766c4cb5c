"""Pictures that two models take for different things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Dispute:
    """A picture that two models take for different things.

    ``image`` indexes the pictures; ``a`` and ``b`` are label and probability of each model.
    """

    image: int
    model_a: str
    model_b: str
    a: tuple[str, float]
    b: tuple[str, float]


class Answers(Protocol):
    """A model's probabilities, ``(n_images, n_labels)``: as it was trained, and by a softmax."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def trained(self) -> NDArray[np.float64]:
        """The probabilities by the function that it was trained with."""
        ...

    @property
    def softmax(self) -> NDArray[np.float64]:
        """The probabilities by a softmax over the labels."""
        ...


def disputes(
    models: Sequence[Answers], labels: Sequence[str], truth: NDArray[np.intp]
) -> tuple[Dispute, ...]:
    """Return the pictures that two models take for different things, most telling first."""
    found: list[tuple[bool, float, Dispute]] = []
    for a, b in combinations(models, 2):
        best_a, best_b = a.trained.argmax(axis=1), b.trained.argmax(axis=1)
        for i in np.flatnonzero(best_a != best_b):
            one_right = bool((best_a[i] == truth[i]) != (best_b[i] == truth[i]))
            p_a, p_b = float(a.trained[i, best_a[i]]), float(b.trained[i, best_b[i]])
            dispute = Dispute(
                int(i), a.name, b.name, (labels[best_a[i]], p_a), (labels[best_b[i]], p_b)
            )
            found.append((not one_right, -float(a.softmax[i].max() * b.softmax[i].max()), dispute))
    return tuple(dispute for *_, dispute in sorted(found, key=lambda item: item[:2]))
