"""Ink, colours and paper: what every figure is drawn with, and how it becomes a file."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from pareja.words.wording import Wording

INK = "#1d2330"
MUTED = "#5a6373"
RULE = "#d3d9e2"
PAPER = "#ffffff"

SERIES = ("#0067a9", "#c24e00", "#00805a", "#a1458f", "#8a6100", "#49526b")
"""Okabe and Ito's hues, darkened until each has a contrast of 3:1 on white (WCAG 1.4.11)."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""As many as no divisor of the colours, so that colour and shape together repeat late."""

# Drawn on top of a colour map, which does not follow the reader's theme, so these must not either.
ON_DARK = "#fefefe"
ON_LIGHT = "#101010"

THEME = {INK: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)", PAPER: "var(--paper)"} | {
    colour: f"var(--series-{i})" for i, colour in enumerate(SERIES)
}
"""Which style of the page takes the place of which colour in an inlined figure."""

MAP = "viridis"

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.titlecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "text.color": INK,
    # A dollar sign in the name of a category is a dollar sign.
    "text.parse_math": False,
    "figure.facecolor": PAPER,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "hatch.linewidth": 1.0,
    "svg.fonttype": "none",
}

PNG_DPI = 170

FULL_WIDTH = 7.4
"""Inches of a figure that takes the whole width of the text."""


@dataclass(frozen=True)
class Drawing:
    """One finished figure.

    Parameters
    ----------
    name
        Stem of its file names, and the prefix of every id in ``svg``.
    svg
        The figure as an SVG document on white paper, text as text.
    png
        The same as a PNG file.
    share
        How much of the text's width the figure takes, in (0, 1], so that the letters of all
        figures are of one size.
    """

    name: str
    svg: str
    png: bytes
    share: float

    def inline(self) -> str:
        """Return the SVG element to put into a page, its colours taken from the page's theme."""
        element = self.svg[self.svg.index("<svg") :]
        for colour, style in THEME.items():
            element = element.replace(colour, style)
        element = element.replace("'DejaVu Sans', sans-serif", "inherit")
        return re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL).strip()


@contextmanager
def sheet(width: float, height: float) -> Iterator[Figure]:
    """Give an empty figure of ``width`` by ``height`` inches, drawn in the report's style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with mpl.rc_context(_RC):
        layout = ConstrainedLayoutEngine(wspace=0.08, hspace=0.1, compress=True)
        yield Figure(figsize=(width, height), layout=layout)


def finish(figure: Figure, name: str) -> Drawing:
    """Render a figure; the same figure gives the same bytes."""
    import matplotlib as mpl

    vector, raster = io.StringIO(), io.BytesIO()
    with mpl.rc_context(_RC | {"svg.hashsalt": name, "svg.id": name}):
        # Each savefig would arrange the figure again, which takes longer than drawing it.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        figure.savefig(vector, format="svg", metadata={"Date": None, "Creator": None}, dpi=PNG_DPI)
        figure.savefig(raster, format="png", metadata={"Software": None}, dpi=PNG_DPI)
    share = min(1.0, figure.get_figwidth() / FULL_WIDTH)
    return Drawing(name, _own_ids(vector.getvalue(), name), raster.getvalue(), share)


def _own_ids(svg: str, name: str) -> str:
    """Prefix the ids that are used, and drop the others, since a page holds several figures."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(
        r'\sid="([^"]*)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", svg
    )
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)


def bare(axes: Axes) -> None:
    """Take away the frame and the tick marks, leaving the labels."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)


def number_ticks(axis: Axis, words: Wording, most: int = 6, *, whole: bool = False) -> None:
    """Put ticks at round numbers and write them with the decimals that their distance needs.

    With `whole`, where there is nothing between whole numbers.
    """
    from matplotlib.ticker import MaxNLocator

    def label(value: float, _: float) -> str:
        step = float(np.diff(axis.get_majorticklocs()[:2])[0])
        return words.number(value, max(0, -math.floor(math.log10(step) + 1e-9)))

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=whole))
    axis.set_major_formatter(label)


def dash(axes: Axes, x: float) -> None:
    """Draw the line of chance at ``x``."""
    axes.axvline(x, color=INK, linestyle=(0, (4, 3)), linewidth=1.0, zorder=1.5)


def short(text: str, length: int = 22) -> str:
    """Return text for a figure: one line, cut where it is long, only glyphs that can be drawn.

    Of a path the end is kept, which is what tells it from others. The figures' font knows Latin,
    Greek, Cyrillic and some Arabic; matplotlib warns about every other character and draws an empty
    box.
    """
    line = " ".join(text.split())
    drawable = "".join(c if ord(c) in _glyphs() else "\N{REPLACEMENT CHARACTER}" for c in line)
    if len(drawable) <= length:
        return drawable
    if "/" in drawable:
        return "…" + drawable[1 - length :].lstrip()
    return drawable[: length - 1].rstrip() + "…"


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())
