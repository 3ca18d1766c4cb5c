"""Pictures named one by one, folders and datasets, put together to one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pareja.datasets.formats import load_dataset
from pareja.datasets.formats.folders import FileSource, is_picture, printable
from pareja.datasets.records import Dataset, Record
from pareja.errors import DatasetError


def load_pictures(locations: Sequence[str]) -> Dataset:
    """Load pictures from wherever they are.

    Parameters
    ----------
    locations
        Picture files, and anything that `load_dataset` reads.

    Returns
    -------
    Dataset
        One dataset as it is; several, or files, as one whose pictures are named by their place.

    Raises
    ------
    DatasetError
        If nothing is named, a location cannot be read, or the same picture is named twice.
    """
    if not locations:
        raise DatasetError("no pictures. Name files, a folder or a dataset.")
    single = len(locations) == 1
    if single and not _is_file(locations[0]):
        return load_dataset(locations[0])
    records: list[Record] = []
    for location in locations:
        if _is_file(location):
            records.append(Record(printable(location), FileSource(Path(location).expanduser())))
        else:
            prefix = location.rstrip("/")
            records += [
                replace(record, file_name=f"{prefix}/{record.file_name}")
                for record in load_dataset(location)
            ]
    names: set[str] = set()
    for record in records:
        if record.file_name in names:
            raise DatasetError(f"{record.file_name} is named twice. Name each picture once.")
        names.add(record.file_name)
    name = Path(locations[0]).name if single else f"{len(locations)} places"
    return Dataset(name, tuple(records), name)


def _is_file(location: str) -> bool:
    return is_picture(location) and Path(location).expanduser().is_file()
