from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pareja.datasets import Dataset, load_dataset
from pareja.tasks.checks import check_with_encoder

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


def codes(dataset: Dataset, colours: ColourEncoder) -> set[tuple[str, str]]:
    report = check_with_encoder(dataset, colours)
    assert "caption_mismatch" not in report.summary["left_out"]
    assert "flagged" not in report.summary["left_out"]
    return {(problem.code, problem.path) for problem in report.problems}


def test_captions_at_their_own_pictures_pass(
    colour_dataset: Dataset, colours: ColourEncoder
) -> None:
    assert not [c for c, _ in codes(colour_dataset, colours) if c == "caption_mismatch"]


def test_swapped_captions_are_found(colour_folder: Path, colours: ColourEncoder) -> None:
    metadata = colour_folder / "metadata.csv"
    text = metadata.read_text()
    swapped = text.replace("painted white", "painted ?").replace("painted black", "painted white")
    metadata.write_text(swapped.replace("painted ?", "painted black"))
    found = codes(load_dataset(colour_folder), colours)
    assert ("caption_mismatch", "images/white.png") in found
    assert ("caption_mismatch", "images/black.png") in found
    assert ("caption_mismatch", "images/green.png") not in found


def test_a_broken_picture_does_not_hide_the_rest(
    colour_folder: Path, colours: ColourEncoder
) -> None:
    (colour_folder / "images" / "pink.png").write_bytes(b"nothing")
    metadata = colour_folder / "metadata.csv"
    text = metadata.read_text()
    swapped = text.replace("painted white", "painted ?").replace("painted black", "painted white")
    metadata.write_text(swapped.replace("painted ?", "painted black"))
    found = codes(load_dataset(colour_folder), colours)
    assert ("undecodable", "images/pink.png") in found
    assert ("caption_mismatch", "images/white.png") in found
    assert ("caption_mismatch", "images/pink.png") not in found
