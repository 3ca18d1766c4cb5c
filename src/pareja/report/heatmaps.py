"""Figures of matrices: similarities, and which category is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from pareja.analysis.categories import CategoryConfusion
from pareja.analysis.retrieval import DIRECTIONS
from pareja.analysis.significance import Floats, Indices
from pareja.arrays import evenly
from pareja.report.drawing import (
    MAP,
    ON_DARK,
    ON_LIGHT,
    PAPER,
    Drawing,
    bare,
    finish,
    number_ticks,
    sheet,
    short,
)
from pareja.report.frame import MOST_CELLS, Frame
from pareja.report.readings import category_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_similarity(frame: Frame, slot: int) -> Drawing:
    """Draw an encoder's similarity matrices, pictures as rows, matched cells marked."""
    words, result, few = frame.words, frame.result, frame.few
    shown = frame.matrices(slot)
    dataset = result.dataset
    rows = category_order(result)
    place = {picture: row for row, picture in enumerate(rows)}
    columns = sorted(range(len(dataset.captions)), key=lambda j: place[int(dataset.owner[j])])
    matched = [(column, place[int(dataset.owner[j])]) for column, j in enumerate(columns)]
    several = len(shown) > 1
    with sheet(3.75 * len(shown) if several else 5.6, 3.35 if several else 5.0) as figure:
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (reading, similarity) in zip(panels, shown, strict=True):
            matrix = binned(similarity, np.array(rows), np.array(columns), np.array(dataset.owner))
            if few:
                image = axes.pcolormesh(matrix, cmap=MAP, edgecolors=PAPER, linewidth=0.4)
                _mark_cells(axes, matrix, matched)
                letters = 6.0 if several else 7.0
                captions = [frame.caption_numbers[j] for j in columns]
                axes.set_xticks(np.arange(len(columns)) + 0.5, captions)
                axes.set_yticks(np.arange(len(rows)) + 0.5, [str(i + 1) for i in rows])
                axes.tick_params(labelsize=letters, pad=1.5)
                axes.tick_params(axis="x", rotation=90 if len(columns) > 22 else 0)
            else:
                extent = (0, len(columns), len(rows), 0)
                image = axes.imshow(matrix, cmap=MAP, interpolation="nearest", extent=extent)
                _mark_band(axes, matched, len(rows))
                axes.set_xticks([])
                axes.set_yticks([])
            bare(axes)
            axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
            axes.set_aspect("equal" if 0.5 <= len(rows) / len(columns) <= 2 else "auto")
            axes.set_xlabel(words.text(f"figure.{'' if few else 'many_'}captions"))
            axes.set_title(short(reading.label, 44 if several else 60), fontsize=8.5)
            categories = [dataset.records[i].category for i in rows]
            label = words.text(f"figure.{'' if few else 'many_'}pictures")
            _name_rows(
                axes, categories, few, label if axes is panels[0] else "", 42 if several else 56
            )
            bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=24, pad=0.02)
            bar.outline.set_visible(False)
            bar.ax.tick_params(length=2, labelsize=7)
            number_ticks(bar.ax.yaxis, words)
            bar.set_label(words.text("figure.similarity"), fontsize=7.5)
        return finish(figure, frame.key("similarity", slot))


def binned(similarity: Floats, rows: Indices, columns: Indices, owner: Indices) -> Floats:
    """Return the matrix in an order, or its means over equal blocks where it has too many cells.

    A block with matched pairs is the mean of these alone. There are as few of them as there are
    pictures, and the others in the block would hide them: the more, the larger the dataset.

    Parameters
    ----------
    similarity
        ``(n_images, n_captions)``.
    rows, columns
        The order of both.
    owner
        The picture of each caption, ``(n_captions,)``.
    """
    if max(similarity.shape) <= MOST_CELLS:
        return similarity[np.ix_(rows, columns)]
    edges = [np.unique(evenly(len(order) + 1, MOST_CELLS + 1))[:-1] for order in (rows, columns)]
    means: Floats = np.empty((len(edges[0]), len(edges[1])))
    for place, part in enumerate(np.split(rows, edges[0][1:])):
        of_rows = similarity[part].mean(axis=0, dtype=np.float64)
        means[place] = np.add.reduceat(of_rows[columns], edges[1])
    means /= np.diff(edges[1], append=len(columns))
    down, across = (
        np.searchsorted(edge, np.argsort(order), side="right") - 1
        for edge, order in zip(edges, (rows, columns), strict=True)
    )
    captions = np.arange(len(columns))
    blocks = down[owner], across[captions]
    sums, pairs = np.zeros_like(means), np.zeros(means.shape, np.int64)
    np.add.at(sums, blocks, similarity[owner, captions])
    np.add.at(pairs, blocks, 1)
    np.divide(sums, pairs, out=means, where=pairs > 0)
    return means


def _mark_cells(axes: Axes, matrix: Floats, matched: Sequence[tuple[int, int]]) -> None:
    """Frame the matched cells and put a dot on the nearest caption of each picture."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    frames = [Rectangle(cell, 1, 1) for cell in matched]
    for colour, line in ((ON_LIGHT, 2.2), (ON_DARK, 1.2)):
        axes.add_collection(
            PatchCollection(frames, facecolor="none", edgecolor=colour, linewidth=line)
        )
    nearest_row, nearest_column = np.nonzero(matrix == matrix.max(axis=1, keepdims=True))
    axes.scatter(
        nearest_column + 0.5,
        nearest_row + 0.5,
        s=13,
        color=ON_DARK,
        edgecolors=ON_LIGHT,
        linewidths=0.9,
        zorder=3,
    )


def _mark_band(axes: Axes, matched: Sequence[tuple[int, int]], rows: int) -> None:
    """Run a line on either side of the matched cells, which are too small to be framed."""
    across, down = np.array(matched).T + 0.5
    for offset in (-0.014 * rows - 0.5, 0.014 * rows + 0.5):
        axes.plot(across, down + offset, color=ON_DARK, linewidth=0.8, alpha=0.9)


def _name_rows(
    axes: Axes, categories: Sequence[str | None], few: bool, label: str, letters: int
) -> None:
    """Label the rows, and name the categories, ``letters`` in all, with thin lines between."""
    start = 0
    centres: list[float] = []
    names: list[str] = []
    total = len(categories)
    for category, group in groupby(categories):
        size = len(list(group))
        if start and category:
            for line in (axes.axhline, axes.axvline):
                # Columns follow the pictures only where each has one caption.
                if line is axes.axhline or axes.get_xlim()[1] == total:
                    line(start, color=ON_DARK, linewidth=0.9 if few else 0.5, alpha=0.8)
        room = round(letters * size / total)
        if category and room >= 3:
            centres.append(start + size / 2)
            names.append(short(category, room))
        start += size
    if len(names) < 2:
        axes.set_ylabel(label)
        return
    side = axes.secondary_yaxis(-0.075 if few else -0.01)
    side.set_yticks(centres, names, rotation=90, va="center", fontsize=7)
    side.spines["left"].set_visible(False)
    side.tick_params(length=0, pad=2)
    side.set_ylabel(label)


def draw_confusion(frame: Frame, slot: int, confusion: CategoryConfusion) -> Drawing:
    """Draw which category the nearest answer comes from, in both directions."""
    words = frame.words
    labels = [short(category, 16) for category in confusion.categories]
    count = len(labels)
    side = min(1.35 + 0.42 * count, 4.0)
    with sheet(2 * side + 0.8, side + 0.55) as figure:
        panels = figure.subplots(1, 2)
        for axes, direction in zip(panels, DIRECTIONS, strict=True):
            counts: Floats = getattr(confusion, direction)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
            axes.pcolormesh(
                shares,
                cmap=MAP,
                vmin=0,
                vmax=1,
                edgecolors=PAPER,
                linewidth=1.2 if count < 20 else 0,
            )
            for row, column in np.argwhere(counts > 0) if count <= 12 else ():
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    words.amount(counts[row, column]),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=ON_LIGHT if shares[row, column] > 0.45 else ON_DARK,
                )
            centres = np.arange(count) + 0.5
            axes.set_xticks(centres, labels, rotation=35, ha="right", rotation_mode="anchor")
            axes.set_yticks(centres, labels if axes is panels[0] else [""] * count)
            axes.set(xlim=(0, count), ylim=(count, 0), aspect="equal")
            axes.set_title(words.text(f"direction.{direction}"))
            axes.set_xlabel(words.text(f"figure.answer_{direction}"))
            bare(axes)
        panels[0].set_ylabel(words.text("figure.category_of_query"))
        return finish(figure, frame.key("confusion", slot))
