from __future__ import annotations

import numpy as np
import pytest

from pareja.datasets import load_dataset
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import DatasetError
from pareja.inputs import BytesSource
from pareja.training.material import label_texts, prepared_pixels


def test_pictures_that_do_not_decode_are_left_out_and_named(untrained: NetworkDualEncoder) -> None:
    good = [record.source for record in load_dataset("shapes:4")]
    broken = BytesSource("broken.png", b"no picture")
    whole, _, _ = prepared_pixels(good, untrained)
    pixels, kept, skipped = prepared_pixels([broken, *good[:2], broken, *good[2:]], untrained)
    np.testing.assert_array_equal(pixels, whole)
    assert kept.tolist() == [1, 2, 4, 5]
    assert [name for name, _ in skipped] == ["broken.png", "broken.png"]


def test_one_label_is_nothing_to_tell_apart_however_many_prompts_it_has() -> None:
    dataset = load_dataset("shapes:3")
    answers, templates = ["star", None, "star"], ["a {}", "a photo of a {}"]
    with pytest.raises(DatasetError, match="all pictures have the same label, 'star'"):
        label_texts(dataset, answers, templates, "{}")
    texts = label_texts(dataset, ["star", "ring", "star"], templates, "{}")
    assert [own.tolist() for own in texts.owned] == [[0, 1], [2, 3], [0, 1]]
