"""What is written about pictures: from CSV, JSON lines and tables to records."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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

_SYNONYMS = {"filename": "file_name", "text": "caption", "licence": "license"}

_CAPTION_COLUMNS = ("caption", "captions")

_DELIMITERS = ",;\t|"

_BYTE_ORDER_MARKS = (
    # UTF-32 first: its little-endian mark starts with that of UTF-16
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)


@dataclass(frozen=True)
class Row:
    """What a dataset says about one picture.

    Parameters
    ----------
    where
        Its place, as ``metadata.csv:17``.
    cells
        Values by column name (`column_name`): text, or what JSON and tables hold.
    """

    where: str
    cells: Mapping[str, object]

    @property
    def file_name(self) -> str:
        """The file that the row names.

        Raises
        ------
        MetadataError
            If it names none.
        """
        name = _text(self, "file_name")
        if name is None:
            raise MetadataError(
                f"{self.where}: file_name is missing. Name the picture, or remove the row."
            )
        return name


def read_rows(name: str, content: bytes) -> Iterator[Row]:
    """Read a metadata file.

    Parameters
    ----------
    name
        Its name, for messages; the ending says whether it holds JSON lines or delimited text.
    content
        Its bytes, in any encoding that `decode_text` knows. Columns of delimited text may be
        separated by commas, semicolons, tabs or bars.

    Yields
    ------
    Row
        One per row; blank ones are passed over.

    Raises
    ------
    MetadataError
        If a row is malformed, or there is no column ``file_name``.
    """
    text = _decode_named(name, content)
    if name.lower().endswith(".jsonl"):
        return _jsonl_rows(name, text)
    return _csv_rows(name, text)


def decode_text(content: bytes) -> str:
    """Decode a text file that people made with whatever they had.

    UTF-8, UTF-16 and UTF-32 are recognised by their byte order mark, and UTF-8 also without one.
    Anything else is taken for Windows-1252, the superset of Latin-1 that spreadsheets write.

    Parameters
    ----------
    content
        The bytes.

    Raises
    ------
    UnicodeDecodeError
        If the bytes contradict their byte order mark.

    Examples
    --------
    >>> decode_text("Zürich – Café".encode("cp1252"))
    'Zürich – Café'
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding)
    for encoding in ("utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")  # cp1252 leaves five bytes undefined


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
    taken = {*columns, *(_CAPTION_COLUMNS if "captions" in columns else ())}
    return [
        synonym if (synonym := _SYNONYMS.get(column)) and synonym not in taken else column
        for column in columns
    ]


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
    known = {name: _text(row, name) for name in COLUMNS[2:]}
    extra = {
        name: text
        for name in row.cells
        if name not in (*COLUMNS, *_CAPTION_COLUMNS)
        and (text := _text(row, name, strict=False)) is not None
    }
    return Record(
        file_name,
        source,
        captions=_captions(row),
        **known,
        extra=extra,
        where=row.where,
    )


def merge_records(rows: Sequence[Record]) -> Record:
    """Join the rows about one picture into one record with the captions of all.

    Of every other column the first value that is given counts.

    Parameters
    ----------
    rows
        At least one, all of the same file.

    Raises
    ------
    MetadataError
        If a row repeats a caption of another, or contradicts its category or label.
    """
    first, *others = rows
    if not others:
        return first
    places: dict[str, str] = {}
    for row in rows:
        for caption in row.captions or ("",):
            if caption in places:
                said = f"the same caption {_shortened(caption)!r}" if caption else "no caption"
                raise MetadataError(
                    f"{row.where}: {row.file_name!r} is listed with {said}, as in "
                    f"{places[caption]}. Remove one of the two rows."
                )
            places[caption] = row.where
    for column in ("category", "label"):
        given = [row for row in rows if getattr(row, column) is not None]
        for row in given[1:]:
            ours, theirs = getattr(given[0], column), getattr(row, column)
            if ours != theirs:
                raise MetadataError(
                    f"{row.where}: {row.file_name!r} has the {column} {theirs!r}, and {ours!r} in "
                    f"{given[0].where}. Give it one of them."
                )
    return replace(
        first,
        captions=tuple(filter(None, places)),
        caption_es=_first_given(rows, "caption_es"),
        category=_first_given(rows, "category"),
        label=_first_given(rows, "label"),
        author=_first_given(rows, "author"),
        license=_first_given(rows, "license"),
        source_url=_first_given(rows, "source_url"),
        extra={name: text for row in reversed(rows) for name, text in row.extra.items()},
    )


def _first_given(rows: Sequence[Record], column: str) -> str | None:
    return next((value for row in rows if (value := getattr(row, column))), None)


def _decode_named(name: str, content: bytes) -> str:
    try:
        text = decode_text(content)
    except UnicodeDecodeError as error:
        raise MetadataError(
            f"{name}:1: is not {error.encoding}, as its first bytes say. Save it as UTF-8."
        ) from error
    if not text.strip():
        raise MetadataError(f"{name}:1: is empty. Its first line names the columns.")
    return text


def _csv_rows(name: str, text: str) -> Iterator[Row]:
    """Read delimited text."""
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
    columns: list[str] = []
    while True:
        where = f"{name}:{skipped + reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise MetadataError(
                f"{where}: {error}. Is a quote left open, or not doubled inside a quoted text?"
            ) from error
        while cells and not cells[-1].strip():
            cells.pop()
        if not cells:
            continue
        if not columns:
            columns = _header(where, cells)
            continue
        if len(cells) > len(columns):
            raise MetadataError(
                f"{where}: has {len(cells)} cells and the header {len(columns)} columns. "
                "Put a text that holds the delimiter in double quotes."
            )
        yield Row(where, dict(zip(columns, cells, strict=False)))


def _delimiter(text: str, candidates: str) -> str:
    """Return the delimiter that the header is written with."""
    header = next((line for line in text.splitlines() if line.strip()), "")

    def fitness(delimiter: str) -> tuple[bool, int]:
        cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True))
        return "file_name" in canonical_columns(cells), len(cells)

    return max(candidates, key=fitness)


def _header(where: str, cells: Sequence[str]) -> list[str]:
    """Return the names of the columns."""
    columns = canonical_columns(cells)
    if "file_name" not in columns:
        if any("\0" in cell for cell in cells):
            raise MetadataError(f"{where}: is not text. Save the table as CSV in UTF-8.")
        found = ", ".join(_shortened(cell.strip()) for cell in cells)
        raise MetadataError(
            f"{where}: there is no column file_name, only: {found}. Name the columns in the first "
            "line, as in: file_name,caption,category"
        )
    repeated = next((column for column in columns if column and columns.count(column) > 1), None)
    if repeated:
        raise MetadataError(f"{where}: two columns are named {repeated!r}. Rename one of them.")
    # pandas leaves the column of its row numbers without a name
    return [column or f"column_{number}" for number, column in enumerate(columns, start=1)]


def _jsonl_rows(name: str, text: str) -> Iterator[Row]:
    """Read JSON lines."""
    # not splitlines, which would split at separators that JSON allows inside strings
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        values = parse_json(where, line)
        if not isinstance(values, dict):
            raise MetadataError(f"{where}: is no JSON object. Write one object in each line.")
        yield Row(where, dict(zip(canonical_columns(list(values)), values.values(), strict=True)))


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


def _captions(row: Row) -> tuple[str, ...]:
    """Return the captions of a row, each once."""
    captions: dict[str, None] = {}
    for column in _CAPTION_COLUMNS:
        value = row.cells.get(column)
        for item in (
            value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        ):
            text = _text(Row(row.where, {column: item}), column)
            if text is not None:
                captions[text] = None
    return tuple(captions)


def _text(row: Row, column: str, *, strict: bool = True) -> str | None:
    """Return a cell as text without white space around it; None if it is empty."""
    value = row.cells.get(column)
    if value is None or value != value:  # pandas writes NaN for an empty cell
        return None
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, Mapping | Sequence):
        if strict:
            raise MetadataError(
                f"{row.where}: {column} is {_shortened(repr(value))}, and text belongs there."
            )
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise MetadataError(
            f"{row.where}: {column} holds half of a surrogate pair, which is no character. "
            "Write the text again."
        ) from error
    return text or None


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:39]}…"
