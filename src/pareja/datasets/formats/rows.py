"""What is written about a picture: from cells, whatever format they come from, to its record."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pareja.datasets.formats.reading import Reading
from pareja.datasets.records import Record, Source
from pareja.errors import MetadataError

COLUMNS = (
    "file_name",
    "caption",
    "category",
    "label",
    "caption_es",
    "author",
    "license",
    "source_url",
)
"""The columns with a meaning; all others go into `Record.extra`."""

SYNONYMS = {
    "filename": "file_name",
    "licence": "license",
    "text": "caption",
    "sentence": "caption",
    "sentences": "captions",
    "comment": "caption",
    "description": "caption",
    "alt_text": "caption",
    "class": "label",
    "class_name": "label",
}
"""Other names of those columns, where a table has not the column itself; the first counts."""

CAPTION_COLUMNS = ("caption", "captions")

_NUMBERED = re.compile(r"(?:captions?|text|sentence|comment|description)[_ ]?(\d+)")
_NUMBERED_PICTURE = re.compile(
    r"(?:image|img|picture|photo|file_?name|(?:image|img)_?(?:path|file|name))[_ ]?\d+"
)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """What a dataset says about one picture.

    Parameters
    ----------
    where
        Its place, as ``metadata.csv:17``.
    cells
        Values by column name (`column_name`): text, or what JSON and tables hold.
    folder
        The folder that its file name is relative to; empty for the root.
    anywhere
        Whether the picture may lie in any folder, and be named without its ending, as tables of
        course data sets and labelling tools do it.
    """

    where: str
    cells: Mapping[str, object]
    folder: str = ""
    anywhere: bool = False

    @property
    def file_name(self) -> str:
        """The file that the row names.

        Raises
        ------
        MetadataError
            If it names none.
        """
        name = cell_text(self.where, "file_name", self.cells.get("file_name"))
        if name is None:
            raise MetadataError(
                f"{self.where}: file_name is missing. Name the picture, or remove the row."
            )
        return name


def with_split(row: Row, split: str | None) -> Row:
    """Return a row that knows its split, where it does not say another itself."""
    if split is None or row.cells.get("split"):
        return row
    return replace(row, cells={**row.cells, "split": split})


def column_name(header: str) -> str:
    """Return a column's name without regard to case, spaces and hyphens.

    Examples
    --------
    >>> column_name(" File Name ")
    'file_name'
    """
    return "_".join(header.replace("-", " ").split()).lower()


def canonical_columns(headers: Sequence[str]) -> list[str]:
    """Return columns' names, with those in `COLUMNS` in place of a synonym where there is one.

    Examples
    --------
    >>> canonical_columns(["Filename", "Text", "Year"])
    ['file_name', 'caption', 'year']
    >>> canonical_columns(["file_name", "caption", "text"])
    ['file_name', 'caption', 'text']
    """
    columns = [column_name(header) for header in headers]
    taken = set(columns)
    chosen: dict[str, str] = {}
    for synonym, column in SYNONYMS.items():
        rivals = CAPTION_COLUMNS if column in CAPTION_COLUMNS else (column,)
        if synonym in columns and taken.isdisjoint(rivals):
            chosen[synonym] = column
            taken.add(column)
    return [chosen.get(column, column) for column in columns]


def record_from(row: Row, file_name: str, source: Source) -> Record:
    """Make the record of one row.

    Captions lose white space around them and, in a list, repetitions; nothing else.

    Parameters
    ----------
    row
        What the metadata says.
    file_name
        The picture's name in its dataset.
    source
        Where its bytes are.

    Raises
    ------
    MetadataError
        If a value is not text where text belongs.
    """
    known = {name: cell_text(row.where, name, row.cells.get(name)) for name in COLUMNS[2:]}
    captions = caption_columns(tuple(row.cells))
    extra = {
        name: text
        for name, value in row.cells.items()
        if name not in COLUMNS
        and name not in captions
        and (text := cell_text(row.where, name, value, strict=False)) is not None
    }
    return Record(
        file_name,
        source,
        captions=_captions(row, captions),
        **known,
        extra=extra,
        where=row.where,
    )


def join_records(records: Iterable[Record], reading: Reading) -> list[Record]:
    """Join records of the same picture: each picture once, with the captions of all its rows.

    This alone decides which captions belong to which picture, whatever the format.

    Parameters
    ----------
    records
        One for each row; those of the same file name are about the same picture.
    reading
        Takes note of repetitions and contradictions.

    Returns
    -------
    list of Record
        In the order in which the pictures come first.
    """
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(record.file_name, []).append(record)
    return [merge_records(same, reading) for same in by_name.values()]


def merge_records(rows: Sequence[Record], reading: Reading | None = None) -> Record:
    """Join the rows about one picture into one record with the captions of all.

    A caption that is there already is dropped, with a note. Of every other column the first value
    that is given counts.

    Parameters
    ----------
    rows
        At least one, all of the same picture.
    reading
        Takes note of repetitions and contradictions.

    Raises
    ------
    MetadataError
        If a row contradicts another's category or label, and `reading` keeps no notes of errors.
    """
    first, *others = rows
    if not others:
        return first
    reading = reading or Reading()
    places: dict[str, str] = {}
    for number, row in enumerate(rows):
        if not row.captions and not all(earlier.captions for earlier in rows[:number]):
            reading.note(
                "caption_repeated",
                row.file_name,
                f"{row.where}: the picture is listed again without a caption. Remove one of the "
                "rows.",
            )
        for caption in row.captions:
            if caption in places:
                reading.note(
                    "caption_repeated",
                    row.file_name,
                    f"{row.where}: the caption {shortened(caption)!r} is listed again, as in "
                    f"{places[caption]}. It counts once; remove one of the two rows.",
                )
            places.setdefault(caption, row.where)
    for column in ("category", "label"):
        given = [row for row in rows if getattr(row, column) is not None]
        for row in given[1:]:
            ours, theirs = getattr(given[0], column), getattr(row, column)
            if ours != theirs:
                reading.refuse(
                    MetadataError(
                        f"{row.where}: {row.file_name!r} has the {column} {theirs!r}, and {ours!r} "
                        f"in {given[0].where}. Give it one of them."
                    )
                )
    return replace(
        first,
        captions=tuple(places),
        category=_first_given(rows, "category"),
        label=_first_given(rows, "label"),
        caption_es=_first_given(rows, "caption_es"),
        author=_first_given(rows, "author"),
        license=_first_given(rows, "license"),
        source_url=_first_given(rows, "source_url"),
        extra={name: text for row in reversed(rows) for name, text in row.extra.items()},
    )


def caption_lines(text: str) -> list[str]:
    r"""Return the captions in the text that stands beside one picture, one in a line.

    Examples
    --------
    >>> caption_lines("a dog\n\na brown dog\n")
    ['a dog', 'a brown dog']
    """
    return [line for line in map(str.strip, text.splitlines()) if line]


def cell_text(where: str, column: str, value: object, *, strict: bool = True) -> str | None:
    """Return a cell as text without white space around it; None if it is empty.

    Parameters
    ----------
    where, column
        Its place, for messages.
    value
        What it holds.
    strict
        Refuse lists and objects, which are written as JSON otherwise.

    Raises
    ------
    MetadataError
        If the value is not text where text belongs, or no text at all.
    """
    if value is None or value != value:  # pandas writes NaN for an empty cell
        return None
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, Mapping | Sequence):
        if strict:
            raise MetadataError(
                f"{where}: {column} is {shortened(repr(value))}, and text belongs there."
            )
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise MetadataError(
            f"{where}: {column} holds half of a surrogate pair, which is no character. "
            "Write the text again."
        ) from error
    return text or None


def shortened(text: str) -> str:
    """Return a text for a message: one line of at most 40 characters."""
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:39]}…"


@lru_cache(maxsize=64)
def caption_columns(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns whose captions belong to the row's picture.

    Numbered ones do, as ``caption_0`` to ``caption_4``, but not where pictures are numbered too:
    in Winoground ``caption_1`` is a caption of ``image_1``.
    """
    numbered = [column for column in columns if _NUMBERED.fullmatch(column)]
    if len(numbered) < 2 or any(map(_NUMBERED_PICTURE.fullmatch, columns)):
        return CAPTION_COLUMNS
    return (*CAPTION_COLUMNS, *numbered)


def _captions(row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the captions of a row, each once."""
    captions: dict[str, None] = {}
    for column in columns:
        value = row.cells.get(column)
        if isinstance(value, str):
            items: Iterable[object] = _listed(value) or (value,)
        elif isinstance(value, Sequence):
            items = value
        else:
            items = (value,)
        for item in items:
            if isinstance(item, Mapping) and isinstance(item.get("raw"), str):
                item = item["raw"]
            text = cell_text(row.where, column, item)
            if text is not None:
                captions[text] = None
    return tuple(captions)


def _listed(text: str) -> list[str] | None:
    """Return the texts of a list that a table program wrote as text, as ``['a dog', 'a cat']``.

    Between them stand commas, or, where NumPy wrote it, white space alone.
    """
    inner = text.strip()
    if not (inner.startswith("[") and inner.endswith("]")):
        return None
    inner = inner[1:-1]
    found = _QUOTED.findall(inner)
    if not found or _QUOTED.sub("", inner).strip(" \t\r\n,"):
        return None
    try:
        return [str(ast.literal_eval(item.replace("\n", "\\n"))) for item in found]
    except (SyntaxError, ValueError):
        return None


def _first_given(rows: Sequence[Record], column: str) -> str | None:
    return next((value for row in rows if (value := getattr(row, column))), None)
