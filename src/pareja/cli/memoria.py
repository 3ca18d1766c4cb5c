"""``pareja memoria``: a document of one's own about a study, from Markdown that one edits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.console import JsonOption, Language, not_empty, print_json, print_warning, stdout

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
    if as_json:
        print_json(memoria_to_json(built))
    else:
        print_memoria(built)


def memoria_to_json(built: Memoria) -> dict[str, object]:
    """Return what was built as plain values."""
    from dataclasses import asdict

    return {
        "source": str(built.source),
        "lang": built.lang,
        "html": str(built.html),
        "pdf": str(built.pdf),
        "started": built.started,
        "stale": built.stale,
        "words": asdict(built.words),
        "length_ok": built.length_ok,
        "unwritten": list(built.unwritten),
    }


def print_memoria(built: Memoria) -> None:
    """Print how long the document is, what is missing, and where it lies, in its language."""
    from pareja.delivery.memoria import LEAST, MOST
    from pareja.words.wording import Wording

    console, words, counts = stdout(), Wording(built.lang), built.words
    if built.stale:
        print_warning(words.text("terminal.memoria.stale", path=built.source))
    said = [
        words.text(
            f"terminal.memoria.length_{'ok' if built.length_ok else 'wrong'}",
            words=words.count("word", counts.body),
            least=LEAST,
            most=MOST,
            tables=counts.tables,
            captions=counts.captions,
            headings=counts.headings,
            code=counts.code,
        )
    ]
    if built.unwritten:
        said.append(words.text("terminal.memoria.unwritten", n=len(built.unwritten)))
    if built.started:
        said.append(words.text("terminal.memoria.edit", path=built.source))
    for line in (*said, str(built.html), str(built.pdf)):
        console.print(line, soft_wrap=True)
