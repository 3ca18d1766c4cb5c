"""Tables that a spreadsheet program saved (``.xlsx``): their cells, as text, row by row."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any
from zipfile import BadZipFile, ZipFile

from pareja.datasets.formats.folders import ending
from pareja.datasets.formats.reading import Reading
from pareja.errors import MetadataError, MissingDependencyError

SPREADSHEETS = (".xlsx", ".xlsm")
"""Endings of the spreadsheets that are read."""

_UNPACKED_LIMIT = 512 * 2**20


def is_spreadsheet(name: str) -> bool:
    """Return whether a file's ending is that of a spreadsheet that is read."""
    return ending(name) in SPREADSHEETS


def spreadsheet_cells(
    name: str, content: bytes, reading: Reading
) -> Iterator[tuple[str, list[str]]]:
    """Read the first sheet of a spreadsheet that is not hidden and not empty.

    Numbers, dates and truth values become text as a spreadsheet shows them without formatting, and
    a merged cell counts for all that it covers. Of formulas the value counts that was saved.

    Parameters
    ----------
    name
        The file's name, for messages.
    content
        Its bytes.
    reading
        Takes note of further sheets, and of rows whose values are not there.

    Yields
    ------
    tuple
        The place of a row, as ``metadata.xlsx:17``, and its cells; all rows have as many.

    Raises
    ------
    MetadataError
        If the file is damaged; or if a formula has no value or a wrong one, unless `reading` keeps
        that.
    MissingDependencyError
        If openpyxl is not installed.
    """
    shown = _sheets(name, content, formulas=True)
    sheet = next((sheet for sheet in shown if _is_filled(sheet)), None)
    if sheet is None:
        raise MetadataError(f"{name}:1: is empty. Its first line names the columns.")
    others = [other.title for other in shown if other is not sheet and _is_filled(other)]
    if others:
        reading.note(
            "file_unread",
            name,
            f"Only its first sheet is read, {sheet.title!r}; {', '.join(map(repr, others))} is "
            "left out. Save each table in a file of its own.",
        )
    cells = {(cell.row, cell.column): cell for row in sheet.iter_rows() for cell in row}
    if any(cell.data_type == "f" for cell in cells.values()):
        computed = next(
            other for other in _sheets(name, content, formulas=False) if other.title == sheet.title
        )
        values = {key: computed.cell(*key) for key in cells}
    else:
        values = cells
    first_of = {
        (row, column): (merged.min_row, merged.min_col)
        for merged in sheet.merged_cells.ranges
        for row in range(merged.min_row, merged.max_row + 1)
        for column in range(merged.min_col, merged.max_col + 1)
    }
    for row in range(sheet.min_row, sheet.max_row + 1):
        where = f"{name}:{row}"
        keys = [
            first_of.get((row, column), (row, column))
            for column in range(sheet.min_column, sheet.max_column + 1)
        ]
        wrong = next((key for key in keys if _is_wrong(cells[key], values[key])), None)
        if wrong is not None:
            reading.refuse(
                MetadataError(
                    f"{where}: cell {cells[wrong].coordinate} holds {cells[wrong].value!r} and no "
                    "value. Mend the formula, or write the value; then save the table again."
                )
            )
            continue
        yield where, [_as_text(values[key].value) for key in keys]


def needs_openpyxl() -> None:
    """Raise `MissingDependencyError` if the package that reads spreadsheets is not installed."""
    try:
        import openpyxl  # noqa: F401  is it there?
    except ImportError as error:
        raise MissingDependencyError("openpyxl", "to read spreadsheets", "excel") from error


def _sheets(name: str, content: bytes, *, formulas: bool) -> list[Any]:
    """Return the sheets that are not hidden."""
    needs_openpyxl()
    from openpyxl import load_workbook

    try:
        with ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _UNPACKED_LIMIT:
            raise MetadataError(f"{name}: unpacks to {unpacked:,} bytes, too many for a table.")
        with warnings.catch_warnings():
            # of styles, validations and the like, which are not read
            warnings.simplefilter("ignore")
            book = load_workbook(io.BytesIO(content), data_only=not formulas)
    except MetadataError:
        raise
    except BadZipFile as error:
        raise MetadataError(f"{name}: is no spreadsheet, or a damaged one: {error}.") from error
    except Exception as error:
        # openpyxl raises what Python does when XML is not as it expects
        raise MetadataError(
            f"{name}: cannot be read ({type(error).__name__}: {error}). Save the table as CSV."
        ) from error
    return [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]


def _is_filled(sheet: Any) -> bool:
    return any(cell.value is not None for row in sheet.iter_rows() for cell in row)


def _is_wrong(cell: Any, computed: Any) -> bool:
    """Return whether a cell is an error, or a formula whose value nobody has saved."""
    return computed.data_type == "e" or (cell.data_type == "f" and computed.value is None)


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
