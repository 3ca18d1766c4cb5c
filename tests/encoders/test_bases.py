from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoder_contract import pictures
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_models import altered

from pareja.encoders import load
from pareja.encoders.bases import finite, one_or_many
from pareja.errors import EncoderError


def test_one_stays_one_and_many_stay_many() -> None:
    assert one_or_many("ab", str, "texts", "text") == (["ab"], True)
    assert one_or_many(["ab"], str, "texts", "text") == (["ab"], False)
    assert one_or_many([], str, "texts", "text") == ([], False)
    assert one_or_many((x for x in "ab"), str, "texts", "text") == (["a", "b"], False)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_name_the_encoder(number: float) -> None:
    rows = np.ones((3, 2), np.float32)
    assert finite(rows, "mine", "text") is rows
    rows[1, 0] = number
    with pytest.raises(EncoderError, match=r"^mine: the vectors of 1 of 3 texts are not finite"):
        finite(rows, "mine", "text")


@pytest.mark.parametrize("device", ["cpu", "openvino"])
@pytest.mark.parametrize(
    ("kind", "weight", "asks"),
    [
        ("clip", "visual_projection.weight", "images"),
        ("siglip", "text_model.head.weight", "texts"),
        ("resnet", "embedder.embedder.normalization.running_mean", "images"),
        ("sentence", "embeddings.word_embeddings.weight", "texts"),
    ],
)
def test_a_weight_that_is_no_number_is_refused_on_every_device(
    kind: str, weight: str, asks: str, device: str, tmp_path: Path
) -> None:
    path = altered(kind, tmp_path / "model")
    weights = {
        name: tensor.clone() for name, tensor in load_file(path / "model.safetensors").items()
    }
    (name,) = [name for name in weights if name.endswith(weight)]
    weights[name].view(-1)[0] = float("nan")
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    encoder: Any = load(path, device=device)
    with pytest.raises(EncoderError, match=rf"{path}: its weights are broken: .*not finite"):
        getattr(encoder, f"encode_{asks}")(pictures()[0] if asks == "images" else "a cat")


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_a_picture_that_has_one_way_to_become_rgb_is_taken(mode: str) -> None:
    encoder: Any = load("starter")
    image = Image.new(mode, (40, 30), 1)
    np.testing.assert_array_equal(
        encoder.encode_images(image), encoder.encode_images(image.convert("RGB"))
    )
