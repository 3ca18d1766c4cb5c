from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import pareja
from pareja.classifiers.classification import Classification
from pareja.datasets import Dataset
from pareja.errors import DatasetError, InputError, LabelError
from pareja.tasks.evaluation import distinct, evaluate, true_labels
from pareja.tasks.labelling import calibrated_threshold, classify
from pareja.tasks.labelling_export import labelled_to_csv, labelled_to_json

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.fixture
def labelled_colours(colour_dataset: Dataset) -> Dataset:
    """The coloured pictures, each labelled by its colour."""
    records = tuple(
        replace(record, label=record.file_name.split("/")[-1].split(".")[0])
        for record in colour_dataset
    )
    return replace(colour_dataset, records=records)


def test_the_labels_are_the_dataset_s_own(
    labelled_colours: Dataset, colours: ColourEncoder
) -> None:
    labelled = classify(labelled_colours, model=colours, truth="label", resamples=50)
    assert labelled.result.labels == (
        "red",
        "green",
        "blue",
        "yellow",
        "white",
        "black",
        "pink",
        "brown",
    )
    assert labelled.evaluation is not None
    assert labelled.evaluation.scores is not None
    assert labelled.evaluation.scores.top1.value == 1
    assert labelled.evaluation.rejection is None


def test_other_labels_are_unknown_and_empty_ones_are_named(
    labelled_colours: Dataset, colours: ColourEncoder
) -> None:
    labels = ["Red", "green", "blue", "violet"]
    labelled = classify(labelled_colours, labels, model=colours, truth="label", resamples=50)
    found = labelled.evaluation
    assert found is not None
    assert found.scores is not None
    assert found.rejection is not None
    assert (found.scores.n_images, found.outside, found.empty) == (3, 5, ("violet",))
    assert found.indices == (0, 1, 2)
    assert (found.rejection.n_known, found.rejection.n_unknown) == (3, 5)
    threshold = calibrated_threshold(labelled)
    again = classify(
        labelled_colours, labels, model=colours, truth="label", unknown=threshold, resamples=50
    )
    assert again.evaluation is not None
    assert again.evaluation.rejection is not None
    assert again.evaluation.rejection.threshold == threshold
    assert again.result.unknown.sum() > 0


def test_json_and_csv_say_the_same(labelled_colours: Dataset, colours: ColourEncoder) -> None:
    labels = ["red", "green", "blue"]
    labelled = classify(labelled_colours, labels, model=colours, truth="label", unknown=0.6)
    written = labelled_to_json(labelled)
    json.dumps(written, allow_nan=False)
    assert written["labels"] == labels
    first = written["images"][0]
    assert (first["path"], first["truth"]) == ("images/red.png", "red")
    assert set(first["scores"]) == set(labels)
    rows = list(csv.DictReader(labelled_to_csv(labelled).removeprefix("\ufeff").splitlines()))
    for row, image in zip(rows, written["images"], strict=True):
        assert row["path"] == image["path"]
        assert row["label"] == (image["label"] or "")
        for label in labels:
            assert float(row[label]) == pytest.approx(image["scores"][label], abs=1e-6)
    short = list(csv.reader(labelled_to_csv(labelled, 2).removeprefix("\ufeff").splitlines()))
    assert short[0][-4:] == ["label_1", "score_1", "label_2", "score_2"]
    assert len(labelled_to_json(labelled, 2)["images"][0]["scores"]) == 2


def test_several_labels_are_measured_one_by_one(
    labelled_colours: Dataset, colours: ColourEncoder
) -> None:
    records = [replace(r, label=f"{r.label}; wall") for r in labelled_colours.records]
    dataset = replace(labelled_colours, records=tuple(records))
    encoder = replace(colours, loss="sigmoid")
    labelled = classify(dataset, model=encoder, multi_label=True, truth="label", resamples=50)
    assert labelled.result.labels[:3] == ("red", "wall", "green")
    assert labelled.evaluation is not None
    assert labelled.evaluation.scores is None
    assert labelled.evaluation.several is not None
    assert labelled.evaluation.several.average_precision["wall"] == 1
    assert labelled.evaluation.several.average_precision["red"] == 1


def test_wrong_labels_are_told_before_pictures_are_read(
    labelled_colours: Dataset, colours: ColourEncoder
) -> None:
    class Unreadable:
        def read(self) -> bytes:
            raise AssertionError

    records = tuple(replace(r, source=Unreadable()) for r in labelled_colours)
    with pytest.raises(LabelError, match="given twice"):
        classify(replace(labelled_colours, records=records), ["red", "red"], model=colours)


def test_a_truth_that_is_not_there_is_said(
    colour_dataset: Dataset, labelled_colours: Dataset, colours: ColourEncoder
) -> None:
    with pytest.raises(DatasetError, match="no picture has a label"):
        true_labels(colour_dataset, "label")
    with pytest.raises(DatasetError, match="own are red, green, blue"):
        classify(labelled_colours, ["cat", "dog"], model=colours, truth="label")
    assert distinct(["Cat", None, "dog", "cat"]) == ("Cat", "dog")


def test_pictures_that_do_not_decode_are_left_out(
    labelled_colours: Dataset, colours: ColourEncoder
) -> None:
    location = labelled_colours.records[1].source
    path = getattr(location, "path")  # noqa: B009  the protocol knows no files
    path.write_bytes(b"broken")
    labelled = classify(labelled_colours, model=colours, truth="label", resamples=20)
    assert len(labelled.skipped) == 1
    assert labelled.evaluation is not None
    assert labelled.evaluation.empty == ("green",)
    assert len(labelled.dataset) == len(labelled.result) == 7


def test_refusing_is_measured_with_the_threshold_in_use() -> None:
    result = Classification(
        labels=("a", "b"),
        probabilities=np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], np.float32),
        certainty=np.array([0.9, 0.7, 0.4]),
        threshold=0.8,
    )
    found = evaluate(result, ["a", "b", "c"], resamples=20)
    assert found.rejection is not None
    assert found.rejection.kept.value == 0.5
    assert found.rejection.refused.value == 1


def test_other_words_need_a_truth_that_they_stand_for(
    labelled_colours: Dataset, colours: ColourEncoder
) -> None:
    found = classify(labelled_colours, {"rojo": "red", "azul": "blue"}, model=colours, cache=False)
    assert found.result.labels == ("rojo", "azul")
    with pytest.raises(LabelError, match="'rojo=red' says what the truth calls it"):
        classify(labelled_colours, "rojo=red,azul=blue", model=colours, cache=False)
    found = classify(labelled_colours, ["=red", "=>"], model=colours, cache=False)
    assert found.result.labels == ("=red", "=>")


def test_labels_come_from_the_path_of_a_file(
    labelled_colours: Dataset, colours: ColourEncoder, tmp_path: Path
) -> None:
    (tmp_path / "labels.txt").write_text("red\nblue\n", encoding="utf-8-sig")
    found = classify(labelled_colours, tmp_path / "labels.txt", model=colours, cache=False)
    assert found.result.labels == ("red", "blue")


def test_misspelt_columns_and_languages_are_refused(
    labelled_colours: Dataset, colours: ColourEncoder, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"`truth` is 'labels'. Give 'label' or 'category'"):
        classify(labelled_colours, truth="labels", model=colours)  # type: ignore[arg-type]
    found = classify(labelled_colours, ["red", "blue"], model=colours, cache=False)
    with pytest.raises(InputError, match=r"`lang` is 'fr'. Give 'en' or 'es'"):
        found.save(tmp_path / "out.html", lang="fr")  # type: ignore[arg-type]
    assert not (tmp_path / "out.html").exists()
    with pytest.raises(InputError, match=r"`unknown` is '0\.5'"):
        classify(labelled_colours, ["red"], model=colours, unknown="0.5")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"`method` is 'svm'. Give 'knn', "):
        pareja.learn(labelled_colours, truth="label", model=colours, method="svm")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="models is empty"):
        pareja.study(labelled_colours, [])
