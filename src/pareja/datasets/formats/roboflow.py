"""``_classes.csv`` as Roboflow exports classifications: a column of 0 and 1 for each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pareja.datasets.formats.rows import Row


def is_one_hot(name: str) -> bool:
    """Return whether a file of that name is such a table."""
    return name.rpartition("/")[2].lower() == "_classes.csv"


def one_hot_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows with the name of the class that is 1; with several classes, without."""
    for row in rows:
        named = [
            column
            for column, value in row.cells.items()
            if column != "file_name" and str(value).strip() == "1"
        ]
        cells = {"file_name": row.cells.get("file_name")}
        if len(named) == 1:
            cells["label"] = named[0]
        elif named:
            cells["classes"] = ", ".join(named)
        yield Row(row.where, cells, row.folder, anywhere=True)
