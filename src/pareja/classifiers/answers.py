"""What one picture was taken for, with the probabilities of several ways side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pareja.classifiers.classification import Classification
from pareja.classifiers.learned import Classifier
from pareja.classifiers.zero_shot import ZeroShot, activations
from pareja.encoders.protocols import Embeddings

Way = Literal["softmax", "sigmoid", "alone", "learned"]
Note = Literal["trained", "from_logits", "against_others", "from_examples"]


@dataclass(frozen=True)
class Column:
    """One way in which labels become probable.

    Parameters
    ----------
    way
        Which one: of all labels by a softmax or each by a sigmoid, of each against texts about
        something else (``alone``), or by what was learned from examples.
    note
        Where the numbers come from: the encoder was trained so (``trained``), they are computed
        from its logits all the same, are against other texts, or come from examples.
    shares
        The probability of each label, in [0, 1].
    decides
        Whether the picture gets its labels by this column.
    """

    way: Way
    note: Note
    shares: Mapping[str, float]
    decides: bool


@dataclass(frozen=True)
class Answer:
    """What a picture was taken for.

    Parameters
    ----------
    assigned
        The labels that it gets, most probable first; none where it shows none of them.
    columns
        The probabilities, each in [0, 1], in one or two ways.
    several
        Whether it could get several labels.
    """

    assigned: tuple[str, ...]
    columns: tuple[Column, ...]
    several: bool = False

    @property
    def trained(self) -> Way | None:
        """In which way the encoder was trained; None where it had no say."""
        return next((column.way for column in self.columns if column.note == "trained"), None)

    @property
    def labels(self) -> list[str]:
        """The labels, most probable first."""
        shares = self.columns[0].shares
        return sorted(shares, key=lambda label: -shares[label])


def by_words(classifier: ZeroShot, image: Embeddings) -> Answer:
    """Say which labels an embedding ``(1, dim)`` fits, as trained and in the other way.

    An encoder that was trained with a softmax has no probability of a label by itself. Where a
    picture may show several, the second column is then that of the label against texts about
    something else, which decides.
    """
    result, both = classifier.classified(image), activations(classifier.logits(image))
    trained = classifier.encoder.loss
    competing = result.multi_label and trained == "softmax"
    columns = [
        Column(
            way,
            "trained" if way == trained else "from_logits",
            _shares(result, both[way]),
            decides=way == trained and not competing,
        )
        for way in both
        if not (competing and way == "sigmoid")
    ]
    if competing:
        columns.append(
            Column("alone", "against_others", _shares(result, result.probabilities), decides=True)
        )
    return Answer(result.assigned(0), tuple(columns), result.multi_label)


def by_examples(classifier: Classifier, image: Embeddings) -> Answer:
    """Say which label an embedding ``(1, dim)`` has by what was learned from examples."""
    result = classifier.classified(image)
    shares = _shares(result, result.probabilities)
    return Answer(result.assigned(0), (Column("learned", "from_examples", shares, decides=True),))


def _shares(result: Classification, probabilities: NDArray[np.floating]) -> dict[str, float]:
    return dict(zip(result.labels, probabilities[0].tolist(), strict=True))
