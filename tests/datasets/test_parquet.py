from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from tests.datasets.picture_files import saved

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


def drawn(shade: int) -> bytes:
    return saved(Image.new("L", (4, 4), shade), "PNG")


def test_rows_of_one_picture_are_joined_with_and_without_paths(tmp_path: Path) -> None:
    one, two = drawn(1), drawn(2)
    for paths in ((None, None, None, None), ("1.png", "1.png", "2.png", "1.png")):
        path = table(
            tmp_path / "set.parquet",
            {"image": cells(one, one, two, one, paths=paths), "caption": ["A", "B", "C", "B"]},
            row_group_size=1,
        )
        dataset = load_dataset(path)
        assert [(r.captions, r.source.read()) for r in dataset] == [
            (("A", "B"), one),
            (("C",), two),
        ]
        assert [note.code for note in dataset.notes] == ["caption_repeated"]


def test_one_path_with_other_bytes_is_another_picture(tmp_path: Path) -> None:
    path = table(
        tmp_path / "set.parquet",
        {
            "image": cells(drawn(1), drawn(2), drawn(2), paths=("a.png",) * 3),
            "caption": ["A", "B", "C"],
        },
    )
    assert [(r.file_name, r.captions) for r in load_dataset(path)] == [
        ("a.png", ("A",)),
        ("000001-a.png", ("B", "C")),
    ]


def test_content_says_which_column_holds_the_pictures(tmp_path: Path) -> None:
    path = table(
        tmp_path / "set.parquet",
        {
            "md5": [b"0123456789abcdef"],
            "thumbnail": cells(None),
            "photo": [drawn(1)],
            "mask": cells(drawn(2)),
            "crops": [cells(drawn(3), drawn(4))],
            "caption": ["A"],
        },
    )
    (record,) = dataset = load_dataset(path)
    assert record.source.read() in (drawn(1), drawn(2))
    assert record.extra == {}
    assert {note.code for note in dataset.notes} == {"column_not_read"}
    assert len(dataset.notes) == 2


def test_a_column_of_hashes_beside_file_names(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(drawn(1))
    columns = {"md5": [b"0123456789abcdef"], "file_name": ["a.png"], "caption": ["A"]}
    (record,) = load_dataset(table(tmp_path / "set.parquet", columns))
    assert (record.caption, record.source.read()) == ("A", drawn(1))


def test_captions_belong_to_the_picture_of_their_number(tmp_path: Path) -> None:
    path = table(
        tmp_path / "set.parquet",
        {
            "image_0": cells(drawn(1)),
            "image_1": cells(drawn(2)),
            "caption_0": ["some plants surrounding a lightbulb"],
            "caption_1": ["a lightbulb surrounding some plants"],
        },
    )
    (record,) = dataset = load_dataset(path)
    assert record.source.read() == drawn(1)
    assert record.captions == ("some plants surrounding a lightbulb",)
    assert record.extra == {}
    assert "'image_1' holds pictures too" in dataset.notes[0].message


def test_lists_of_one_picture_are_read_and_longer_ones_named(tmp_path: Path) -> None:
    columns = {
        "images": [cells(drawn(1)), cells(drawn(2), drawn(3)), []],
        "text": ["A", "B", "C"],
    }
    path = table(tmp_path / "set.parquet", columns)
    with pytest.raises(MetadataError, match=r"^set\.parquet:2: images holds lists of pictures, 2"):
        load_dataset(path)
    kept = load_dataset(path, on_missing="keep")
    assert [(r.caption, r.source.read()) for r in kept] == [("A", drawn(1))]
    assert [note.message.partition(": ")[0] for note in kept.notes] == [
        "set.parquet:2",
        "set.parquet:3",
    ]


def test_a_path_without_bytes_finds_its_file_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.png").write_bytes(drawn(1))
    (tmp_path.parent / "secret.png").write_bytes(drawn(2))
    path = table(
        tmp_path / "set.parquet",
        {"image": cells(None, None, paths=("x/a.png", "../secret.png")), "caption": ["A", "B"]},
    )
    first, second = load_dataset(path)
    assert first.source.read() == drawn(1)
    with pytest.raises(ImageError, match="and no bytes"):
        second.source.read()
