from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareja.datasets.formats.encodings import decode_text
from pareja.datasets.formats.folders import FileSource
from pareja.datasets.formats.metadata import read_rows
from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.rows import Row, merge_records, record_from
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


def test_blank_rows_and_empty_cells() -> None:
    text = "\n\nfile_name,caption,category,,\n\n,,\na.jpg,,\nb.jpg,B,birds,,\n"
    assert cells(text) == [
        {"file_name": "a.jpg", "caption": "", "category": ""},
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
        (
            "file_name| number| caption\na.jpg| 0| A\nb.jpg| 4   A dog\n",
            "metadata.csv:3: has 2 cells and the header 3 columns. Is a delimiter missing",
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
        ({"caption": [{"x": 1}]}, "caption is {'x': 1}, and text belongs there"),
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


def test_what_is_repeated_counts_once_and_is_noted() -> None:
    reading = Reading()
    joined = merge_records(
        [
            record("m:2", caption="A"),
            record("m:3", caption="B"),
            record("m:4", caption="B"),
            record("m:5"),
            record("m:6"),
        ],
        reading,
    )
    assert joined.captions == ("A", "B")
    assert [(note.code, note.path) for note in reading.notes] == [("caption_repeated", "a.jpg")] * 2
    assert "m:4: the caption 'B' is listed again, as in m:3" in reading.notes[0].message
    assert "m:6: the picture is listed again without a caption" in reading.notes[1].message


def test_rows_that_contradict() -> None:
    rows = [
        record("m:2", caption="A"),
        record("m:3", caption="B", category="x"),
        record("m:5", caption="C", category="y"),
    ]
    message = "m:5: 'a.jpg' has the category 'y', and 'x' in m:3."
    with pytest.raises(MetadataError) as caught:
        merge_records(rows)
    assert str(caught.value).startswith(message)
    reading = Reading("keep")
    assert merge_records(rows, reading).category == "x"
    assert [(note.code, note.message.startswith(message)) for note in reading.notes] == [
        ("row_wrong", True)
    ]


def test_every_wrong_row_is_noted() -> None:
    reading = Reading("keep")
    text = 'file_name,caption\na.jpg\nb.jpg,B,C\nc.jpg,"C"C\nd.jpg,D\n'
    rows = list(read_rows("metadata.csv", text.encode(), reading))
    assert [row.cells["file_name"] for row in rows] == ["d.jpg"]
    assert [note.message.partition(": ")[0] for note in reading.notes] == [
        "metadata.csv:2",
        "metadata.csv:3",
        "metadata.csv:4",
    ]
    lines = Reading("keep")
    text = '{\n[1]\n{"file_name": "a.jpg"}\n'
    assert len(list(read_rows("metadata.jsonl", text.encode(), lines))) == 1
    assert len(lines.notes) == 2


@pytest.mark.parametrize(
    ("values", "captions"),
    [
        ({"caption": "['a dog', \"it's brown\"]"}, ("a dog", "it's brown")),
        ({"caption": '["a \\u00f1u", "b"]'}, ("a ñu", "b")),
        ({"caption": "['a dog' 'a cat'\n 'a cow']"}, ("a dog", "a cat", "a cow")),
        ({"caption": "[a dog] 'x'"}, ("[a dog] 'x'",)),
        ({"caption": "[sic]"}, ("[sic]",)),
        ({"caption": "[]"}, ("[]",)),
        ({"caption_0": "A", "caption_1": "B", "caption_2": None}, ("A", "B")),
        ({"caption": "A", "comment1": "B", "comment2": "A"}, ("A", "B")),
        ({"caption_0": "A", "caption_1": "B", "image_0": "x", "image_1": "y"}, ()),
        ({"captions": [{"raw": "A"}, "B"]}, ("A", "B")),
    ],
)
def test_captions_in_lists_and_numbered_columns(
    values: dict[str, Any], captions: tuple[str, ...]
) -> None:
    assert record(**values).captions == captions


@pytest.mark.parametrize(
    ("encoding", "name"), [("mac_roman", "Mac Roman"), ("cp850", "MS-DOS text")]
)
def test_encodings_of_old_spreadsheets_are_guessed_and_doubted(encoding: str, name: str) -> None:
    text = "file_name;caption\na.jpg;Un niño en el jardín\nb.jpg;Una montaña y un árbol\n"
    reading = Reading()
    rows = list(read_rows("metadata.csv", text.encode(encoding), reading))
    assert [row.cells["caption"] for row in rows] == [
        "Un niño en el jardín",
        "Una montaña y un árbol",
    ]
    (note,) = reading.notes
    assert (note.code, note.path) == ("encoding_guessed", "metadata.csv")
    assert f"was read as {name}" in note.message
    assert "'niño'" in note.message


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


def test_a_note_is_compared_with_few_others() -> None:
    compared = 0

    class Counted(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str(self) == str(other)

    reading = Reading("keep")
    for _ in range(2):
        for number in range(500):
            reading.note("caption_repeated", f"{number}.jpg", Counted(f"row {number}"))
    assert len(reading.notes) == 500
    assert compared < 2_000
