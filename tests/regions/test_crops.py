from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.conftest import ColourEncoder

from pareja.encoders import load
from pareja.regions.crops import GRID, CropRegions, region_encoder


@pytest.mark.parametrize("corner", [(0, 0), (5, 0), (0, 5), (5, 5)])
def test_a_coloured_corner_is_found_by_its_crop(
    colours: ColourEncoder, corner: tuple[int, int]
) -> None:
    image = Image.new("RGB", (120, 60), "white")
    x, y = 20 * corner[0], 10 * corner[1]
    ImageDraw.Draw(image).rectangle((x, y, x + 19, y + 9), fill=(220, 30, 30))
    regions = CropRegions(colours)
    found = regions.encode_regions(regions.prepare(image)[None])
    assert found.cells.shape == (1, GRID, GRID, 4)
    heat = found.cells[0] @ colours.encode_texts("red")
    row, col = np.unravel_index(heat.argmax(), heat.shape)
    assert (col, row) == corner


def test_a_picture_of_one_colour_is_everywhere_alike(colours: ColourEncoder) -> None:
    regions = CropRegions(colours)
    pixels = np.stack([regions.prepare(Image.new("RGB", (1, 1), "red"))] * 2)
    found = regions.encode_regions(pixels)
    expected = np.broadcast_to(found.pictures[:, None, None], found.cells.shape)
    np.testing.assert_allclose(found.cells, expected, atol=1e-6)


def test_only_encoders_without_regions_of_their_own_get_crops(colours: ColourEncoder) -> None:
    starter: Any = load("starter")
    assert region_encoder(starter) == starter.regions
    assert isinstance(region_encoder(colours), CropRegions)
