"""Datasets in tables that hold the pictures: a Parquet file, or a repository of the hub."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, repeat
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from pareja.datasets.formats.folders import FileSource, FolderTree
from pareja.datasets.formats.imagefolder import OnMissing, listed_records, tree_dataset
from pareja.datasets.formats.metadata import Row, canonical_columns, record_from
from pareja.datasets.records import Dataset, Record, Source
from pareja.errors import DatasetError, ImageError, MissingDependencyError

HUB_SCHEME = "hf://"

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
            with _reading:
                cells = _row_group(self.path, self.column, self.group, self.path.stat().st_mtime_ns)
            content = cells[self.row].as_py()
        except (DatasetError, OSError, ValueError, IndexError) as error:
            raise ImageError(self, f"cannot be read: {error}") from error
        path = None
        if isinstance(content, Mapping):
            path = content.get("path")
            content = content.get("bytes")
        if not isinstance(content, bytes):
            raise ImageError(self, _PATH_ONLY.format(path=path) if path else _EMPTY_CELL)
        return content


@dataclass(frozen=True)
class HubSource:
    """A picture of a dataset that the ``datasets`` library has fetched.

    Parameters
    ----------
    repository
        As ``owner/name``.
    split
        The split.
    row
        The row in it.
    """

    repository: str
    split: str
    row: int

    def __str__(self) -> str:
        return f"{HUB_SCHEME}{self.repository}/{self.split}: row {self.row}"

    def read(self) -> bytes:
        """Return the picture's bytes, or raise `ImageError`."""
        with _reading:
            table, column = _hub_split(self.repository, self.split)
            pictures = table.select_columns([column])
        cell = pictures[self.row][column]
        if cell and isinstance(cell["bytes"], bytes):
            return cell["bytes"]
        if cell and cell["path"]:
            return FileSource(Path(cell["path"])).read()
        raise ImageError(self, "the cell holds no picture")


def read_parquet(path: Path, name: str, on_missing: OnMissing, limit: int | None = None) -> Dataset:
    """Read a dataset from one Parquet file.

    The pictures are in a column of bytes or of ``{bytes, path}``, as the ``datasets`` library
    writes them; or a column ``file_name`` names files beside the Parquet file.

    Parameters
    ----------
    path
        The file.
    name
        The dataset's name.
    on_missing
        What to do about rows without a picture.
    limit
        Stop after so many pictures.

    Raises
    ------
    DatasetError
        If it is no Parquet file, or has no pictures.
    MetadataError
        If a row is wrong.
    MissingDependencyError
        If pyarrow is not installed.
    """
    with _parquet(path) as table:
        column = _picture_column(table.schema_arrow)
        if column is not None:
            pictures = (
                (picture_path, row, ParquetSource(path, column, group, index))
                for group, index, picture_path, row in _parquet_rows(path, table, column)
            )
            return _nonempty(Dataset(name, tuple(islice(_named(pictures), limit)), path))
        tree = FolderTree(path.parent)
        rows = (row for *_, row in _parquet_rows(path, table, None))
        records, missing = listed_records(tree, rows, "", on_missing)
    return _nonempty(tree_dataset(tree, name, records, missing, on_missing, path))


def read_hub(address: str, limit: int | None = None) -> Dataset:
    """Read a dataset of the Hugging Face hub through the ``datasets`` library.

    Parameters
    ----------
    address
        ``hf://owner/name`` or ``hf://owner/name/split``.
    limit
        Stop after so many pictures.

    Raises
    ------
    DatasetError
        If it cannot be had, has several splits and none is named, or has no pictures.
    MetadataError
        If a row is wrong.
    MissingDependencyError
        If ``datasets`` is not installed.
    """
    parts = address.removeprefix(HUB_SCHEME).strip("/").split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise DatasetError(
            f"{address} is no address of a dataset. Write {HUB_SCHEME}owner/name or "
            f"{HUB_SCHEME}owner/name/split."
        )
    repository = "/".join(parts[:2])
    split = parts[2] if len(parts) == 3 else _only_split(repository)
    table, column = _hub_split(repository, split)
    texts = table.remove_columns(
        [name for name, feature in table.features.items() if hasattr(feature, "decode_example")]
    )
    classes = {
        name: feature.names
        for name, feature in texts.features.items()
        if hasattr(feature, "int2str")
    }
    paths = table.select_columns([column]).flatten()[f"{column}.path"]
    cells: Iterable[Mapping[str, Any]] = texts if texts.column_names else repeat({})
    pictures = (
        (
            path,
            _row(f"{address}: row {index}", values, classes),
            HubSource(repository, split, index),
        )
        for index, (path, values) in enumerate(zip(paths, cells, strict=False))
    )
    name = f"{repository}/{split}"
    return _nonempty(Dataset(name, tuple(islice(_named(pictures), limit)), address))


def _named(pictures: Iterable[tuple[str | None, Row, Source]]) -> Iterator[Record]:
    """Yield records under unique names: the base name of the path where there is one."""
    taken: set[str] = set()
    for index, (path, row, source) in enumerate(pictures):
        name = PurePosixPath(str(path or "").replace("\\", "/")).name or f"{index:06d}"
        while name in taken:
            name = f"{index:06d}-{name}"
        taken.add(name)
        yield record_from(row, name, source)


def _row(where: str, cells: Mapping[str, Any], classes: Mapping[str, list[str]]) -> Row:
    """Return a row of a table, with the names of classes in place of their numbers."""
    values = [
        _class_name(classes[column], value) if column in classes else value
        for column, value in cells.items()
    ]
    return Row(where, dict(zip(canonical_columns(list(cells)), values, strict=True)))


def _class_name(names: list[str], number: Any) -> str | None:
    # an unlabelled row of a test split has -1
    return names[number] if isinstance(number, int) and 0 <= number < len(names) else None


def _nonempty(dataset: Dataset) -> Dataset:
    if not dataset.records and not dataset.missing:
        raise DatasetError(f"{dataset.location} holds no pictures.")
    return dataset


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    """Open a Parquet file; say in one line what is wrong with it."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "to read Parquet files", "parquet") from error
    try:
        with parquet.ParquetFile(path) as table:
            yield table
    except (pa.ArrowException, OSError) as error:
        reason = _first_line(error)
        raise DatasetError(f"{path} is no Parquet file, or a damaged one: {reason}.") from error


def _picture_column(schema: Any) -> str | None:
    """Return the first column that holds pictures: bytes, alone or with their path."""
    from pyarrow import types

    for column in schema:
        kind = column.type
        if types.is_struct(kind):
            if kind.get_field_index("bytes") < 0:
                continue
            kind = kind.field("bytes").type
        if types.is_binary(kind) or types.is_large_binary(kind):
            return str(column.name)
    return None


def _parquet_rows(
    path: Path, table: Any, column: str | None
) -> Iterator[tuple[int, int, str | None, Row]]:
    """Yield the row group, the row in it, the picture's path, and what is written about it."""
    from pyarrow import types

    schema = table.schema_arrow
    texts = [
        field.name
        for field in schema
        if field.name != column
        and not (types.is_binary(field.type) or types.is_large_binary(field.type))
    ]
    has_path = column is not None and (
        types.is_struct(schema.field(column).type)
        and schema.field(column).type.get_field_index("path") >= 0
    )
    wanted = [*texts, f"{column}.path"] if has_path else texts
    classes = _class_names(schema)
    number = 0
    for group in range(table.num_row_groups):
        rows = table.read_row_group(group, columns=wanted).to_pylist() if wanted else ()
        count = table.metadata.row_group(group).num_rows
        for index, cells in zip(range(count), rows or repeat({}), strict=False):
            number += 1
            picture = cells.get(column) if has_path else None
            row = _row(f"{path.name}:{number}", {text: cells[text] for text in texts}, classes)
            named = picture.get("path") if picture else None
            named = named or cells.get("file_name")
            yield group, index, named, row


def _class_names(schema: Any) -> dict[str, list[str]]:
    """Return the names of classes that the ``datasets`` library noted in the file."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: list(feature["names"])
            for column, feature in features.items()
            if feature.get("_type") == "ClassLabel"
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


@lru_cache(maxsize=2)
def _row_group(path: Path, column: str, group: int, modified_ns: int) -> Any:
    """Return the cells of one column in one row group."""
    with _parquet(path) as table:
        return table.read_row_group(group, columns=[column]).column(column)


def _only_split(repository: str) -> str:
    """Return the split of a dataset that has one."""
    datasets = _datasets_library()
    with _hub_errors(repository):
        splits = datasets.get_dataset_split_names(repository)
    if len(splits) != 1:
        raise DatasetError(
            f"{HUB_SCHEME}{repository} has the splits {', '.join(splits)}. Name one, as in "
            f"{HUB_SCHEME}{repository}/{splits[0]}"
        )
    return str(splits[0])


@lru_cache(maxsize=8)
def _hub_split(repository: str, split: str) -> tuple[Any, str]:
    """Return a split, whose pictures are not decoded, and its column with pictures."""
    datasets = _datasets_library()
    with _hub_errors(repository):
        table = datasets.load_dataset(repository, split=split)
        pictures = [
            name for name, feature in table.features.items() if isinstance(feature, datasets.Image)
        ]
        if not pictures:
            raise DatasetError(
                f"{HUB_SCHEME}{repository} has no column with pictures, only "
                f"{', '.join(table.column_names)}."
            )
        return table.cast_column(pictures[0], datasets.Image(decode=False)), pictures[0]


def _datasets_library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError("datasets", "to read datasets of the hub", "hub") from error
    return datasets


@contextmanager
def _hub_errors(repository: str) -> Iterator[None]:
    """Say in one line why a dataset cannot be had; the library raises many kinds of errors."""
    try:
        yield
    except DatasetError:
        raise
    except Exception as error:
        raise DatasetError(
            f"{HUB_SCHEME}{repository} cannot be loaded: {_first_line(error)}. "
            "Without a network, give a folder, a zip or a Parquet file that is on this machine."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0].rstrip(".")
