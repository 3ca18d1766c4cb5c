"""Writing a report in every format that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pareja.report.content import build_document
from pareja.report.document import Document
from pareja.report.draft import write_draft
from pareja.report.drawing import Drawing
from pareja.report.figures import draw_figures, save_drawings
from pareja.report.frame import Frame
from pareja.report.html import render_html
from pareja.report.markdown import render_markdown
from pareja.report.overlay import warmed
from pareja.report.pdf import render_pdf
from pareja.report.pictures import Thumbnail, thumbnails
from pareja.tasks.study import StudyResult
from pareja.words.wording import Lang

Format = Literal["html", "md", "pdf"]

NAMES: dict[str, tuple[str, str]] = {"en": ("report", "figures"), "es": ("informe", "figuras")}
"""The stem of the report's files and the folder of its figures: two languages share a folder."""


# Two pixels of a screen with a high resolution for each of a gallery's.
_MAP_SIDE = 400


def write_report(
    result: StudyResult,
    out: Path,
    *,
    lang: Lang,
    formats: Sequence[Format] = ("html", "md", "pdf"),
) -> Mapping[str, Path]:
    """Write the report of a study, and its figures.

    The same result gives the same HTML, Markdown and figures, byte by byte.

    Parameters
    ----------
    result
        What was measured.
    out
        The folder that gets ``report.html``, ``report.md``, ``report.pdf`` and ``figures/``, or
        ``informe.html`` and so on and ``figuras/`` in Spanish; made if it is not there.
    lang
        The language of everything but the dataset's own words.
    formats
        Which of the three are written.

    Returns
    -------
    Mapping
        The path of each file by its name relative to ``out``.
    """
    frame = Frame.of(result, lang)
    pictures = thumbnails(result.dataset)
    drawings = draw_figures(frame, pictures)
    document = build_document(frame)
    maps = [warmed(look.located, look.located.places[0], _MAP_SIDE) for look in frame.looks]
    every = pictures.followed_by(maps)
    written = dict(write_document(document, drawings, every, out, formats=formats))
    if "md" in formats:
        written |= write_draft(document, frame, pictures, out, NAMES[lang][1])
    return written


def write_document(
    document: Document,
    drawings: Mapping[str, Drawing],
    pictures: Sequence[Thumbnail],
    out: Path,
    *,
    formats: Sequence[Format] = ("html", "md", "pdf"),
) -> Mapping[str, Path]:
    """Write a document, its figures and its pictures.

    Parameters
    ----------
    document
        What it says, and in which language.
    drawings
        The figures that it names.
    pictures
        Thumbnails in the dataset's order, and after them whatever else is named by its number.
    out
        An existing folder.
    formats
        Which of ``"html"``, ``"md"`` and ``"pdf"`` are written.

    Returns
    -------
    Mapping
        The path of each file by its name relative to ``out``.
    """
    stem, folder = NAMES[document.lang]
    written = {
        f"{folder}/{name}": path for name, path in save_drawings(drawings, out / folder).items()
    }

    def write(name: str, content: bytes) -> None:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written[name] = path

    if "html" in formats:
        write(f"{stem}.html", render_html(document, drawings, pictures).encode())
    if "md" in formats:
        for index in document.pictures():
            write(f"{folder}/pictures/{index + 1:03}.jpg", pictures[index].jpeg)
        write(f"{stem}.md", render_markdown(document, folder).encode())
    if "pdf" in formats:
        write(f"{stem}.pdf", render_pdf(document, drawings, pictures))
    return written
