"""Figures of a comparison of models: accuracy, and reliability."""

from __future__ import annotations

import numpy as np

from pareja.report.charts import series
from pareja.report.drawing import MUTED, Drawing, bare, dash, finish, sheet, short
from pareja.report.wording import Wording
from pareja.tasks.compare import ModelComparison


def draw_accuracy(comparison: ModelComparison, words: Wording) -> Drawing:
    """Draw top-1 accuracy of every model with every set of prompts, beside chance."""
    variants = [(slot, v) for slot, m in enumerate(comparison.models) for v in m.variants]
    with sheet(7.2, 0.8 + 0.34 * len(variants)) as figure:
        axes = figure.subplots()
        rows = range(len(variants))[::-1]
        for row, (slot, variant) in zip(rows, variants, strict=True):
            colour, marker = series(slot)
            top1 = variant.scores.top1
            axes.hlines(row, top1.low, top1.high, color=colour, linewidth=2.0, alpha=0.6)
            axes.scatter(top1.value, row, s=36, color=colour, marker=marker, zorder=3)
        dash(axes, variants[0][1].scores.chance_top1)
        axes.set_yticks(rows, [f"{short(v.model, 30)} · {short(v.prompts)}" for _, v in variants])
        axes.set_ylim(-0.6, len(variants) - 0.4)
        axes.set_xlim(0, 1.02)
        axes.xaxis.set_major_formatter(lambda value, _: words.percent(value))
        axes.grid(axis="x")
        bare(axes)
        return finish(figure, "accuracy")


def draw_reliability(comparison: ModelComparison, words: Wording) -> Drawing:
    """Draw accuracy over confidence of every model's trained probabilities."""
    models = comparison.models
    columns = min(3, len(models))
    lines = -(-len(models) // columns)
    with sheet(2.4 * max(columns, 2), 0.4 + 2.5 * lines) as figure:
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for slot, (axes, model) in enumerate(zip(panels, models, strict=False)):
            bins = model.variants[0].scores.reliability
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
            axes.set_title(short(model.name, 28))
            axes.set_aspect("equal")
            axes.set_xlim(-0.03, 1.03)
            axes.set_ylim(-0.03, 1.03)
            axes.set_xticks([0, 0.5, 1], [words.number(tick, 1) for tick in (0, 0.5, 1)])
            axes.set_yticks([0, 0.5, 1], [words.number(tick, 1) for tick in (0, 0.5, 1)])
            axes.set_xlabel(words.text("models.confidence_axis"))
            axes.grid()
            bare(axes)
        for axes in panels[len(models) :]:
            axes.set_visible(False)
        panels[0].set_ylabel(words.text("models.accuracy_axis"))
        return finish(figure, "calibration")
