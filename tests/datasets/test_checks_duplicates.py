from __future__ import annotations

import io

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw, ImageOps

from pareja.datasets import duplicates
from pareja.datasets.duplicates import NEAR_DUPLICATE_BITS, Looks, looks, near_duplicates
from pareja.datasets.formats import load_dataset
from pareja.datasets.images import decode_image


def bits(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.unpackbits((one ^ other).view(np.uint8)).sum())


def seen(image: Image.Image) -> Looks:
    found = looks(image)
    assert found is not None
    return found


def disc(colour: str) -> Image.Image:
    image = Image.new("RGB", (120, 90), "white")
    ImageDraw.Draw(image).ellipse((30, 15, 90, 75), fill=colour)
    return image


def test_colours_tell_pictures_of_one_shape_apart() -> None:
    colours = ["red", "blue", "green", "yellow", "purple"]
    discs = [seen(disc(colour)) for colour in colours]
    assert near_duplicates(discs) == []
    smaller, grey = disc("blue").resize((60, 45)), disc("blue").convert("L")
    found = near_duplicates([*discs, seen(smaller), seen(grey)])
    assert found[0][:2] == (1, 5)
    assert [later for _, later, _ in found] == [5, 6]


def test_a_plain_picture_looks_like_nothing_that_a_hash_could_tell() -> None:
    generator = np.random.default_rng(0)
    for colour in ("red", "blue", "white", "black"):
        swatch = Image.new("RGB", (80, 60), colour)
        grain = generator.normal(np.array(swatch), 4).clip(0, 255).astype(np.uint8)
        spotted = swatch.copy()
        spotted.putpixel((10, 10), (128, 128, 128))
        for plain in (swatch, Image.fromarray(grain), spotted):
            assert looks(plain) is None


def test_the_hash_is_that_of_imagehash_to_the_bit() -> None:
    half = np.random.default_rng(0).integers(0, 256, (70, 45, 3), np.uint8)
    # Of a picture that is its own mirror image, rounding decides many bits.
    mirrored = Image.fromarray(np.concatenate([half, half[:, ::-1]], axis=1))
    photographs = [decode_image(r.source, network_side=64) for r in load_dataset("pareja20")]
    for image in (mirrored, disc("red"), *photographs):
        packed = np.packbits(imagehash.phash(image, hash_size=16).hash.ravel())
        assert seen(image).hash.tobytes() == packed.tobytes()


def test_copies_are_near_and_other_pictures_are_not() -> None:
    images = [decode_image(r.source, network_side=320) for r in load_dataset("pareja20")]
    hashes = [seen(image) for image in images]
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
    found = near_duplicates([hashes[1], hashes[0], *map(seen, copies)])
    assert [later for _, later, _ in found] == [2, 3, 4]
    assert all(distance <= NEAR_DUPLICATE_BITS for _, _, distance in found)
    assert near_duplicates([hashes[0], seen(ImageOps.mirror(image))]) == []


def test_no_picture_and_one_have_no_duplicates() -> None:
    assert near_duplicates([]) == []
    assert near_duplicates([seen(Image.effect_noise((64, 64), 50))]) == []


@given(
    stack=hnp.arrays(np.uint64, (7, 4), elements=st.sampled_from([0, 1, 3, 7, 2**64 - 1])),
    colours=st.lists(st.sampled_from(["grey", "red", "blue"]), min_size=7, max_size=7),
    threshold=st.integers(0, 256),
    sizes=st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 3)),
)
def test_the_nearest_earlier_picture_is_found_whatever_the_blocks(
    stack: np.ndarray, colours: list[str], threshold: int, sizes: tuple[int, int, int]
) -> None:
    expected = []
    for later in range(1, len(stack)):
        near = [
            (distance, earlier)
            for earlier in range(later)
            if (distance := bits(stack[earlier], stack[later])) <= threshold
            and ("grey" in (pair := {colours[earlier], colours[later]}) or len(pair) == 1)
        ]
        if near:
            distance, earlier = min(near)
            expected.append((earlier, later, distance))
    chroma = {"grey": np.zeros(128), "red": np.eye(128)[0], "blue": np.eye(128)[1]}
    pictures = [
        Looks(row, chroma[colour].astype(np.float32))
        for row, colour in zip(stack, colours, strict=True)
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("_ROWS", "_COLUMNS", "_ASKED"), sizes, strict=True):
            patch.setattr(duplicates, name, size)
        assert near_duplicates(pictures, threshold=threshold) == expected


def test_colours_of_a_few_are_compared_where_all_pictures_are_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []
    alike = duplicates._alike

    def counted(colours: np.ndarray, others: np.ndarray, picture: int) -> np.ndarray:
        compared.append(len(others))
        return alike(colours, others, picture)

    monkeypatch.setattr(duplicates, "_alike", counted)
    picture = Looks(np.zeros(4, np.uint64), np.eye(128, dtype=np.float32)[0])
    assert len(near_duplicates([picture] * 500)) == 499
    assert sum(compared) == 499
