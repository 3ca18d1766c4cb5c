"""The figure of a comparison of models: how often each is right."""

from __future__ import annotations

from pareja.report.charts import series
from pareja.report.drawing import Drawing, bare, dash, finish, sheet, short
from pareja.tasks.compare import ModelComparison
from pareja.words.wording import Wording


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
