"""``pareja check``: everything that is wrong with a dataset, at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pareja.cli.console import (
    BatchSizeOption,
    CacheOption,
    DatasetArgument,
    Device,
    DeviceOption,
    JsonOption,
    Language,
    ModelOption,
    SplitOption,
    opened_cache,
    print_json,
    progress_bars,
    stdout,
    system_language,
)

if TYPE_CHECKING:
    from pareja.datasets.checks import CheckReport
    from pareja.embedding.cache import EmbeddingCache

ProfileName = Literal["general", "course"]
"""The names of `pareja.datasets.profiles.profiles`, which --help must not import."""

ProfileOption = Annotated[
    ProfileName, typer.Option("--profile", help="Which rules apply; the course's are 20 = 4 x 5.")
]


def check(
    dataset: DatasetArgument,
    profile: ProfileOption = "general",
    split: SplitOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    batch_size: BatchSizeOption = None,
    cache: CacheOption = True,
    lang: Annotated[
        Language | None,
        typer.Option(
            "--lang",
            help="Language of what is found; JSON stays in English.  [default: the system's]",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report everything that is wrong with a dataset, at once.

    Exits with 1 if there is an error; warnings and notes do not count. With a model, also asks
    whether captions match another picture better than their own, and whether a picture may be
    unfit for a classroom.
    """
    with opened_cache(cache and model is not None) as kept:
        report = examine(
            dataset,
            profile,
            split=split,
            model=model,
            device=device,
            batch_size=batch_size,
            cache=kept,
        )
    if as_json:
        print_json(report.to_json())
    else:
        print_report(report, lang or system_language())
    raise typer.Exit(0 if report.ok else 1)


def examine(
    location: str,
    profile: ProfileName,
    *,
    split: str | None = None,
    model: str | None = None,
    device: Device | None = None,
    batch_size: int | None = None,
    cache: EmbeddingCache | None = None,
) -> CheckReport:
    """Load a dataset, rows without a picture and all, and check it."""
    import pareja

    with progress_bars() as progress:
        return pareja.check(
            pareja.load_dataset(location, split=split, on_missing="keep"),
            profile=profile,
            model=model,
            device=device,
            batch_size=batch_size,
            cache=cache,
            progress=partial(progress, "embed"),
        )


def print_report(report: CheckReport, lang: Language = "en") -> None:
    """Print the problems, worst first, and one line that sums up."""
    from rich.text import Text

    from pareja.words.checks import problem_text, severity_text, summary_lines

    console = stdout()
    style = {"error": "bold red", "warning": "yellow", "note": "cyan"}
    for problem in report.problems:
        line = Text(f"{severity_text(problem, lang):<8}", style=style[problem.severity])
        line.append(f"{problem.code:<20}", style="dim")
        line.append(f"{problem.path}: " if problem.path else "", style="bold")
        line.append(problem_text(problem, lang), style="default")
        console.print(line, soft_wrap=True)
    for told in summary_lines(report, lang):
        console.print(told, soft_wrap=True)
