from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy import ndimage
from tiny_models import folder, pictures
from torch import nn

from pareja.encoders import load
from pareja.encoders.adapters import wrapped
from pareja.encoders.preprocessing import CLIP_MEAN, CLIP_STD, Preprocessing
from pareja.encoders.starter import Starter
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError


def _open(kind: str, device: str = "cpu") -> NetworkDualEncoder:
    encoder = load(folder(kind), device=device, precision="float32")
    assert isinstance(encoder, NetworkDualEncoder)
    return encoder


@pytest.mark.parametrize("kind", ["clip", "metaclip2", "siglip", "siglip2", "aimv2"])
def test_the_picture_is_embedded_in_the_same_pass(kind: str) -> None:
    encoder = _open(kind)
    pixels = np.stack([encoder.prepare(image) for image in pictures()])
    found = encoder.encode_regions(pixels)
    assert found.cells.shape == (5, 4, 4, encoder.image_dim)
    np.testing.assert_allclose(found.pictures, encoder.encode_pixels(pixels), atol=1e-5)
    alone = encoder.encode_regions(pixels[2:3])
    np.testing.assert_allclose(alone.cells[0], found.cells[2], atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip", "aimv2"])
def test_openvino_gives_the_same_regions(kind: str) -> None:
    encoders = _open(kind), _open(kind, "openvino")
    pixels = np.stack([encoders[0].prepare(image) for image in pictures()])
    expected, found = (encoder.encode_regions(pixels) for encoder in encoders)
    np.testing.assert_allclose(found.cells, expected.cells, atol=1e-4)
    np.testing.assert_allclose(found.pictures, expected.pictures, atol=1e-4)


def _linear(encoder: NetworkDualEncoder) -> Any:
    """Build the network without what has no place: perceptrons and offsets."""
    assert encoder.region_network is not None
    model: Any = encoder.region_network.build()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(part in name for part in (".fc2.", ".down_proj.")) or name.endswith("bias"):
                parameter.zero_()
    return model


def _values(encoder: NetworkDualEncoder) -> torch.Tensor:
    pixels = np.stack([encoder.prepare(image) for image in pictures()])
    return torch.from_numpy(encoder.preprocessing.normalise(pixels))


@pytest.mark.parametrize("kind", ["siglip", "aimv2"])
def test_the_shares_of_what_is_pooled_last_add_up_to_the_embedding(kind: str) -> None:
    encoder = _open(kind)
    found = _linear(encoder)(_values(encoder)).detach()
    torch.testing.assert_close(found[:, 1:].sum(1), found[:, 0], rtol=1e-4, atol=1e-4)


def test_shares_are_the_same_whether_weights_of_attention_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = _open("siglip")
    assert encoder.region_network is not None
    network = encoder.region_network.build()
    kept = network(_values(encoder))
    monkeypatch.setattr("pareja.encoders.region_network._FEW", 1)
    torch.testing.assert_close(network(_values(encoder)), kept, rtol=1e-4, atol=1e-5)


def test_pictures_are_embedded_in_as_many_parts_as_memory_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = _open("siglip")
    pixels = np.stack([encoder.prepare(image) for image in pictures()])
    together = encoder.encode_regions(pixels)
    monkeypatch.setattr("pareja.encoders.towers._PIXELS_AT_ONCE", 2 * 32**2)
    apart = encoder.encode_regions(pixels)
    np.testing.assert_allclose(apart.cells, together.cells, atol=1e-5)


@torch.no_grad()
def test_the_shares_of_clip_and_of_its_class_token_add_up_to_the_embedding() -> None:
    encoder = _open("clip")
    model = _linear(encoder)
    values = _values(encoder)
    taken: list[torch.Tensor] = []

    def watch(attention: nn.Module, inputs: Any, keywords: Any, _: Any) -> None:
        # What the class token takes of itself, by torch's own attention.
        states = keywords.get("hidden_states", inputs[0] if inputs else None)
        projections: Any = dict(attention.named_children())
        heads: Any = [
            projections[name](states).unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
            for name in ("q_proj", "k_proj", "v_proj")
        ]
        kept = torch.zeros_like(heads[2])
        kept[:, :, 0] = heads[2][:, :, 0]
        looked = nn.functional.scaled_dot_product_attention(heads[0], heads[1], kept)
        taken.append(projections["out_proj"](looked.transpose(1, 2).flatten(2))[:, 0])

    for layer in model.vision_model.encoder.layers:
        layer.self_attn.register_forward_hook(watch, with_kwargs=True)
    found = model(values)
    vision = model.vision_model
    # All of the sum that the last layer norm divides: from its own output, which is known.
    start = vision.pre_layrnorm(vision.embeddings(values))
    whole = vision.encoder(inputs_embeds=start)
    own = start[:, 0] + sum(taken)
    pooled = whole.last_hidden_state[:, 0]
    deviation = (pooled.var(-1, unbiased=False, keepdim=True) + vision.post_layernorm.eps).sqrt()
    centred = (own - own.mean(-1, keepdim=True)) / deviation * vision.post_layernorm.weight
    rest = model.visual_projection(centred)
    torch.testing.assert_close(found[:, 1:].sum(1) + rest, found[:, 0], rtol=1e-4, atol=1e-4)


def test_an_adapter_also_changes_the_regions(tmp_path: Any) -> None:
    peft = pytest.importorskip("peft")
    base = _open("clip")
    model = base.image_network.build()
    settings = peft.LoraConfig(r=2, target_modules=["v_proj"], init_lora_weights=False)
    torch.manual_seed(0)
    wrapped(model, settings).save_pretrained(tmp_path)
    notes = {"base": {"name": str(folder("clip")), "fingerprint": base.fingerprint.digest}}
    (tmp_path / "pareja.json").write_text(json.dumps(notes))
    tuned: Any = load(tmp_path, device="cpu", precision="float32")
    pixels = np.stack([base.prepare(image) for image in pictures()])
    found = tuned.encode_regions(pixels)
    np.testing.assert_allclose(found.pictures, tuned.encode_pixels(pixels), atol=1e-5)
    assert np.abs(found.cells - base.encode_regions(pixels).cells).max() > 1e-3


def test_an_architecture_without_shares_says_so() -> None:
    encoder = replace(_open("clip"), region_network=None)
    with pytest.raises(EncoderError, match="does not say what each place"):
        encoder.encode_regions(np.zeros((1, 32, 32, 3), np.uint8))


def test_the_logits_of_places_have_the_picture_as_their_mean() -> None:
    starter = Starter()
    pixels = np.stack([starter.prepare(image) for image in pictures()[:2]])
    cells = starter.images.class_logits_of_cells(pixels)
    assert cells.shape == (2, 9, 9, 1000)
    expected = starter.images.class_logits(pixels)
    np.testing.assert_allclose(cells.mean(axis=(1, 2)), expected, atol=1e-4)


def test_starter_sees_places_at_twice_the_side() -> None:
    starter = Starter()
    pixels = np.stack([starter.regions.prepare(image) for image in pictures()[:2]])
    found = starter.regions.encode_regions(pixels)
    assert found.cells.shape == (2, 17, 17, 512)
    # The score of a search is that of its map.
    expected = starter.encode_images(pictures()[:2])
    np.testing.assert_allclose(found.pictures, expected, atol=1e-6)
    large = pictures()[0].convert("RGB").resize((520, 520), Image.Resampling.BICUBIC)
    logits = starter.images.class_logits_of_cells(np.asarray(large)[None])
    places = starter.space.mix_concepts(logits.reshape(-1, 1000)).reshape(17, 17, 512)
    for axis in (0, 1):
        places = ndimage.gaussian_filter1d(places, 0.7, axis=axis, mode="nearest")
    np.testing.assert_allclose(found.cells[0], places, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((512, 256), (144.0, 16.0, 224.0, 224.0)),
        ((256, 512), (16.0, 144.0, 224.0, 224.0)),
        ((224, 224), (14.0, 14.0, 196.0, 196.0)),
    ],
)
def test_the_crop_is_led_back_to_the_picture(
    size: tuple[int, int], expected: tuple[float, ...]
) -> None:
    assert Preprocessing(224, "shortest", 256).seen(*size) == pytest.approx(expected)


def test_a_crop_larger_than_the_picture_begins_outside_of_it() -> None:
    # 100 pixels in the middle of 200: as much black on every side as half of the picture.
    seen = Preprocessing(200, "squash", 100, CLIP_MEAN, CLIP_STD).seen(50, 30)
    assert seen == pytest.approx((-25, -15, 100, 60))


@pytest.mark.parametrize(
    "preprocessing", [Preprocessing(48, "shortest", 56), Preprocessing(48, "squash", 48)]
)
def test_a_square_is_found_where_it_is_seen(preprocessing: Preprocessing) -> None:
    image = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(image).rectangle((120, 60, 179, 119), fill="black")
    rows, cols = np.nonzero(preprocessing.prepare(image).mean(axis=2) < 128)
    left, top, width, height = preprocessing.seen(*image.size)
    across, down = width / preprocessing.side, height / preprocessing.side
    edges = [
        left + cols.min() * across,
        top + rows.min() * down,
        left + (cols.max() + 1) * across,
        top + (rows.max() + 1) * down,
    ]
    np.testing.assert_allclose(edges, [120, 60, 180, 120], atol=across)
