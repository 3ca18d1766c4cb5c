from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pareja.encoders.image_processors import read_preprocessing
from pareja.encoders.preprocessing import CLIP_MEAN, CLIP_STD, HALF, Preprocessing
from pareja.errors import EncoderError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

CONFIGS: dict[str, dict[str, Any]] = {
    "clip": {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "do_resize": True,
        "size": 56,
        "do_center_crop": True,
        "crop_size": 56,
        "resample": 3,
    },
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": {"height": 48, "width": 48}},
    "siglip2": {
        "image_processor_type": "SiglipImageProcessorFast",
        "size": {"height": 48, "width": 48},
        "resample": 2,
    },
    "vit": {"feature_extractor_type": "ViTFeatureExtractor", "size": 40, "resample": 2},
    "dinov2": {
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": 64},
        "crop_size": {"height": 56, "width": 56},
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_STD,
    },
    "resnet": {
        "feature_extractor_type": "ConvNextFeatureExtractor",
        "size": 56,
        "crop_pct": 0.875,
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_STD,
    },
    "convnext384": {"image_processor_type": "ConvNextImageProcessor", "size": 384},
    "crop larger than picture": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 30},
        "crop_size": 47,
    },
}
SIZES = [(640, 480), (481, 641), (224, 224), (97, 300), (300, 41), (30, 31), (5, 9), (1, 3)]


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * 10_007 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def reference(config: dict[str, Any], image: Image.Image) -> np.ndarray:
    """What transformers' own Pillow processor makes of the picture, (3, side, side)."""
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    named = config.get("image_processor_type", config.get("feature_extractor_type", ""))
    processors = {
        "CLIP": CLIPImageProcessorPil,
        "Siglip": SiglipImageProcessorPil,
        "ViT": ViTImageProcessorPil,
        "Bit": BitImageProcessorPil,
        "ConvNext": ConvNextImageProcessorPil,
    }
    processor = next(cls for key, cls in processors.items() if named.startswith(key))
    kept = {key: value for key, value in config.items() if not key.endswith("_type")}
    pixels: np.ndarray = processor(**kept)(image, return_tensors="np")["pixel_values"][0]
    return pixels


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_processor_of_transformers(name: str, size: tuple[int, int]) -> None:
    image = noise(*size)
    preprocessing = read_preprocessing(CONFIGS[name])
    pixels = preprocessing.prepare(image)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (preprocessing.side, preprocessing.side, 3)
    expected = reference(CONFIGS[name], image)
    got = preprocessing.normalise(pixels[None])[0]
    assert got.dtype == np.float32
    # A difference of one level of 255 would be at least 0.013.
    np.testing.assert_allclose(got, expected, atol=2e-6)


@pytest.mark.parametrize("size", [(900, 60), (61, 1200), (2000, 130)])
def test_a_narrow_picture_is_cropped_before_it_is_resized(size: tuple[int, int]) -> None:
    y, x = np.mgrid[: size[1], : size[0]]
    waves = 127.5 + 120 * np.sin(np.stack([x / 9 + y / 31, x / 31 - y / 9, x / 15 + y / 20], -1))
    image = Image.fromarray(waves.astype(np.uint8))
    preprocessing = read_preprocessing(CONFIGS["dinov2"])
    got = preprocessing.normalise(preprocessing.prepare(image)[None])[0]
    difference = np.abs(got - reference(CONFIGS["dinov2"], image))
    assert difference.max() <= 1.01 / 255 / min(IMAGENET_STD)
    assert np.mean(difference > 1e-5) < 0.05


@pytest.mark.parametrize("size", [(10_000, 1), (1, 10_000), (60_000, 2), (1, 1)])
@pytest.mark.parametrize("resize", ["shortest", "squash"])
def test_a_picture_one_pixel_high_takes_little_memory(size: tuple[int, int], resize: Any) -> None:
    preprocessing = Preprocessing(224, resize, 256)
    image = Image.new("RGB", size, (10, 200, 30))
    tracemalloc.start()
    try:
        pixels = preprocessing.prepare(image)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
    assert pixels.shape == (224, 224, 3)
    assert (pixels == [10, 200, 30]).all()


def test_a_narrow_picture_smaller_than_the_crop_is_centred_on_black() -> None:
    preprocessing = Preprocessing(40, "shortest", 30)
    pixels = preprocessing.prepare(Image.new("RGB", (10_000, 10), "white"))
    assert (pixels[5:35] == 255).all()
    assert pixels.sum() == 30 * 40 * 3 * 255


def test_defaults_are_those_of_the_processor_class() -> None:
    assert read_preprocessing({"image_processor_type": "CLIPImageProcessor"}) == (
        Preprocessing(224, "shortest", 224, CLIP_MEAN, CLIP_STD)
    )
    vit = read_preprocessing({"image_processor_type": "ViTImageProcessor"})
    assert (vit.mean, vit.resample) == (HALF, Image.Resampling.BILINEAR)


def test_null_counts_only_where_its_step_is_done() -> None:
    with pytest.raises(EncoderError, match=r"has image_mean = null, for which some ver"):
        read_preprocessing(CONFIGS["siglip"] | {"image_mean": None})
    off = {"image_mean": None, "image_std": None, "do_normalize": None, "crop_size": None}
    assert read_preprocessing(CONFIGS["siglip"] | off).mean == (0, 0, 0)


def test_rescaling_and_normalising_can_be_off() -> None:
    config = CONFIGS["siglip"] | {"do_normalize": False, "do_rescale": False}
    pixels = np.full((1, 48, 48, 3), 200, np.uint8)
    assert (read_preprocessing(config).normalise(pixels) == 200).all()


def test_every_field_changes_the_identity() -> None:
    base = Preprocessing(224, "shortest", 224)
    others = [
        Preprocessing(225, "shortest", 224),
        Preprocessing(224, "squash", 224),
        Preprocessing(224, "shortest", 256),
        Preprocessing(224, "shortest", 224, HALF),
        Preprocessing(224, "shortest", 224, std=HALF),
        Preprocessing(224, "shortest", 224, resample=Image.Resampling.BILINEAR),
        Preprocessing(224, "shortest", 224, scale=1.0),
    ]
    assert len({p.identity() for p in [base, *others]}) == 8


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"image_processor_type": "BeitImageProcessor"}, "BeitImageProcessor"),
        ({}, "not supported"),
        ({"image_processor_type": "CLIPImageProcessor", "do_resize": False}, "do_resize"),
        ({"image_processor_type": "CLIPImageProcessor", "do_center_crop": False}, "square"),
        (
            {"image_processor_type": "ViTImageProcessor", "size": {"height": 2, "width": 3}},
            "square",
        ),
        (
            {"image_processor_type": "CLIPImageProcessor", "crop_size": {"height": 2, "width": 3}},
            "square",
        ),
    ],
)
def test_what_makes_no_square_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        read_preprocessing(config)


def test_one_number_stands_for_three_channels() -> None:
    config = CONFIGS["siglip"] | {"image_mean": 0.25, "image_std": [0.1, 0.2, 0.3]}
    made = read_preprocessing(config)
    assert (made.mean, made.std) == ((0.25, 0.25, 0.25), (0.1, 0.2, 0.3))


def test_a_fingerprint_tells_pixels_of_pillow_13_from_those_of_12(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = Preprocessing(224, "shortest", 224)
    monkeypatch.setattr("PIL.__version__", "12.2.0")
    before = one.identity()
    monkeypatch.setattr("PIL.__version__", "13.0.1")
    after = one.identity()
    assert before != after
    monkeypatch.setattr("PIL.__version__", "13.2.0")
    assert one.identity() == after
