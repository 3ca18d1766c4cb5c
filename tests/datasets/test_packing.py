from __future__ import annotations

import gc
import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pareja.datasets import Dataset, Record, load_dataset, pack
from pareja.datasets.checks import CheckReport, Problem
from pareja.errors import DatasetError, ImageError, OutputError

PASSED = CheckReport((), {})


@dataclass(frozen=True)
class Held:
    """A picture whose bytes are at hand, or that cannot be read."""

    content: bytes | None

    def read(self) -> bytes:
        if self.content is None:
            raise ImageError("a.jpg", "is gone")
        return self.content


def dataset(*records: Record, attribution: str | None = None) -> Dataset:
    return Dataset("set", records, "nowhere", attribution)


def contents(path: Path) -> dict[str, bytes]:
    with ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def described(records: tuple[Record, ...]) -> list[Record]:
    """Return the records without what changes when a dataset moves."""
    return [replace(r, source=Held(r.source.read()), where="", file_name="") for r in records]


def packed_names(path: Path, *records: Record) -> list[str]:
    result = pack(dataset(*records), path, report=PASSED, force=True)
    return [record.file_name for record in load_dataset(result.path)]


@pytest.mark.parametrize("name", ["pareja20", "commons200"])
def test_bundled_datasets_come_back_equal(tmp_path: Path, name: str) -> None:
    before = load_dataset(name)
    result = pack(before, tmp_path / "set.zip", report=PASSED)
    after = load_dataset(result.path)
    assert described(after.records) == described(before.records)
    assert [r.file_name for r in after] == [r.file_name for r in before]
    assert after.attribution == before.attribution
    assert result.renamed == {}


def test_what_the_zip_holds(tmp_path: Path) -> None:
    record = Record("x.jpg", Held(b"picture"), ("A", "B"), "big cats", author="Ann", license="CC0")
    result = pack(dataset(record), tmp_path / "deep" / "set.zip", report=PASSED)
    files = contents(result.path)
    assert list(files) == ["metadata.csv", "ATTRIBUTION.md", "images/big_cats/x.jpg", "SHA256SUMS"]
    assert files["metadata.csv"].decode() == (
        "file_name,caption,category,label,caption_es,author,license,source_url\r\n"
        "images/big_cats/x.jpg,A,big cats,,,Ann,CC0,\r\n"
        "images/big_cats/x.jpg,B,big cats,,,Ann,CC0,\r\n"
    )
    lines = [line.split("  ") for line in files["SHA256SUMS"].decode().splitlines()]
    sums = {name: digest for digest, name in lines}
    assert sums == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name != "SHA256SUMS"
    }
    raw = result.path.read_bytes()
    assert (result.size, result.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert result.path == tmp_path / "deep" / "set.zip"
    assert result.renamed == {"x.jpg": "images/big_cats/x.jpg"}


def test_the_same_dataset_gives_the_same_bytes(tmp_path: Path) -> None:
    record = Record("x.jpg", Held(b"picture"), ("A",))
    first = pack(dataset(record), tmp_path / "1.zip", report=PASSED)
    second = pack(load_dataset(first.path), tmp_path / "2.zip", report=PASSED)
    third = pack(dataset(record), tmp_path / "3.zip", report=PASSED)
    assert first.sha256 == second.sha256 == third.sha256
    assert described(load_dataset(second.path).records) == described((record,))


def test_attribution_is_written_or_kept(tmp_path: Path) -> None:
    records = (
        Record("a.jpg", Held(b"a"), author="A | B", license="CC0", source_url="https://x.org/a"),
        Record("images/b.jpg", Held(b"b")),
    )
    written = contents(pack(dataset(*records), tmp_path / "1.zip", report=PASSED).path)
    assert written["ATTRIBUTION.md"].decode() == (
        "# set: where the pictures come from\n\n"
        "| file | author | licence | source |\n"
        "| --- | --- | --- | --- |\n"
        "| images/a.jpg | A \\| B | CC0 | <https://x.org/a> |\n"
        "| images/b.jpg | not given | not given | not given |\n"
    )
    own = dataset(*records, attribution="Thanks to all.\n")
    kept = contents(pack(own, tmp_path / "2.zip", report=PASSED).path)
    assert kept["ATTRIBUTION.md"].decode() == (
        "Thanks to all.\n\n## Names of the files here\n\n"
        "| name above | name here |\n| --- | --- |\n| a.jpg | images/a.jpg |\n"
    )


def test_names_that_collide_are_numbered(tmp_path: Path) -> None:
    names = packed_names(
        tmp_path / "set.zip",
        Record("x/a.jpg", Held(b"1"), ("1",)),
        Record("y/A.jpg", Held(b"2"), ("2",)),
        Record("a-2.jpg", Held(b"3"), ("3",)),
        Record("z/a.jpg", Held(b"4"), ("4",)),
    )
    assert names == ["images/a.jpg", "images/A-2.jpg", "images/a-2-2.jpg", "images/a-3.jpg"]


@pytest.mark.parametrize(
    ("file_name", "category", "wanted"),
    [
        ("CON.jpg", "nul", "images/_nul/_CON.jpg"),
        (" a\tb\n?.jpg", "a/b: c", "images/a_b__c/a b _.jpg"),
        ("...jpg", "..", "images/picture.jpg"),
        ("a\\b.jpg", "__MACOSX", "images/___MACOSX/b.jpg"),
        (f"{'ñ' * 200}.jpg", None, f"images/{'ñ' * 75}.jpg"),
        ("000001", None, "images/000001.png"),
        (".jpg", ".hidden", "images/hidden/jpg.png"),
    ],
)
def test_names_that_some_system_refuses(
    tmp_path: Path, file_name: str, category: str | None, wanted: str
) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (1, 1)).save(stream, "png")
    record = Record(file_name, Held(stream.getvalue()), category=category)
    assert packed_names(tmp_path / "set.zip", record) == [wanted]


# the library leaves the metadata open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_datasets_library_finds_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    named = (
        *(("a.jpg", "cats"), ("test strip.jpg", "cats"), ("b.jpg", "train"), ("val.png", "dev")),
        *(("my eval-2.jpg", None), ("3_training.x.jpg", "a valid one"), ("protest.jpg", "devils")),
    )
    made = [
        Record(name, Held(drawn(number)), (f"caption {number}",), category)
        for number, (name, category) in enumerate(named)
    ]
    path = pack(dataset(*made), tmp_path / "set.zip", report=PASSED).path
    with ZipFile(path) as archive:
        archive.extractall(tmp_path / "folder")
    wanted = {(f"caption {number}", category) for number, (_, category) in enumerate(named)}
    for number, (builder, options) in enumerate(
        (
            ("imagefolder", {"data_files": str(path)}),
            ("imagefolder", {"data_dir": str(tmp_path / "folder")}),
            (str(tmp_path / "folder"), {}),
        )
    ):
        read = datasets.load_dataset(builder, cache_dir=str(tmp_path / f"{number}"), **options)
        (rows,) = read.values()
        assert set(zip(rows["caption"], rows["category"], strict=True)) == wanted
        assert all(picture.size == (4, 4) for picture in rows["image"])
    gc.collect()


def drawn(number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (number, 0, 0)).save(stream, "png")
    return stream.getvalue()


def test_what_is_no_picture_keeps_its_name(tmp_path: Path) -> None:
    assert packed_names(tmp_path / "set.zip", Record("a.xyz", Held(b"?"))) == ["images/a.xyz"]


def test_what_is_no_picture_is_not_taken_for_a_table(tmp_path: Path) -> None:
    assert packed_names(tmp_path / "set.zip", Record("a.JSON", Held(b"?"))) == ["images/a_JSON"]


text = st.text(st.characters(codec="utf-8")).map(str.strip)
given_or_none = text.map(lambda value: value or None)


@st.composite
def records(draw: st.DrawFn) -> Record:
    return Record(
        draw(st.text(st.characters(codec="utf-8"), min_size=1)),
        Held(draw(st.binary(max_size=20))),
        tuple(draw(st.lists(text.filter(bool), unique=True, max_size=3))),
        category=draw(given_or_none),
        label=draw(given_or_none),
        caption_es=draw(given_or_none),
        author=draw(given_or_none),
        license=draw(given_or_none),
        source_url=draw(given_or_none),
        extra=draw(st.dictionaries(st.sampled_from(["year", "año", "x_1"]), text.filter(bool))),
    )


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(st.lists(records(), min_size=1, max_size=5))
def test_any_dataset_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, made: list[Record]
) -> None:
    path = tmp_path_factory.mktemp("pack") / "set.zip"
    after = load_dataset(pack(dataset(*made), path, report=PASSED).path)
    assert described(after.records) == described(tuple(made))
    assert after.unlisted == ()


def test_a_dataset_with_errors_is_refused(tmp_path: Path) -> None:
    problems = [Problem("missing", "error", f"{n}.jpg", "is not there.") for n in range(5)]
    report = CheckReport(tuple(problems), {})
    with pytest.raises(DatasetError) as caught:
        pack(dataset(Record("a.jpg", Held(b"a"))), tmp_path / "set.zip", report=report)
    assert str(caught.value) == (
        "set has 5 errors and is not packed: 0.jpg: is not there.; 1.jpg: is not there.; "
        "2.jpg: is not there. And 2 more. 'pareja check' lists all problems."
    )
    assert list(tmp_path.iterdir()) == []


def test_without_a_report_the_dataset_is_checked(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not packed: "):
        pack(dataset(Record("a.jpg", Held(b"no picture"))), tmp_path / "set.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_zip_is_replaced_only_by_force(tmp_path: Path) -> None:
    made = dataset(Record("a.jpg", Held(b"a")))
    (tmp_path / "set.zip").write_text("mine")
    with pytest.raises(OutputError, match=r"set\.zip exists\. Pass `force=True`"):
        pack(made, tmp_path / "set.zip", report=PASSED)
    assert (tmp_path / "set.zip").read_text() == "mine"
    pack(made, tmp_path / "set.zip", report=PASSED, force=True)
    assert len(load_dataset(tmp_path / "set.zip")) == 1


def test_a_zip_can_be_packed_onto_itself(tmp_path: Path) -> None:
    made = dataset(Record("a.jpg", Held(b"a"), ("A",)))
    first = pack(made, tmp_path / "set.zip", report=PASSED)
    again = load_dataset(first.path)
    pack(again, first.path, report=PASSED, force=True)
    assert described(load_dataset(first.path).records) == described(made.records)


def test_a_picture_that_cannot_be_read_leaves_no_zip(tmp_path: Path) -> None:
    made = dataset(Record("a.jpg", Held(b"a")), Record("b.jpg", Held(None)))
    with pytest.raises(ImageError, match="is gone"):
        pack(made, tmp_path / "set.zip", report=PASSED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("column", ["caption", "captions", "Year Taken", ""])
def test_columns_that_would_be_read_as_others(tmp_path: Path, column: str) -> None:
    made = dataset(Record("a.jpg", Held(b"a"), extra={column: "x"}))
    with pytest.raises(DatasetError, match="these columns cannot be kept"):
        pack(made, tmp_path / "set.zip", report=PASSED)


def test_a_text_that_csv_cannot_hold(tmp_path: Path) -> None:
    made = dataset(Record("a.jpg", Held(b"a"), ("x" * 140_000,)))
    with pytest.raises(DatasetError, match=r"a\.jpg: has a text of more than 131,072 characters"):
        pack(made, tmp_path / "set.zip", report=PASSED)
