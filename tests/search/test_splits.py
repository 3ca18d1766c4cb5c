from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pareja.datasets import load_dataset
from pareja.errors import CollectionError, DatasetError
from pareja.search import Collection

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

PICTURES = {
    "train/red.png": "red",
    "train/green.png": "green",
    "val/blue.png": "blue",
    "test/white.png": "white",
}


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for name, colour in PICTURES.items():
        path = tmp_path / "parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), colour).save(path)
    return tmp_path / "parts"


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with Collection.open(tmp_path / "collection", create=True) as collection:
        yield collection


def names(collection: Collection) -> set[str]:
    return {picture.path.name for picture in collection.pictures()}


def test_one_split_is_indexed_and_brought_up_to_date(
    collection: Collection, parts: Path, colours: ColourEncoder
) -> None:
    assert collection.index(parts, colours, split="train").added == 2
    (parts / "train" / "green.png").unlink()
    Image.new("RGB", (40, 30), "yellow").save(parts / "train" / "yellow.png")
    report = collection.index(parts, colours, split="training")
    assert (report.added, report.removed) == (1, 1)
    assert names(collection) == {"red.png", "yellow.png"}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("train", "val", r"split is 'validation', and of .*parts the collection has its split 'tr"),
        ("train", None, r"no split is given, and of .*parts the collection has its split 'train'"),
        (None, "train", r"split is 'train', and of .*parts the collection has all of it"),
    ],
)
def test_another_split_neither_mixes_nor_removes(
    collection: Collection,
    parts: Path,
    colours: ColourEncoder,
    first: str | None,
    second: str | None,
    message: str,
) -> None:
    collection.index(parts, colours, split=first)
    before = names(collection)
    with pytest.raises(CollectionError, match=message):
        collection.index(parts, colours, split=second)
    with pytest.raises(CollectionError, match=message):
        collection.index(load_dataset(parts), colours, split=second)
    assert names(collection) == before
    collection.forget(parts)
    collection.index(parts, colours, split="val")
    assert names(collection) == {"blue.png"}


def test_what_comes_from_a_folder_in_the_dataset_stays(
    collection: Collection, parts: Path, colours: ColourEncoder
) -> None:
    collection.index(parts, colours, split="train")
    collection.index(parts / "test", colours)
    assert collection.index(parts, colours, split="train").removed == 0
    assert names(collection) == {"red.png", "green.png", "white.png"}


def test_pictures_of_a_split_in_an_archive_are_read(
    collection: Collection, parts: Path, tmp_path: Path, colours: ColourEncoder
) -> None:
    archive = tmp_path / "parts.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for name in PICTURES:
            target.write(parts / name, name)
    collection.index(os.fspath(archive), colours, split="test")
    (picture,) = collection.pictures()
    assert collection.read(picture.id) == (parts / "test" / "white.png").read_bytes()


def test_a_dataset_may_be_given_with_its_split(
    collection: Collection, parts: Path, colours: ColourEncoder
) -> None:
    collection.index([load_dataset(parts)], colours, split="dev")
    assert names(collection) == {"blue.png"}
    assert collection.index(parts, colours, split="val").unchanged == 1


def test_what_has_no_such_split_is_refused(
    collection: Collection, parts: Path, colours: ColourEncoder
) -> None:
    with pytest.raises(DatasetError, match="has no split 'extra'; it has the splits"):
        collection.index(parts, colours, split="extra")
    with pytest.raises(DatasetError, match="is a single picture, which has no splits"):
        collection.index(parts / "test" / "white.png", colours, split="test")
