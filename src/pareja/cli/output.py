"""The file that a command writes: what it may be called and replace, and what it is told as."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareja.cli.console import fail, stderr

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from io import BufferedRandom


def check_suffix(out: Path | None) -> None:
    """End with a usage error unless the name says what is to be written."""
    if out is not None and out.suffix.lower() not in {".csv", ".json", ".html"}:
        fail(f"{out}: end its name in .csv, .json or .html.", status=2)


def staged_output(
    out: Path | None, *, force: bool
) -> AbstractContextManager[BufferedRandom | None]:
    """Open the file to write into before any work is done; None where nothing is written."""
    from pareja.files import staged_file

    return nullcontext() if out is None else staged_file(out, force=force)


def refuse_own_files(out: Path | None, read: Sequence[str | Path]) -> None:
    """Raise if a result would replace what it is made from, --force or not.

    Parameters
    ----------
    out
        The file to write; None where nothing is written.
    read
        Files, folders and names that are read.

    Raises
    ------
    OutputError
        If the file exists, and is one of those or lies in one of them.
    """
    from pareja.errors import OutputError

    if out is None or not out.exists():
        return
    target = out.resolve()
    for location in read:
        if target.is_relative_to(Path(location).expanduser().resolve()):
            raise OutputError(
                f"{out} is a file of {location}, which is only read. Choose another place."
            )


def as_text(value: Any) -> str:
    """Return a JSON document for a file."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def say_where(out: Path | None) -> None:
    """Name the file that was written on standard error."""
    if out is not None:
        stderr().print(str(out.resolve()), soft_wrap=True)
