"""``--split``: the same option, whatever a command does with a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pareja.datasets import load_dataset

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja


@pytest.fixture
def split_folders(tmp_path: Path) -> str:
    for number, split in enumerate(("train", "train", "test")):
        folder = tmp_path / "set" / split
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.effect_noise((256, 256), 90 + number)
        picture.save(folder / f"{number}.png")
        with (folder / "metadata.csv").open("a") as table:
            table.write("file_name,caption\n" if not table.tell() else "")
            table.write(f"{number}.png,noise of the number {number}\n")
    return "set"


def test_check_and_pack_one_split(pareja: Pareja, split_folders: str, tmp_path: Path) -> None:
    checked = pareja("check", split_folders, "--split", "train", "--json")
    assert json.loads(checked.out)["summary"]["pictures"] == 2
    assert pareja("pack", split_folders, "--split", "test", "-o", "test.zip").status == 0
    (record,) = load_dataset(tmp_path / "test.zip")
    assert (record.caption, record.split) == ("noise of the number 2", "test")
    said = pareja("check", split_folders, "--split", "val")
    assert said.status == 1
    assert "has no split 'val'; it has the splits test, train." in said.err


def test_pictures_of_one_split(pareja: Pareja, split_folders: str) -> None:
    told = pareja("classify", split_folders, "--labels", "cat,dog", "--split", "test", "--json")
    assert [image["path"] for image in json.loads(told.out)["images"]] == ["test/2.png"]
    one = pareja("classify", "set/test/2.png", "--labels", "cat,dog", "--split", "test")
    assert one.status == 1
    assert "names single pictures, which have no splits" in one.err


def test_embed_and_index_one_split(pareja: Pareja, split_folders: str) -> None:
    told = pareja("embed", split_folders, "--split", "train", "-o", "train.npz", "--json")
    assert json.loads(told.out)["pictures"] == 2
    told = pareja("index", split_folders, "--split", "test", "--index", "shelf", "--json")
    assert json.loads(told.out)["pictures"] == 1
    other = pareja("index", split_folders, "--split", "train", "--index", "shelf")
    assert other.status == 1
    assert "the collection has its split 'test'" in other.err


def test_a_table_that_is_not_read_is_named_by_every_command(
    pareja: Pareja, split_folders: str, tmp_path: Path
) -> None:
    for table in (tmp_path / split_folders).rglob("metadata.csv"):
        table.rename(table.with_name("metadata.ods"))
    checked = pareja("check", split_folders)
    assert checked.status == 1
    assert "captions_unread" in checked.out
    assert "metadata.ods" in checked.out
    told = pareja("classify", split_folders, "--labels", "cat,dog")
    assert "train/metadata.ods: It is not read. Save the table as CSV" in told.err
