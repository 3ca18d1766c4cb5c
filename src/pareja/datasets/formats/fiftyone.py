"""``labels.json`` as FiftyOne exports classifications, beside ``data/``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pareja.datasets.formats.rows import Row


def is_fiftyone(content: object) -> bool:
    """Return whether parsed JSON looks like such a file."""
    return isinstance(content, dict) and isinstance(content.get("labels"), dict)


def fiftyone_rows(file: str, content: Any) -> Iterator[Row]:
    """Yield one row for each picture, which the file names without its ending."""
    classes = content.get("classes") or []
    for name, label in content["labels"].items():
        if isinstance(label, dict):
            label = label.get("label")
        if isinstance(label, int) and 0 <= label < len(classes):
            label = classes[label]
        yield Row(f"{file}: {name}", {"file_name": name, "label": label}, anywhere=True)
