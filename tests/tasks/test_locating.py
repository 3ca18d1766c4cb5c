from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.conftest import ColourEncoder

import pareja
from pareja.errors import EncoderError, ImageError, InputError
from pareja.tasks.locating import MOST_WORDS
from pareja.tasks.locating_export import located_to_coco, located_to_csv, located_to_json

RED = (220, 30, 30)


def _corner(right: bool, low: bool, size: tuple[int, int] = (90, 60)) -> Image.Image:
    """White, with a red square of a third of each side in one corner."""
    image = Image.new("RGB", size, "white")
    wide, high = size[0] // 3, size[1] // 3
    x, y = (size[0] - wide) * right, (size[1] - high) * low
    ImageDraw.Draw(image).rectangle((x, y, x + wide - 1, y + high - 1), fill=RED)
    return image


def _overlap(box: Any, expected: tuple[float, float, float, float]) -> float:
    left, top, width, height = box.rectangle
    x = min(left + width, expected[0] + expected[2]) - max(left, expected[0])
    y = min(top + height, expected[1] + expected[3]) - max(top, expected[1])
    inside = max(x, 0.0) * max(y, 0.0)
    return float(inside / (width * height + expected[2] * expected[3] - inside))


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("low", [False, True])
def test_a_square_is_found_in_every_corner(colours: ColourEncoder, right: bool, low: bool) -> None:
    found = pareja.locate("red", _corner(right, low), model=colours)
    (box,) = found.boxes
    assert _overlap(box, (60.0 * right, 40.0 * low, 30, 20)) > 0.6
    x, y = found.pictures[0].places[0].point
    assert (x > 45, y > 30) == (right, low)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_boxes_turn_with_the_picture(
    colours: ColourEncoder, tmp_path: Path, orientation: int
) -> None:
    """Pixels as a turned camera stores them, with the tag that turns them back."""
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
    turns[8] = Image.Transpose.ROTATE_270
    exif = Image.Exif()
    exif[274] = orientation
    stored = _corner(right=True, low=False).transpose(turns[orientation])
    stored.save(tmp_path / "turned.png", exif=exif)
    found = pareja.locate("red", tmp_path / "turned.png", model=colours)
    assert (found.pictures[0].width, found.pictures[0].height) == (90, 60)
    assert _overlap(found.boxes[0], (60, 0, 30, 20)) > 0.6


def test_a_large_jpeg_is_measured_in_its_own_pixels(colours: ColourEncoder, tmp_path: Path) -> None:
    """Decoding at a reduced scale must not show."""
    _corner(right=True, low=True, size=(900, 600)).save(tmp_path / "large.jpg", quality=95)
    found = pareja.locate("red", tmp_path / "large.jpg", model=colours)
    assert _overlap(found.boxes[0], (600, 400, 300, 200)) > 0.6


def test_drawn_shapes_are_found_by_a_real_clip() -> None:
    found = pareja.locate(
        ["red star", "blue star"], "shapes:6", model="clip-shapes", template="a {}", device="cpu"
    )
    place = found.pictures[2].places[1]
    assert found.pictures[2].record.caption == "a blue star right of an orange triangle"
    assert place.words == "blue star"
    assert place.point[0] > 48
    assert place.heat is not None
    assert place.heat.shape == (6, 6)


def test_words_are_told_apart_and_kept_in_order(colours: ColourEncoder) -> None:
    image = _corner(right=False, low=False)
    ImageDraw.Draw(image).rectangle((60, 40, 89, 59), fill=(30, 60, 210))
    found = pareja.locate(["blue", "red", "blue"], image, model=colours)
    blue, red = found.pictures[0].places
    assert (blue.words, red.words) == ("blue", "red")
    assert blue.point[0] > red.point[0]


def test_a_threshold_decides_what_is_there(colours: ColourEncoder, colour_folder: Path) -> None:
    found = pareja.locate("red", colour_folder, model=colours, threshold=0.95)
    here = [picture.record.file_name for picture, _ in found.found()]
    assert here == ["images/red.png"]
    assert len(found.pictures) == 8
    assert pareja.locate("red", colour_folder, model=colours).threshold is None


def test_one_bad_picture_is_left_out(
    colours: ColourEncoder, colour_folder: Path, tmp_path: Path
) -> None:
    (colour_folder / "images" / "broken.png").write_bytes(b"no picture")
    found = pareja.locate("red", colour_folder, model=colours)
    assert len(found.pictures) == 8
    assert [Path(name).name for name, _ in found.skipped] == ["broken.png"]
    with pytest.raises(ImageError, match=r"broken\.png"):
        pareja.locate("red", colour_folder / "images" / "broken.png", model=colours)


def test_a_picture_of_one_pixel_has_no_box(colours: ColourEncoder) -> None:
    found = pareja.locate("red", Image.new("RGB", (1, 1), RED), model=colours)
    assert found.boxes == ()
    assert found.pictures[0].places[0].score > 0.9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "words is empty"),
        ("", "one of them is empty"),
        (["red", "  "], "one of them is empty"),
        ([f"thing {n}" for n in range(MOST_WORDS + 1)], "101 are looked for at once"),
        (3, "words: expected a text"),
    ],
)
def test_words_that_make_no_sense_are_refused(
    colours: ColourEncoder, words: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        pareja.locate(words, _corner(False, False), model=colours)
    assert "\n" not in str(caught.value)


def test_a_template_without_a_place_is_refused(colours: ColourEncoder) -> None:
    with pytest.raises(InputError, match=r"`template` is 'a photo'. Write \{\} once"):
        pareja.locate("red", _corner(False, False), model=colours, template="a photo")


def test_an_encoder_pair_is_refused() -> None:
    with pytest.raises(EncoderError, match="share no space"):
        pareja.locate("red", _corner(False, False), model="starter-unaligned")


def test_the_result_is_written_in_every_form(colours: ColourEncoder) -> None:
    images = [_corner(False, False), _corner(True, True)]
    found = pareja.locate(["red", "blue"], images, model=colours, threshold=0.5)
    plain = located_to_json(found)
    assert plain["words"] == ["red", "blue"]
    assert plain["threshold"]["score"] == 0.5
    first = plain["images"][0]
    assert (first["width"], first["height"]) == (90, 60)
    assert np.array(first["places"][0]["map"]).shape == (6, 6)
    assert first["places"][0]["map_covers"] == [0, 0, 90, 60]
    assert "map" not in located_to_json(found, maps=False)["images"][0]["places"][0]
    coco = located_to_coco(found)
    kept = [place.here for picture in found.pictures for place in picture.places]
    assert {(entry["image_id"], entry["words"]) for entry in coco} == {
        (number // 2 + 1, ("red", "blue")[number % 2])
        for number, here in enumerate(kept)
        if here is not False
    }
    rows = located_to_csv(found).splitlines()
    assert rows[0].lstrip("\ufeff").split(",")[:4] == ["path", "words", "score", "here"]
    assert len(rows) == 1 + len(coco) + kept.count(False)
