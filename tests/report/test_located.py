from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.conftest import ColourEncoder

import pareja
from pareja.errors import OutputError
from pareja.regions.maps import Box
from pareja.report.located import render_located
from pareja.report.overlay import in_words, lay_over, outlined_png, warmed
from pareja.words.wording import Wording


def _picture() -> Image.Image:
    image = Image.new("RGB", (90, 60), "white")
    ImageDraw.Draw(image).rectangle((60, 40, 89, 59), fill=(220, 30, 30))
    return image


@pytest.mark.parametrize("lang", ["en", "es"])
def test_the_page_shows_and_tells_where(colours: ColourEncoder, lang: str) -> None:
    found = pareja.locate(["red", "<b>"], _picture(), model=colours)
    page = render_located(found, lang)  # type: ignore[arg-type]
    assert page.count("<img") == 2
    assert "<b>" not in page.replace("<body>", "")
    where = "bottom right" if lang == "en" else "abajo a la derecha"
    assert where in page
    assert "colours" in page


def test_the_outline_is_where_the_thing_is(colours: ColourEncoder) -> None:
    found = pareja.locate("red", _picture(), model=colours)
    drawn = np.asarray(Image.open(io.BytesIO(outlined_png(found.pictures[0]))), np.int16)
    changed = np.abs(drawn - np.asarray(_picture(), np.int16)).sum(axis=2) > 60
    assert drawn.shape == (60, 90, 3)
    left, top, *_ = (round(edge) for edge in found.boxes[0].rectangle)
    assert changed[top + 5 : 55, left - 1 : left + 3].any(axis=1).all()
    assert not changed[:, : left - 20].any()


def test_the_picture_is_seen_under_the_map() -> None:
    image = _picture()
    heat = np.zeros((6, 6), np.float32)
    heat[5, 5] = 1
    drawn = np.asarray(lay_over(image, heat, (0, 0, 90, 60)), np.float32)
    red, white = drawn[55, 85], drawn[5, 5]
    assert red[0] > red[2] + 50
    assert white.max() < 200
    assert np.ptp(white) < 5


def test_what_is_not_there_warms_nothing(colours: ColourEncoder) -> None:
    found = pareja.locate("red", _picture(), model=colours, threshold=0.99).pictures[0]
    drawn = np.asarray(warmed(found, found.places[0], 90).image, np.int16)
    np.testing.assert_array_equal(drawn, np.asarray(_picture()))


def test_places_are_said_in_words() -> None:
    words = Wording("en")
    told = in_words(Box(80, 0, 20, 50, 0.5), (100, 100), words)
    assert told.replace("\N{NO-BREAK SPACE}", " ") == "top right, 10 % of the picture, 0.50"
    assert in_words(Box(0, 0, 100, 100, 0.5), (100, 100), words).startswith("centre")


def test_results_are_saved_by_their_ending(colours: ColourEncoder, tmp_path: Path) -> None:
    found = pareja.locate("red", [_picture(), _picture()], model=colours)
    for name in ("a.csv", "a.json", "a.coco.json", "a.html"):
        assert found.save(tmp_path / name).stat().st_size
    with pytest.raises(OutputError, match=r"a\.png: a \.png shows one picture, and there are 2"):
        found.save(tmp_path / "a.png")
    with pytest.raises(OutputError, match="end its name in"):
        found.save(tmp_path / "a.txt")
    one = pareja.locate("red", _picture(), model=colours)
    with Image.open(one.save(tmp_path / "a.png")) as drawn:
        assert drawn.size == (90, 60)
