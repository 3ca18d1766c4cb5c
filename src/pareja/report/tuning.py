"""The report on an encoder that was tuned: before and after, what was learned and forgotten."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pareja.report.tuning_content import build_tuning_document
from pareja.report.tuning_examples import Album
from pareja.report.tuning_figures import draw_training
from pareja.report.write import Format, write_document
from pareja.tasks.tuned import Tuned
from pareja.tasks.tuning_export import tuned_to_json
from pareja.words.wording import Lang, Wording


def write_tuning(result: Tuned, out: Path, *, langs: Sequence[Lang], command: str = "") -> None:
    """Write the reports of a tuned encoder and ``tune.json``.

    Parameters
    ----------
    result
        What came of tuning.
    out
        An existing folder.
    langs
        The languages of the reports, one report each.
    command
        The command line that repeats it.
    """
    for lang in langs:
        write_tuning_report(result, out, lang=lang, command=command)
    text = json.dumps(tuned_to_json(result), ensure_ascii=False, indent=1, allow_nan=False)
    (out / "tune.json").write_text(text + "\n", encoding="utf-8")


def write_tuning_report(
    result: Tuned,
    out: Path,
    *,
    lang: Lang,
    command: str = "",
    formats: Sequence[Format] = ("html", "md", "pdf"),
) -> None:
    """Write one report in one language, and its figures.

    Parameters
    ----------
    result
        What came of tuning.
    out
        The folder that gets ``report.html`` and so on, or ``informe.html`` in Spanish.
    lang
        The language of everything but captions, labels and names.
    command
        The command line that repeats it.
    formats
        Which forms of the report are written.
    """
    words, album = Wording(lang), Album()
    drawing = draw_training(result, words)
    document = build_tuning_document(result, words, album, command)
    write_document(document, {drawing.name: drawing}, album.thumbnails(), out, formats=formats)
