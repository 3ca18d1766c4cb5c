"""A picture and words as one vector, where an encoder makes one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fused_colours import FusedColours

import pareja
from pareja.arrays import unit
from pareja.search.composition import query_vector
from pareja.search.contracts import Query


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    Image.new("RGB", (16, 16), "red").save(path)
    return path


def vector(query: Query, encoder: FusedColours, red: Path) -> np.ndarray:
    class Store:
        def get(self, ids: list[int]) -> np.ndarray:
            return encoder.encode_images([Image.new("RGB", (9, 9), "red")] * len(ids))

    return query_vector(query, encoder, Store(), lambda _: red.read_bytes())  # type: ignore[arg-type]


def test_a_picture_and_words_are_one_vector(red: Path) -> None:
    encoder = FusedColours()
    seen = encoder.encode_images(Image.open(red).convert("RGB"))
    said, less = encoder.encode_texts(["blue", "green"])
    fused = unit(seen + 2 * said)
    for query in (
        Query(text="blue", image=red),
        Query(text="blue", image=red.read_bytes()),
        Query(text="blue", like=1),
        Query(text="blue", like=1, box=(0, 0, 8, 8)),
    ):
        np.testing.assert_allclose(vector(query, encoder, red), fused, atol=1e-5)
    assert encoder.asked == [("blue", True)] * 4
    away = vector(Query(text="blue", image=red, minus="green"), encoder, red)
    np.testing.assert_allclose(away, unit(fused - 0.5 * less), atol=1e-5)


def test_weights_several_pictures_and_embeddings_are_averaged(red: Path) -> None:
    encoder = FusedColours()
    embedded = pareja.embed(red, encoder, cache=False)
    for query in (
        Query(text="blue::2", image=red),
        Query(text="blue", image=embedded),
        Query(text="blue", image=red, like=1),
        Query(text="blue"),
        Query(image=red),
    ):
        vector(query, encoder, red)
    assert encoder.asked == []
    average = vector(Query(text="blue", image=embedded), encoder, red)
    said = encoder.encode_texts("blue")
    np.testing.assert_allclose(average, unit(embedded.vectors + said), atol=1e-5)
