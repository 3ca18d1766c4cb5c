from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pareja.analysis.retrieval import Direction
from pareja.datasets import Dataset, load_dataset
from pareja.encoders import EncoderPair
from pareja.errors import DatasetError, EncoderError
from pareja.tasks import encoder_measures
from pareja.tasks.encoder_measures import CAPTION_TEMPLATES
from pareja.tasks.study import StudyResult
from pareja.tasks.study import study as run_study
from pareja.tasks.study_export import study_to_json, write_csv

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


def small_study(dataset: Dataset, *encoders: Any, seed: int = 0) -> StudyResult:
    return run_study(dataset, encoders, seed=seed, permutations=199, resamples=200)


@pytest.fixture
def pair(colours: ColourEncoder) -> EncoderPair:
    return EncoderPair("pictures+words", colours, colours)


@pytest.fixture
def result(colour_dataset: Dataset, pair: EncoderPair, colours: ColourEncoder) -> StudyResult:
    return small_study(colour_dataset, pair, colours)


def test_an_encoder_that_knows_the_colours_finds_every_picture(result: StudyResult) -> None:
    aligned = result.encoders[1]
    assert aligned.image_to_text.recall[1].value == 1
    assert aligned.text_to_image.recall[1].value == 1
    assert aligned.matching.test.p_value == pytest.approx(2 / 200)
    assert aligned.first_place["image_to_text"].p_value == pytest.approx(1 / 200)
    assert aligned.similarity.shape == (8, 8)
    assert aligned.bridges == ()
    assert aligned.dual is not None
    assert [prompt.template for prompt in aligned.dual.prompts] == list(CAPTION_TEMPLATES)
    directions: tuple[Direction, ...] = ("image_to_text", "text_to_image")
    for direction in directions:
        assert all(prompt.recall[direction].value == 1 for prompt in aligned.dual.prompts)
    assert 0 <= aligned.dual.ece.value <= 1
    assert {scores.category for scores in aligned.categories} == {"dark", "bright"}


def test_a_pair_is_scored_by_every_way_across(result: StudyResult) -> None:
    across = result.encoders[0]
    names = [bridge.name for bridge in across.bridges]
    assert names == ["random_projection", "ridge", "cca", "procrustes", "relative"]
    assert across.dual is None
    # Ridge stands for the pair, whatever the figures of the five say.
    assert across.bridge == "ridge"
    np.testing.assert_array_equal(across.similarity, across.bridges[1].similarity)
    assert across.matching is across.bridges[1].matching


def test_of_large_matrices_a_pair_keeps_one(
    colour_dataset: Dataset, pair: EncoderPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_measures, "MOST_CELLS", 63)
    found = run_study(colour_dataset, pair, permutations=9, resamples=9).encoders[0]
    assert [b.name for b in found.bridges if b.similarity is not None] == ["ridge"]
    assert found.similarity is found.bridges[1].similarity


def test_encoders_are_compared_by_the_bridge_and_never_by_the_random_projection(
    result: StudyResult,
) -> None:
    pair, comparison = result.encoders[0], result.comparisons[0]
    np.testing.assert_array_equal(comparison.matched_a, pair.bridges[1].matching.matched)
    assert not np.array_equal(comparison.matched_a, pair.bridges[0].matching.matched)


def test_the_same_seed_gives_the_same_numbers(
    colour_dataset: Dataset, pair: EncoderPair, colours: ColourEncoder, result: StudyResult
) -> None:
    again = study_to_json(small_study(colour_dataset, pair, colours))
    other = study_to_json(small_study(colour_dataset, pair, colours, seed=1))
    first = study_to_json(result)
    for study in (first, again, other):
        for encoder in study["encoders"].values():
            del encoder["seconds"]
    assert first == again
    assert first["encoders"] != other["encoders"]


def test_json_has_the_agreed_names_and_no_nan(result: StudyResult) -> None:
    study = study_to_json(result, {"report_html": "report.html"})
    json.dumps(study, allow_nan=False)
    assert study["files"] == {"report_html": "report.html"}
    assert study["dataset"]["images"] == 8
    assert set(study["encoders"]) == {"pictures+words", "colours"}
    encoder = study["encoders"]["colours"]
    assert encoder["kind"] == "dual"
    for direction in ("image_to_text", "text_to_image"):
        assert {"R@1", "R@5", "R@10", "MRR", "median_rank"} <= set(encoder[direction])
    assert {"matched_mean", "mismatched_mean", "auc", "permutation_p"} <= set(encoder)
    comparison = study["comparisons"][0]
    assert (comparison["a"], comparison["b"]) == ("pictures+words", "colours")
    assert -1 <= comparison["ci"][0] <= comparison["spearman"] <= comparison["ci"][1] <= 1


def test_csv_holds_every_matrix_and_pair(result: StudyResult, tmp_path: Path) -> None:
    written = write_csv(result, tmp_path)
    assert set(written) == {
        "pairs",
        "similarity-pictures+words",
        "similarity-pictures+words-random_projection",
        "similarity-pictures+words-ridge",
        "similarity-pictures+words-cca",
        "similarity-pictures+words-procrustes",
        "similarity-pictures+words-relative",
        "similarity-colours",
    }
    with written["similarity-colours"].open(encoding="utf-8-sig", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["file_name", *result.dataset.captions]
    for row, record, values in zip(
        rows, result.dataset, result.encoders[1].similarity, strict=True
    ):
        assert row[0] == record.file_name
        assert [float(cell) for cell in row[1:]] == pytest.approx(list(values), abs=1e-6)
    with written["pairs"].open(encoding="utf-8-sig", newline="") as file:
        pairs = list(csv.DictReader(file))
    assert [row["caption"] for row in pairs] == list(result.dataset.captions)
    assert all(math.isclose(float(row["rank image_to_text colours"]), 1) for row in pairs)


@pytest.mark.parametrize("name", ["../owner/repo", "/models/" + 300 * "x" + "/clip"])
def test_any_name_makes_files_of_its_own_inside_the_folder(
    colour_dataset: Dataset, colours: ColourEncoder, tmp_path: Path, name: str
) -> None:
    encoders = [replace(colours, name=name), replace(colours, name=f"/other{name}")]
    written = write_csv(small_study(colour_dataset, *encoders), tmp_path)
    assert len(written) == 3
    assert all(path.is_file() and path.parent == tmp_path for path in written.values())


def test_pictures_that_cannot_take_part_are_listed(
    colour_folder: Path, colours: ColourEncoder
) -> None:
    (colour_folder / "images" / "red.png").write_text("not a picture")
    metadata = colour_folder / "metadata.csv"
    metadata.write_text(metadata.read_text().replace("A wall painted blue", ""))
    result = small_study(load_dataset(colour_folder), colours)
    assert len(result.dataset) == 6
    assert result.encoders[0].similarity.shape == (6, 6)
    names = [Path(path).name for path, _ in result.skipped]
    assert names == ["blue.png", "red.png"]
    assert "caption" in result.skipped[0][1]


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_too_few_pictures_are_refused(
    colour_dataset: Dataset, colours: ColourEncoder, kept: int
) -> None:
    few = replace(colour_dataset, records=colour_dataset.records[:kept])
    with pytest.raises(DatasetError, match="at least 5 pictures"):
        small_study(few, colours)


def test_the_same_encoder_twice_is_refused(colour_dataset: Dataset, colours: ColourEncoder) -> None:
    with pytest.raises(EncoderError, match="'colours' is given twice"):
        small_study(colour_dataset, colours, colours)


def test_without_categories_there_are_no_results_by_category(
    colour_dataset: Dataset, colours: ColourEncoder
) -> None:
    plain = tuple(replace(record, category=None) for record in colour_dataset)
    result = small_study(replace(colour_dataset, records=plain), colours)
    assert result.encoders[0].categories == ()
    assert result.encoders[0].confusion is None
    assert study_to_json(result)["encoders"]["colours"]["confusion"] is None


@pytest.mark.parametrize("captions", [("the same",) * 8, tuple("abcdefgh")])
def test_captions_that_say_nothing_still_give_numbers(
    colour_dataset: Dataset, colours: ColourEncoder, captions: tuple[str, ...]
) -> None:
    records = tuple(
        replace(record, captions=(caption,))
        for record, caption in zip(colour_dataset, captions, strict=True)
    )
    study = study_to_json(small_study(replace(colour_dataset, records=records), colours))
    json.dumps(study, allow_nan=False)
