from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja
    from tests.conftest import ColourEncoder


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, colours: ColourEncoder) -> None:
    monkeypatch.setattr("pareja.encoders.load", lambda name, **_: colours)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = Image.new("RGB", (90, 60), "white")
    image.paste((220, 30, 30), (60, 40, 90, 60))
    image.save(tmp_path / "corner.png")
    return tmp_path / "corner.png"


def test_a_line_for_each_box(pareja: Pareja, picture: Path) -> None:
    run = pareja("locate", picture, "red")
    assert (run.status, run.err) == (0, "")
    name, box, legend = run.out.splitlines()
    assert name.endswith("corner.png (90 x 60)")
    assert re.fullmatch(r"  -?0\.\d\d  \d+ x \d+ at \d+, \d+", box)
    assert "nobody measured" in legend


def test_what_is_not_there_is_said(pareja: Pareja, picture: Path) -> None:
    run = pareja("locate", picture, "red", "blue", "--threshold", "0.99")
    assert run.out.count("probably nothing of that is here") == 2
    assert "Nobody measured how often that is wrong" in run.out


def test_json_has_the_agreed_shape(pareja: Pareja, picture: Path) -> None:
    run = pareja("locate", picture, "red", "--json")
    place = json.loads(run.out)["images"][0]["places"][0]
    assert place["words"] == "red"
    assert place["boxes"][0].keys() == {"box", "score"}


@pytest.mark.parametrize("ending", ["csv", "json", "coco.json", "png", "html"])
def test_files(pareja: Pareja, picture: Path, ending: str) -> None:
    run = pareja("locate", picture, "red", "-o", f"out.{ending}")
    assert run.status == 0
    assert run.err.strip().endswith(f"out.{ending}")
    assert pareja("locate", picture, "red", "-o", f"out.{ending}").status == 1
    assert pareja("locate", picture, "red", "-o", f"out.{ending}", "--force").status == 0


def test_wrong_use_is_one_line(pareja: Pareja, picture: Path, colour_folder: Path) -> None:
    wrong = [
        (("locate", picture), 2),
        (("locate", picture, "  "), 1),
        (("locate", picture, *map(str, range(300))), 1),
        (("locate", picture, "red", "--template", "x"), 1),
        (("locate", picture, "red", "-o", "a.txt"), 2),
        (("locate", colour_folder, "red", "-o", "a.png"), 2),
        (("locate", "nowhere.png", "red"), 1),
    ]
    for arguments, status in wrong:
        run = pareja(*arguments)
        assert (run.status, run.out) == (status, ""), arguments
        assert run.err.startswith(("pareja: ", "Usage")), run.err
    assert "--template is 'x'" in pareja("locate", picture, "red", "--template", "x").err
    assert not list(Path.cwd().glob("a.*"))


def test_words_that_are_no_label_are_named(pareja: Pareja) -> None:
    words = "orange triangle", "Yellow Circle", "green star"
    run = pareja("locate", "shapes:2", *words, "-m", "clip-shapes", "--measure")
    assert "of 6 pairs of a picture and words; in 2 the words are there, in 4 they are not" in (
        " ".join(run.out.split())
    )
    assert "no picture has the label green star: counted as absent" in run.err
