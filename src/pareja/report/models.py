"""The report that lays models, prompts and losses side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pareja.report.dual_figures import draw_reliability
from pareja.report.model_content import build_model_document
from pareja.report.model_figures import draw_accuracy
from pareja.report.pictures import thumbnails
from pareja.report.write import Format, write_document
from pareja.tasks.compare import ModelComparison
from pareja.words.wording import Lang, Wording


def write_model_report(
    comparison: ModelComparison,
    out: Path,
    *,
    lang: Lang,
    command: str = "",
    formats: Sequence[Format] = ("html", "md", "pdf"),
) -> Mapping[str, Path]:
    """Write the report of a comparison of models, and its figures.

    Parameters
    ----------
    comparison
        What was measured.
    out
        The folder that gets ``report.html`` and so on, or ``informe.html`` in Spanish.
    lang
        The language of everything but labels and names.
    command
        The command line that repeats it.
    formats
        Which forms of the report are written.

    Returns
    -------
    Mapping
        The path of each file by its name relative to ``out``.
    """
    words = Wording(lang)
    diagrams = [
        (slot, model.name, model.variants[0].scores.reliability)
        for slot, model in enumerate(comparison.models)
    ]
    drawings = (
        draw_accuracy(comparison, words),
        draw_reliability("calibration", diagrams, words),
    )
    return write_document(
        build_model_document(comparison, words, command),
        {drawing.name: drawing for drawing in drawings},
        thumbnails(comparison.dataset),
        out,
        formats=formats,
    )
