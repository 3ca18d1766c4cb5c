"""What commands that write a report share: where it goes, its languages, what they work with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pareja.cli.console import (
    Language,
    Languages,
    ShowProgress,
    opened_cache,
    progress_bars,
    stdout,
    system_language,
)
from pareja.files import staged_directory

if TYPE_CHECKING:
    from pareja.embedding.cache import EmbeddingCache

REPORTS: dict[Language, str] = {"en": "report.html", "es": "informe.html"}
"""The page of each language's report, as `pareja.report` names it."""


@dataclass(frozen=True)
class Reporting:
    """What a command works with that ends in a report.

    Parameters
    ----------
    progress
        Told of every stage.
    cache
        Embeddings of earlier runs; None with ``--no-cache``.
    folder
        What to write into; None where nothing is written.
    langs
        The languages to write in.
    """

    progress: ShowProgress
    cache: EmbeddingCache | None
    folder: Path | None
    langs: Sequence[Language]


@contextmanager
def reporting(
    out: Path | None, lang: Sequence[Languages] | None, *, cache: bool, force: bool
) -> Iterator[Reporting]:
    """Open all of that before any work is done: what may not be written is told at once."""
    langs: list[Language] = [each.value for each in lang or ()] or [system_language()]
    staging = nullcontext() if out is None else staged_directory(out, force=force)
    with progress_bars() as progress, opened_cache(cache) as kept, staging as folder:
        yield Reporting(progress, kept, folder, langs)


def print_reports(out: Path | None, langs: Sequence[Language]) -> None:
    """Name the pages that were written."""
    if out is not None:
        for lang in langs:
            stdout().print(str(out / REPORTS[lang]), soft_wrap=True)
