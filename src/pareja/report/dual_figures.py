"""Figures of what only one space for both modalities has: reliability, and what templates do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pareja.analysis.calibration import Reliability
from pareja.analysis.retrieval import DIRECTIONS
from pareja.report.charts import draw_recalls, series
from pareja.report.drawing import MUTED, Drawing, bare, finish, sheet, short
from pareja.report.frame import Frame
from pareja.report.inside import template_label
from pareja.words.wording import Wording


def draw_reliability(
    name: str, diagrams: Sequence[tuple[int, str, Reliability]], words: Wording
) -> Drawing:
    """Draw accuracy over confidence, a panel each for a place, a title and its bins."""
    columns = min(3, len(diagrams))
    lines = -(-len(diagrams) // columns)
    with sheet(2.4 * max(columns, 2), 0.4 + 2.5 * lines) as figure:
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, (slot, title, bins) in zip(panels, diagrams, strict=False):
            filled = bins.count > 0
            colour, marker = series(slot)
            axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
            axes.scatter(
                bins.confidence[filled],
                bins.accuracy[filled],
                s=12 + 300 * bins.count[filled] / np.sum(bins.count),
                color=colour,
                marker=marker,
                alpha=0.8,
                linewidths=0,
            )
            axes.set_title(short(title, 28))
            axes.set_aspect("equal")
            axes.set_xlim(-0.03, 1.03)
            axes.set_ylim(-0.03, 1.03)
            axes.set_xticks([0, 0.5, 1], [words.number(tick, 1) for tick in (0, 0.5, 1)])
            axes.set_yticks([0, 0.5, 1], [words.number(tick, 1) for tick in (0, 0.5, 1)])
            axes.set_xlabel(words.text("figure.confidence"))
            axes.grid()
            bare(axes)
        for axes in panels[len(diagrams) :]:
            axes.set_visible(False)
        panels[0].set_ylabel(words.text("figure.accuracy"))
        return finish(figure, name)


def draw_prompts(frame: Frame) -> Drawing:
    """Draw R@1 of the captions in every template, dual encoders beside each other."""
    return draw_recalls(
        "prompts",
        [template_label(frame, scores.template) for scores in frame.duals[0][2].prompts],
        [
            (
                slot,
                name,
                {
                    direction: [scores.recall[direction] for scores in dual.prompts]
                    for direction in DIRECTIONS
                },
            )
            for slot, name, dual in frame.duals
        ],
        frame,
    )
