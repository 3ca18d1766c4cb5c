from __future__ import annotations

import numpy as np

from pareja.datasets import load_dataset
from pareja.encoders.towers import NetworkDualEncoder
from pareja.inputs import BytesSource
from pareja.training.material import prepared_pixels


def test_pictures_that_do_not_decode_are_left_out_and_named(untrained: NetworkDualEncoder) -> None:
    good = [record.source for record in load_dataset("shapes:4")]
    broken = BytesSource("broken.png", b"no picture")
    whole, _, _ = prepared_pixels(good, untrained)
    pixels, kept, skipped = prepared_pixels([broken, *good[:2], broken, *good[2:]], untrained)
    np.testing.assert_array_equal(pixels, whole)
    assert kept.tolist() == [1, 2, 4, 5]
    assert [name for name, _ in skipped] == ["broken.png", "broken.png"]
