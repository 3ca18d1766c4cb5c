"""Tables that people open in a spreadsheet: texts of others stay texts there.

A spreadsheet computes a cell that begins as a formula does, and a formula may fetch from a network
or start a program. An apostrophe before it is the spreadsheets' own mark for text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# The wide forms count where Japanese is typed.
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)


def table(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV for spreadsheets, the first of which names the columns.

    It begins with a byte-order mark, which spreadsheets need to read accents.
    """
    stream = io.StringIO()
    stream.write("\ufeff")
    csv.writer(stream).writerows([as_text(str(cell)) for cell in row] for row in rows)
    return stream.getvalue()


def as_text(cell: str) -> str:
    """Return a cell that no spreadsheet computes; `as_written` takes it back.

    Examples
    --------
    >>> as_text("=1+1"), as_text("-0.5"), as_text("a cat")
    ("'=1+1", '-0.5', 'a cat')
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def as_written(cell: str) -> str:
    """Return what a cell was before `as_text`, or before a spreadsheet marked it as text.

    Examples
    --------
    >>> as_written("'=1+1"), as_written("'tis a cat")
    ('=1+1', "'tis a cat")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
