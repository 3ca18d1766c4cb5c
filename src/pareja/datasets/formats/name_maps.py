"""A JSON object with one entry for each picture: its caption, its captions or its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pareja.datasets.formats.folders import is_picture
from pareja.datasets.formats.rows import Row, canonical_columns


def is_name_map(content: object) -> bool:
    """Return whether parsed JSON has pictures' names as keys."""
    return isinstance(content, dict) and bool(content) and all(map(is_picture, content))


def name_map_rows(file: str, content: Any) -> Iterator[Row]:
    """Yield one row for each picture; a number beside its name is its class."""
    for name, value in content.items():
        cells: dict[str, object] = {"file_name": name}
        if isinstance(value, Mapping):
            columns = canonical_columns(["file_name", *value])[1:]
            cells.update(zip(columns, value.values(), strict=True))
        else:
            cells["label" if isinstance(value, int) else "captions"] = value
        yield Row(f"{file}: {name}", cells, anywhere=True)
