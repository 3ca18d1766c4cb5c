"""What all commands share: options that mean the same everywhere, and how things are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TextIO

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from pareja.embedding.pipeline import Progress


Language = Literal["es", "en"]
"""The languages that pages and reports are written in."""

DatasetArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="A bundled name (pareja20), a folder, a zip, or any other format pareja reads.",
    ),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "-m", "--model", help="An encoder; give it several times to compare.", show_default=False
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("-m", "--model", help="An encoder.", show_default=False)
]
OutOption = Annotated[Path | None, typer.Option("-o", "--out", help="Where the result is written.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace an earlier result in the same place.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random draws.")]


def stdout() -> Console:
    """Return the console for results."""
    from rich.console import Console

    return Console(highlight=False)


def stderr() -> Console:
    """Return the console for progress and messages."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document to standard output, readable and in UTF-8."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def fail(message: str, *, status: int = 1) -> NoReturn:
    """Print one line to standard error and end the process."""
    sys.stderr.write(f"pareja: {message}\n")
    sys.exit(status)


def warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line, without the place in the code that Python would add."""
    sys.stderr.write(f"pareja: warning: {message}\n")


@contextmanager
def progress_bars() -> Iterator[Callable[[str, Progress | None], None]]:
    """Show the stages of a long piece of work on standard error, with rate and time left.

    Yields a function that is called with a stage's title and, while it has a length, its
    progress. Nothing is drawn when standard error is not a terminal.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = stderr()
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def update(title: str, progress: Progress | None) -> None:
            if title not in tasks:
                if tasks:
                    finished = bars.tasks[-1]
                    bars.update(
                        finished.id,
                        total=max(finished.completed, 1),
                        completed=finished.completed or 1,
                    )
                tasks[title] = bars.add_task(title, total=None, pace="")
            if progress is not None:
                left = progress.seconds_left
                pace = f"{progress.rate:.0f}/s" + (f", {left:.0f} s left" if left else "")
                bars.update(tasks[title], total=progress.total, completed=progress.done, pace=pace)

        yield update
