from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from tests.colour_classifier import colour_classifier

from pareja.classifiers.answers import by_examples, by_words
from pareja.classifiers.zero_shot import zero_shot

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

LABELS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("loss", "several", "ways", "notes", "decides"),
    [
        ("softmax", False, ["softmax", "sigmoid"], ["trained", "from_logits"], "softmax"),
        ("sigmoid", False, ["softmax", "sigmoid"], ["from_logits", "trained"], "sigmoid"),
        ("softmax", True, ["softmax", "alone"], ["trained", "against_others"], "alone"),
        ("sigmoid", True, ["softmax", "sigmoid"], ["from_logits", "trained"], "sigmoid"),
    ],
)
def test_a_picture_gets_its_labels_by_what_its_encoder_was_trained_for(
    colours: ColourEncoder, loss: Any, several: bool, ways: Any, notes: Any, decides: str
) -> None:
    encoder = replace(colours, loss=loss)
    classifier = zero_shot(LABELS, encoder, multi_label=several)
    image = encoder.encode_texts(["green"])
    answer = by_words(classifier, image)
    assert [column.way for column in answer.columns] == ways
    assert [column.note for column in answer.columns] == notes
    assert [column.way for column in answer.columns if column.decides] == [decides]
    assert (answer.trained, answer.several, answer.labels[0]) == (loss, several, "green")
    logits = classifier.logits(image)[0]
    expected = {"softmax": softmax(logits), "sigmoid": expit(logits)}
    for column in answer.columns:
        if column.way in expected:
            shares = [column.shares[label] for label in LABELS]
            np.testing.assert_allclose(shares, expected[column.way], rtol=1e-5)


def test_what_was_learned_from_examples_has_one_column(colours: ColourEncoder) -> None:
    classifier = colour_classifier(colours)
    answer = by_examples(classifier, colours.encode_texts(["blue"]))
    [column] = answer.columns
    assert (column.way, column.note, column.decides) == ("learned", "from_examples", True)
    assert set(column.shares) == set(classifier.labels)
    assert sum(column.shares.values()) == pytest.approx(1, abs=1e-5)
    assert answer.trained is None
    assert answer.assigned == (max(column.shares, key=lambda label: column.shares[label]),)
