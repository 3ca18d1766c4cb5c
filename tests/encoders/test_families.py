"""Families that prepare pictures or texts in ways of their own, against transformers' classes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tiny_models import BY_TORCHVISION, LENGTH, LONG, TEXTS, altered, folder, pictures, write_json
from transformers import AutoModel, AutoTokenizer
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from pareja.encoders import load
from pareja.encoders.image_processors import read_preprocessing
from pareja.encoders.mosaics import Mosaic
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError

TOLERANCE = 1e-5
DEVICES = ("cpu", "openvino")
# One column of patches is tested by itself: torch 2.13 resizes to one column wrongly.
SHAPES = ((1, 1), (3000, 2), (50, 300), (8, 8), (301, 299))
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


@pytest.mark.filterwarnings("ignore::pareja.encoders.protocols.TruncationWarning")
def test_metaclip2_with_the_tokenizer_of_mt5_equals_transformers() -> None:
    model = AutoModel.from_pretrained(folder("metaclip2-mt5")).eval()
    tokens = AutoTokenizer.from_pretrained(folder("metaclip2-mt5"))(
        [*TEXTS, LONG], padding=True, truncation=True, return_tensors="pt"
    )
    inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        expected = unit(model.get_text_features(**inputs).pooler_output)
    mine = opened(folder("metaclip2-mt5")).encode_texts([*TEXTS, LONG])
    np.testing.assert_allclose(mine, expected, atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore::pareja.encoders.protocols.TruncationWarning")
@pytest.mark.parametrize("device", DEVICES)
def test_naflex_equals_transformers_for_pictures_of_any_shape(device: str) -> None:
    model = AutoModel.from_pretrained(folder("naflex")).eval()
    processor = Siglip2ImageProcessorPil.from_pretrained(folder("naflex"))
    images = [*pictures(), *(Image.effect_noise(size, 90).convert("RGB") for size in SHAPES)]
    tokens = AutoTokenizer.from_pretrained(folder("naflex"))(
        [*TEXTS, LONG], padding="max_length", truncation=True, return_tensors="pt"
    )
    prepared = processor(images, return_tensors="pt")
    assert len({tuple(shape) for shape in prepared["spatial_shapes"].tolist()}) > 5
    with torch.inference_mode():
        expected = model(input_ids=tokens["input_ids"], **prepared)
    mine = opened(folder("naflex"), device)
    together, texts = mine.encode_images(images), mine.encode_texts([*TEXTS, LONG])
    np.testing.assert_allclose(together, expected.image_embeds, atol=TOLERANCE)
    np.testing.assert_allclose(texts, expected.text_embeds, atol=TOLERANCE)
    np.testing.assert_allclose(
        mine.logits(together @ texts.T), expected.logits_per_image, atol=20 * TOLERANCE
    )


def test_naflex_resizes_positions_to_one_column_as_to_one_row() -> None:
    from pareja.encoders.naflex_network import _positions

    table = torch.randn(4, 4, 8, generator=torch.Generator().manual_seed(0))
    across, down = (
        _positions(turned.reshape(16, 8), torch.tensor([rows]), torch.tensor([cols]), 9)
        for turned, rows, cols in ((table, 1, 9), (table.swapaxes(0, 1), 9, 1))
    )
    torch.testing.assert_close(across, down)


@pytest.mark.parametrize(
    "settings", [{"max_num_patches": 7}, {"patch_size": 8, "max_num_patches": 300}, {"resample": 3}]
)
def test_naflex_prepares_pictures_as_its_file_says(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    path = altered("naflex", tmp_path / "naflex")
    write_json(path / "preprocessor_config.json", **settings)
    model = AutoModel.from_pretrained(path).eval()
    processor = Siglip2ImageProcessorPil.from_pretrained(path)
    with torch.inference_mode():
        raw = model.get_image_features(**processor(pictures(), return_tensors="pt")).pooler_output
    mine = opened(path)
    np.testing.assert_allclose(mine.encode_images(pictures()), unit(raw), atol=TOLERANCE)


def test_naflex_keeps_the_direction_in_bfloat16() -> None:
    half = load(folder("naflex"), device="cpu", precision="bfloat16")
    assert isinstance(half, NetworkDualEncoder)
    whole = opened(folder("naflex")).encode_images(pictures())
    assert (half.encode_images(pictures()) * whole).sum(axis=1).min() > 0.99


def test_what_naflex_leaves_out_is_as_in_transformers() -> None:
    made, processor = read_preprocessing({}, "siglip2"), Siglip2ImageProcessorPil()
    assert isinstance(made, Mosaic)
    assert (made.patch, made.most) == (processor.patch_size, processor.max_num_patches)
    assert (made.resample, made.mean) == (processor.resample, (0.5, 0.5, 0.5))
    with pytest.raises(EncoderError, match="patch_size = 0 and max_num_patches = 9"):
        read_preprocessing({"patch_size": 0, "max_num_patches": 9}, "siglip2")


def test_naflex_with_patches_of_another_size_is_refused(tmp_path: Path) -> None:
    path = altered("naflex", tmp_path / "naflex")
    write_json(path / "preprocessor_config.json", patch_size=16)
    with pytest.raises(EncoderError, match=r"squares of 16 pixels, and the network .* sees 8"):
        opened(path)


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
