"""Results as MTEB keeps them: the fields that its `TaskResult` asks for, and right numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import pareja
from pareja.datasets import Dataset
from pareja.errors import OutputError
from pareja.tasks.mteb_export import mteb_result, write_mteb
from pareja.tasks.study import StudyResult

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

FEW: dict[str, Any] = {"permutations": 99, "resamples": 50, "cache": False}


@pytest.fixture
def result(colour_dataset: Dataset, colours: ColourEncoder) -> StudyResult:
    shifted = [*colour_dataset.records[1:], colour_dataset.records[0]]
    records = tuple(
        replace(record, caption_es=other.caption)
        for record, other in zip(colour_dataset, shifted, strict=True)
    )
    spanish = replace(colour_dataset, records=records)
    return pareja.study(spanish, colours, captions=["caption", "caption_es"], **FEW)


def with_similarity(result: StudyResult, similarity: list[list[float]]) -> StudyResult:
    """Put other numbers into the study of the first pictures, each with one caption."""
    n = len(similarity)
    dataset = replace(result.dataset, records=result.dataset.records[:n])
    encoder = replace(result.encoders[0], similarity=np.array(similarity))
    return replace(result, dataset=dataset, encoders=(encoder,), others=())


def test_each_direction_is_a_file_that_mteb_reads(result: StudyResult, tmp_path: Path) -> None:
    written = write_mteb(result, tmp_path)
    folder = tmp_path / "results" / "pareja__colours" / "1"
    assert written == [folder / "coloursI2TRetrieval.json", folder / "coloursT2IRetrieval.json"]
    meta = json.loads((folder / "model_meta.json").read_text("utf-8"))
    assert (meta["name"], meta["revision"]) == ("pareja/colours", "1")
    told = json.loads(written[1].read_text("utf-8"))
    assert set(told) == {
        "dataset_revision",
        "task_name",
        "mteb_version",
        "scores",
        "evaluation_time",
    }
    assert told["task_name"] == "coloursT2IRetrieval"
    english, spanish = told["scores"]["test"]
    assert (english["hf_subset"], english["languages"]) == ("caption", ["eng-Latn"])
    assert (spanish["hf_subset"], spanish["languages"]) == ("caption_es", ["spa-Latn"])
    assert english["main_score"] == english["ndcg_at_10"] == english["hit_rate_at_1"] == 1
    assert english["hit_rate_at_1_low"] < 1 == english["hit_rate_at_1_high"]
    assert spanish["hit_rate_at_1"] == 0 < spanish["ndcg_at_10"] < 1
    with pytest.raises(OutputError, match="exists"):
        write_mteb(result, tmp_path)
    assert write_mteb(result, tmp_path, force=True) == written


def test_scores_are_those_worked_out_by_hand(result: StudyResult) -> None:
    small = with_similarity(result, [[0.9, 0.1, 0.3], [0.8, 0.7, 0.2], [0.1, 0.2, 0.9]])
    to_image, to_text = (
        mteb_result(small, small.encoders[0], direction)["scores"]["test"][0]
        for direction in ("text_to_image", "image_to_text")
    )
    assert to_image["ndcg_at_10"] == 1
    # The second picture's caption comes second.
    assert to_text["ndcg_at_10"] == pytest.approx((2 + 1 / np.log2(3)) / 3)
    assert to_text["recall_at_1"] == to_text["precision_at_1"] == pytest.approx(2 / 3)
    assert to_text["mrr_at_10"] == pytest.approx(2.5 / 3)
    assert (to_text["recall_at_5"], to_text["precision_at_5"]) == (1, pytest.approx(0.2))


def test_what_scores_everything_alike_gains_nothing_by_its_order(result: StudyResult) -> None:
    constant = with_similarity(result, [[0.5] * 3] * 3)
    told = mteb_result(constant, constant.encoders[0], "text_to_image")["scores"]["test"][0]
    assert told["recall_at_1"] == told["mrr_at_1"] == 0
    assert told["mrr_at_10"] == pytest.approx(1 / 3)
