"""What every encoder must do, whatever network is inside: one suite, run by each of them.

A test module makes a class of its own and says how to make the encoder::

    class TestClipContract(EncoderContract):
        def make(self) -> Encoder:
            return load(...)

An encoder pair keeps two spaces; a dual encoder one. `others` are encoders of other models, whose
fingerprints must differ.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pareja.encoders.protocols import (
    DualEncoder,
    Embeddings,
    Encoder,
    ImageEncoder,
    TextEncoder,
    TruncationWarning,
)

TOLERANCE = 1e-5
TEXTS = (
    "a dog",
    "un perro que corre por la playa al atardecer, junto al mar",
    "",
    "   ",
    "😀🐕‍🦺🇪🇸",
    "كلب يركض على الشاطئ",
    "犬が海辺を走っている",
    "cafe\u0301 \x00 zero\u200bwidth",
    "lone \udce9 surrogate",
    "A DOG!",
)
SIZES = ((64, 48), (1, 1), (500, 1), (1, 500), (2000, 3), (48, 64), (300, 300))


def pictures() -> list[Image.Image]:
    """Pictures of odd sizes, all different."""
    generator = np.random.default_rng(0)
    made = []
    for width, height in SIZES:
        noise = generator.integers(0, 256, (min(height, 8), min(width, 8), 3), dtype=np.uint8)
        made.append(Image.fromarray(noise).resize((width, height)))
    return made


def assert_embeddings(embeddings: Embeddings, n: int, dim: int) -> None:
    assert isinstance(embeddings, np.ndarray)
    assert embeddings.shape == (n, dim)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)


def assert_same(a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(a, b, atol=TOLERANCE)


class EncoderContract:
    """Subclass it, and define `make`."""

    def make(self) -> Encoder:
        """Make the encoder; called anew for every test."""
        raise NotImplementedError

    def others(self) -> Sequence[Encoder]:
        """Make encoders of other models."""
        return ()

    def test_protocols(self) -> None:
        encoder = self.make()
        assert isinstance(encoder, ImageEncoder)
        assert isinstance(encoder, TextEncoder)
        assert encoder.name
        assert isinstance(encoder, DualEncoder) == (encoder.kind == "dual")

    def test_pictures_of_any_size(self) -> None:
        encoder = self.make()
        images = pictures()
        embeddings = encoder.encode_images(images)
        assert_embeddings(embeddings, len(images), encoder.image_dim)
        assert len(np.unique(embeddings.round(4), axis=0)) > 1

    def test_prepared_pictures(self) -> None:
        encoder = self.make()
        images = pictures()
        pixels = np.stack([encoder.prepare(image) for image in images])
        assert pixels.dtype == np.uint8
        assert pixels.shape == (len(images), encoder.image_side, encoder.image_side, 3)
        before = pixels.copy()
        assert_same(encoder.encode_pixels(pixels), encoder.encode_images(images))
        np.testing.assert_array_equal(pixels, before)

    def test_pictures_alone_in_batches_and_in_any_order(self) -> None:
        encoder = self.make()
        images = pictures()
        together = encoder.encode_images(images)
        assert_same(together, encoder.encode_images(images))
        assert_same(together[::-1], encoder.encode_images(images[::-1]))
        assert_same(together, np.concatenate([encoder.encode_images([i]) for i in images]))
        assert_same(np.tile(together, (6, 1)), encoder.encode_images(images * 6))

    def test_texts_of_any_script(self) -> None:
        encoder = self.make()
        embeddings = encoder.encode_texts(TEXTS)
        assert_embeddings(embeddings, len(TEXTS), encoder.text_dim)
        assert not np.allclose(embeddings[0], embeddings[1], atol=1e-3)

    def test_texts_alone_in_batches_and_in_any_order(self) -> None:
        encoder = self.make()
        together = encoder.encode_texts(TEXTS)
        assert_same(together, encoder.encode_texts(TEXTS))
        assert_same(together[::-1], encoder.encode_texts(TEXTS[::-1]))
        assert_same(together, np.concatenate([encoder.encode_texts([t]) for t in TEXTS]))
        assert_same(np.tile(together, (20, 1)), encoder.encode_texts(TEXTS * 20))

    def test_one_picture_or_text_gives_one_vector(self) -> None:
        encoder = self.make()
        image = pictures()[0]
        one = encoder.encode_images(image)
        assert one.shape == (encoder.image_dim,)
        assert_same(one, encoder.encode_images([image])[0])
        for text in ("a cat", "", np.str_("a dog")):
            one = encoder.encode_texts(text)
            assert one.shape == (encoder.text_dim,)
            assert_same(one, encoder.encode_texts([text])[0])

    def test_any_ordered_container_of_texts_and_pictures(self) -> None:
        encoder: Any = self.make()
        both = encoder.encode_texts(["a cat", "a dog"])
        for texts in (("a cat", "a dog"), np.array(["a cat", "a dog"]), iter(["a cat", "a dog"])):
            assert_same(both, encoder.encode_texts(texts))
        images = pictures()[:2]
        both = encoder.encode_images(images)
        assert_same(both, encoder.encode_images(tuple(images)))
        assert_same(both, encoder.encode_images(iter(images)))

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (None, "texts: expected a text or a list of them, got None"),
            (b"a cat", "texts: expected a text or a list of them"),
            ({"a cat": 1}, "texts: expected a text or a list of them"),
            (["a cat", None], r"texts\[1\]: expected a text, got None"),
            ([["a cat"]], r"texts\[0\]: expected a text"),
        ],
    )
    def test_what_is_no_text_is_a_type_error(self, texts: Any, message: str) -> None:
        with pytest.raises(TypeError, match=message):
            self.make().encode_texts(texts)

    @pytest.mark.parametrize(
        ("images", "message"),
        [
            ("a.jpg", "images: expected a PIL image or a list of them, got 'a.jpg'"),
            (Path("a.jpg"), "images: expected a PIL image or a list of them"),
            ([np.zeros((9, 9, 3), np.uint8)], r"images\[0\]: expected a PIL image, got array"),
            ([Image.new("RGB", (9, 9)), None], r"images\[1\]: expected a PIL image, got None"),
            (Image.new("RGBA", (9, 9)), "images: expected an RGB picture, got one of mode RGBA"),
            ([Image.new("F", (9, 9))], r"images\[0\]: expected an RGB picture, got .* mode F"),
        ],
    )
    def test_what_is_no_picture_is_a_type_error(self, images: Any, message: str) -> None:
        with pytest.raises(TypeError, match=message):
            self.make().encode_images(images)

    def test_nothing(self) -> None:
        encoder = self.make()
        nothing = np.empty((0, encoder.image_side, encoder.image_side, 3), np.uint8)
        assert_embeddings(encoder.encode_images([]), 0, encoder.image_dim)
        assert_embeddings(encoder.encode_pixels(nothing), 0, encoder.image_dim)
        assert_embeddings(encoder.encode_texts([]), 0, encoder.text_dim)

    def test_long_text_is_cut_with_a_warning_that_names_it(self) -> None:
        encoder = self.make()
        long = ("the dog and the cat " * 500)[:10_000]
        with pytest.warns(TruncationWarning, match="the dog and the cat") as caught:
            embeddings = encoder.encode_texts(["a dog", long])
        assert len(caught) == 1
        assert_embeddings(embeddings, 2, encoder.text_dim)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)
            assert_same(embeddings[1:], encoder.encode_texts([long + " and more"]))
        assert_same(embeddings[:1], encoder.encode_texts(["a dog"]))

    def test_fingerprints(self) -> None:
        encoder, again = self.make(), self.make()
        assert encoder.image_fingerprint == again.image_fingerprint
        assert encoder.text_fingerprint == again.text_fingerprint
        shared = encoder.image_fingerprint == encoder.text_fingerprint
        assert shared == (encoder.kind == "dual")
        digests = {encoder.image_fingerprint.digest, encoder.text_fingerprint.digest}
        for other in self.others():
            assert other.image_fingerprint.digest not in digests
            assert other.text_fingerprint.digest not in digests

    def test_logits_of_a_dual_encoder(self) -> None:
        encoder = self.make()
        if not isinstance(encoder, DualEncoder):
            pytest.skip("an encoder pair has no logits")
        assert encoder.loss in ("softmax", "sigmoid")
        assert encoder.image_dim == encoder.text_dim
        similarity = np.array([[-0.5, 0.0, 0.25], [0.3, 0.1, 0.9]])
        logits = encoder.logits(similarity)
        assert logits.shape == (2, 3)
        assert logits.dtype == np.float32
        assert (np.argsort(logits, axis=None) == np.argsort(similarity, axis=None)).all()
