from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from pareja.datasets import load_dataset
from pareja.datasets.formats import parquet as parquet_format
from pareja.errors import DatasetError, ImageError, MetadataError, MissingDependencyError


@pytest.fixture(autouse=True)
def _fresh_caches() -> Iterator[None]:
    yield
    parquet_format._row_group.cache_clear()


def table(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(pa.table(columns), path, **options)
    return path


def cells(*pictures: bytes | None, paths: tuple[str | None, ...] = ()) -> list[dict[str, Any]]:
    named = paths or ("a.jpg", "b.jpg", "c.jpg")
    return [{"bytes": p, "path": n} for p, n in zip(pictures, named, strict=False)]


def test_pictures_in_the_table(tmp_path: Path) -> None:
    path = table(
        tmp_path / "set.parquet",
        {
            "image": cells(b"one", b"two", b"three", paths=("x/a.jpg", "a.jpg", None)),
            "caption": ["A", " B ", None],
            "category": ["p", "q", "p"],
            "width": [1, None, 3],
            "hash": [b"x", b"y", b"z"],
        },
        row_group_size=2,
    )
    dataset = load_dataset(path)
    assert [(r.file_name, r.captions, r.category, r.extra) for r in dataset] == [
        ("a.jpg", ("A",), "p", {"width": "1"}),
        ("000001-a.jpg", ("B",), "q", {}),
        ("000002", (), "p", {"width": "3"}),
    ]
    assert [r.where for r in dataset] == [f"set.parquet:{n}" for n in (1, 2, 3)]
    assert pickle.loads(pickle.dumps(dataset)) == dataset  # noqa: S301
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda record: record.source.read(), dataset.records * 5))
    assert read == [b"one", b"two", b"three"] * 5
    assert str(dataset.records[2].source) == f"{path}: row 0 of group 1"
    assert len(load_dataset(path, limit=1)) == 1


def test_pictures_as_plain_bytes_with_names_and_lists_of_captions(tmp_path: Path) -> None:
    path = table(
        tmp_path / "set.parquet",
        {"jpg": [b"one", b"two"], "file_name": ["x/1.jpg", None], "captions": [["A", "B"], []]},
    )
    dataset = load_dataset(path)
    assert [(r.file_name, r.captions) for r in dataset] == [("1.jpg", ("A", "B")), ("000001", ())]
    assert dataset.records[1].source.read() == b"two"


def test_pictures_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"one")
    (tmp_path / "unlisted.jpg").touch()
    path = table(tmp_path / "set.parquet", {"file_name": ["a.jpg", "b.jpg"], "caption": ["A", "B"]})
    with pytest.raises(MetadataError, match=r"^set\.parquet:2: image 'b\.jpg' not found"):
        load_dataset(path)
    kept = load_dataset(path, on_missing="keep")
    assert [(r.caption, r.source.read()) for r in kept] == [("A", b"one")]
    assert kept.missing == (("set.parquet:2", "b.jpg"),)
    assert (kept.unlisted, kept.location) == (("unlisted.jpg",), path)


def test_pictures_alone(tmp_path: Path) -> None:
    dataset = load_dataset(table(tmp_path / "set.parquet", {"image": [b"one", b"two"]}))
    assert [(r.file_name, r.source.read()) for r in dataset] == [
        ("000000", b"one"),
        ("000001", b"two"),
    ]


def test_numbers_of_classes_become_their_names(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    made = datasets.Dataset.from_dict(
        {"image": cells(b"one", b"two", b"three"), "label": [1, 0, -1]}, features=features
    )
    parquet.write_table(made.data.table, tmp_path / "set.parquet")
    dataset = load_dataset(tmp_path / "set.parquet")
    assert [record.label for record in dataset] == ["dog", "cat", None]
    assert [record.source.read() for record in dataset] == [b"one", b"two", b"three"]


def test_parquet_files_that_are_none_or_empty(tmp_path: Path) -> None:
    (tmp_path / "set.parquet").write_bytes(b"no parquet")
    with pytest.raises(DatasetError, match=r"set\.parquet is no Parquet file, or a damaged one"):
        load_dataset(tmp_path / "set.parquet")
    path = table(tmp_path / "set.parquet", {"image": pa.array([], pa.binary())})
    with pytest.raises(DatasetError, match="holds no pictures"):
        load_dataset(path)
    path = table(tmp_path / "set.parquet", {"x": [1], "where": [{"lon": 1}]})
    with pytest.raises(MetadataError, match=r"set\.parquet:1: file_name is missing"):
        load_dataset(path)


def test_cells_that_hold_no_picture_or_vanish(tmp_path: Path) -> None:
    path = table(tmp_path / "set.parquet", {"image": cells(None, b"two", paths=(None, "b"))})
    first, second = load_dataset(path)
    with pytest.raises(ImageError, match="row 0 of group 0: the cell holds no bytes"):
        first.source.read()
    path.unlink()
    with pytest.raises(ImageError, match=r"row 1 of group 0: cannot be read: .*No such file"):
        second.source.read()


def test_the_advice_about_paths_without_bytes_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    (tmp_path / "a.jpg").write_bytes(b"one")
    features = datasets.Features({"image": datasets.Image(), "caption": datasets.Value("string")})
    rows = datasets.Dataset.from_dict(
        {"image": [str(tmp_path / "a.jpg")], "caption": ["A"]}, features=features
    )
    monkeypatch.chdir(tmp_path)
    rows.to_parquet("paths.parquet")
    (record,) = load_dataset("paths.parquet")
    with pytest.raises(
        ImageError, match=r"the cell holds the path /.*a\.jpg and no bytes"
    ) as caught:
        record.source.read()
    exec(caught.value.reason.partition("pictures in it: ")[2], {"rows": rows})  # noqa: S102
    (record,) = load_dataset("new.parquet")
    assert (record.caption, record.source.read()) == ("A", b"one")


@pytest.mark.parametrize(
    ("module", "location"), [("pyarrow", "set.parquet"), ("datasets", "hf://owner/name/train")]
)
def test_packages_that_are_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, location: str
) -> None:
    (tmp_path / "set.parquet").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=f"^{module} is needed"):
        load_dataset(location)
