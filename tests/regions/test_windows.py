from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pareja.regions.windows import WINDOWS, WindowsEncoder, overlapping, window

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


def test_windows_cover_the_picture_and_overlap_by_half() -> None:
    for across, count in ((2, 9), (3, 25)):
        covered = np.zeros((60, 60), int)
        for left, top, width, height in overlapping(across):
            x, y, w, h = (round(60 * edge) for edge in (left, top, width, height))
            covered[y : y + h, x : x + w] += 1
        assert len(overlapping(across)) == count
        assert covered.min() == 1
        assert covered.max() == 4
    assert window(5, (80, 40)) == (40, 10, 40, 20)


def test_each_window_is_embedded_as_a_picture_by_itself(colours: ColourEncoder) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 40, 80, 3), dtype=np.uint8)
    pictures = [Image.fromarray(pixels) for pixels in noise]
    encoder = WindowsEncoder(colours)
    rows = encoder.encode_images(pictures).reshape(3, len(WINDOWS), colours.image_dim)
    for picture, vectors in zip(pictures, rows, strict=True):
        for number, vector in enumerate(vectors):
            left, top, width, height = map(int, window(number, picture.size))
            part = picture.crop((left, top, left + width, top + height))
            assert np.allclose(colours.encode_images(part), vector)
    assert encoder.image_fingerprint != colours.image_fingerprint
    assert encoder.image_side == 2 * colours.image_side
    thirds = WindowsEncoder(colours, overlapping(3))
    assert thirds.image_fingerprint != encoder.image_fingerprint
