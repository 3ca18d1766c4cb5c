from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_models import folder, pictures
from transformers import AutoModel, PreTrainedTokenizerFast

from pareja.classifiers.classification import Classification
from pareja.classifiers.zero_shot import embed_labels, zero_shot
from pareja.embedding.cache import EmbeddingCache
from pareja.encoders import DualEncoder, Embeddings, load, require_dual
from pareja.errors import FingerprintMismatchError, LabelError

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

LABELS = ("red", "green", "blue")


def classify(
    images: Embeddings, labels: Sequence[str], encoder: DualEncoder, **options: Any
) -> Classification:
    return zero_shot(labels, encoder, **options).classified(images)


def painted(*names: str) -> list[Image.Image]:
    return [Image.new("RGB", (20, 20), name) for name in names]


def test_colours_are_told(colours: ColourEncoder) -> None:
    images = colours.encode_images(painted("red", "blue", "green"))
    result = classify(images, LABELS, colours)
    assert [result.assigned(i) for i in range(3)] == [("red",), ("blue",), ("green",)]
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-6)
    assert next(iter(result.scores(0))) == "red"
    assert len(result.scores(0, 2)) == 2


@pytest.mark.parametrize("kind", ["clip", "siglip"])
@pytest.mark.parametrize("template", ["a photo of a {}", "This is a photo of {}."])
def test_scores_equal_those_of_the_zero_shot_pipeline(kind: str, template: str) -> None:
    # transformers' pipeline needs torchvision; what it does is written out: one prompt a label,
    # logits_per_image, then a sigmoid for SigLIP and a softmax otherwise.
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    labels = ("cat", "dog", "two birds", "the sea")
    encoder = require_dual(load(folder(kind), device="cpu", precision="float32"))
    result = classify(encoder.encode_images(pictures()), labels, encoder, templates=[template])
    model = AutoModel.from_pretrained(folder(kind)).eval()
    processor = SiglipImageProcessorPil if kind == "siglip" else CLIPImageProcessorPil
    pixels = processor.from_pretrained(folder(kind))(pictures(), return_tensors="pt")
    prompts = [template.replace("{}", label) for label in labels]
    if kind == "siglip":
        # SigLIP's own tokenizer, which needs sentencepiece, lower-cases and drops punctuation.
        prompts = [prompt.lower().rstrip(".") for prompt in prompts]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder(kind))
    padding: Any = "max_length" if kind == "siglip" else True
    tokens = tokenizer(prompts, padding=padding, return_tensors="pt")
    with torch.inference_mode():
        scores = model(input_ids=tokens["input_ids"], **pixels).logits_per_image
    expected = torch.sigmoid(scores) if kind == "siglip" else torch.softmax(scores, dim=-1)
    np.testing.assert_allclose(result.probabilities, expected.numpy(), atol=1e-5)


def test_prompts_are_averaged_and_scaled_again(colours: ColourEncoder, tmp_path: Path) -> None:
    templates = ["{} wall", "blue and {}"]
    with EmbeddingCache(tmp_path / "cache.sqlite3") as cache:
        found = embed_labels(LABELS, colours, templates=templates, cache=cache)
        again = embed_labels(LABELS, colours, templates=templates, cache=cache)
        assert len(cache) == 6
    for label, row in zip(LABELS, found, strict=True):
        mean = colours.encode_texts([f"{label} wall", f"blue and {label}"]).mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_array_equal(found, again)


def test_labels_and_templates_may_hold_braces(colours: ColourEncoder) -> None:
    found = embed_labels(["{red}", "{0}"], colours, templates=["{} {x}"])
    np.testing.assert_array_equal(found, colours.encode_texts(["{red} {x}", "{0} {x}"]))


def test_many_labels_and_pictures_are_worked_on_in_stretches(colours: ColourEncoder) -> None:
    labels = [f"thing number {i}" for i in range(300)]
    images = np.tile(colours.encode_images(painted("red", "blue")), (600, 1))
    result = classify(images, labels, colours)
    alone = classify(images[-1:], labels, colours)
    assert result.probabilities.shape == (1200, 300)
    np.testing.assert_allclose(result.probabilities[-1:], alone.probabilities, rtol=1e-4, atol=1e-6)


def test_sigmoids_are_independent_of_the_other_labels(colours: ColourEncoder) -> None:
    encoder = replace(colours, loss="sigmoid")
    images = encoder.encode_images(painted("red", "green"))
    three, two = (classify(images, labels, encoder) for labels in (LABELS, LABELS[:2]))
    np.testing.assert_allclose(three.probabilities[:, :2], two.probabilities, atol=1e-6)
    logits = 20 * images @ encoder.encode_texts(["a photo of a red"]).T
    np.testing.assert_allclose(three.probabilities[:, :1], 1 / (1 + np.exp(-logits)), atol=1e-6)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_several_labels_or_none(
    colours: ColourEncoder, loss: Literal["softmax", "sigmoid"]
) -> None:
    encoder = replace(colours, loss=loss)
    images = encoder.encode_images(painted("red", "black"))
    result = classify(images, ("red", "brown", "blue"), encoder, multi_label=True)
    assert "red" in result.assigned(0)
    assert "blue" not in result.assigned(0)
    alone = classify(images, ("red",), encoder, multi_label=True)
    np.testing.assert_allclose(alone.probabilities[:, 0], result.probabilities[:, 0], atol=1e-6)


def test_what_fits_no_label_is_unknown(colours: ColourEncoder) -> None:
    images = colours.encode_images(painted("red", "yellow"))
    sure, unsure = classify(images, ("red", "blue"), colours).certainty
    assert sure > unsure
    result = classify(images, ("red", "blue"), colours, unknown=(sure + unsure) / 2)
    assert result.unknown.tolist() == [False, True]
    assert result.assigned(0) == ("red",)
    assert result.assigned(1) == ()
    assert not classify(images, ("red", "blue"), colours).unknown.any()
    assert (result.certainty > 0).all()
    assert (result.certainty <= 1).all()


@settings(max_examples=25, deadline=None)
@given(st.permutations(LABELS), st.integers(0, 100))
def test_the_order_of_labels_does_not_matter(order: list[str], seed: int) -> None:
    from tests.conftest import ColourEncoder

    encoder = ColourEncoder()
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    images = encoder.encode_pixels(pixels)
    a, b = classify(images, LABELS, encoder), classify(images, order, encoder)
    for i in range(3):
        assert a.scores(i) == pytest.approx(b.scores(i))
    np.testing.assert_allclose(a.certainty, b.certainty)


def test_no_pictures_give_no_rows(colours: ColourEncoder) -> None:
    result = classify(colours.encode_images([]), LABELS, colours)
    assert result.probabilities.shape == (0, 3)
    assert not len(result)


def test_what_cannot_be_classified_is_said(colours: ColourEncoder) -> None:
    images = colours.encode_images(painted("red"))
    with pytest.raises(LabelError, match="'red' is the only label"):
        classify(images, ["red"], colours)
    with pytest.raises(LabelError, match=r"has no \{\} for the label"):
        classify(images, LABELS, colours, templates=["a photo"])
    with pytest.raises(LabelError, match="told already"):
        classify(images, LABELS, colours, multi_label=True, unknown=0.5)
    with pytest.raises(FingerprintMismatchError, match="are not those of colours"):
        zero_shot(LABELS, colours).classified(np.zeros((2, 7), np.float32))
