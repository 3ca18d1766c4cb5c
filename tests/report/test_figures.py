from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.report.conftest import COLOURS, Painted, wall

from pareja.datasets import Dataset, Record
from pareja.report import heatmaps
from pareja.report.drawing import SERIES, THEME, finish, number_ticks, sheet, short
from pareja.report.pictures import thumbnails
from pareja.report.scatter import moved_apart
from pareja.words.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.report.conftest import Study


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def themes() -> tuple[dict[str, str], dict[str, str]]:
    """Return the colours of the light and of the dark theme."""
    from importlib import resources

    css = (resources.files("pareja.report") / "templates" / "report.css").read_text("utf-8")
    light, dark, printed = (
        dict(re.findall(r"--([\w-]+): (#\w{6});", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    )
    assert printed == light
    return light, dark


@pytest.mark.parametrize("theme", [0, 1])
def test_both_themes_have_contrast(theme: int) -> None:
    colours = themes()[theme]
    for text in ("ink", "muted", "accent"):
        assert contrast(colours[text], colours["paper"]) >= 4.5, text
        assert contrast(colours[text], colours["wash"]) >= 4.5, text
    assert contrast(colours["ink"], colours["note"]) >= 4.5
    assert contrast(colours["place-edge"], colours["place"]) >= 4.5
    for slot in range(len(SERIES)):
        assert contrast(colours[f"series-{slot}"], colours["paper"]) >= 3, slot


def test_standalone_figures_are_of_the_light_theme() -> None:
    light, _ = themes()
    for colour, style in THEME.items():
        name = "ink" if style == "currentColor" else style[len("var(--") : -1]
        assert light[name] == colour


def test_an_inlined_figure_follows_the_theme(written: Mapping[str, Path]) -> None:
    page = written["report.html"].read_text("utf-8")
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(figures) >= 10
    for figure in figures:
        assert not any(colour in figure for colour in THEME)
        assert "DejaVu" not in figure


def test_text_that_cannot_be_drawn_is_replaced_and_long_text_cut() -> None:
    assert short("a  b\nc") == "a b c"
    assert short("日本") == "\ufffd\ufffd"
    assert short("x" * 30, 10) == "x" * 9 + "…"
    assert short("/home/ana/models/clip-birds", 11) == "…clip-birds"


def test_a_dollar_sign_is_a_dollar_sign() -> None:
    with sheet(2, 1) as figure:
        figure.subplots().set_title("$5 and $x^2$")
        assert "$5 and $x^2$" in finish(figure, "price").svg


def test_boxes_are_moved_apart_and_stay_inside() -> None:
    generator = np.random.default_rng(0)
    centres = np.vstack([generator.uniform(100, 160, (18, 2)), [[0, 0], [130, 130], [130, 130]]])
    sizes = generator.uniform(10, 30, (21, 2))
    room = np.array([400.0, 300.0])
    moved = moved_apart(centres, sizes, room)
    gap = np.abs(moved[:, None] - moved[None]) - (sizes[:, None] + sizes[None]) / 2
    apart = np.any(gap > -1e-3, axis=2) | np.eye(len(moved), dtype=bool)
    assert apart.all()
    assert (moved >= sizes / 2 - 1e-6).all()
    assert (moved <= room - sizes / 2 + 1e-6).all()


def test_boxes_with_room_stay_where_they_are() -> None:
    centres = np.array([[10.0, 10], [50, 50]])
    np.testing.assert_allclose(
        moved_apart(centres, np.full((2, 2), 8.0), np.array([99.0, 99])), centres
    )


class Gone:
    """A picture whose file is no longer one."""

    def read(self) -> bytes:
        return b"no picture"


def test_a_picture_that_vanished_leaves_its_place(study: Study) -> None:
    records = study(["dual"]).dataset.records
    broken = Dataset("walls", (records[0], replace(records[1], source=Gone())), Path("walls"))
    shown = thumbnails(broken)
    assert len(shown) == 2
    assert shown[1].jpeg.startswith(b"\xff\xd8")
    assert shown[1].image.getpixel((120, 2)) != shown[0].image.getpixel((10, 2))


@pytest.mark.parametrize(("count", "side"), [(3, 48), (61, 48)])
def test_small_pictures_are_not_enlarged(count: int, side: int, study: Study) -> None:
    record: Record = study(["dual"]).dataset.records[0]
    shown = thumbnails(Dataset("walls", (record,) * count, Path("walls")))
    assert max(shown[0].image.size) == side


def test_a_large_matrix_is_drawn_as_means_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heatmaps, "MOST_CELLS", 4)
    matrix = np.arange(48, dtype=np.float64).reshape(6, 8)
    rows, columns = np.array([5, 4, 3, 2, 1, 0]), np.arange(8)
    owner = np.array([0, 0, 0, 0, 1, 1, 0, 5])
    drawn = heatmaps.binned(matrix, rows, columns, owner)
    assert drawn.shape == (4, 4)
    # The first block holds the last row alone, and two columns of it; of the last one, one matches.
    assert drawn[0].tolist() == [40.5, 42.5, 44.5, 47]
    assert drawn[3].tolist() == [0.5, 2.5, 12.5, 6]
    small = heatmaps.binned(matrix[:4, :4], rows[2:], columns[:4], owner[:4])
    assert small[0, 0] == matrix[3, 0]


@pytest.mark.parametrize("captions", [1, 2])
@pytest.mark.parametrize("pictures", [40, 400, 2000])
def test_matched_pairs_stand_out_alike_in_small_and_large_datasets(
    pictures: int, captions: int
) -> None:
    random = np.random.default_rng(0)
    owner = np.repeat(np.arange(pictures), captions)
    similarity = random.normal(0.1, 0.02, (pictures, len(owner)))
    similarity[owner, np.arange(len(owner))] += 0.1
    shuffled = random.permutation(pictures)
    columns = np.argsort(np.argsort(shuffled)[owner], kind="stable")
    drawn = heatmaps.binned(similarity, shuffled, columns, owner)
    across = np.arange(drawn.shape[1])
    matched = np.zeros(drawn.shape, bool)
    matched[across * drawn.shape[0] // drawn.shape[1], across] = True
    assert drawn[matched].mean() == pytest.approx(0.2, abs=0.005)
    assert drawn[~matched].mean() == pytest.approx(0.1, abs=0.005)
    assert drawn[matched].min() > drawn[~matched].mean() + 0.03


def test_an_axis_of_epochs_has_whole_numbers_alone() -> None:
    with sheet(3, 2) as figure:
        axes = figure.subplots()
        axes.set_xlim(-0.5, 1.5)
        number_ticks(axes.xaxis, Wording("es"))
        assert "0,5" in [label.get_text() for label in axes.get_xticklabels()]
        number_ticks(axes.xaxis, Wording("es"), whole=True)
        assert {label.get_text() for label in axes.get_xticklabels()} <= {"−1", "0", "1", "2"}


def test_thumbnails_are_made_when_they_are_looked_at() -> None:
    read: list[str] = []

    class Counted(Painted):
        def read(self) -> bytes:
            read.append(self.colour)
            return super().read()

    records = tuple(
        replace(wall(colour, n), source=Counted(colour)) for n, colour in enumerate(COLOURS)
    )
    shown = thumbnails(Dataset("walls", records, Path("walls")))
    assert (len(shown), read) == (8, [])
    assert shown[1] is shown[1] is shown[-7]
    assert read == ["green"]
