from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.conftest import COLOURS, ColourEncoder

import pareja
from pareja.datasets import load_dataset
from pareja.datasets.records import Record
from pareja.encoders import load, require_dual
from pareja.errors import DatasetError, InputError
from pareja.inputs import ImageSource
from pareja.regions.maps import Box
from pareja.regions.thresholds import known_threshold
from pareja.tasks.locating_measures import Answer, labels_of, score_places, true_places


def _record(boxes: Any, label: str | None = None) -> Record:
    text = boxes if isinstance(boxes, str) else json.dumps(boxes)
    image = ImageSource("a.png", Image.new("RGB", (10, 10)))
    return Record("a.png", image, label=label, extra={"boxes": text})


def _answer(score: float, x: float, y: float) -> Answer:
    return Answer(score, (x, y), (Box(x - 5, y - 5, 10, 10, score),))


TRUE = [{"label": "cat", "box": [0, 0, 10, 10]}, {"label": "cat", "box": [80, 80, 10, 10]}]


def test_boxes_and_labels_are_read() -> None:
    truth = true_places(_record(TRUE, label="animal"))
    assert truth.labels == {"cat", "animal"}
    assert truth.boxes == {"cat": ((0, 0, 10, 10), (80, 80, 10, 10))}
    assert true_places(_record("", label="dog")).labels == {"dog"}


@pytest.mark.parametrize(
    "column",
    [
        "{",
        '{"label": 1}',
        '[{"label": "cat"}]',
        '[{"label": "a", "box": [1, 2, 3]}]',
        '[{"label": "a", "box": [1, 2, 0, 4]}]',
        '[{"label": "a", "box": [1, 2, 1, NaN]}]',
    ],
)
def test_a_column_that_holds_no_boxes_is_named(column: str) -> None:
    with pytest.raises(DatasetError, match=r"a\.png: the column 'boxes' is no list") as caught:
        true_places(_record(column))
    assert "left, top, width, height" in str(caught.value)


def test_right_answers_score_one_and_wrong_ones_none() -> None:
    truths = [
        true_places(_record(TRUE)),
        true_places(_record([{"label": "dog", "box": [0, 0, 50, 50]}])),
    ]
    sizes = [(100, 100), (100, 100)]
    right = [
        {"cat": _answer(0.9, 85, 85), "dog": _answer(0.1, 50, 50)},
        {"cat": _answer(0.2, 50, 50), "dog": _answer(0.8, 25, 25)},
    ]
    scores = score_places(right, truths, sizes, "two", resamples=50)
    assert scores.pointing is not None
    assert scores.pointing.hits.value == 1
    assert scores.pointing.random == pytest.approx((0.02 + 0.25) / 2)
    assert scores.presence.auroc.value == 1
    assert 0.2 < scores.threshold.score < 0.8
    assert (scores.threshold.missed, scores.threshold.false) == (0, 0)
    wrong = [{name: _answer(1 - a.score, 60, 40) for name, a in one.items()} for one in right]
    scores = score_places(wrong, truths, sizes, "two", resamples=50)
    assert scores.pointing is not None
    assert scores.pointing.hits.value == 0
    assert scores.presence.auroc.value == 0


def test_the_case_of_words_and_labels_does_not_count() -> None:
    truths = [
        true_places(_record(TRUE)),
        true_places(_record([{"label": "dog", "box": [0, 0, 50, 50]}])),
    ]
    sizes = [(100, 100), (100, 100)]
    said = [
        {"cat": _answer(0.9, 85, 85), "dog": _answer(0.1, 50, 50), "cow": _answer(0.3, 50, 50)},
        {"cat": _answer(0.2, 50, 50), "dog": _answer(0.8, 25, 25), "cow": _answer(0.1, 50, 50)},
    ]
    capital = [{words.title(): answer for words, answer in each.items()} for each in said]
    scores, other = (score_places(a, truths, sizes, "two", resamples=50) for a in (said, capital))
    assert other.pointing == scores.pointing
    assert other.presence == scores.presence
    assert other.precision == scores.precision
    assert (scores.empty, other.empty) == (("cow",), ("Cow",))
    labels = [true_places(_record([{"label": name, "box": [0, 0, 5, 5]}])) for name in ("A", "a")]
    assert labels_of(labels, "two") == ("A",)


def test_average_precision_is_that_of_coco() -> None:
    pytest.importorskip("faster_coco_eval")
    truths = [true_places(_record([{"label": "cat", "box": [0, 0, 10, 10]}]))]
    answers = [
        {
            "cat": Answer(0.9, (5, 5), (Box(0, 0, 10, 10, 0.9), Box(50, 50, 9, 9, 0.5))),
            "dog": Answer(0.1, (5, 5), ()),
        }
    ]
    scores = score_places(answers, truths, [(100, 100)], "one", resamples=50)
    assert scores.precision is not None
    assert scores.precision["AP"] == pytest.approx(1)
    shifted = [answers[0] | {"cat": Answer(0.9, (5, 5), (Box(4, 0, 10, 10, 0.9),))}]
    # An overlap of 60 of 140 pixels is below one half.
    scores = score_places(shifted, truths, [(100, 100)], "one", resamples=50)
    assert scores.precision == {"AP": 0, "AP50": 0, "AP75": 0}


def test_a_dataset_measures_its_own_places(colours: ColourEncoder, colour_folder: Path) -> None:
    metadata = colour_folder / "metadata.csv"
    head, *rows = metadata.read_text().splitlines()
    boxes = [json.dumps([{"label": name, "box": [0, 0, 400, 320]}]) for name in COLOURS]
    cells = ['"' + text.replace('"', '""') + '"' for text in boxes]
    metadata.write_text(
        "\n".join([f"{head},boxes", *(f"{r},{c}" for r, c in zip(rows, cells, strict=True))])
    )
    found = pareja.locate(None, colour_folder, model=colours, measure=True, resamples=50)
    assert found.words == tuple(sorted(COLOURS))
    assert found.measured is not None
    assert found.measured.pointing is not None
    assert found.measured.pointing.hits.value == 1
    assert found.measured.presence.auroc.value > 0.9
    other = pareja.locate("red", colour_folder, model=colours, calibrate=colour_folder)
    assert other.threshold is not None
    assert other.threshold.pictures == 8
    assert next(p.record.file_name for p, _ in other.found()) == "images/red.png"


def test_what_cannot_be_measured_is_refused(colours: ColourEncoder, colour_folder: Path) -> None:
    with pytest.raises(DatasetError, match="nothing says what its pictures show"):
        pareja.locate(None, colour_folder, model=colours, measure=True)
    with pytest.raises(DatasetError, match=r"none of the words .* own are black circle, "):
        pareja.locate("violet", "shapes:2", model=colours, measure=True)
    with pytest.raises(InputError, match="`measure=True`"):
        pareja.locate(None, colour_folder, model=colours)
    for threshold in (float("nan"), 7):
        with pytest.raises(InputError, match=r"`threshold` is .* in \[-1, 1\]"):
            pareja.locate("red", colour_folder, model=colours, threshold=threshold)
    with pytest.raises(InputError, match="give one of them"):
        pareja.locate("red", colour_folder, model=colours, calibrate="shapes:2", threshold=0.1)


@pytest.mark.parametrize("name", ["starter", "clip-shapes", "siglip-shapes"])
def test_the_thresholds_of_embedded_models_are_those_of_their_weights(name: str) -> None:
    threshold = known_threshold(require_dual(load(name)))
    assert threshold is not None
    assert threshold.missed is not None
    assert threshold.false is not None
    assert threshold.missed + threshold.false < 0.2
    assert threshold.pictures >= 200


def test_clip_shapes_points_at_what_is_named() -> None:
    """A quick share of what benchmarks/locate.py measures; a random place has 0.11."""
    run: dict[str, Any] = {"model": "clip-shapes", "template": "a {}", "device": "cpu"}
    found = pareja.locate(None, "shapes:30:1", measure=True, resamples=50, **run)
    assert found.measured is not None
    assert found.measured.pointing is not None
    assert found.measured.pointing.hits.value > 0.7


def test_boxes_of_coco_become_a_column(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), "red").save(tmp_path / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [5, 5, 2, 2], "iscrowd": 1},
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    (record,) = load_dataset(tmp_path / "instances.json")
    assert true_places(record).boxes == {"cat": ((1, 2, 3, 4),)}
