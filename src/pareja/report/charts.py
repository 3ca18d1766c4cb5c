"""Figures of measures: distributions, retrieval, bridges, geometry, categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pareja.analysis.retrieval import DIRECTIONS, Direction
from pareja.analysis.significance import Estimate, Floats
from pareja.report.drawing import (
    INK,
    MARKERS,
    MUTED,
    PAPER,
    RULE,
    SERIES,
    Drawing,
    bare,
    dash,
    finish,
    number_ticks,
    sheet,
    short,
)
from pareja.report.frame import MANY_POINTS, Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def series(slot: int) -> tuple[str, str]:
    """Return the colour and the marker of the encoder or category at a place."""
    return SERIES[slot % len(SERIES)], MARKERS[slot % len(MARKERS)]


def draw_distributions(frame: Frame) -> Drawing:
    """Draw the similarities of matched pairs above those of mismatched ones."""
    words, shown = frame.words, frame.shown
    with sheet(7.2, 0.6 + 1.35 * len(shown)) as figure:
        panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
        for axes, reading in zip(panels, shown, strict=True):
            matching = reading.matching
            colour, _ = series(reading.slot)
            _cloud(axes, matching.matched, 1.0, colour)
            _cloud(axes, matching.mismatched, 0.0, MUTED)
            means = ((matching.matched_mean, 1.0), (matching.mismatched_mean, 0.0))
            for mean, height in means:
                axes.plot([mean] * 2, [height - 0.42, height + 0.42], color=INK, linewidth=1.8)
            labels = [
                words.text(f"figure.{kind}", mean=words.number(mean))
                for kind, (mean, _) in zip(("matched", "mismatched"), means, strict=True)
            ]
            axes.set_yticks([1.0, 0.0], labels)
            axes.set_ylim(-0.6, 1.6)
            axes.margins(x=0.03)
            axes.grid(axis="x")
            axes.set_title(short(reading.label, 60))
            number_ticks(axes.xaxis, words)
            bare(axes)
        panels[-1].set_xlabel(words.text("figure.similarity"))
        return finish(figure, "distributions")


def _cloud(axes: Axes, values: Floats, height: float, colour: str) -> None:
    """Show every value as a point, as high and low as there are others near; or a histogram."""
    counts, edges = np.histogram(values, bins=min(48, 6 + len(values) // 6))
    spread = counts / max(counts.max(), 1)
    if len(values) > MANY_POINTS:
        axes.stairs(
            height - 0.4 + 0.8 * spread,
            edges,
            baseline=height - 0.4,
            fill=True,
            color=colour,
            alpha=0.55,
            linewidth=0,
        )
        return
    centres = (edges[1:] + edges[:-1]) / 2
    order = np.argsort(values, kind="stable")
    # Steps of the golden ratio fill an interval evenly, whatever the number of points.
    jitter = (np.arange(len(values)) * 0.618034) % 1 - 0.5
    room = 0.72 * np.interp(values[order], centres, spread)
    axes.scatter(
        values[order],
        height + jitter * room,
        s=26 if len(values) <= 60 else 7,
        color=colour,
        alpha=0.85 if len(values) <= 60 else 0.45,
        linewidths=0,
    )


def draw_retrieval(frame: Frame) -> Drawing:
    """Draw R@k of every reading in both directions, with intervals and the line of chance."""
    words, shown = frame.words, frame.shown
    width = 0.8 / len(shown)
    with sheet(7.2, 3.3) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, direction in zip(panels, DIRECTIONS, strict=True):
            ks = list(shown[0].retrieval(direction).recall)
            for place, reading in enumerate(shown):
                scores = reading.retrieval(direction)
                at: Floats = np.arange(len(ks), dtype=np.float64) - 0.4 + width * (place + 0.5)
                colour, _ = series(reading.slot)
                naive = reading.bridge == "random_projection"
                axes.bar(
                    at,
                    [scores.recall[k].value for k in ks],
                    width * 0.86,
                    color=PAPER if naive else colour,
                    edgecolor=colour,
                    hatch="////" if naive else None,
                    linewidth=0.8,
                    label=short(reading.label, 48),
                )
                _whiskers(axes, at, [scores.recall[k] for k in ks])
            for group, k in enumerate(ks):
                chance = shown[0].retrieval(direction).chance_recall[k]
                axes.plot(
                    [group - 0.46, group + 0.46],
                    [chance] * 2,
                    color=INK,
                    linestyle=(0, (4, 2)),
                    linewidth=1.2,
                    label=words.text("figure.chance") if group == 0 else None,
                )
            axes.set_xticks(range(len(ks)), [f"R@{k}" for k in ks])
            axes.set_ylim(0, 1.02)
            axes.yaxis.set_major_formatter(lambda value, _: words.percent(value))
            axes.grid(axis="y")
            axes.set_title(words.text(f"direction.{direction}"))
            bare(axes)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=2 if len(labels) < 7 else 3
        )
        return finish(figure, "retrieval")


def _whiskers(axes: Axes, at: Floats, estimates: Sequence[Estimate]) -> None:
    """Draw intervals upright."""
    for x, estimate in zip(at, estimates, strict=True):
        axes.vlines(x, estimate.low, estimate.high, color=INK, linewidth=1.3)


def _point(
    axes: Axes, estimate: Estimate, height: float, colour: str, marker: str, label: str | None
) -> None:
    """Draw one estimate with its interval lying on a row."""
    axes.hlines(height, estimate.low, estimate.high, color=colour, linewidth=2.0, alpha=0.6)
    axes.scatter(
        estimate.value,
        height,
        s=34,
        color=colour,
        marker=marker,
        linewidths=0,
        zorder=3,
        label=label,
    )


def draw_bridges(frame: Frame, slot: int) -> Drawing:
    """Draw every way across a pair's two spaces: R@1 both ways and the AUC, beside chance."""
    words = frame.words
    across = [reading for reading in frame.every if reading.slot == slot]
    with sheet(7.2, 1.05 + 0.36 * len(across)) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        colour, _ = series(across[0].slot)
        rows = range(len(across))[::-1]
        for axes, direction in zip(panels, DIRECTIONS, strict=False):
            for row, reading in zip(rows, across, strict=True):
                _point(axes, reading.retrieval(direction).recall[1], row, colour, "o", None)
            dash(axes, across[0].retrieval(direction).chance_recall[1])
            axes.set_title(f"R@1\n{words.text(f'direction.{direction}')}", fontsize=8.5)
            axes.set_xlim(-0.03, 1.03)
        for row, reading in zip(rows, across, strict=True):
            _point(panels[2], reading.matching.auc, row, colour, "o", None)
        dash(panels[2], 0.5)
        panels[2].set_title("AUC", fontsize=8.5)
        panels[2].set_xlim(-0.03, 1.03)
        panels[0].set_yticks(rows, [words.text(f"bridge.{reading.bridge}") for reading in across])
        for axes in panels:
            axes.set_xticks([0, 0.5, 1], [words.number(tick, 1) for tick in (0, 0.5, 1)])
            axes.set_ylim(-0.6, len(across) - 0.4)
            axes.grid(axis="x")
            bare(axes)
        return finish(figure, frame.key("bridges", slot))


def draw_geometry(frame: Frame) -> Drawing:
    """Draw the three measures of geometry, each beside what random pairing gives."""
    words, encoders = frame.words, frame.result.encoders
    with sheet(7.2, 0.95 + 0.36 * len(encoders)) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        rows = range(len(encoders))[::-1]
        for axes, measure in zip(panels, ("rsa", "cka", "mutual_knn"), strict=True):
            for slot, (row, encoder) in enumerate(zip(rows, encoders, strict=True)):
                test = getattr(encoder.geometry, measure)
                colour, marker = series(slot)
                axes.barh(row, test.null_high - test.null_low, 0.5, left=test.null_low, color=RULE)
                axes.plot([test.null_mean] * 2, [row - 0.25, row + 0.25], color=MUTED, linewidth=1)
                axes.scatter(test.statistic, row, s=44, color=colour, marker=marker, zorder=3)
            axes.set_title(words.text(f"geometry.{measure}"), fontsize=8.5)
            number_ticks(axes.xaxis, words, most=4)
            axes.margins(x=0.15)
            axes.grid(axis="x")
            bare(axes)
        panels[0].set_yticks(rows, [short(encoder.name, 26) for encoder in encoders])
        panels[0].set_ylim(-0.6, len(encoders) - 0.4)
        panels[1].set_xlabel(words.text("figure.null"))
        return finish(figure, "geometry")


def draw_categories(frame: Frame) -> Drawing:
    """Draw R@1 of every category with its interval, encoders beside each other."""
    encoders = frame.result.encoders
    return draw_recalls(
        "categories",
        [scores.category for scores in encoders[0].categories],
        [
            (
                slot,
                encoder.name,
                {
                    direction: [getattr(scores, direction) for scores in encoder.categories]
                    for direction in DIRECTIONS
                },
            )
            for slot, encoder in enumerate(encoders)
        ],
        frame,
    )


def draw_recalls(
    name: str,
    rows: Sequence[str],
    encoders: Sequence[tuple[int, str, Mapping[Direction, Sequence[Estimate]]]],
    frame: Frame,
) -> Drawing:
    """Draw R@1 of every row in both directions; an encoder is its place, name and estimates."""
    words = frame.words
    lane = 0.7 / len(encoders)
    with sheet(7.2, 1.25 + len(rows) * max(0.34, 0.17 * len(encoders))) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, direction in zip(panels, DIRECTIONS, strict=True):
            for place, (slot, encoder, estimates) in enumerate(encoders):
                colour, marker = series(slot)
                for row, estimate in enumerate(estimates[direction]):
                    height = row - 0.35 + lane * (place + 0.5)
                    label = short(encoder, 48) if row == 0 else None
                    _point(axes, estimate, height, colour, marker, label)
            dash(axes, frame.shown[0].retrieval(direction).chance_recall[1])
            axes.set_title(f"R@1\n{words.text(f'direction.{direction}')}", fontsize=8.5)
            axes.set_xlim(-0.03, 1.03)
            axes.xaxis.set_major_formatter(lambda value, _: words.percent(value))
            axes.grid(axis="x")
            bare(axes)
        panels[0].set_yticks(range(len(rows)), [short(row) for row in rows])
        panels[0].set_ylim(len(rows) - 0.45, -0.55)
        if len(encoders) > 1:
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=3)
        return finish(figure, name)
