from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binomtest

from pareja.classifiers.zero_shot import zero_shot
from pareja.errors import AnalysisError
from pareja.tasks.compare_embeddings import EmbeddingComparison, compare_embeddings

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

LABELS = ("red", "green", "blue")
SHOWN = ("red", "red", "green", "blue")


@pytest.fixture
def found(colours: ColourEncoder) -> EmbeddingComparison:
    other = replace(colours, name="sigmoids", loss="sigmoid")
    classifiers = [zero_shot(LABELS, each, templates=["{}"]) for each in (colours, other)]
    right = colours.encode_texts(SHOWN)
    wrong = colours.encode_texts(["blue", "blue", "green", "blue"])
    truth = np.array([LABELS.index(name) for name in SHOWN], dtype=np.intp)
    return compare_embeddings(classifiers, [right, wrong], truth, LABELS, resamples=200)


def test_each_model_is_scored_as_it_was_trained(found: EmbeddingComparison) -> None:
    first, second = found.models
    assert (first.loss, second.loss) == ("softmax", "sigmoid")
    assert (first.scores.top1.value, second.scores.top1.value) == (1.0, 0.5)
    np.testing.assert_array_equal(first.trained, first.softmax)
    np.testing.assert_allclose(second.softmax.sum(axis=1), 1)
    assert not np.allclose(second.trained, second.softmax)


def test_the_commonest_mistakes_come_first(found: EmbeddingComparison) -> None:
    assert found.models[0].confusions(8) == []
    assert found.models[1].confusions(8) == [("red", "blue", 2.0)]
    assert found.models[1].confusions(0) == []


def test_two_models_are_tested_on_the_pictures_that_one_gets_wrong(
    found: EmbeddingComparison,
) -> None:
    [(a, b, agreement)] = found.agreements
    assert (a, b) == ("colours", "sigmoids")
    assert (agreement.only_a, agreement.only_b) == (2, 0)
    assert agreement.p_value == pytest.approx(binomtest(2, 2).pvalue)
    assert {(d.image, d.a[0], d.b[0]) for d in found.disputes} == {
        (0, "red", "blue"),
        (1, "red", "blue"),
    }


def test_no_classifier_gives_no_result_and_no_picture_is_refused(colours: ColourEncoder) -> None:
    nothing = np.zeros(0, dtype=np.intp)
    assert compare_embeddings([], [], nothing, LABELS) == EmbeddingComparison((), (), ())
    classifier = zero_shot(LABELS, colours, templates=["{}"])
    with pytest.raises(AnalysisError):
        compare_embeddings([classifier], [colours.encode_texts([])], nothing, LABELS)
