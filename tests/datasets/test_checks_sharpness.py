from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from pareja.datasets.formats import load_dataset
from pareja.datasets.images import decode_image
from pareja.datasets.sharpness import BLURRED, SOFT, sharpness


def test_a_hand_worked_picture() -> None:
    # One white pixel on black: the Laplacian is -4 there, 1 at four neighbours and 0 elsewhere,
    # so over the nine inner pixels its mean is 0 and its variance (16 + 4) / 9 times 255 squared.
    pixels = np.zeros((5, 5), dtype=np.uint8)
    pixels[2, 2] = 255
    assert sharpness(Image.fromarray(pixels)) == pytest.approx(20 / 9 * 255**2)


def test_tiles_are_those_that_numpy_splits() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (75, 101)).astype(np.uint8)
    grey = pixels.astype(float)
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    tiles = [
        tile.var()
        for band in np.array_split(around - 4 * inner, 8, axis=0)
        for tile in np.array_split(band, 8, axis=1)
    ]
    assert sharpness(Image.fromarray(pixels)) == pytest.approx(np.mean(sorted(tiles)[-4:]))


def test_one_colour_and_even_shades_have_none() -> None:
    assert sharpness(Image.new("RGB", (50, 50), "teal")) == 0.0
    shades = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (50, 1))
    assert sharpness(Image.fromarray(shades)) == 0.0


@pytest.mark.parametrize("size", [(320, 32), (4000, 400), (32, 320), (33, 47), (2000, 20)])
def test_narrow_and_small_pictures_are_measured(size: tuple[int, int]) -> None:
    noise = Image.effect_noise(size, 80)
    assert sharpness(noise) > sharpness(noise.filter(ImageFilter.GaussianBlur(size[0] / 50)))


def test_a_subject_in_focus_makes_a_sharp_picture() -> None:
    image = Image.effect_noise((320, 320), 80).filter(ImageFilter.GaussianBlur(6))
    assert sharpness(image) < BLURRED
    image.paste(Image.effect_noise((80, 80), 80), (120, 120))
    assert sharpness(image) > SOFT


def test_the_bundled_pictures_are_sharp_until_they_are_blurred() -> None:
    for record in load_dataset("pareja20"):
        image = decode_image(record.source, network_side=320)
        assert sharpness(image) >= SOFT, record.file_name
        half = image.resize((image.width // 2, image.height // 2))
        assert sharpness(half) >= SOFT, record.file_name
        out_of_focus = image.filter(ImageFilter.GaussianBlur(0.01 * max(image.size)))
        assert sharpness(out_of_focus) < BLURRED, record.file_name


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_turning_and_mirroring_do_not_change_it(seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64), dtype=np.uint8)
    expected = sharpness(Image.fromarray(pixels))
    # 62 inner pixels do not divide into 8 even tiles, so a mirrored picture is cut elsewhere.
    assert sharpness(Image.fromarray(pixels.T.copy())) == pytest.approx(expected)
