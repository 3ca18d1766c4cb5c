"""Datasets in Parquet files, which hold the pictures or name files beside them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from threading import Lock
from typing import Any

from pareja.addresses import leads_out
from pareja.datasets.formats.cells import Cell, joined, named_row
from pareja.datasets.formats.class_names import with_class_names
from pareja.datasets.formats.folders import FileSource, FolderTree, relative_name
from pareja.datasets.formats.imagefolder import listed_records, tree_dataset
from pareja.datasets.formats.parquet_columns import (
    features_of,
    holds_bytes,
    is_list_type,
    is_of_another,
    path_columns,
    picture_column,
    without_number,
)
from pareja.datasets.formats.places import split_in_file_name, split_named
from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.rows import Row, with_split
from pareja.datasets.records import Dataset
from pareja.errors import DatasetError, ImageError, MetadataError, MissingDependencyError
from pareja.shortages import naming_shortages

_EMPTY_CELL = "the cell holds no bytes of a picture"
_PATH_ONLY = (
    "the cell holds the path {path} and no bytes. Write the table anew with the pictures in it: "
    'from datasets.table import embed_table_storage; rows.with_format("arrow")'
    '.map(embed_table_storage, batched=True).with_format(None).to_parquet("new.parquet")'
)
"""``Dataset.to_parquet`` of the ``datasets`` library writes no bytes of pictures in files."""

# so that threads that start on the same part of a table read it once, and hold it once
_reading = Lock()


@dataclass(frozen=True)
class ParquetSource:
    """A picture in a cell of a Parquet file.

    Parameters
    ----------
    path
        The file.
    column
        Its column with pictures.
    group, row
        The row group, and the row in it.
    """

    path: Path
    column: str
    group: int
    row: int

    def __str__(self) -> str:
        return f"{self.path}: row {self.row} of group {self.group}"

    def read(self) -> bytes:
        """Return the cell's bytes, or raise `ImageError`."""
        try:
            with naming_shortages(self), _reading:
                status = self.path.stat()
                written = status.st_mtime_ns, status.st_size
                cells = _row_group(self.path, self.column, self.group, written)
            content = cells[self.row].as_py()
        except (DatasetError, OSError, ValueError, IndexError) as error:
            raise ImageError(self, f"cannot be read: {error}") from error
        if isinstance(content, list) and len(content) == 1:
            content = content[0]
        named = None
        if isinstance(content, Mapping):
            named = content.get("path")
            content = content.get("bytes")
        if isinstance(content, bytes):
            return content
        if not named:
            raise ImageError(self, _EMPTY_CELL)
        beside = _beside(self.path.parent, named)
        if beside is None:
            raise ImageError(self, _PATH_ONLY.format(path=named))
        return FileSource(beside).read()


def read_parquet(
    paths: Sequence[Path], location: Path, name: str, reading: Reading, limit: int | None = None
) -> Dataset:
    """Read a dataset from Parquet files.

    The pictures are in a column of bytes or of ``{bytes, path}``, as the ``datasets`` library
    writes them, or of lists of one of these; or a column ``file_name`` names files beside the
    Parquet file. Which column that is, its content says. Rows with the same picture, by path and
    bytes, are one picture with several captions.

    Parameters
    ----------
    paths
        The files, at least one: the shards of one table.
    location
        What the user named.
    name
        The dataset's name.
    reading
        Takes note of rows that are wrong or have no picture.
    limit
        Stop after so many pictures.

    Raises
    ------
    DatasetError
        If one is no Parquet file, or they have no pictures.
    MetadataError
        If a row is wrong, unless `reading` keeps that.
    MissingDependencyError
        If pyarrow is not installed.
    """
    with open_parquet(paths[0]) as table:
        column = picture_column(paths[0], table, reading)
    if column is not None:
        cells = (cell for path in paths for cell in _cells(path, column, reading))
        records = with_class_names(joined(cells, reading, limit), {}, reading)
        return Dataset(
            name,
            tuple(records),
            location,
            missing=tuple(reading.missing),
            notes=tuple(reading.notes),
        )
    if len(paths) > 1:
        raise DatasetError(
            f"{location} holds no column with pictures. With a column file_name, call the table "
            "metadata.parquet and put the pictures beside it."
        )
    tree = FolderTree(paths[0].parent)
    with open_parquet(paths[0]) as table:
        rows = list(_rows(paths[0].name, table, None))
    return tree_dataset(tree, name, listed_records(tree, rows, reading), reading, paths[0])


def metadata_rows(name: str, content: bytes) -> Iterator[Row]:
    """Yield the rows of a ``metadata.parquet``, which names files.

    Parameters
    ----------
    name
        Its name, for messages.
    content
        Its bytes.

    Raises
    ------
    DatasetError
        If it is no Parquet file.
    MissingDependencyError
        If pyarrow is not installed.
    """
    with open_parquet(io.BytesIO(content), name) as table:
        yield from _rows(name, table, None)


@contextmanager
def open_parquet(
    path: Path | io.BytesIO, name: str | None = None, *, verify: bool = False
) -> Iterator[Any]:
    """Open a Parquet file; say in one line what is wrong with it.

    Parameters
    ----------
    path
        The file, or its bytes.
    name
        How messages call it; by default `path`.
    verify
        Whether its pages must have the checksums that were written with them.

    Yields
    ------
    pyarrow.parquet.ParquetFile
        The open file.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "to read Parquet files", "parquet") from error
    try:
        with parquet.ParquetFile(path, page_checksum_verification=verify) as table:
            yield table
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DatasetError(
            f"{name or path} is no Parquet file, or a damaged one: {reason}."
        ) from error


def _cells(path: Path, column: str, reading: Reading) -> Iterator[Cell]:
    """Yield what a file has of each picture; rows of lists with another number are refused."""
    split = split_in_file_name(path.name) or split_named(path.parent.name)
    with open_parquet(path) as table:
        if column not in table.schema_arrow.names:
            raise DatasetError(f"{path} has no column {column!r}, which other shards have.")
        places = (
            (group, index)
            for group in range(table.num_row_groups)
            for index in range(table.metadata.row_group(group).num_rows)
        )
        for (group, index), row in zip(places, _rows(path.name, table, column), strict=True):
            held = row.cells.get(_PATH)
            number = row.cells.get(_COUNT)
            if number not in (None, 1):
                reading.refuse(
                    MetadataError(
                        f"{row.where}: {column} holds lists of pictures, {number} in this row, and "
                        "one is read. Write a row for each picture."
                    )
                )
                continue
            cells = {
                name: value for name, value in row.cells.items() if name not in (_PATH, _COUNT)
            }
            named = held or cells.get("file_name")
            yield Cell(
                str(named) if named else None,
                with_split(replace(row, cells=cells), split),
                ParquetSource(path, column, group, index),
            )


_PATH, _COUNT = "\0path", "\0count"
"""Names, which no column has, for what a row's picture cell says."""


def _rows(name: str, table: Any, column: str | None) -> Iterator[Row]:
    """Yield what is written about each picture; its path and number from the column."""
    schema = table.schema_arrow
    texts = [
        field.name
        for field in schema
        if field.name != column
        and not holds_bytes(field.type)
        and not (column and is_of_another(field.name, column))
    ]
    classes = {
        label: list(feature["names"])
        for label, feature in features_of(schema).items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }
    listed = column is not None and is_list_type(schema.field(column).type)
    projected = path_columns(schema, column)
    own = re.search(r"\d+$", column) if column else None
    number = 0
    for group in range(table.num_row_groups):
        wanted = [*texts, *projected]
        rows = table.read_row_group(group, columns=wanted).to_pylist() if wanted else ()
        count = table.metadata.row_group(group).num_rows
        for _, values in zip(range(count), rows or repeat({}), strict=False):
            number += 1
            cells = {text: values[text] for text in texts}
            if own:
                cells = {without_number(text, own[0]): value for text, value in cells.items()}
            row = named_row(f"{name}:{number}", cells, classes)
            held = values.get(column) if column and projected else None
            added: dict[str, object] = {}
            if listed:
                added[_COUNT] = len(held or ())
                held = held[0] if held and len(held) == 1 else None
            if isinstance(held, Mapping):
                added[_PATH] = held.get("path")
            yield replace(row, cells={**row.cells, **added}) if added else row


def _beside(folder: Path, name: str) -> Path | None:
    """Return the file below a folder that a path names, if it names one."""
    try:
        path = folder / relative_name(name)
        return path if path.is_file() and not leads_out(path, folder) else None
    except (ValueError, OSError):
        return None


@lru_cache(maxsize=2)
def _row_group(path: Path, column: str, group: int, written: tuple[int, int]) -> Any:
    """Return the cells of one column in one row group, of the file that was `written` then."""
    with open_parquet(path) as table:
        return table.read_row_group(group, columns=[column]).column(column)
