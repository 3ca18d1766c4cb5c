"""``pareja memoria``: a document of one's own about a study, from Markdown that one edits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.console import JsonOption, Language, not_empty, print_json, print_warning, stdout
from pareja.decimals import counted

if TYPE_CHECKING:
    from pareja.delivery.memoria import Memoria


def memoria(
    study: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY",
            help="The folder of a study, or that of a document to build again.",
            callback=not_empty,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The folder of the document.  [default: memoria]"),
    ] = None,
    lang: Annotated[
        Language | None,
        typer.Option("--lang", help="Language of the draft.  [default: the study's]"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start a document about a study, or build it again from the Markdown that was edited.

    The first call writes memoria.md: tables, figures and marked places for text of one's own.
    Every call builds memoria.html and memoria.pdf from it and counts its words; memoria.md is never
    overwritten.
    """
    import pareja

    built = pareja.memoria(study, out, lang=lang)
    if built.stale:
        print_warning(
            f"{built.source} was started from an earlier run of this study: its tables and figures "
            "are of that run. Start a new one in another folder with --out, and move your text."
        )
    if as_json:
        print_json(memoria_to_json(built))
    else:
        print_memoria(built)


def memoria_to_json(built: Memoria) -> dict[str, object]:
    """Return what was built as plain values."""
    from dataclasses import asdict

    return {
        "source": str(built.source),
        "html": str(built.html),
        "pdf": str(built.pdf),
        "started": built.started,
        "stale": built.stale,
        "words": asdict(built.words),
        "length_ok": built.length_ok,
        "unwritten": list(built.unwritten),
    }


def print_memoria(built: Memoria) -> None:
    """Print how long the document is, what is missing, and where it lies."""
    from pareja.delivery.memoria import LEAST, MOST

    console, words = stdout(), built.words
    within = "within" if built.length_ok else "NOT within"
    console.print(
        f"{counted(words.body, 'word')} of running text, {within} {LEAST} to {MOST}; not counted: "
        f"{words.tables} in tables, {words.captions} in captions, {words.headings} in headings, "
        f"{words.code} in code.",
        soft_wrap=True,
    )
    places = len(built.unwritten)
    if places:
        console.print(
            f"{counted(places, 'place is', 'places are')} still to be written in.",
            soft_wrap=True,
        )
    if built.started:
        console.print(f"{built.source}  (edit this one)", soft_wrap=True)
    for path in (built.html, built.pdf):
        console.print(str(path), soft_wrap=True)
