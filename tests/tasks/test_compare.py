from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import binomtest

from pareja.datasets import Dataset
from pareja.errors import DatasetError, EncoderError, LabelError
from pareja.tasks.compare import ModelComparison, compare
from pareja.tasks.compare_export import comparison_to_json

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

TEMPLATES = {"photo": ["a photo of a {}"], "blue": ["{} beside blue"]}


@pytest.fixture
def labelled_colours(colour_dataset: Dataset) -> Dataset:
    records = [replace(r, label=Path(r.file_name).stem) for r in colour_dataset]
    return replace(colour_dataset, records=tuple(records))


@pytest.fixture
def comparison(labelled_colours: Dataset, colours: ColourEncoder) -> ModelComparison:
    other = replace(colours, name="sigmoids", loss="sigmoid")
    models = [colours, other]
    return compare(labelled_colours, models, templates=TEMPLATES, price=0.36, resamples=200)


def test_variants_are_tested_when_they_differ_in_one_thing(comparison: ModelComparison) -> None:
    pairs = {((d.a.model, d.a.prompts), (d.b.model, d.b.prompts)) for d in comparison.differences}
    assert pairs == {
        (("colours", "photo"), ("colours", "blue")),
        (("colours", "photo"), ("sigmoids", "photo")),
        (("colours", "blue"), ("sigmoids", "blue")),
        (("sigmoids", "photo"), ("sigmoids", "blue")),
    }
    for found in comparison.differences:
        a, b = found.a.scores.correct, found.b.scores.correct
        only_a, only_b = int((a > b).sum()), int((b > a).sum())
        expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
        assert found.agreement.p_value == pytest.approx(expected)


def test_both_functions_are_given_whatever_the_training(comparison: ModelComparison) -> None:
    first, second = comparison.models
    np.testing.assert_allclose(first.softmax, second.softmax)
    np.testing.assert_allclose(first.softmax.sum(axis=1), 1)
    logits = np.log(first.sigmoid / (1 - first.sigmoid))
    np.testing.assert_allclose(softmax(logits, axis=1), first.softmax, atol=1e-6)
    np.testing.assert_allclose(expit(logits), second.sigmoid, atol=1e-9)
    assert first.trained is first.softmax
    assert second.trained is second.sigmoid
    assert first.variants[0].scores.ece == first.softmax_scores.ece
    assert second.variants[0].scores.ece == second.sigmoid_scores.ece


def test_captions_are_found_and_costs_are_measured(comparison: ModelComparison) -> None:
    model = comparison.models[0]
    assert model.image_to_text is not None
    assert model.image_to_text.recall[1].value == 1
    cost = model.cost
    assert cost.timed == 8
    assert cost.pictures_per_second > 0
    assert cost.money == pytest.approx(cost.cpu_seconds / 10_000)
    assert cost.size_mb is None


def test_models_that_see_other_things_are_in_dispute(
    labelled_colours: Dataset, colours: ColourEncoder
) -> None:
    @dataclass(frozen=True)
    class Inverted(type(colours)):  # type: ignore[misc]
        name: str = "inverted"

        def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
            return super().encode_pixels(255 - pixels)  # type: ignore[no-any-return]

    labels = ["red", "green", "blue", "black", "white"]
    found = compare(
        labelled_colours,
        [colours, Inverted()],
        templates={"bare": ["{}"]},
        labels=labels,
        resamples=50,
    )
    assert len(found.dataset) == 5
    assert found.left_out == 3
    disputed = {labels[found.truth[d.image]]: (d.a[0], d.b[0]) for d in found.disputes}
    assert disputed["black"] == ("black", "white")
    assert found.differences[0].agreement.only_a == 5
    assert all(d.a[0] == labels[found.truth[d.image]] for d in found.disputes)


def test_pictures_that_cannot_be_decoded_are_left_out_of_everything(
    labelled_colours: Dataset, colours: ColourEncoder, colour_folder: Path
) -> None:
    picture, bare = colour_folder / "images" / "green.png", {"bare": ["{}"]}
    encoders = [colours, replace(colours, name="other")]

    def spoil(title: str, progress: object) -> None:
        if title == "time · colours":
            picture.write_bytes(b"broken")

    with pytest.raises(DatasetError, match=r"green\.png.*it could be read before"):
        compare(labelled_colours, encoders, templates=bare, resamples=50, progress=spoil)
    found = compare(labelled_colours, encoders, templates=bare, resamples=50)
    assert [Path(name).name for name, _ in found.skipped] == ["green.png"]
    assert [found.labels[i] for i in found.truth] == [record.label for record in found.dataset]
    for model in found.models:
        assert model.variants[0].scores.top1.value == 1
        assert model.cost.timed == 7


def test_speed_is_measured_on_some_pictures_in_batches_of_the_asked_size(
    labelled_colours: Dataset, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []

    @dataclass(frozen=True)
    class Watched(type(colours)):  # type: ignore[misc]
        def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
            batches.append(len(pixels))
            return super().encode_pixels(pixels)  # type: ignore[no-any-return]

    monkeypatch.setattr("pareja.tasks.cost._TIMED_PICTURES", 5)
    found = compare(labelled_colours, [Watched()], templates=TEMPLATES, resamples=50, batch_size=3)
    assert found.models[0].cost.timed == 5
    # The pictures, two to load the network, and those that are timed.
    assert batches == [3, 3, 2, 2, 3, 2]


def test_json_holds_it_all(comparison: ModelComparison) -> None:
    written = comparison_to_json(comparison)
    json.dumps(written, allow_nan=False)
    assert set(written["models"]) == {"colours", "sigmoids"}
    assert set(written["models"]["colours"]["prompts"]) == {"photo", "blue"}
    assert written["models"]["colours"]["image_to_text"]["R@1"]["value"] == 1
    assert len(written["differences"]) == 4


def test_what_cannot_be_compared_is_said(labelled_colours: Dataset, colours: ColourEncoder) -> None:
    one = {"photo": ["a photo of a {}"]}
    with pytest.raises(EncoderError, match="nothing to compare"):
        compare(labelled_colours, [colours], templates=one)
    with pytest.raises(EncoderError, match="'colours' is given twice"):
        compare(labelled_colours, [colours, colours], templates=one)
    with pytest.raises(DatasetError) as stranger:
        compare(labelled_colours, [colours], templates=TEMPLATES, labels=["cat", "dog"])
    assert str(stranger.value) == (
        "colours: no picture has one of the labels cat, dog; the dataset's own are red, "
        "green, blue, yellow, white … (+3). Use those, or leave `labels` out."
    )
    alike = [replace(record, label="red") for record in labelled_colours]
    with pytest.raises(LabelError, match=r"colours: 'red' is the only label.* `truth='category'`"):
        compare(replace(labelled_colours, records=tuple(alike)), [colours], templates=TEMPLATES)
    with pytest.raises(LabelError, match="given twice"):
        compare(labelled_colours, [colours], templates=TEMPLATES, labels=["red", "red"])
