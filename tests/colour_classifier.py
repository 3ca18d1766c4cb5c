"""A classifier that was learned from no examples, for tests: it knows colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pareja.classifiers.learned import Classifier, Linear

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

COLOUR_NAMES = ("red", "green", "blue")


def colour_classifier(
    encoder: ColourEncoder, labels: tuple[str, ...] = COLOUR_NAMES, *, scale: float = 20
) -> Classifier:
    """Return what takes a picture for the colour that is nearest to it."""
    return Classifier(
        labels=labels,
        encoder=encoder.name,
        fingerprint=encoder.image_fingerprint,
        method="linear-probe",
        rule=Linear(scale * encoder.encode_texts(labels), np.zeros(len(labels), np.float32)),
        n_examples=12,
    )
