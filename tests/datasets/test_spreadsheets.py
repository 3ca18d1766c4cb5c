from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.datasets.picture_files import noise, saved

from pareja.datasets import check_dataset, load_dataset
from pareja.errors import MetadataError

openpyxl = pytest.importorskip("openpyxl")

PICTURE = saved(noise(8), "JPEG")


def workbook(*rows: list[Any], change: Callable[[Any], object] | None = None) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if change is not None:
        change(book)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(PICTURE)
    return tmp_path


def test_a_spreadsheet_is_read_by_the_rules_of_csv(folder: Path) -> None:
    content = workbook(
        ["File name", "Text", "class", "caption_es", "Year", "taken", "good", None],
        ["a.jpg", " A dog ", "dog", None, 2024.0, date(2024, 5, 1), True],
        [],
        ["a.jpg", "A brown dog\nasleep", None, "Un perro", 2024, None, None],
        ["b.jpg", "A cat, asleep", "cat", None, 0.5],
    )
    (folder / "metadata.xlsx").write_bytes(content)
    first, second = load_dataset(folder)
    assert first.captions == ("A dog", "A brown dog\nasleep")
    assert (first.label, first.caption_es) == ("dog", "Un perro")
    assert first.extra == {"year": "2024", "taken": "2024-05-01", "good": "TRUE"}
    assert (second.captions, second.extra) == (("A cat, asleep",), {"year": "0.5"})
    assert second.where == "metadata.xlsx:5"


def test_a_table_of_any_name_and_a_merged_category(folder: Path) -> None:
    content = workbook(
        ["picture", "caption", "category"],
        ["a", "A dog", "animals"],
        ["b", "A cat", None],
        change=lambda book: book.active.merge_cells("C2:C3"),
    )
    (folder / "captions.xlsx").write_bytes(content)
    assert [(r.caption, r.category) for r in load_dataset(folder)] == [
        ("A dog", "animals"),
        ("A cat", "animals"),
    ]


def test_only_the_first_sheet_that_shows_something_counts(folder: Path) -> None:
    def add_sheets(book: Any) -> None:
        hidden = book.create_sheet("old", 0)
        hidden.append(["file_name", "caption"])
        hidden.append(["a.jpg", "Nothing"])
        hidden.sheet_state = "hidden"
        book.create_sheet("blank", 0)
        book.create_sheet("more").append(["file_name", "caption"])

    content = workbook(["file_name", "caption"], ["a.jpg", "A dog"], change=add_sheets)
    (folder / "metadata.xlsx").write_bytes(content)
    with pytest.warns(UserWarning, match="Only its first sheet is read, 'Sheet'; 'more' is left"):
        (record,) = load_dataset(folder)
    assert record.caption == "A dog"


def test_formulas_without_value_and_errors_are_named_with_their_row(folder: Path) -> None:
    def add_error(book: Any) -> None:
        book.active["B3"].value = "#N/A"
        book.active["B3"].data_type = "e"

    content = workbook(
        ["file_name", "caption"],
        ["a.jpg", '=CONCATENATE("A", " dog")'],
        ["b.jpg", "x"],
        change=add_error,
    )
    (folder / "metadata.xlsx").write_bytes(content)
    with pytest.raises(MetadataError, match=r"metadata.xlsx:2: cell B2 holds '=CONC.* no value"):
        load_dataset(folder)
    notes = load_dataset(folder, on_missing="keep").notes
    assert [note.message.partition(" holds")[0] for note in notes] == [
        "metadata.xlsx:2: cell B2",
        "metadata.xlsx:3: cell B3",
    ]


def test_wrong_rows_and_damaged_files_are_errors(folder: Path) -> None:
    sheet = folder / "metadata.xlsx"
    sheet.write_bytes(workbook(["file_name", "caption"], ["a.jpg", "A dog", "stray"]))
    with pytest.raises(MetadataError, match=r"metadata\.xlsx:2: has 3 cells and the header 2"):
        load_dataset(folder)
    sheet.write_bytes(workbook(["name", "caption"], ["a.jpg", "A dog"]))
    with pytest.raises(
        MetadataError, match=r"metadata\.xlsx:1: there is no column file_name, only"
    ):
        load_dataset(folder)
    sheet.write_bytes(workbook())
    with pytest.raises(MetadataError, match=r"metadata\.xlsx:1: is empty"):
        load_dataset(folder)
    sheet.write_bytes(b"PK\3\4")
    with pytest.raises(MetadataError, match=r"metadata\.xlsx: is no spreadsheet, or a damaged one"):
        load_dataset(folder)


def test_a_table_saved_from_the_spreadsheet_counts_before_it(folder: Path) -> None:
    (folder / "metadata.xlsx").write_bytes(workbook(["file_name", "caption"], ["a.jpg", "Old"]))
    (folder / "metadata.csv").write_text("file_name,caption\na.jpg,New\n")
    (folder / "~$metadata.xlsx").write_bytes(b"locked by Ana")
    with pytest.warns(UserWarning, match="not read, since metadata.csv lies beside it") as warned:
        (record,) = load_dataset(folder)
    assert record.caption == "New"
    assert len(warned) == 1


@pytest.mark.parametrize("name", ["metadata.xlsx", "captions.xlsx"])
def test_without_openpyxl_it_is_said_what_to_install(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / name).write_bytes(workbook(["file_name", "caption"], ["a.jpg", "A dog"]))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.warns(UserWarning, match=r"pip install 'pareja\[excel\]', or save the table as"):
        assert len(load_dataset(folder)) == 2
    (problem,) = check_dataset(load_dataset(folder, on_missing="keep")).errors
    assert problem.code == "captions_unread"
    (folder / "metadata.csv").write_text("file_name,caption\na.jpg,A dog\n")
    if name == "captions.xlsx":
        assert load_dataset(folder).captions == ("A dog",)
