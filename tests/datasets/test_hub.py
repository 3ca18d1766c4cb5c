from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pareja.datasets import load_dataset
from pareja.datasets.formats import hub as hub_format
from pareja.errors import DatasetError, ImageError


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    yield
    hub_format._hub_split.cache_clear()
    hub_format._refuse_files_of_this_machine.cache_clear()


def cells(*pictures: bytes | None, paths: tuple[str | None, ...] = ()) -> list[dict[str, Any]]:
    named = paths or ("a.jpg", "b.jpg", "c.jpg")
    return [{"bytes": p, "path": n} for p, n in zip(pictures, named, strict=False)]


class Hub:
    """Stands in for the functions of ``datasets`` that reach for the hub."""

    def __init__(self, made: Any, splits: list[str]) -> None:
        self.made, self.splits = made, splits
        self.asked: list[tuple[str, str]] = []
        self.data_files: dict[str, list[str]] = {}

    def load_dataset(self, repository: str, split: str) -> Any:
        self.asked.append((repository, split))
        if isinstance(self.made, Exception):
            raise self.made
        return self.made

    def load_dataset_builder(self, repository: str) -> Any:
        return SimpleNamespace(config=SimpleNamespace(data_files=self.data_files))

    def get_dataset_split_names(self, repository: str) -> list[str]:
        return self.splits


def hub(monkeypatch: pytest.MonkeyPatch, made: Any, splits: list[str]) -> Hub:
    import datasets

    stand_in = Hub(made, splits)
    monkeypatch.setattr(datasets, "load_dataset", stand_in.load_dataset)
    monkeypatch.setattr(datasets, "load_dataset_builder", stand_in.load_dataset_builder)
    monkeypatch.setattr(datasets, "get_dataset_split_names", stand_in.get_dataset_split_names)
    return stand_in


def test_a_dataset_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    (tmp_path / "c.jpg").write_bytes(b"three")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "mask": datasets.Image(),
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
        }
    )
    pictures = cells(b"one", b"two", None, paths=("a.jpg", None, str(tmp_path / "c.jpg")))
    made = datasets.Dataset.from_dict(
        {
            "image": [*pictures, None],
            "mask": [None] * 4,
            "text": ["A", "B", "C", "D"],
            "label": [0, 1, 1, None],
        },
        features=features,
    )
    stand_in = hub(monkeypatch, made, ["train"])
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path)
    dataset = load_dataset("hf://owner/name")
    assert [(r.file_name, r.caption, r.label) for r in dataset] == [
        ("a.jpg", "A", "cat"),
        ("000001", "B", "dog"),
        ("c.jpg", "C", "dog"),
        ("000003", "D", None),
    ]
    assert [r.source.read() for r in dataset.records[:3]] == [b"one", b"two", b"three"]
    with pytest.raises(ImageError, match="hf://owner/name/train: row 3: the cell holds no picture"):
        dataset.records[3].source.read()
    assert stand_in.asked == [("owner/name", "train")]
    assert (dataset.name, dataset.location) == ("owner/name/train", "hf://owner/name")
    assert len(load_dataset("hf://owner/name/train", limit=2)) == 2
    assert pickle.loads(pickle.dumps(dataset)) == dataset  # noqa: S301


def test_a_dataset_of_the_hub_with_pictures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    features = datasets.Features({"image": datasets.Image()})
    made = datasets.Dataset.from_dict({"image": cells(b"one")}, features=features)
    hub(monkeypatch, made, ["train"])
    (record,) = load_dataset("hf://owner/name")
    assert (record.file_name, record.captions, record.source.read()) == ("a.jpg", (), b"one")


def test_why_a_dataset_of_the_hub_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    hub(monkeypatch, datasets.Dataset.from_dict({"text": ["A"]}), ["train", "test"])
    with pytest.raises(DatasetError, match=r"the splits train, test\. Name one, as in hf://o/n/t"):
        load_dataset("hf://o/n")
    with pytest.raises(DatasetError, match="has no column with pictures, only text"):
        load_dataset("hf://o/n/test")
    hub(monkeypatch, ConnectionError("Couldn't reach the hub.\nmore"), [])
    with pytest.raises(DatasetError) as caught:
        load_dataset("hf://o/n/train")
    assert str(caught.value) == (
        "hf://o/n cannot be loaded: Couldn't reach the hub. Without a network, give a folder, "
        "a zip or a Parquet file that is on this machine."
    )
    for address in ("hf://n", "hf://o//n", "hf://a/b/c/d", "hf://../../n", "hf://a/..", "hf://./a"):
        with pytest.raises(DatasetError, match="is no address of a dataset"):
            load_dataset(address)


def test_a_row_of_the_hub_reads_no_file_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    ours, theirs = tmp_path / "ours.jpg", tmp_path / "downloads" / "theirs.jpg"
    theirs.parent.mkdir()
    ours.write_bytes(b"private")
    theirs.write_bytes(b"public")
    (tmp_path / "downloads" / "link.jpg").symlink_to(ours)
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", theirs.parent)
    monkeypatch.chdir(tmp_path)
    below = theirs.parent
    named = [theirs, ours, "ours.jpg", below / "../ours.jpg", below / "link.jpg"]
    pictures = [{"bytes": None, "path": str(path)} for path in named]
    features = datasets.Features({"image": datasets.Image()})
    hub(monkeypatch, datasets.Dataset.from_dict({"image": pictures}, features=features), ["train"])
    first, *others = load_dataset("hf://owner/name")
    assert first.source.read() == b"public"
    for record in others:
        with pytest.raises(ImageError, match="which was not downloaded"):
            record.source.read()


def test_a_dataset_of_the_hub_is_none_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    features = datasets.Features({"image": datasets.Image()})
    made = datasets.Dataset.from_dict({"image": cells(b"one")}, features=features)
    stand_in = hub(monkeypatch, made, ["train"])
    stand_in.data_files = {"train": ["hf://datasets/o/n@1/a.csv", f"zip://a::{tmp_path}/b.zip"]}
    with pytest.raises(DatasetError, match=r"hf://o/n names a file that is none of its own: zip"):
        load_dataset("hf://o/n")
    stand_in.data_files = {"train": ["hf://datasets/o/n@1/a.csv", "zip://a::hf://datasets/o/n/b"]}
    assert len(load_dataset("hf://o/n")) == 1
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="there is a folder owner/name here"):
        load_dataset("hf://owner/name")
