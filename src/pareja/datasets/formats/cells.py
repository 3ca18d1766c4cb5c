"""Pictures in the cells of tables: which rows are about the same one, and what it is called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.rows import Row, canonical_columns, join_records, record_from
from pareja.datasets.records import Record, Source
from pareja.errors import DatasetError, ImageError, MetadataError


@dataclass(frozen=True)
class Cell:
    """A picture in a row of a table.

    Parameters
    ----------
    path
        Its path as the table gives it; None where it gives none.
    row
        What else the row says.
    source
        Where its bytes are.
    """

    path: str | None
    row: Row
    source: Source


def named_row(where: str, cells: Mapping[str, Any], classes: Mapping[str, list[str]]) -> Row:
    """Return a row of a table, with the names of classes in place of their numbers."""
    values = [
        _class_name(classes[column], value) if column in classes else value
        for column, value in cells.items()
    ]
    return Row(where, dict(zip(canonical_columns(list(cells)), values, strict=True)))


def joined(cells: Iterable[Cell], reading: Reading, limit: int | None) -> list[Record]:
    """Return one record for each picture, with the captions of all its rows.

    Two rows have the same picture if they have its path, where there is one, and its bytes.

    Parameters
    ----------
    cells
        The rows.
    reading
        Takes note of rows that are wrong.
    limit
        Stop after so many pictures.

    Raises
    ------
    DatasetError
        If there is not one.
    MetadataError
        If a row is wrong, unless `reading` keeps that.
    """
    records = join_records(_records(cells, reading, limit), reading)
    if not records and not reading.missing and not reading.notes:
        raise DatasetError("The table holds no pictures.")
    return records


def _records(cells: Iterable[Cell], reading: Reading, limit: int | None) -> Iterator[Record]:
    names = _Names()
    for cell in cells:
        name = names.of(cell)
        if limit is not None and len(names.taken) > limit:
            return
        try:
            yield record_from(cell.row, name, cell.source)
        except MetadataError as error:
            reading.refuse(error)


@dataclass
class _Known:
    """A picture that was met before."""

    name: str
    source: Source
    digest: bytes | None = None


@dataclass
class _Names:
    """Names of pictures, unique: the base name of the path where there is one."""

    taken: set[str] = field(default_factory=set)
    by_path: dict[str, list[_Known]] = field(default_factory=dict)
    by_digest: dict[bytes, str] = field(default_factory=dict)
    number: int = -1

    def of(self, cell: Cell) -> str:
        """Return the name of a cell's picture, the same for the same picture."""
        self.number += 1
        if cell.path is None:
            digest = _digest(cell.source)
            if digest is None:
                return self._new(None)
            if digest not in self.by_digest:
                self.by_digest[digest] = self._new(None)
            return self.by_digest[digest]
        known = self.by_path.setdefault(cell.path, [])
        digest = _digest(cell.source) if known else None
        for other in known:
            # only a path that comes again costs the reading of pictures
            if other.digest is None:
                other.digest = _digest(other.source)
            if other.digest == digest:
                return other.name
        known.append(_Known(self._new(cell.path), cell.source, digest))
        return known[-1].name

    def _new(self, path: str | None) -> str:
        name = PurePosixPath((path or "").replace("\\", "/")).name or f"{self.number:06d}"
        while name in self.taken:
            name = f"{self.number:06d}-{name}"
        self.taken.add(name)
        return name


def _digest(source: Source) -> bytes | None:
    """Return what stands for a picture's bytes; None if there are none."""
    try:
        return hashlib.sha256(source.read()).digest()
    except ImageError:
        return None


def _class_name(names: list[str], number: Any) -> str | None:
    # an unlabelled row of a test split has -1
    return names[number] if isinstance(number, int) and 0 <= number < len(names) else None
