from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareja.datasets.formats.folders import FileSource
from pareja.datasets.formats.metadata import (
    Row,
    decode_text,
    merge_records,
    read_rows,
    record_from,
)
from pareja.datasets.records import Record
from pareja.errors import MetadataError

SOURCE = FileSource(Path("a.jpg"))


def cells(content: bytes | str, name: str = "metadata.csv") -> list[dict[str, object]]:
    raw = content if isinstance(content, bytes) else content.encode()
    return [dict(row.cells) for row in read_rows(name, raw)]


def places(content: str, name: str = "metadata.csv") -> list[str]:
    return [row.where for row in read_rows(name, content.encode())]


def failure(content: bytes | str, name: str = "metadata.csv") -> str:
    with pytest.raises(MetadataError) as caught:
        cells(content, name)
    return str(caught.value)


def record(where: str = "metadata.csv:2", **values: object) -> Record:
    return described(where, values)


def described(where: str, values: Mapping[str, object]) -> Record:
    return record_from(Row(where, values), "a.jpg", SOURCE)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"]
)
def test_every_encoding_of_spreadsheets(encoding: str) -> None:
    text = "file_name,caption\na.jpg,Ñandú y cigüeña\n"
    assert cells(text.encode(encoding)) == [{"file_name": "a.jpg", "caption": "Ñandú y cigüeña"}]


def test_bytes_that_windows_1252_leaves_undefined_are_latin_1() -> None:
    assert decode_text(b"caf\xe9 \x81") == "café \x81"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_delimiter(delimiter: str) -> None:
    text = f"file_name{delimiter}caption\na.jpg{delimiter}A dog; a cat, both\n"
    if delimiter in ",;":
        text = text.replace("A dog; a cat, both", '"A dog; a cat, both"')
    assert cells(text) == [{"file_name": "a.jpg", "caption": "A dog; a cat, both"}]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_line_end(line_end: str) -> None:
    assert cells(line_end.join(["file_name,caption", "a.jpg,A", "b.jpg,B"])) == [
        {"file_name": "a.jpg", "caption": "A"},
        {"file_name": "b.jpg", "caption": "B"},
    ]


def test_the_delimiter_that_excel_states() -> None:
    text = "sep=;\r\nfile_name;caption\r\na.jpg;A, B\r\n"
    assert cells(text) == [{"file_name": "a.jpg", "caption": "A, B"}]
    assert places(text) == ["metadata.csv:3"]


def test_headers_in_any_case_and_synonyms() -> None:
    text = " File Name ,CAPTION,Licence,Year-Taken\na.jpg,A,CC0,1999\n"
    assert cells(text) == [
        {"file_name": "a.jpg", "caption": "A", "license": "CC0", "year_taken": "1999"}
    ]


def test_blank_rows_and_missing_cells() -> None:
    text = "\n\nfile_name,caption,category\n\n,,\na.jpg\nb.jpg,B,birds,,\n"
    assert cells(text) == [
        {"file_name": "a.jpg"},
        {"file_name": "b.jpg", "caption": "B", "category": "birds"},
    ]
    assert places(text) == ["metadata.csv:6", "metadata.csv:7"]


def test_lines_are_counted_across_quoted_line_breaks() -> None:
    text = 'file_name,caption\na.jpg,"one\ntwo"\nb.jpg,B\n'
    assert places(text) == ["metadata.csv:2", "metadata.csv:4"]


def test_a_quote_after_a_space_and_a_long_caption() -> None:
    long = "a cat, " * 5000
    assert cells(f'file_name,caption\na.jpg, "{long}"\n')[0]["caption"] == long


def test_the_row_numbers_of_pandas_do_no_harm() -> None:
    assert cells(",file_name\n0,a.jpg\n") == [{"column_1": "0", "file_name": "a.jpg"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "metadata.csv:1: is empty"),
        (b"\xef\xbb\xbf \n", "metadata.csv:1: is empty"),
        (b"\xff\xfea", "metadata.csv:1: is not utf-16"),
        (
            "image,text\na.jpg,A\n",
            "metadata.csv:1: there is no column file_name, only: image, text",
        ),
        (b"PK\x03\x04\x00\x00\n", "metadata.csv:1: is not text"),
        ("file_name,label,Label\n", "metadata.csv:1: two columns are named 'label'"),
        (
            "file_name,caption\n\na.jpg,A dog, a cat\n",
            "metadata.csv:3: has 3 cells and the header 2 columns. Put a text",
        ),
        ('file_name,caption\na.jpg,"A dog\nb.jpg,B\n', "metadata.csv:2: unexpected end of data"),
        ('file_name,caption\na.jpg,"Big" dog\n', "metadata.csv:2: ',' expected after '\"'"),
        (f'file_name,caption\na.jpg,"{"x" * 140_000}\n', "metadata.csv:2: field larger than"),
    ],
)
def test_wrong_csv_is_one_line_with_its_place(content: bytes | str, message: str) -> None:
    said = failure(content)
    assert message in said
    assert "\n" not in said


def test_json_lines() -> None:
    text = '\ufeff{"file_name": "a.jpg", "Caption": ["A", "B\\u2028"], "year": 3}\r\n\r\n'
    assert cells(text, "metadata.jsonl") == [
        {"file_name": "a.jpg", "caption": ["A", "B\u2028"], "year": 3}
    ]
    assert places("\n" + text.removeprefix("\ufeff"), "metadata.jsonl") == ["metadata.jsonl:2"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "metadata.jsonl:2: is not JSON: Expecting property name"),
        ("[1]", "metadata.jsonl:2: is no JSON object"),
        ("[" * 100_000, "metadata.jsonl:2: is JSON that cannot be read"),
        (f'{{"a": {"1" * 5000}}}', "metadata.jsonl:2: is JSON that cannot be read"),
    ],
)
def test_wrong_json_lines(line: str, message: str) -> None:
    assert failure(f'{{"file_name": "a"}}\n{line}\n', "metadata.jsonl").startswith(message)


def test_values_become_text() -> None:
    made = record(
        captions=[" A ", None, "B", "A", ""],
        label=7,
        author=" ",
        license=float("nan"),
        tags=["x", "ñ"],
        year=1999,
        empty=None,
    )
    assert made.captions == ("A", "B")
    assert (made.label, made.author, made.license) == ("7", None, None)
    assert made.extra == {"tags": '["x", "ñ"]', "year": "1999"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"category": ["a"]}, "category is ['a'], and text belongs there"),
        ({"caption": [{"raw": "x"}]}, "caption is {'raw': 'x'}, and text belongs there"),
        ({"caption": "\ud83d"}, "half of a surrogate pair"),
    ],
)
def test_values_that_are_no_text(values: dict[str, object], message: str) -> None:
    with pytest.raises(MetadataError, match=r"^metadata\.csv:2: ") as caught:
        described("metadata.csv:2", values)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", [None, " ", ""])
def test_a_row_names_its_file(name: str | None) -> None:
    with pytest.raises(MetadataError, match="m:3: file_name is missing"):
        _ = Row("m:3", {"file_name": name}).file_name


def test_rows_about_one_picture_are_joined() -> None:
    joined = merge_records(
        [
            record("m:2", caption="A", author="Ann", x="1"),
            record("m:3", caption="B", author="Bob", category="birds", x="2", y="3"),
            record("m:4"),
        ]
    )
    assert joined.captions == ("A", "B")
    assert (joined.author, joined.category, joined.where) == ("Ann", "birds", "m:2")
    assert joined.extra == {"x": "1", "y": "3"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("m:2", {"caption": "A"}), ("m:3", {"caption": "B"}), ("m:4", {"caption": "B"})],
            "m:4: 'a.jpg' is listed with the same caption 'B', as in m:3.",
        ),
        ([("m:2", {}), ("m:3", {})], "m:3: 'a.jpg' is listed with no caption, as in m:2."),
        (
            [
                ("m:2", {"caption": "A"}),
                ("m:3", {"caption": "B", "category": "x"}),
                ("m:5", {"caption": "C", "category": "y"}),
            ],
            "m:5: 'a.jpg' has the category 'y', and 'x' in m:3.",
        ),
    ],
)
def test_rows_that_repeat_or_contradict(
    rows: list[tuple[str, dict[str, object]]], message: str
) -> None:
    with pytest.raises(MetadataError) as caught:
        merge_records([described(where, values) for where, values in rows])
    assert str(caught.value).startswith(message)


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_any_caption_survives_csv_and_json(captions: list[str]) -> None:
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["file_name", "caption"])
    writer.writerows(["a.jpg", caption] for caption in captions)
    lines = "\n".join(json.dumps({"file_name": "a.jpg", "caption": c}) for c in captions)
    wanted = [caption.strip() for caption in captions]
    for name, text in (("metadata.csv", table.getvalue()), ("metadata.jsonl", lines)):
        rows = read_rows(name, text.encode())
        assert [record_from(row, "a.jpg", SOURCE).caption for row in rows] == wanted


@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for name in ("metadata.csv", "metadata.jsonl"):
        try:
            list(read_rows(name, content))
            said = ""
        except MetadataError as error:
            said = str(error)
        assert "\n" not in said
