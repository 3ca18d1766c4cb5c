"""Figures of points: the map of both modalities, and matched similarities of two encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.significance import Floats
from pareja.report.charts import series
from pareja.report.drawing import (
    INK,
    MUTED,
    PAPER,
    RULE,
    Drawing,
    bare,
    finish,
    number_ticks,
    sheet,
    short,
)
from pareja.report.frame import Frame
from pareja.report.pictures import Thumbnail
from pareja.report.readings import compared
from pareja.tasks.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

_LEGEND_ROOM = 18
_MAP = np.array([500.0, 372.0])
"""Size of the map in points."""


def draw_map(frame: Frame, slot: int, pictures: Sequence[Thumbnail]) -> Drawing:
    """Draw pictures and captions in one plane, a line from each caption to its picture."""
    from matplotlib.collections import LineCollection

    result, few = frame.result, frame.few_on_map
    encoder, dataset = result.encoders[slot], result.dataset
    images, captions = _to_points(encoder.plane.images, encoder.plane.captions)
    kinds = [_kind(result, i) for i in range(len(images))]
    owner = [int(i) for i in dataset.owner]
    if few:
        sizes = np.array([_thumbnail_size(picture.image) for picture in pictures])
        boxes = np.vstack([sizes + 3.0, np.full((len(captions), 2), 13.0)])
        moved = moved_apart(np.vstack([images, captions]), boxes, _MAP)
        images, captions = moved[: len(images)], moved[len(images) :]
    drawn = frame.drawn_captions
    with sheet(7.2, 5.2 if dataset.categories else 4.9) as figure:
        axes = figure.subplots()
        lines = LineCollection(
            [np.array([images[owner[j]], captions[j]]) for j in drawn],
            colors=[series(kinds[owner[j]])[0] for j in drawn],
            linewidths=1.1 if few else 0.5,
            alpha=0.75 if few else 0.4,
            zorder=1,
        )
        axes.add_collection(lines)
        if few:
            _put_thumbnails(axes, images, sizes, pictures, kinds)
            _put_numbers(axes, captions, [kinds[i] for i in owner], frame.caption_numbers)
        else:
            # A picture without its captions says nothing on this map, so both are left out.
            with_captions = np.unique([owner[j] for j in drawn])
            _put_markers(
                axes, images[with_captions], [kinds[i] for i in with_captions], filled=True
            )
            _put_markers(axes, captions[drawn], [kinds[owner[j]] for j in drawn], filled=False)
        _name_kinds(figure, result, shapes=not few)
        axes.set(xlim=(0, _MAP[0]), ylim=(0, _MAP[1]), aspect="equal", xticks=[], yticks=[])
        axes.set_title(short(encoder.name, 60))
        for spine in axes.spines.values():
            spine.set(visible=True, color=RULE)
        return finish(figure, frame.key("map", slot))


def _kind(result: StudyResult, picture: int) -> int:
    """Return the place of a picture's category; pictures without one share the last."""
    names = result.dataset.categories
    category = result.dataset.records[picture].category
    return names.index(category) if category is not None else len(names)


def _to_points(images: Floats, captions: Floats) -> tuple[Floats, Floats]:
    """Scale the plane, the same on both axes, so that it fills the map but for a margin."""
    both = np.vstack([images, captions])
    low, high = both.min(axis=0), both.max(axis=0)
    margin = 26.0
    scale = float(np.min((_MAP - 2 * margin) / np.maximum(high - low, 1e-12)))
    placed = (both - (low + high) / 2) * scale + _MAP / 2
    return placed[: len(images)], placed[len(images) :]


def _thumbnail_size(picture: Image, area: float = 30.0**2) -> Floats:
    """Return width and height, in points, of a picture that covers about ``area``."""
    ratio = min(max(picture.width / picture.height, 0.5), 2.0)
    return np.array([(area * ratio) ** 0.5, (area / ratio) ** 0.5])


def moved_apart(
    centres: Floats, sizes: Floats, room: Floats, rounds: int = 300
) -> NDArray[np.float64]:
    """Move boxes as little as needed until none covers another.

    Parameters
    ----------
    centres, sizes
        ``(n, 2)`` each, in the same unit.
    room
        Width and height that the boxes have to stay within, from (0, 0).
    rounds
        How often overlapping boxes are pushed; a crowd may keep some overlap.

    Examples
    --------
    >>> moved_apart(np.array([[10.0, 5], [12, 5]]), np.full((2, 2), 4.0), np.array([30.0, 30]))
    array([[ 9.,  5.],
           [13.,  5.]])
    """
    placed = centres.astype(np.float64)
    # Coincident boxes have no direction to part in; a fixed, tiny spiral gives them one.
    angle = np.arange(len(placed)) * 2.39996
    placed += 1e-9 * np.column_stack([np.cos(angle), np.sin(angle)])
    reach = (sizes[:, None] + sizes[None]) / 2
    for _ in range(rounds):
        gap = placed[:, None] - placed[None]
        inside = reach - np.abs(gap)
        overlap: NDArray[np.bool_] = np.all(inside > 1e-6, axis=2)
        np.fill_diagonal(overlap, False)
        if not overlap.any():
            break
        # Part along the axis that needs the shorter way.
        along = inside[..., 0] <= inside[..., 1]
        for axis, chosen in ((0, along), (1, ~along)):
            push = np.where(overlap & chosen, np.sign(gap[..., axis]) * inside[..., axis] / 2, 0)
            placed[:, axis] += push.sum(axis=1) / np.maximum((push != 0).sum(axis=1), 1)
        placed = np.clip(placed, sizes / 2, room - sizes / 2)
    return np.round(placed, 6)


def _put_thumbnails(
    axes: Axes,
    centres: Floats,
    sizes: Floats,
    pictures: Sequence[Thumbnail],
    kinds: Sequence[int],
) -> None:
    from matplotlib.patches import Rectangle

    for number, ((x, y), (width, height), picture, kind) in enumerate(
        zip(centres, sizes, pictures, kinds, strict=True), start=1
    ):
        left, bottom = x - width / 2, y - height / 2
        axes.imshow(
            np.asarray(picture.image.resize((round(width * 2.2), round(height * 2.2)))),
            extent=(left, left + width, bottom, bottom + height),
            zorder=2,
            interpolation="none",
        )
        colour, _ = series(kind)
        axes.add_patch(
            Rectangle((left, bottom), width, height, fill=False, ec=colour, lw=1.8, zorder=2.5)
        )
        axes.text(
            left,
            bottom + height,
            str(number),
            fontsize=6.5,
            color=PAPER,
            weight="bold",
            ha="left",
            va="top",
            zorder=3,
            bbox={"boxstyle": "square,pad=0.15", "facecolor": colour, "edgecolor": "none"},
        )


def _put_numbers(axes: Axes, centres: Floats, kinds: Sequence[int], numbers: Sequence[str]) -> None:
    for (x, y), kind, number in zip(centres, kinds, numbers, strict=True):
        colour, _ = series(kind)
        axes.text(
            x,
            y,
            number,
            fontsize=7,
            ha="center",
            va="center",
            zorder=4,
            bbox={
                "boxstyle": "circle,pad=0.25",
                "facecolor": PAPER,
                "edgecolor": colour,
                "lw": 1.5,
            },
        )


def _put_markers(axes: Axes, points: Floats, kinds: Sequence[int], *, filled: bool) -> None:
    for kind in sorted(set(kinds)):
        colour, marker = series(kind)
        chosen = points[np.array(kinds) == kind]
        axes.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=26 if filled else 20,
            marker=marker,
            color=colour if filled else PAPER,
            edgecolors=PAPER if filled else colour,
            linewidths=0.4 if filled else 1.0,
            zorder=3 if filled else 2,
        )


def _name_kinds(figure: Figure, result: StudyResult, *, shapes: bool) -> None:
    """Put the categories into a legend, if there are not too many to be told apart."""
    from matplotlib.lines import Line2D

    names = result.dataset.categories
    if 0 < len(names) <= _LEGEND_ROOM:
        handles = []
        for kind, name in enumerate(names):
            colour, marker = series(kind)
            shape = marker if shapes else "s"
            handles.append(
                Line2D([], [], color=colour, marker=shape, linestyle="", label=short(name))
            )
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(len(names), int(figure.get_figwidth() / 1.4)),
        )


def freest_sides(points: Floats, reach: float = 0.03) -> Floats:
    """Return towards which corner each point has most room for its label.

    Parameters
    ----------
    points
        Positions, ``(n, 2)``; either axis fills its side of the panel.
    reach
        How far a label is from its point, as a share of the panel.

    Returns
    -------
    Floats
        Steps of -1 or 1 on both axes, ``(n, 2)``.

    Examples
    --------
    >>> freest_sides(np.array([[0.0, 0.0], [0.03, 0.03], [1.0, 1.0]]))[0]
    array([-1.,  1.])
    """
    spread = np.ptp(points, axis=0)
    placed = (points - points.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    corners = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    sides = np.empty(placed.shape)
    taken = placed
    for i, point in enumerate(placed):
        spots = point + reach * corners
        others = np.delete(taken, i, axis=0)
        distances = np.linalg.norm(spots[:, None] - others[None], axis=2)
        # Beyond two reaches nothing is in the way, and the first corner is as good as any.
        room = np.minimum(distances.min(axis=1, initial=2 * reach), 2 * reach)
        best = int(np.argmax(np.round(room, 6)))
        sides[i] = corners[best]
        taken = np.vstack([taken, spots[best]])
    return sides


def draw_comparisons(frame: Frame) -> Drawing:
    """Draw, for every two encoders, the similarity that each gives to the same matched pair."""
    words, result, few = frame.words, frame.result, frame.few_in_scatter
    comparisons = result.comparisons
    columns = min(len(comparisons), 2)
    lines = -(-len(comparisons) // columns)
    drawn = frame.drawn_captions
    kinds = [_kind(result, int(i)) for i in result.dataset.owner[drawn]]
    width = 5.4 if columns == 1 else 3.6
    with sheet(width * columns, 0.35 + (4.3 if columns == 1 else 3.3) * lines) as figure:
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes in panels[len(comparisons) :]:
            axes.set_axis_off()
        for axes, comparison in zip(panels, comparisons, strict=False):
            for kind in sorted(set(kinds)):
                colour, marker = series(kind)
                chosen = np.array(kinds) == kind
                axes.scatter(
                    comparison.matched_a[drawn][chosen],
                    comparison.matched_b[drawn][chosen],
                    s=34 if few else 16,
                    color=colour,
                    marker=marker,
                    linewidths=0,
                    alpha=0.9,
                )
            if few:
                points = np.column_stack([comparison.matched_a, comparison.matched_b])
                for point, side, number in zip(
                    points, freest_sides(points), frame.caption_numbers, strict=True
                ):
                    axes.annotate(
                        number,
                        point,
                        xytext=7.5 * side,
                        textcoords="offset points",
                        fontsize=6.5,
                        color=INK,
                        ha="center",
                        va="center",
                    )
            ends = compared(comparison, frame.every)
            labels = [
                short(reading.label if reading else name, 52 if columns == 1 else 36)
                for reading, name in zip(ends, (comparison.a, comparison.b), strict=True)
            ]
            axes.set_xlabel(labels[0])
            axes.set_ylabel(labels[1])
            for axis in (axes.xaxis, axes.yaxis):
                number_ticks(axis, words)
            rho = words.interval(comparison.matched_spearman)
            axes.set_title(f"ρ = {rho}", fontsize=8.5, color=MUTED)
            axes.margins(0.1)
            axes.grid()
            bare(axes)
        _name_kinds(figure, result, shapes=True)
        return finish(figure, "comparison")
