"""Every figure of a report: which there are, drawn and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pareja.report.charts import (
    draw_bridges,
    draw_categories,
    draw_distributions,
    draw_geometry,
    draw_retrieval,
)
from pareja.report.drawing import Drawing
from pareja.report.dual_figures import draw_prompts, draw_reliability
from pareja.report.frame import Frame
from pareja.report.heatmaps import draw_confusion, draw_similarity
from pareja.report.pictures import Thumbnail, thumbnails
from pareja.report.scatter import draw_comparisons, draw_map
from pareja.tasks.study import StudyResult
from pareja.words.wording import Lang


def write_figures(result: StudyResult, folder: Path, *, lang: Lang) -> Mapping[str, Path]:
    """Draw every figure of a study and write it as PNG and as SVG.

    Parameters
    ----------
    result
        What was measured.
    folder
        Where the files go; made if it is not there.
    lang
        The language of the labels.

    Returns
    -------
    Mapping
        The path of each file by its name, such as ``retrieval.svg``.
    """
    return save_drawings(draw_figures(Frame.of(result, lang), thumbnails(result.dataset)), folder)


def save_drawings(drawings: Mapping[str, Drawing], folder: Path) -> dict[str, Path]:
    """Write drawings as PNG and SVG; returns the path of each file by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    for name, drawing in drawings.items():
        png, svg = folder / f"{name}.png", folder / f"{name}.svg"
        png.write_bytes(drawing.png)
        svg.write_text(drawing.svg, encoding="utf-8", newline="\n")
        written |= {png.name: png, svg.name: svg}
    return written


def draw_figures(frame: Frame, pictures: Sequence[Thumbnail]) -> dict[str, Drawing]:
    """Draw every figure that the document of this study shows, by name."""
    return {drawing.name: drawing for drawing in _draw(frame, pictures)}


def _draw(frame: Frame, pictures: Sequence[Thumbnail]) -> Iterator[Drawing]:
    encoders = frame.result.encoders
    yield draw_distributions(frame)
    yield draw_retrieval(frame)
    yield draw_geometry(frame)
    if any(encoder.categories for encoder in encoders):
        yield draw_categories(frame)
    if frame.duals:
        diagrams = [(slot, name, dual.reliability) for slot, name, dual in frame.duals]
        yield draw_reliability("reliability", diagrams, frame.words)
        yield draw_prompts(frame)
    for slot, encoder in enumerate(encoders):
        yield draw_similarity(frame, slot)
        yield draw_map(frame, slot, pictures)
        if encoder.bridges:
            yield draw_bridges(frame, slot)
        if encoder.confusion is not None:
            yield draw_confusion(frame, slot, encoder.confusion)
    if frame.result.comparisons:
        yield draw_comparisons(frame)
