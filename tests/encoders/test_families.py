"""Families that prepare pictures or texts in ways of their own, against transformers' classes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_models import BY_TORCHVISION, LENGTH, LONG, TEXTS, altered, folder, pictures, write_json
from transformers import AutoModel, AutoTokenizer
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from pareja.encoders import load
from pareja.errors import EncoderError

TOLERANCE = 1e-5
DEVICES = ("cpu", "openvino")
# transformers gives NaN for a text without tokens, of which TIPSv2 has none for an empty text.
WORDED = [text for text in (*TEXTS, LONG) if text]


def opened(path: Path, device: str = "cpu") -> Any:
    return load(path, device=device, precision="float32")


def unit(rows: Any) -> NDArray[np.float32]:
    values = np.asarray(rows)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))


def pixels_of(kind: str) -> Any:
    processor: Any = {"ViT": ViTImageProcessorPil, "Siglip": SiglipImageProcessorPil}[
        BY_TORCHVISION[kind]
    ]
    return processor.from_pretrained(folder(kind))(pictures(), return_tensors="pt")["pixel_values"]


@pytest.mark.parametrize("device", DEVICES)
def test_dinov3_equals_transformers(device: str) -> None:
    model = AutoModel.from_pretrained(folder("dinov3")).eval()
    with torch.inference_mode():
        expected = unit(model(pixels_of("dinov3")).pooler_output)
    mine = opened(folder("dinov3"), device).encode_images(pictures())
    np.testing.assert_allclose(mine, expected, atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore::pareja.encoders.protocols.TruncationWarning")
@pytest.mark.parametrize("device", DEVICES)
def test_tipsv2_equals_transformers(device: str) -> None:
    model = AutoModel.from_pretrained(folder("tipsv2")).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder("tipsv2"))
    tokens = tokenizer(
        WORDED, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
    )
    inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        expected = model(**inputs, pixel_values=pixels_of("tipsv2"))
    mine = opened(folder("tipsv2"), device)
    images, texts = mine.encode_images(pictures()), mine.encode_texts(WORDED)
    np.testing.assert_allclose(images, expected.image_embeds, atol=TOLERANCE)
    np.testing.assert_allclose(texts, expected.text_embeds, atol=TOLERANCE)
    logits = mine.logits(images @ texts.T)
    scale = mine.logit_terms[0]
    np.testing.assert_allclose(logits, expected.logits_per_image, atol=scale * TOLERANCE)


def test_tipsv2_finds_texts_in_its_patches() -> None:
    mine = opened(folder("tipsv2"))
    pixels = np.stack([mine.prepare(image) for image in pictures()])
    found = mine.encode_regions(pixels)
    np.testing.assert_allclose(found.pictures, mine.encode_pixels(pixels), atol=TOLERANCE)
    assert found.cells.shape == (5, 4, 4, mine.image_dim)
    model = AutoModel.from_pretrained(folder("tipsv2")).eval()
    with torch.inference_mode():
        patches = model.vision_model(pixels_of("tipsv2")).last_hidden_state[0, 2:]
    np.testing.assert_allclose(found.cells[0].reshape(16, -1), unit(patches), atol=TOLERANCE)


def test_tipsv2_without_a_temperature_takes_that_of_its_config(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = altered("tipsv2", tmp_path / "tipsv2")
    weights = load_file(path / "model.safetensors")
    del weights["temperature"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    write_json(path / "config.json", temperature_init_value=0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(path).logit_terms == (4.0, 0.0)
    assert opened(path).encode_texts("the cat").shape == (32,)


def test_tipsv2_that_reads_capitals_is_refused_where_its_files_disagree(tmp_path: Path) -> None:
    path = altered("tipsv2", tmp_path / "tipsv2")
    write_json(path / "tokenizer_config.json", do_lower_case=False)
    with pytest.raises(EncoderError, match=r"do_lower_case = false, and tokenizer\.json does"):
        opened(path)
