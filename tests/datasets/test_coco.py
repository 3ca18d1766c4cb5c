from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pareja.datasets import load_dataset
from pareja.errors import DatasetError, MetadataError


def content(**changes: object) -> dict[str, Any]:
    return {
        "images": [
            {"id": 2, "file_name": "b.jpg", "license": 4, "flickr_url": "https://f.org/b"},
            {"id": 1, "file_name": "a.jpg", "coco_url": "https://c.org/a"},
        ],
        "annotations": [
            {"image_id": 1, "caption": "A cat. "},
            {"image_id": 2, "caption": "A dog"},
            {"image_id": 1, "caption": "It sleeps"},
            {"image_id": 1, "caption": "A cat."},
        ],
        "licenses": [{"id": 4, "name": "CC-BY-2.0"}],
        **changes,
    }


def written(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def pictures(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(name)


@pytest.mark.parametrize("folder", ["val2017", "images/val2017", "annotations", "images", "."])
def test_captions_and_pictures_where_people_put_them(tmp_path: Path, folder: str) -> None:
    path = written(tmp_path / "annotations" / "captions_val2017.json", content())
    pictures(tmp_path / folder, "a.jpg", "b.jpg", "c.jpg")
    dataset = load_dataset(path)
    second, first = dataset
    assert first.captions == ("A cat.", "It sleeps")
    assert (second.captions, second.license) == (("A dog",), "CC-BY-2.0")
    assert (first.source_url, second.source_url) == ("https://c.org/a", "https://f.org/b")
    assert [record.source.read() for record in dataset] == [b"b.jpg", b"a.jpg"]
    assert first.where == "captions_val2017.json: image 1"
    assert (dataset.name, dataset.location) == ("captions_val2017", path)
    assert dataset.unlisted == ("c.jpg",)


def test_two_entries_of_one_picture_are_joined(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": r".\a.jpg"}]
    path = written(tmp_path / "captions.json", content(images=images))
    pictures(tmp_path / "images", "a.jpg")
    (record,) = load_dataset(path)
    assert record.captions == ("A cat.", "It sleeps", "A dog")


def test_only_a_late_picture_is_there(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": rf"images\{n}.jpg"} for n in range(30)]
    path = written(tmp_path / "captions.json", content(images=images))
    pictures(tmp_path / "images", "29.jpg")
    assert [record.file_name for record in load_dataset(path, on_missing="skip")] == [
        "images/29.jpg"
    ]
    assert len(load_dataset(path, on_missing="keep").missing) == 29


def test_boxes_of_one_kind_are_a_label(tmp_path: Path) -> None:
    boxes = [(1, 7), (1, 7), (2, 7), (2, 8)]
    path = written(
        tmp_path / "_annotations.coco.json",
        content(
            annotations=[{"image_id": image, "category_id": kind} for image, kind in boxes],
            categories=[{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}],
        ),
    )
    pictures(tmp_path, "a.jpg", "b.jpg")
    assert {r.file_name: r.label for r in load_dataset(path)} == {"a.jpg": "cat", "b.jpg": None}


def test_missing_pictures(tmp_path: Path) -> None:
    path = written(tmp_path / "captions.json", content())
    with pytest.raises(DatasetError, match=r"as 'b\.jpg', are in none of: .*Put them into"):
        load_dataset(path)
    pictures(tmp_path, "a.jpg")
    with pytest.raises(MetadataError, match=r"^captions\.json: image 2: image 'b\.jpg' not found"):
        load_dataset(path)
    assert len(load_dataset(path, on_missing="skip")) == 1
    assert load_dataset(path, on_missing="keep").missing == (("captions.json: image 2", "b.jpg"),)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "captions.json: is not JSON"),
        ([], "is no COCO captions file"),
        ({"images": []}, "is no COCO captions file"),
        (content(images={}), "captions.json: 'images' is no list of objects"),
        (content(annotations=[1]), "captions.json: 'annotations' is no list of objects"),
        (content(images=[]), "captions.json: lists no pictures"),
        (content(images=[{"id": 1}]), "captions.json: image 1: file_name is missing"),
        (
            content(images=[{"id": 1, "file_name": "/home/ann/a.jpg"}]),
            "captions.json: image 1: file_name '/home/ann/a.jpg' is an absolute path; names are",
        ),
        (
            content(images=[{"id": 1, "file_name": "../set/a.jpg"}]),
            "captions.json: image 1: file_name '../set/a.jpg' leads out",
        ),
        (
            content(annotations=[{"image_id": 1, "caption": {"x": 1}}]),
            "captions.json: image 1: caption is {'x': 1}",
        ),
    ],
)
def test_wrong_files(tmp_path: Path, value: object, message: str) -> None:
    path = written(tmp_path / "set" / "captions.json", value)
    pictures(path.parent, "a.jpg", "b.jpg")
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert message in str(caught.value)


def test_a_file_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "captions.json", content())
    monkeypatch.setattr("pareja.datasets.formats.coco.MAX_FILE_BYTES", 10)
    with pytest.raises(DatasetError, match=r"captions\.json has "):
        load_dataset(path)


def test_a_link_out_of_the_dataset_is_not_followed(tmp_path: Path) -> None:
    pictures(tmp_path / "private", "a.jpg", "b.jpg")
    file = written(tmp_path / "theirs" / "captions.json", content())
    (file.parent / "images").symlink_to(tmp_path / "private")
    with pytest.raises(DatasetError, match="a link that leads out of the dataset"):
        load_dataset(file)
