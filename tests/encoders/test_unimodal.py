from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_models import IMAGE, altered, folder, pictures, write_json
from transformers import AutoConfig, AutoModel
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from pareja.encoders.opening import open_folder
from pareja.encoders.towers import NetworkImageEncoder
from pareja.errors import EncoderError

TOLERANCE = 1e-5
PROCESSORS: dict[str, Any] = {
    "resnet": ConvNextImageProcessorPil,
    "vit": ViTImageProcessorPil,
    "dinov2": BitImageProcessorPil,
}


def encoder(path: Path) -> NetworkImageEncoder:
    opened = open_folder(path, path.name, device="cpu", precision="float32")
    assert isinstance(opened, NetworkImageEncoder)
    return opened


def reference(kind: str) -> NDArray[np.float32]:
    """What people take as the embedding of a picture, by transformers' own classes."""
    model = AutoModel.from_pretrained(folder(kind)).eval()
    pixels = PROCESSORS[kind].from_pretrained(folder(kind))(pictures(), return_tensors="pt")
    with torch.inference_mode():
        output = model(**pixels)
    if kind == "resnet":
        raw = output.last_hidden_state.mean(dim=(2, 3)).numpy()
    else:
        raw = output.last_hidden_state[:, 0].numpy()
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True))


@pytest.mark.parametrize("kind", IMAGE)
def test_embeddings_equal_transformers_in_any_batch_and_order(kind: str) -> None:
    images, mine = pictures(), encoder(folder(kind))
    embeddings = mine.encode_images(images)
    np.testing.assert_allclose(embeddings, reference(kind), atol=TOLERANCE)
    for chosen in ([3], [4, 1], [2, 0, 4, 3, 1]):
        part = mine.encode_images([images[i] for i in chosen])
        np.testing.assert_allclose(part, embeddings[chosen], atol=TOLERANCE)
    assert np.abs(embeddings[0] - embeddings[1]).max() > 100 * TOLERANCE


@pytest.mark.parametrize("kind", IMAGE)
def test_dimension_and_side_are_known_before_loading(kind: str) -> None:
    mine = encoder(folder(kind))
    dim, side = mine.image_dim, mine.image_side
    assert mine.loaded == frozenset()
    assert mine.encode_images(pictures()).shape == (5, dim)
    assert mine.prepare(pictures()[0]).shape == (side, side, 3)
    assert mine.encode_images([]).shape == (0, dim)
    assert not hasattr(mine, "encode_texts")


def test_left_out_dimensions_are_those_of_transformers() -> None:
    from pareja.encoders.unimodal import POOLINGS

    for model_type, pooling in POOLINGS.items():
        config = AutoConfig.for_model(model_type)
        sizes = getattr(config, "hidden_sizes", None) or [config.hidden_size]
        assert pooling.dim({}) == sizes[-1]


def test_spaces_of_different_networks_differ() -> None:
    digests = {encoder(folder(kind)).image_fingerprint.digest for kind in IMAGE}
    assert len(digests) == len(IMAGE)


def test_incomplete_weights_are_one_clear_line(tmp_path: Path) -> None:
    path = altered("vit", tmp_path / "vit")
    write_json(path / "config.json", num_hidden_layers=3)
    with pytest.raises(EncoderError, match=r"do not fit its config\.json") as caught:
        encoder(path).encode_images(pictures())
    assert "\n" not in str(caught.value)
