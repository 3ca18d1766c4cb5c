"""Metadata files: rows from delimited text, spreadsheets, JSON lines and JSON lists."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import PurePosixPath

from pareja.datasets.formats.encodings import guessed_text
from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.rows import Row, canonical_columns, shortened
from pareja.datasets.formats.spreadsheets import is_spreadsheet, spreadsheet_cells
from pareja.errors import MetadataError
from pareja.tables import as_written

_DELIMITERS = ",;\t|"


def read_rows(
    name: str, content: bytes, reading: Reading | None = None, picture_column: str | None = None
) -> Iterator[Row]:
    """Read a metadata file.

    Parameters
    ----------
    name
        Its name, for messages; the ending says whether it is a spreadsheet, or holds JSON lines, a
        JSON list of objects, or delimited text.
    content
        Its bytes, in any encoding that `decode_text` knows. Columns of delimited text may be
        separated by commas, semicolons, tabs or bars.
    reading
        Takes note of malformed rows and of a guessed encoding.
    picture_column
        The header of the column that names the pictures, where it is not called ``file_name``.

    Yields
    ------
    Row
        One per row; blank ones are passed over.

    Raises
    ------
    MetadataError
        If there is no column ``file_name``; or if a row is malformed, unless `reading` keeps that.
    MissingDependencyError
        If it is a spreadsheet, and openpyxl is not installed.
    """
    reading = reading or Reading()
    if is_spreadsheet(name):
        return _rows(spreadsheet_cells(name, content, reading), reading, picture_column)
    text = decode_named(name, content, reading)
    ending = PurePosixPath(name).suffix.lower()
    if ending in (".jsonl", ".ndjson", ".json"):
        return _json_rows(name, text, reading, picture_column)
    return _rows(_csv_cells(name, text, reading), reading, picture_column)


def decode_named(name: str, content: bytes, reading: Reading) -> str:
    """Decode a metadata file, and note where its encoding was guessed.

    Raises
    ------
    MetadataError
        If it is empty, or is not in the encoding that it announces.
    """
    try:
        text, guess = guessed_text(content)
    except UnicodeDecodeError as error:
        raise MetadataError(
            f"{name}:1: is not {error.encoding}, as its first bytes say. Save it as UTF-8."
        ) from error
    if not text.strip():
        raise MetadataError(f"{name}:1: is empty. Its first line names the columns.")
    if guess:
        odd = next((word for word in text.split() if not word.isascii()), "")
        reading.note(
            "encoding_guessed",
            name,
            f"The file is not in UTF-8 and was read as {_SPOKEN.get(guess, guess)}, by a guess: "
            f"{shortened(odd)!r} is one of its words. Save it as UTF-8 if that is wrong.",
        )
    return text


_SPOKEN = {
    "mac_roman": "Mac Roman",
    "cp850": "MS-DOS text (code page 850)",
    "cp1252": "Windows-1252",
}


def sample_rows(name: str, content: bytes, limit: int) -> list[Mapping[str, object]]:
    """Return the first rows of a table as they are, with the headers as written; none if unclear.

    Parameters
    ----------
    name
        The file's name; the ending says whether it is a spreadsheet, or holds JSON lines, a JSON
        list of objects, or delimited text.
    content
        The file's bytes.
    limit
        How many rows at most.
    """
    try:
        if is_spreadsheet(name):
            rows = (cells for _, cells in spreadsheet_cells(name, content, Reading("keep")))
            return _by_header(rows, limit)
        text, _ = guessed_text(content)
        if PurePosixPath(name).suffix.lower() in (".jsonl", ".ndjson", ".json"):
            objects = (values for _, values in _json_objects(name, text, Reading()))
            return _as_far_as_it_goes(objects, limit)
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=_delimiter(text, _DELIMITERS),
            skipinitialspace=True,
        )
        return _by_header(reader, limit)
    except (MetadataError, csv.Error, UnicodeDecodeError):
        return []


def _by_header(rows: Iterator[list[str]], limit: int) -> list[Mapping[str, object]]:
    """Return the rows after the first, with the cells of that one as their headers."""
    header = [cell.strip() for cell in next(rows, [])]
    return _as_far_as_it_goes((dict(zip(header, cells, strict=False)) for cells in rows), limit)


def _as_far_as_it_goes(
    rows: Iterable[Mapping[str, object]], limit: int
) -> list[Mapping[str, object]]:
    """Return the first rows, up to one that cannot be read."""
    found: list[Mapping[str, object]] = []
    with suppress(MetadataError, csv.Error):
        found.extend(islice(rows, limit))
    return found


def _csv_cells(name: str, text: str, reading: Reading) -> Iterator[tuple[str, list[str]]]:
    """Yield the place and the cells of each row of delimited text."""
    skipped = 0
    delimiters = _DELIMITERS
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.rstrip("\r")) == 5:
        # Excel's own way to say which delimiter it wrote
        delimiters, text, skipped = first[4], rest, 1
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=_delimiter(text, delimiters),
        # people write: a.jpg, "A cat, asleep"
        skipinitialspace=True,
        # else an open quote swallows rows, and text after a closing one changes a caption
        strict=True,
    )
    while True:
        where = f"{name}:{skipped + reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reading.refuse(
                MetadataError(
                    f"{where}: {error}. Is a quote left open, or not doubled inside a quoted text?"
                )
            )
        else:
            yield where, [as_written(cell) for cell in cells]


def _rows(
    lines: Iterable[tuple[str, list[str]]], reading: Reading, picture_column: str | None
) -> Iterator[Row]:
    """Make the rows of a table, the first line of which names the columns."""
    columns: list[str] = []
    for where, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if not columns:
            while not cells[-1].strip():
                cells.pop()
            columns = _header(where, cells, picture_column)
            continue
        while len(cells) > len(columns) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(columns):
            advice = (
                "Put a text that holds the delimiter in double quotes."
                if len(cells) > len(columns)
                else "Is a delimiter missing, or a quote that is not closed?"
            )
            reading.refuse(
                MetadataError(
                    f"{where}: has {len(cells)} cells and the header {len(columns)} columns. "
                    f"{advice}"
                )
            )
            continue
        yield Row(where, dict(zip(columns, cells, strict=True)))


def _delimiter(text: str, candidates: str) -> str:
    """Return the delimiter that the header is written with."""
    header = next((line for line in text.splitlines() if line.strip()), "")

    def fitness(delimiter: str) -> tuple[bool, int]:
        cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True))
        return "file_name" in canonical_columns(cells), len(cells)

    return max(candidates, key=fitness)


def _header(where: str, cells: Sequence[str], picture_column: str | None) -> list[str]:
    """Return the names of the columns."""
    columns = _columns(cells, picture_column)
    if "file_name" not in columns:
        if any("\0" in cell for cell in cells):
            raise MetadataError(f"{where}: is not text. Save the table as CSV in UTF-8.")
        found = ", ".join(shortened(cell.strip()) for cell in cells)
        raise MetadataError(
            f"{where}: there is no column file_name, only: {found}. Name the columns in the first "
            "line, as in: file_name,caption,category"
        )
    repeated = next((column for column in columns if column and columns.count(column) > 1), None)
    if repeated:
        raise MetadataError(f"{where}: two columns are named {repeated!r}. Rename one of them.")
    # pandas leaves the column of its row numbers without a name
    return [column or f"column_{number}" for number, column in enumerate(columns, start=1)]


def _columns(headers: Sequence[str], picture_column: str | None) -> list[str]:
    """Return the names of columns, one of which may be known to name the pictures."""
    if picture_column is None:
        return canonical_columns(headers)
    return canonical_columns(
        ["file_name" if header.strip() == picture_column else header for header in headers]
    )


def _json_rows(name: str, text: str, reading: Reading, picture_column: str | None) -> Iterator[Row]:
    """Read JSON lines, or a JSON list of objects."""
    for where, values in _json_objects(name, text, reading):
        columns = _columns(list(values), picture_column)
        yield Row(where, dict(zip(columns, values.values(), strict=True)))


def _json_objects(
    name: str, text: str, reading: Reading
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the place and the values of each object."""
    if name.lower().endswith(".json"):
        listed = parse_json(f"{name}:1", text)
        if not isinstance(listed, list):
            raise MetadataError(f"{name}:1: is no list of objects.")
        items: Iterable[tuple[str, object]] = (
            (f"{name}: entry {number}", item) for number, item in enumerate(listed, start=1)
        )
    else:
        items = _lines(name, text, reading)
    for where, values in items:
        if isinstance(values, dict):
            yield where, values
        else:
            reading.refuse(
                MetadataError(f"{where}: is no JSON object. Write one object in each line.")
            )


def _lines(name: str, text: str, reading: Reading) -> Iterator[tuple[str, object]]:
    # not splitlines, which would split at separators that JSON allows inside strings
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            values = parse_json(where, line)
        except MetadataError as error:
            reading.refuse(error)
            continue
        yield where, values


def parse_json(where: str, text: str) -> object:
    """Parse JSON, or raise `MetadataError` that starts with its place."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise MetadataError(
            f"{where}: is not JSON: {error.msg} at character {error.pos + 1}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{where}: is JSON that cannot be read: {error}.") from error
