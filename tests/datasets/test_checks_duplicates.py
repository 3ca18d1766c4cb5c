from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from pareja.datasets import duplicates
from pareja.datasets.duplicates import NEAR_DUPLICATE_BITS, near_duplicates, perceptual_hash
from pareja.datasets.formats import load_dataset
from pareja.datasets.images import decode_image


def bits(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.unpackbits((one ^ other).view(np.uint8)).sum())


def test_copies_are_near_and_other_pictures_are_not() -> None:
    images = [decode_image(r.source, network_side=320) for r in load_dataset("pareja20")]
    hashes = [perceptual_hash(image) for image in images]
    assert near_duplicates(hashes) == []
    image = images[0]
    file = io.BytesIO()
    image.save(file, "JPEG", quality=20)
    width, height = image.size
    copies = [
        image.resize((200, 200 * height // width)),
        decode_image(file.getvalue()),
        image.crop((width // 50, height // 50, width - width // 50, height - height // 50)),
    ]
    found = near_duplicates([hashes[1], hashes[0], *map(perceptual_hash, copies)])
    assert [later for _, later, _ in found] == [2, 3, 4]
    assert all(distance <= NEAR_DUPLICATE_BITS for _, _, distance in found)
    assert near_duplicates([hashes[0], perceptual_hash(ImageOps.mirror(image))]) == []


def test_no_picture_and_one_have_no_duplicates() -> None:
    assert near_duplicates([]) == []
    assert near_duplicates([perceptual_hash(Image.effect_noise((64, 64), 50))]) == []


@given(
    stack=hnp.arrays(np.uint64, (7, 4), elements=st.sampled_from([0, 1, 3, 7, 2**64 - 1])),
    threshold=st.integers(0, 256),
    strip_bytes=st.sampled_from([1, 500, 2**20]),
)
def test_the_nearest_earlier_picture_is_found_whatever_the_strip(
    stack: np.ndarray, threshold: int, strip_bytes: int
) -> None:
    expected = []
    for later in range(1, len(stack)):
        distance, earlier = min((bits(stack[i], stack[later]), i) for i in range(later))
        if distance <= threshold:
            expected.append((earlier, later, distance))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_STRIP_BYTES", strip_bytes)
        assert near_duplicates(list(stack), threshold=threshold) == expected
