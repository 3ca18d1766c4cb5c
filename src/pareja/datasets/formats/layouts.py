"""Which files of a tree describe its pictures: the table of layouts that are known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from pareja.datasets.formats.class_names import CLASS_FILES
from pareja.datasets.formats.coco import coco_rows, is_coco
from pareja.datasets.formats.encodings import decode_text
from pareja.datasets.formats.fiftyone import fiftyone_rows, is_fiftyone
from pareja.datasets.formats.folders import NameIndex, Tree, ending, is_picture, without_ending
from pareja.datasets.formats.karpathy import is_karpathy, karpathy_rows
from pareja.datasets.formats.metadata import parse_json, read_rows, sample_rows
from pareja.datasets.formats.name_maps import is_name_map, name_map_rows
from pareja.datasets.formats.places import split_in_file_name
from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.roboflow import is_one_hot, one_hot_rows
from pareja.datasets.formats.rows import (
    CAPTION_COLUMNS,
    COLUMNS,
    Row,
    canonical_columns,
    caption_columns,
    with_split,
)
from pareja.datasets.formats.spreadsheets import SPREADSHEETS, is_spreadsheet, needs_openpyxl
from pareja.datasets.formats.text_lists import is_list, list_rows
from pareja.errors import DatasetError, MissingDependencyError

_SHEETS = tuple(f"metadata{kind}" for kind in SPREADSHEETS)
METADATA_NAMES = (
    *("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet"),
    *_SHEETS,
)
"""How a metadata file of the imagefolder layout is called, in any case.

A spreadsheet counts where there is none of the others: often these were saved from it.
"""

_JSON_LAYOUTS: Sequence[tuple[Callable[[object], bool], Callable[[str, Any], Iterable[Row]]]] = (
    (is_karpathy, karpathy_rows),
    (is_coco, coco_rows),
    (is_fiftyone, fiftyone_rows),
    (is_name_map, name_map_rows),
)
"""For each layout in JSON: what tells it, and what reads it. The first that fits counts."""

_TABLES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", *SPREADSHEETS})
_LISTS = frozenset({".txt", ".token", ".lst", ".list"})
_UNREADABLE = {
    **dict.fromkeys(
        (".xls", ".ods", ".numbers"), "Save the table as CSV, in UTF-8, as metadata.csv."
    ),
    ".xml": "Write what it says into metadata.csv.",
    **dict.fromkeys((".feather", ".arrow"), "Save the table as metadata.parquet."),
    **dict.fromkeys(
        (".mat", ".pkl", ".db", ".sqlite", ".sqlite3", ".h5", ".hdf5", ".npz"),
        "Write what it says of the pictures into metadata.csv.",
    ),
    **dict.fromkeys((".tgz", ".gz", ".7z", ".rar"), "Unpack it."),
    **dict.fromkeys((".tar", ".zip"), "Give it by itself, or unpack it."),
}
"""What to do about files that may describe pictures, or hold some, and are never read."""

_SAMPLE = 50
_MANY = 20
_NO_DESCRIPTION = re.compile(
    r"(readme|licen[cs]e|copying|attribution|credits|requirements|changelog|notes|robots|todo)\b.*"
    r"|sha256sums.*|md5sums.*|checksums.*|dataset_infos?\.json|package.*\.json|config\.json"
    r"|~\$.*|croissant\.json|thumbs\.db|desktop\.ini|.*_stats\.json|.*templates\.(txt|json)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Descriptions:
    """The files that describe a tree's pictures.

    Parameters
    ----------
    metadata
        Those of the imagefolder layout.
    tables
        Those of other layouts, each with its rows.
    """

    metadata: Sequence[str]
    tables: Mapping[str, Iterable[Row]]


def find_descriptions(tree: Tree, index: NameIndex, reading: Reading) -> Descriptions:
    """Find the files that describe pictures; note those that seem to and are not read.

    Parameters
    ----------
    tree, index
        The files.
    reading
        Takes note.

    Raises
    ------
    DatasetError
        If two metadata files lie in one folder.
    """
    metadata = _metadata_files(tree, reading)
    tables: dict[str, Iterable[Row]] = {}
    for name in _candidates(tree, metadata, reading):
        try:
            rows = _rows_of(tree, index, name, reading)
        except DatasetError as error:
            _unread(reading, name, f"It is not read: {error}")
            continue
        except MissingDependencyError as error:
            if not metadata:
                _unread(reading, name, _not_installed(error))
            continue
        if isinstance(rows, str):
            if rows:
                _unread(reading, name, rows)
        elif metadata:
            _unread(reading, name, f"It is not read, since {metadata[0]} describes the pictures.")
        else:
            tables[name] = rows
    return Descriptions(metadata, tables)


def is_metadata(name: str) -> bool:
    """Return whether a file is called as metadata of the imagefolder layout; ``.txt`` may follow.

    Examples
    --------
    >>> is_metadata("a/Metadata.csv"), is_metadata("metadata.csv.txt"), is_metadata("data.csv")
    (True, True, False)
    """
    return plain_name(name).lower() in METADATA_NAMES


def plain_name(name: str) -> str:
    """Return a file's name without its folder and without a ``.txt`` that Windows hid.

    Examples
    --------
    >>> plain_name("a/metadata.csv.txt"), plain_name("a.txt")
    ('metadata.csv', 'a.txt')
    """
    base = name.rpartition("/")[2]
    if ending(base) != ".txt" or ending(without_ending(base)) not in _TABLES:
        return base
    return without_ending(base)


def _metadata_files(tree: Tree, reading: Reading) -> Sequence[str]:
    """Return the metadata files that count: in each branch of the tree the highest."""
    chosen: dict[PurePosixPath, str] = {}

    def rank(name: str) -> tuple[int, bool]:
        return name.count("/"), is_spreadsheet(name)

    for name in sorted(filter(is_metadata, tree.names), key=rank):
        folder = PurePosixPath(name).parent
        if folder in chosen:
            if is_spreadsheet(name):
                _unread(reading, name, f"It is not read, since {chosen[folder]} lies beside it.")
                continue
            raise DatasetError(
                f"{tree.location} has both {chosen[folder]} and {name}. Keep the one that counts."
            )
        above = next((chosen[parent] for parent in folder.parents if parent in chosen), None)
        try:
            if above is None and is_spreadsheet(name):
                needs_openpyxl()
            if above is None:
                chosen[folder] = name
            elif _lists_files(tree, name):
                _unread(reading, name, f"It is not read, since {above} lies above it.")
        except MissingDependencyError as error:
            _unread(reading, name, _not_installed(error))
    return sorted(chosen.values())


def _not_installed(error: MissingDependencyError) -> str:
    return f"It is not read: {error}, or save the table as CSV, in UTF-8, as metadata.csv."


def _lists_files(tree: Tree, name: str) -> bool:
    """Return whether a metadata file has a column with files."""
    if name.lower().endswith(".parquet"):
        return True
    sample = sample_rows(plain_name(name), tree.read(name), 1)
    return any("file_name" in canonical_columns(list(row)) for row in sample)


def ends_like_a_table(name: str) -> bool:
    """Return whether a file is looked into for descriptions of pictures because of its ending."""
    return ending(plain_name(name)) in {*_TABLES, *_LISTS, *_UNREADABLE}


def _candidates(tree: Tree, metadata: Sequence[str], reading: Reading) -> Iterator[str]:
    """Yield the files that may be tables; note the others that may describe pictures."""
    stems = {without_ending(name) for name in tree.names if is_picture(name)}
    loose = []
    for name in tree.names:
        if is_picture(name):
            continue
        plain, beside = plain_name(name), without_ending(name)
        kind = ending(plain)
        if (
            ends_like_a_table(name)
            and plain.lower() not in METADATA_NAMES
            and not _NO_DESCRIPTION.fullmatch(plain)
            and stems.isdisjoint((beside, without_ending(beside)))
        ):
            loose.append((name, kind))
    crowds = Counter((name.rpartition("/")[0], kind) for name, kind in loose)
    named: set[tuple[str, str]] = set()
    for name, kind in loose:
        crowd = (name.rpartition("/")[0], kind)
        if crowds[crowd] > _MANY:
            if crowd not in named:
                _unread(reading, name, f"{crowds[crowd]} {kind} files like it are not read.")
            named.add(crowd)
        elif kind in _UNREADABLE:
            if not metadata or kind in (".tar", ".zip", ".tgz"):
                _unread(reading, name, f"It is not read. {_UNREADABLE[kind]}")
        else:
            yield name


def _rows_of(tree: Tree, index: NameIndex, name: str, reading: Reading) -> Iterable[Row] | str:
    """Return the rows of a table; or why it is not read, empty where it describes no pictures."""
    plain = plain_name(name)
    kind = ending(plain)
    if kind == ".parquet":
        return (
            "It is not read. Call it metadata.parquet, with a column file_name; or give it alone."
        )
    content = tree.read(name)
    if kind in _LISTS and not _is_csv(content, index):
        text = decode_text(content)
        if not is_list(text, index):
            return "" if plain.lower() in CLASS_FILES else _unknown(text, index)
        return _placed(list_rows(name, text), name)
    if kind == ".json":
        parsed = parse_json(name, decode_text(content))
        for fits, rows in _JSON_LAYOUTS:
            if fits(parsed):
                return _placed(rows(name, parsed), name)
        if not isinstance(parsed, list):
            return "" if plain.lower() in CLASS_FILES else _unknown(decode_text(content), index)
    read_as = f"{name.removesuffix(plain)}{plain}" if plain != PurePosixPath(name).name else name
    return _table_rows(name, read_as, content, index, reading)


def _table_rows(
    name: str, read_as: str, content: bytes, index: NameIndex, reading: Reading
) -> Iterable[Row] | str:
    """Return the rows of a table with any name, if a column of it names the pictures."""
    sample = sample_rows(read_as, content, _SAMPLE)
    column = _picture_column(sample, index)
    if column is None:
        text = str(sample) if is_spreadsheet(read_as) else decode_text(content)
        return _unknown(text, index)
    if is_one_hot(read_as):
        return one_hot_rows(_placed(read_rows(read_as, content, reading, column), name))
    others = [header for header in sample[0] if header != column]
    known = canonical_columns(["file_name", *others])
    if not {*COLUMNS[1:4], *CAPTION_COLUMNS}.intersection(known) and len(
        caption_columns(tuple(known))
    ) == len(CAPTION_COLUMNS):
        return (
            f"It is not read: it names pictures, and none of its other columns "
            f"({', '.join(others) or 'there are none'}) is called caption, category or label. "
            "Rename one."
        )
    return _placed(read_rows(read_as, content, reading, column), name)


def _picture_column(sample: Sequence[Mapping[str, object]], index: NameIndex) -> str | None:
    """Return the column in which most cells name pictures of the tree."""
    hits = Counter(
        header
        for row in sample
        for header, cell in row.items()
        if isinstance(cell, str | int) and _names_picture(str(cell), index)
    )
    return max(hits, key=lambda header: hits[header]) if hits else None


def _names_picture(cell: str, index: NameIndex) -> bool:
    name = cell.strip().replace("\\", "/")
    return bool(name) and len(name) < 300 and index.find_below("", name) is not None


def _is_csv(content: bytes, index: NameIndex) -> bool:
    """Return whether a text has a header and a column that names pictures, as Flickr8k's."""
    sample = sample_rows("list.csv", content, 3)
    return bool(sample) and len(sample[0]) > 1 and _picture_column(sample, index) is not None


def _unknown(text: str, index: NameIndex) -> str:
    """Return what to say of a file in no known layout: nothing, where it names no pictures."""
    words = re.findall(r"[^\s\"',;|:\[\]{}()<>=]+", text[:20_000])
    if any(is_picture(word) and index.find_below("", word) for word in words):
        return (
            "It names pictures and is in no layout that is read. Write what it says into "
            "metadata.csv, with the columns file_name and caption."
        )
    return ""


def _placed(rows: Iterable[Row], name: str) -> Iterator[Row]:
    """Yield rows of a table that may lie apart from its pictures; its name may tell their split."""
    folder = PurePosixPath(name).parent.as_posix()
    split = split_in_file_name(name)
    for row in rows:
        placed = replace(row, folder="" if folder == "." else folder, anywhere=True)
        yield with_split(placed, split)


def _unread(reading: Reading, name: str, message: str) -> None:
    reading.note("file_unread", name, message)
