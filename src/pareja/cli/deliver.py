"""``pareja deliver``: what is handed in, made and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.check import ProfileName
from pareja.cli.console import (
    ForceOption,
    JsonOption,
    Language,
    fail,
    not_empty,
    print_json,
    print_warning,
    stdout,
)
from pareja.decimals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pareja.delivery.checking import DeliveryReview


def deliver(
    place: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="The dataset that was studied; with --check a delivery, or a folder of them.",
            callback=not_empty,
        ),
    ],
    study: Annotated[Path | None, typer.Option("--study", help="The folder of the study.")] = None,
    memoria: Annotated[Path, typer.Option("--memoria", help="The folder of the document.")] = Path(
        "memoria"
    ),
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write, or a zip.")] = Path(
        "entrega"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Check a delivery instead of making one.")
    ] = False,
    run: Annotated[
        bool,
        typer.Option("--run", help="Also run its code, from a fresh copy, on this machine."),
    ] = False,
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline",
            metavar="TIME",
            help="When it was due, as 2026-10-31T23:59: later commits are named.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        ProfileName, typer.Option("--profile", help="The rules that the dataset is held to.")
    ] = "course",
    lang: Annotated[
        Language, typer.Option("--lang", help="Language of the code and of what is found.")
    ] = "es",
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put together what is handed in, or check it against the practical's list.

    A delivery has the dataset as a zip, scripts and a notebook for tasks 2 and 3, the document with
    the full report as its annex, study.json, and README.md, Dockerfile and Makefile that run it
    from the released package. With --check, exits with 1 unless the whole list is met; a folder of
    deliveries gives one line a student.
    """
    import pareja

    if check:
        from pareja.delivery.checking import check_deliveries

        reviews = check_deliveries(place, deadline=deadline, run=run, profile=profile, lang=lang)
        if as_json:
            print_json([review.to_json() for review in reviews])
        elif len(reviews) == 1 and Path(place).resolve().name == reviews[0].name:
            print_review(reviews[0], lang)
        else:
            print_class(reviews, lang)
        raise typer.Exit(0 if all(review.ok for review in reviews) else 1)
    if run or deadline is not None:
        fail("--run and --deadline go with --check.", status=2)
    if study is None:
        fail("--study is missing: name the folder that 'pareja study' wrote.", status=2)
    from pareja.words.wording import Wording

    made = pareja.deliver(place, study, memoria, out, lang=lang, profile=profile, force=force)
    for name in made.kept:
        print_warning(f"{name} was changed by hand and stays as it is")
    if made.stale:
        print_warning(Wording(lang).text("terminal.memoria.stale", path=memoria))
    if as_json:
        told = {"files": list(made.files), "kept": list(made.kept), "stale": made.stale}
        print_json({"path": str(made.path), **told})
    else:
        stdout().print(f"{made.path}  ({counted(len(made.files), 'file')})", soft_wrap=True)


def print_review(review: DeliveryReview, lang: Language) -> None:
    """Print what was found in one delivery, part by part, and what each part is worth."""
    from rich.text import Text

    from pareja.delivery.checking import PARTS
    from pareja.words.wording import Wording

    words, console = Wording(lang), stdout()
    marks = {
        True: (words.text("delivery.met"), "green"),
        False: (words.text("delivery.not_met"), "bold red"),
        None: (words.text("delivery.not_looked"), "yellow"),
    }
    width = max(len(mark) for mark, _ in marks.values()) + 2
    for part in PARTS:
        met, of = review.met(part)
        title = Text(f"{words.text(f'delivery.{part}')}  ", style="bold")
        weight = f"{words.text('delivery.column_weight')} {review.weights[part]:g} · {met}/{of}"
        console.print(title.append(weight, style="dim"), soft_wrap=True)
        for criterion in review.part(part):
            mark, style = marks[criterion.ok]
            line = Text(f"  {mark:<{width}}", style=style)
            console.print(line.append(criterion.found, style="default"), soft_wrap=True)
            for detail in criterion.details:
                console.print(Text(f"  {'':<{width}}- {detail}", style="default"), soft_wrap=True)
    console.print(verdict(review, lang), style="bold", soft_wrap=True)


def verdict(review: DeliveryReview, lang: Language) -> str:
    """Return one line that sums up."""
    from pareja.words.wording import Wording

    words = Wording(lang)
    if review.ok:
        return words.text("delivery.accepted")
    unmet = sum(criterion.ok is False for criterion in review.criteria)
    return words.text("delivery.refused", n=words.count("criterion", unmet))


def print_class(reviews: Sequence[DeliveryReview], lang: Language) -> None:
    """Print one line a delivery: what is met of each part, and what is missing."""
    from rich import box
    from rich.table import Table

    from pareja.delivery.checking import PARTS
    from pareja.words.wording import Wording

    words = Wording(lang)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column(words.text("delivery.column_delivery"), overflow="fold")
    for part in PARTS:
        heading = words.text(f"delivery.short_{part}")
        table.add_column(f"{heading}\n{reviews[0].weights[part]:g}", justify="right")
    table.add_column(words.text("delivery.column_words"), justify="right")
    table.add_column(words.text("delivery.column_missing"), overflow="fold")
    for review in reviews:
        unmet = [
            words.text(f"delivery.lacks.{criterion.code}")
            for criterion in review.criteria
            if criterion.ok is False
        ]
        table.add_row(
            review.name,
            *("{}/{}".format(*review.met(part)) for part in PARTS),
            "" if review.words is None else str(review.words),
            ", ".join(dict.fromkeys(unmet)) or words.text("delivery.result_ok"),
        )
    stdout().print(table)
