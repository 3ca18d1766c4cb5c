"""Datasets of the Hugging Face hub, through the ``datasets`` library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat
from pathlib import Path
from threading import Lock
from typing import Any

from pareja.addresses import is_repository_name, leads_out
from pareja.datasets.formats.cells import Cell, joined, named_row
from pareja.datasets.formats.class_names import with_class_names
from pareja.datasets.formats.folders import FileSource
from pareja.datasets.formats.reading import Reading
from pareja.datasets.records import Dataset
from pareja.errors import DatasetError, ImageError, MissingDependencyError
from pareja.shortages import naming_shortages

HUB_SCHEME = "hf://"

# so that threads that start on the same part of a table read it once, and hold it once
_reading = Lock()


@dataclass(frozen=True)
class HubSource:
    """A picture of a dataset that the ``datasets`` library has fetched.

    Parameters
    ----------
    repository
        Name of the dataset on the hub, ``owner/name``.
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
        with naming_shortages(self), _reading:
            table, column = _hub_split(self.repository, self.split)
            pictures = table.select_columns([column])
        cell = pictures[self.row][column]
        if cell and isinstance(cell["bytes"], bytes):
            return cell["bytes"]
        if cell and cell["path"]:
            path = Path(cell["path"])
            if all(leads_out(path, root) for root in _downloaded_to(self.repository)):
                raise ImageError(
                    self, f"the cell holds no picture but the path {path}, which was not downloaded"
                )
            return FileSource(path).read()
        raise ImageError(self, "the cell holds no picture")


def read_hub(
    address: str, reading: Reading, limit: int | None = None, split: str | None = None
) -> Dataset:
    """Read a dataset of the Hugging Face hub through the ``datasets`` library.

    Parameters
    ----------
    address
        ``hf://owner/name`` or ``hf://owner/name/split``.
    reading
        Takes note of rows that are wrong.
    limit
        Stop after so many pictures.
    split
        The split, where the address names none.

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
    repository = "/".join(parts[:2])
    if len(parts) not in (2, 3) or not (parts[-1] and is_repository_name(repository)):
        raise DatasetError(
            f"{address} is no address of a dataset. Write {HUB_SCHEME}owner/name or "
            f"{HUB_SCHEME}owner/name/split."
        )
    split = parts[2] if len(parts) == 3 else split or _only_split(repository)
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
        Cell(
            path or None,
            named_row(f"{address}: row {index}", {"split": split, **values}, classes),
            HubSource(repository, split, index),
        )
        for index, (path, values) in enumerate(zip(paths, cells, strict=False))
    )
    records = with_class_names(joined(pictures, reading, limit), {}, reading)
    return Dataset(f"{repository}/{split}", tuple(records), address, notes=tuple(reading.notes))


def _only_split(repository: str) -> str:
    """Return the split of a dataset that has one."""
    datasets = _datasets_library()
    with _hub_errors(repository):
        _refuse_files_of_this_machine(repository)
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
        _refuse_files_of_this_machine(repository)
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


@lru_cache(maxsize=8)
def _refuse_files_of_this_machine(repository: str) -> None:
    """Refuse a dataset that lies here, or whose own card names files that do.

    The ``datasets`` library takes a folder of the same name for the dataset, and opens an absolute
    path that stands in the card of a stranger's repository.
    """
    datasets = _datasets_library()
    if Path(repository).exists():
        raise DatasetError(
            f"{HUB_SCHEME}{repository} is to be read from the hub, and there is a folder "
            f"{repository} here. Give the folder as ./{repository}, or work in another one."
        )
    builder = datasets.load_dataset_builder(repository)
    for file in chain.from_iterable((builder.config.data_files or {}).values()):
        # "zip://a.jpg::hf://..." is a file inside of another
        if not str(file).rpartition("::")[2].startswith(("hf://", "https://")):
            raise DatasetError(
                f"{HUB_SCHEME}{repository} names a file that is none of its own: {file}. "
                "Nothing was read from it."
            )


def _downloaded_to(repository: str) -> tuple[Path, ...]:
    """Return the folders that the ``datasets`` library brings a repository's files to."""
    from huggingface_hub.constants import HF_HUB_CACHE

    from datasets import config

    stored = Path(HF_HUB_CACHE, f"datasets--{repository.replace('/', '--')}")
    return stored, Path(config.DOWNLOADED_DATASETS_PATH), Path(config.EXTRACTED_DATASETS_PATH)


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
