from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pareja.errors import BoxError
from pareja.regions.parts import cut_out, read_part, rectangle, side_for


@pytest.mark.parametrize(
    ("box", "meant"),
    [
        ((120, 40, 300, 200), (120, 40, 300, 200)),
        ("120,40, 300 ,200", (120, 40, 300, 200)),
        (np.array([0.25, 0.5, 0.5, 0.5]), (200, 300, 400, 300)),
        # The whole picture, as fractions; one pixel would be nothing to search by.
        ((0, 0, 1, 1), (0, 0, 800, 600)),
        ((0.7, 0.9, 0.3, 0.1), (560, 540, 240, 60)),
        ((0, 0, 1, 2), (0, 0, 1, 2)),
    ],
)
def test_what_a_box_means(box: Any, meant: tuple[float, ...]) -> None:
    assert rectangle(box, (800, 600)) == pytest.approx(meant)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ("1,2,3", "'1,2,3', and no four numbers. Give left, top, width and height"),
        ("1,2,3,four", "no four numbers"),
        ((1, 2, 3, float("nan")), "not finite"),
        (7, "no four numbers"),
        ((10, 10, 0, 20), "10,10,0,20, which has no width or no height"),
        ((10, 10, 20, -1), "no width or no height"),
        ((-1, 0, 20, 20), "reaches from -1, 0 to 19, 20 in a picture of 800 x 600 pixels"),
        ((700, 0, 101, 20), "reaches from 700, 0 to 801, 20"),
        ((100, 50, 750, 600), "two corners, give left, top, width and height: 100,50,650,550."),
        ((0.5, 0.5, 0.9, 0.75), "height: 0.5,0.5,0.4,0.25."),
    ],
)
def test_a_box_that_is_none_is_refused_in_one_line(box: Any, said: str) -> None:
    with pytest.raises(BoxError) as refused:
        rectangle(box, (800, 600))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.parameter == "box"


def test_a_part_has_the_pixels_that_it_touches() -> None:
    pixels = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(4, 6, 3)
    image = Image.fromarray(pixels)
    assert (np.asarray(cut_out(image, (1, 2, 3, 2))) == pixels[2:4, 1:4]).all()
    assert cut_out(image, (1.5, 0, 1, 2)).size == (2, 2)
    assert cut_out(image, "0.99,0.99,0.01,0.01").size == (1, 1)
    # The same part of a copy of half the size.
    assert cut_out(image.resize((3, 2)), (2, 2, 4, 2), image.size).size == (2, 1)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_part_is_one_of_the_picture_as_it_is_shown(orientation: int) -> None:
    upright = Image.new("RGB", (640, 480), "white")
    upright.paste("red", (0, 0, 160, 120))
    turns = {1: 0, 3: 180, 6: 90, 8: 270}
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    upright.rotate(turns[orientation], expand=True).save(file, "JPEG", exif=exif)
    red = read_part(file.getvalue(), (0, 0, 160, 120), 224)
    assert np.allclose(np.asarray(red).mean(axis=(0, 1)), (254, 0, 0), atol=8)


def test_a_small_part_of_a_large_jpeg_keeps_its_detail() -> None:
    picture = Image.new("RGB", (2000, 1500), "white")
    file = io.BytesIO()
    picture.save(file, "JPEG")
    assert read_part(file.getvalue(), (0, 0, 1, 1), 112).size == (500, 375)
    assert read_part(file.getvalue(), (100, 100, 200, 150), 112).size == (200, 150)
    assert side_for((0, 0, 400, 300), (4000, 3000), 224) == 2240
