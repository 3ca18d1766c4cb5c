"""The adapter of open_clip, over a stand-in for that library: it cannot be installed everywhere."""

from __future__ import annotations

import importlib.machinery
import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from openclip_towers import VisionTransformer
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_models import LENGTH, TEXTS, altered, folder, pictures, write_json

from pareja.encoders.openclip import places_of
from pareja.encoders.opening import open_folder
from pareja.encoders.preprocessing import Preprocessing
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError, MissingDependencyError

TOLERANCE = 1e-5
MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


class Model(torch.nn.Module):
    """Shaped like open_clip's: two methods, and a tower named ``visual``."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.visual = torch.nn.Linear(3 * 16 * 16, 8)
        self.token_embedding = torch.nn.Embedding(600, 8)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(generator=generator)

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        features: torch.Tensor = self.visual(image.flatten(1))
        return features

    def encode_text(self, text: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        # Not causal: the padding, which is zeros, matters.
        position = torch.arange(1, text.shape[1] + 1)[None, :, None]
        features: torch.Tensor = (self.token_embedding(text) * position).mean(1)
        return features


class OpenClip(ModuleType):
    """A module with the one function of open_clip that is used."""

    def __init__(self) -> None:
        super().__init__("open_clip")
        self.__spec__ = importlib.machinery.ModuleSpec("open_clip", None)
        self.asked: list[str] = []

    def create_model(self, name: str, precision: str, load_weights: bool) -> Model:
        assert precision == "fp32"
        assert load_weights
        self.asked.append(name)
        path = Path(name.removeprefix("local-dir:"))
        model = Model()
        weights = load_file(path / "open_clip_model.safetensors")
        model.load_state_dict({k: v for k, v in weights.items() if not k.startswith("logit")})
        return model.eval()


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> OpenClip:
    module = OpenClip()
    monkeypatch.setitem(sys.modules, "open_clip", module)
    if find_spec("ftfy") is None:  # which open_clip brings
        ftfy: Any = ModuleType("ftfy")
        ftfy.__spec__ = importlib.machinery.ModuleSpec("ftfy", None)
        ftfy.fix_text = lambda text: text.replace("\u2019", "'").replace("Ã©", "é")
        monkeypatch.setitem(sys.modules, "ftfy", ftfy)
    return module


def build(path: Path, **model_cfg: Any) -> Path:
    for name in ("model.safetensors", "config.json", "preprocessor_config.json"):
        (path / name).unlink(missing_ok=True)
    vision = {"image_size": 16}
    config = {
        "model_cfg": {"embed_dim": 8, "vision_cfg": vision, "text_cfg": {"context_length": LENGTH}}
        | model_cfg,
        "preprocess_cfg": {"mean": MEAN, "std": STD, "interpolation": "bicubic"},
    }
    (path / "open_clip_config.json").write_text(json.dumps(config))
    weights = Model().state_dict() | {"logit_scale": torch.tensor(2.0)}
    if "init_logit_bias" in model_cfg:
        weights["logit_bias"] = torch.tensor(-10.0)
    save_file(weights, path / "open_clip_model.safetensors")
    return path


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return build(altered("clip", tmp_path / "eva"))


def encoder(path: Path) -> NetworkDualEncoder:
    opened = open_folder(path, path.name, device="cpu", precision="float32")
    assert isinstance(opened, NetworkDualEncoder)
    return opened


def normalised(raw: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(raw / raw.norm(dim=1, keepdim=True))


def test_both_towers_are_those_of_the_library(library: OpenClip, model_folder: Path) -> None:
    mine, model = encoder(model_folder), Model().eval()
    seen = Preprocessing(16, "shortest", 16, MEAN, STD, crop="even")
    pixels = seen.normalise(np.stack([seen.prepare(image) for image in pictures()]))
    with torch.inference_mode():
        images = normalised(model.encode_image(torch.from_numpy(pixels)))
        ids = torch.zeros(len(TEXTS), LENGTH, dtype=torch.long)
        for row, text in zip(ids, mine.tokeniser.encode(TEXTS), strict=True):
            row[: len(text)] = torch.tensor(text)
        texts = normalised(model.encode_text(ids))
    np.testing.assert_allclose(mine.encode_images(pictures()), images, atol=TOLERANCE)
    np.testing.assert_allclose(mine.encode_texts(TEXTS), texts, atol=TOLERANCE)
    np.testing.assert_allclose(mine.encode_texts(TEXTS[3:4]), texts[3:4], atol=TOLERANCE)
    assert library.asked == [f"local-dir:{model_folder}"] * 2
    assert mine.loss == "softmax"
    assert mine.logit_terms == pytest.approx((np.exp(2), 0))
    assert mine.image_side == 16


def test_a_logit_bias_means_a_sigmoid(library: OpenClip, tmp_path: Path) -> None:
    mine = encoder(build(altered("clip", tmp_path / "siglip"), init_logit_bias=-10))
    assert mine.loss == "sigmoid"
    assert mine.logit_terms == pytest.approx((np.exp(2), -10))


def test_a_timm_config_beside_it_does_not_matter(library: OpenClip, model_folder: Path) -> None:
    (model_folder / "config.json").write_text('{"architecture": "eva02_base"}')
    save_file({"blocks.0": torch.zeros(1)}, model_folder / "model.safetensors")
    mine = encoder(model_folder)
    assert mine.encode_texts(["a"]).shape == (1, 8)
    assert mine.logit_terms[0] == pytest.approx(np.exp(2))


def test_without_the_library_it_is_named(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.encoders.openclip.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="open_clip_torch"):
        encoder(model_folder)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (dict.fromkeys(("mean", "std", "interpolation", "resize_mode")), {}),
        ({"mean": 0.5, "std": [0.2, 0.3, 0.4]}, {"mean": (0.5,) * 3, "std": (0.2, 0.3, 0.4)}),
        ({"interpolation": "bilinear"}, {"resample": Image.Resampling.BILINEAR}),
        ({"interpolation": "random"}, {}),
        ({"resize_mode": "squash"}, {"resize": "squash"}),
        ({"size": 99, "mode": "RGB", "fill_color": 7}, {}),
    ],
)
def test_how_pictures_are_prepared(
    library: OpenClip, model_folder: Path, given: dict[str, Any], seen: dict[str, Any]
) -> None:
    # Null is as if the key were left out, and the side is that of the network.
    write_json(model_folder / "open_clip_config.json", preprocess_cfg=None)
    config = json.loads((model_folder / "open_clip_config.json").read_text())
    (model_folder / "open_clip_config.json").write_text(
        json.dumps(config | {"preprocess_cfg": given})
    )
    standard = Preprocessing(16, "shortest", 16, crop="even")
    assert encoder(model_folder).preprocessing == replace(standard, **seen)


def test_pictures_of_no_square_are_refused(library: OpenClip, tmp_path: Path) -> None:
    path = build(altered("clip", tmp_path / "x"), vision_cfg={"image_size": [16, 32]})
    with pytest.raises(EncoderError, match="not supported"):
        encoder(path)


def test_weights_that_do_not_fit_are_one_clear_line(library: OpenClip, model_folder: Path) -> None:
    save_file({"logit_scale": torch.tensor(1.0)}, model_folder / "open_clip_model.safetensors")
    with pytest.raises(EncoderError, match="eva: its weights cannot be loaded") as caught:
        encoder(model_folder).encode_texts(["a"])
    assert "\n" not in str(caught.value)


def test_a_folder_of_transformers_stays_one(library: OpenClip, tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "laion")
    (path / "open_clip_config.json").write_text("{}")
    np.testing.assert_array_equal(
        encoder(path).encode_texts(["a"]), encoder(folder("clip")).encode_texts(["a"])
    )
    assert not library.asked


def test_a_crop_lies_where_torchvision_puts_it(library: OpenClip, tmp_path: Path) -> None:
    path = build(altered("clip", tmp_path / "x"), vision_cfg={"image_size": 32})
    columns = np.broadcast_to(np.arange(48, dtype=np.uint8)[None, :, None], (32, 48, 3))
    # Half of 15, 13 and 11 pixels, rounded to the even number.
    for width, first in ((47, 8), (45, 6), (43, 6)):
        seen = encoder(path).prepare(Image.fromarray(np.ascontiguousarray(columns[:, :width])))
        assert seen[0, 0, 0] == first


@pytest.mark.parametrize(
    ("text", "options", "pad", "cleaning"),
    [
        ({}, {}, 0, "open_clip lower"),
        ({"hf_tokenizer_name": "a/b"}, {}, 3, "open_clip whitespace"),
        ({"hf_tokenizer_name": "a/b"}, {"clean": "canonicalize"}, 3, "open_clip canonicalize"),
    ],
)
def test_texts_are_prepared_as_the_configuration_says(
    library: OpenClip,
    tmp_path: Path,
    text: dict[str, Any],
    options: dict[str, Any],
    pad: int,
    cleaning: str,
) -> None:
    path = altered("clip", tmp_path / "x")
    token = json.loads((path / "tokenizer.json").read_text())["model"]["vocab"]
    # The tokenizer says that it reads less than the network: open_clip does not ask it.
    name = next(piece for piece, number in token.items() if number == pad)
    write_json(path / "tokenizer_config.json", pad_token=name, model_max_length=64)
    described = {"context_length": LENGTH, "tokenizer_kwargs": options} | text
    tokeniser = encoder(build(path, text_cfg=described)).tokeniser
    assert (tokeniser.pad_id, tokeniser.cleaning) == (pad, cleaning)
    _, inputs = next(tokeniser.batches(["a"], 1))
    assert inputs["input_ids"].shape == (1, LENGTH)
    assert inputs["input_ids"][0, -1] == pad


@pytest.mark.parametrize(
    ("cleaning", "cleaned"),
    [
        ("open_clip whitespace", "A Photo_of: & CAT's café"),
        ("open_clip lower", "a photo_of: & cat's café"),
        ("open_clip canonicalize", "a photo of cats café"),
    ],
)
def test_the_cleaning_functions_of_open_clip(
    library: OpenClip, cleaning: Any, cleaned: str
) -> None:
    tokeniser = replace(encoder(folder("clip")).tokeniser, cleaning=cleaning)
    assert tokeniser.clean("  A Photo_of:\n &amp;amp; CAT\u2019s cafÃ© ") == cleaned


@pytest.mark.parametrize(
    "text", [{"tokenizer_mode": "clips"}, {"tokenizer_kwargs": {"strip_sep_token": True}}]
)
def test_other_ways_to_tokenise_are_refused(
    library: OpenClip, tmp_path: Path, text: dict[str, Any]
) -> None:
    with pytest.raises(EncoderError, match=r"text_cfg has .*, which is not supported"):
        encoder(build(altered("clip", tmp_path / "x"), text_cfg=text))


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_maps_are_those_of_the_same_weights_in_transformers(
    library: OpenClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    clip = open_folder(folder("clip"), "clip", device="cpu", precision="float32")
    assert isinstance(clip, NetworkDualEncoder)
    visual = VisionTransformer()
    visual.take(clip.image_network.build())
    holder = torch.nn.Module()
    holder.visual = visual
    monkeypatch.setattr(library, "create_model", lambda *_, **__: holder)
    config = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 8}
    path = build(altered("clip", tmp_path / "x"), vision_cfg=config, embed_dim=24)
    write_json(path / "open_clip_config.json", preprocess_cfg={})
    mine = open_folder(path, path.name, device=device, precision="float32")
    assert isinstance(mine, NetworkDualEncoder)
    # Prepared once, since open_clip rounds a crop in another way.
    pixels = np.stack([clip.prepare(image) for image in pictures()])
    found, expected = mine.encode_regions(pixels), clip.encode_regions(pixels)
    np.testing.assert_allclose(found.cells, expected.cells, atol=1e-4)
    np.testing.assert_allclose(found.pictures, expected.pictures, atol=1e-4)


EVA = {"timm_pool": "token", "timm_proj": None}


@pytest.mark.parametrize(
    ("vision", "expected"),
    [
        ({}, "openclip"),
        ({"layers": 24, "width": 1024, "patch_size": 14, "pool_type": "tok"}, "openclip"),
        ({"qk_norm": False, "ls_init_value": 1e-4, "timm_model_name": None}, "openclip"),
        ({"layers": [3, 4, 6, 3]}, None),
        ({"pool_type": "avg"}, None),
        ({"attentional_pool": True}, None),
        ({"qk_norm": True}, None),
        ({"not known yet": 1}, None),
        (EVA | {"timm_model_name": "eva02_base_patch16_clip_224"}, "eva"),
        (EVA | {"timm_model_name": "eva02_enormous_patch14_clip_224"}, None),
        ({"timm_model_name": "eva02_base_patch16_clip_224"}, None),
        ({"timm_model_name": "fastvit_mci2", "timm_pool": "avg", "timm_proj": None}, "fastvit"),
        ({"timm_model_name": "fastvit_mci2"}, None),
        ({"timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map"}, None),
    ],
)
def test_places_have_shares_only_where_the_network_is_known(
    library: OpenClip, tmp_path: Path, vision: dict[str, Any], expected: str | None
) -> None:
    assert places_of(vision) == expected
    path = build(altered("clip", tmp_path / "x"), vision_cfg=vision)
    assert (encoder(path).region_network is None) is (expected is None)
