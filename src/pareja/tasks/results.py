"""Results that can be written down: what writes them lies above, and is named at the front door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

_writers: list[Callable[..., Path]] = []


def written_by(writer: Callable[..., Path]) -> None:
    """Name what writes results: it gets the result, the path and the options of ``save``."""
    _writers[:] = [writer]


def write(result: object, path: Path | str, **options: Any) -> Path:
    """Write a result, and return where it is."""
    return _writers[0](result, Path(path), **options)
