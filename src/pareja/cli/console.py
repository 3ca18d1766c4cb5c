"""What all commands share: options that mean the same everywhere, and how things are printed."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Protocol, TextIO, TypeVar

import typer

from pareja.names import harmless, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from pareja.embedding.cache import EmbeddingCache
    from pareja.embedding.pipeline import Progress


class ShowProgress(Protocol):
    """Shows a stage's title and, while it has a length, its progress and a remark on it."""

    def __call__(self, title: str, progress: Progress | None, note: str = "", /) -> None:
        """Show where a stage is."""
        ...


Language = Literal["es", "en"]
"""The languages that pages and reports are written in."""

Device = Literal["cuda", "mps", "openvino", "cpu"]
"""What models run on, as `pareja.encoders.load` takes it, which --help must not import."""


Truth = Literal["label", "category"]
"""The columns of a dataset that say what a picture shows."""


class Languages(StrEnum):
    """The values of `Language`: an option that can be repeated takes no Literal."""

    es = "es"
    en = "en"


def breaking(text: str) -> str:
    """Return a text with spaces in place of those that hold it together on a page.

    They look alike in a terminal, where only one of them is what a person searches for.
    """
    return text.replace("\N{NO-BREAK SPACE}", " ")


def system_language() -> Language:
    """Return the language of the terminal: Spanish where it is that, English everywhere else."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if locale := os.environ.get(name):
            return "es" if locale.lower().startswith("es") else "en"
    return "en"


Given = TypeVar("Given")


def not_empty(given: Given) -> Given:
    """Refuse an empty argument: as a path it would mean the current folder, unasked."""
    for one in given if isinstance(given, list) else [given]:
        if one == "":
            raise typer.BadParameter("is empty.")
    return given


_CLASSIFIER_HELP = "What 'pareja fewshot --save' learned: it gives each picture one of its labels."

DatasetArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="A bundled name (pareja20), a folder, a zip, or any other format pareja reads.",
        callback=not_empty,
    ),
]
PicturesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PICTURES",
        help="Picture files, folders, or datasets.",
        callback=not_empty,
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Only this part of the dataset, as 'train' or 'test'.  [default: all of it]",
        show_default=False,
        callback=not_empty,
    ),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--model",
        help="An encoder; give it several times to compare.",
        show_default=False,
        callback=not_empty,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option("-m", "--model", help="An encoder.", show_default=False, callback=not_empty),
]
ClassifierOption = Annotated[
    Path | None, typer.Option("--classifier", metavar="FILE", help=_CLASSIFIER_HELP)
]
ClassifiersOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--classifier",
        metavar="FILE",
        help=f"{_CLASSIFIER_HELP} May be repeated.",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    Device | None,
    typer.Option(
        "--device",
        help="What real models run on.  [default: the fastest there is]",
        show_default=False,
    ),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        min=1,
        help="Pictures that the model gets at once.  [default: 32]",
        show_default=False,
    ),
]
CacheOption = Annotated[
    bool,
    typer.Option("--cache/--no-cache", help="Look embeddings up, and keep them for the next time."),
]
OutOption = Annotated[Path | None, typer.Option("-o", "--out", help="Where the result is written.")]
LangOption = Annotated[
    Language | None,
    typer.Option(
        "--lang",
        help="Language of a page or report.  [default: the system's]",
        show_default=False,
    ),
]
LangsOption = Annotated[
    list[Languages] | None,
    typer.Option(
        "--lang",
        help="Language of the report; give it twice for both.  [default: the system's]",
        show_default=False,
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace an earlier result in the same place.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random draws.")]


def stdout() -> Console:
    """Return the console for results, which prints names and captions as they are."""
    return _plain(stderr=False)


def stderr() -> Console:
    """Return the console for progress and messages."""
    return _plain(stderr=True)


def _plain(*, stderr: bool) -> Console:
    from pareja.cli.terminal import PlainConsole

    return PlainConsole(stderr=stderr)


def command_line() -> str:
    """Return the command that runs, for reports that say how to repeat them.

    Without ``--force``: the same result is the same report, whether it replaced another or not.
    """
    words = (printable(word) for word in sys.argv[1:] if word != "--force")
    return shlex.join(["pareja", *words])


def print_json(value: Any) -> None:
    """Print one JSON document to standard output, readable where its encoding can say it all."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
        readable = harmless(text) == text
    except UnicodeEncodeError:
        readable = False
    if not readable:
        text = json.dumps(value, indent=2, allow_nan=False)
    sys.stdout.write(f"{text}\n")
    # Where a program goes on, as one that watches does, who reads it waits for the document.
    sys.stdout.flush()


def fail(message: str, *, status: int = 1) -> NoReturn:
    """Print one line to standard error and end the process."""
    sys.stderr.write(f"pareja: {harmless(message)}\n")
    sys.exit(status)


def warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a Python warning as one line, without the place in the code that Python would add."""
    print_warning(str(message))


def print_warning(line: str) -> None:
    """Print one line to standard error that the work goes on after."""
    sys.stderr.write(f"pareja: warning: {harmless(line)}\n")


def warn_of_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Name the pictures that did not decode on standard error."""
    for path, reason in skipped:
        print_warning(f"{path}: {reason}; left out")


def opened_cache(wanted: bool) -> EmbeddingCache | nullcontext[None]:
    """Open the cache of embeddings, or nothing."""
    from pareja.embedding.natural import own_cache

    return own_cache() if wanted else nullcontext()


@contextmanager
def progress_bars() -> Iterator[ShowProgress]:
    """Show the stages of a long piece of work on standard error, with rate and time left.

    Yields what shows a stage; every title gets a bar of its own. Nothing is drawn when standard
    error is not a terminal.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = stderr()
    with Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def update(title: str, progress: Progress | None, note: str = "", /) -> None:
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
                rate = f"{progress.rate:.{0 if progress.rate >= 10 else 1}f}/s"
                parts = note, rate, f"{left:.0f} s left" if left else ""
                pace = ", ".join(filter(None, parts))
                bars.update(tasks[title], total=progress.total, completed=progress.done, pace=pace)

        yield update
