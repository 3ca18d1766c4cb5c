from __future__ import annotations

from pathlib import Path

import pytest

from pareja.datasets.gathering import load_pictures
from pareja.errors import DatasetError


def test_one_dataset_is_taken_as_it_is(colour_folder: Path) -> None:
    dataset = load_pictures([str(colour_folder)])
    assert dataset.name == "colours"
    assert dataset.records[0].file_name == "images/red.png"


def test_files_and_folders_are_put_together(colour_folder: Path, tmp_path: Path) -> None:
    red = str(colour_folder / "images" / "red.png")
    assert [r.file_name for r in load_pictures([red])] == [red]
    other = tmp_path / "other.png"
    other.write_bytes((colour_folder / "images" / "red.png").read_bytes())
    mixed = load_pictures([str(other), f"{colour_folder}/"])
    assert len(mixed) == 9
    assert mixed.records[0].file_name == str(other)
    assert mixed.records[1].file_name == f"{colour_folder}/images/red.png"
    assert mixed.records[1].caption == "A wall painted red"


def test_what_is_not_there_or_there_twice_is_said(colour_folder: Path) -> None:
    red = str(colour_folder / "images" / "red.png")
    with pytest.raises(DatasetError, match="named twice"):
        load_pictures([red, red])
    with pytest.raises(DatasetError, match="does not exist"):
        load_pictures([red, str(colour_folder / "mauve.png")])
    with pytest.raises(DatasetError, match="no pictures"):
        load_pictures([])
