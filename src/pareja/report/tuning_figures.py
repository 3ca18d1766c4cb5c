"""The figure of a training: loss and validation score by epoch."""

from __future__ import annotations

import math

from pareja.report.charts import series
from pareja.report.drawing import INK, Drawing, bare, finish, number_ticks, sheet
from pareja.tasks.tuned import Tuned
from pareja.words.wording import Wording


def draw_training(result: Tuned, words: Wording) -> Drawing:
    """Draw the loss and the validation score of every epoch, with the one that was kept ringed."""
    with sheet(7.2, 2.7) as figure:
        panels = figure.subplots(1, 2)
        for slot, (axes, measure) in enumerate(zip(panels, ("loss", "validation"), strict=True)):
            colour, _ = series(slot)
            points = [
                (epoch.epoch, value)
                for epoch in result.history
                if math.isfinite(value := getattr(epoch, measure))
            ]
            axes.plot(*zip(*points, strict=True) if points else ((), ()), color=colour, marker=".")
            kept = [point for point in points if point[0] == result.best]
            for epoch, value in kept:
                axes.scatter(
                    epoch, value, s=90, facecolors="none", edgecolors=INK, linewidths=1.4, zorder=3
                )
                axes.annotate(
                    words.text("tuned.figure_kept"),
                    (epoch, value),
                    xytext=(0, 9),
                    textcoords="offset points",
                    ha="center",
                )
            axes.set_title(words.text(f"tuned.figure_{measure}"))
            axes.set_xlabel(words.text("tuned.figure_epoch"))
            axes.set_xlim(-0.5, max(result.history[-1].epoch, 1) + 0.5)
            axes.margins(y=0.18)
            axes.grid(axis="y")
            number_ticks(axes.xaxis, words, whole=True)
            number_ticks(axes.yaxis, words)
            bare(axes)
        return finish(figure, "training")
