from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tiny_models import DUAL, LONG, TEXTS, altered, folder, pictures, write_json
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from pareja.encoders.opening import open_folder
from pareja.encoders.protocols import TruncationWarning
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError

TOLERANCE = 1e-5


def encoder(path: Path) -> NetworkDualEncoder:
    opened = open_folder(path, path.name, device="cpu", precision="float32")
    assert isinstance(opened, NetworkDualEncoder)
    return opened


def reference_texts(kind: str, texts: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Token ids as transformers makes them, in one batch."""
    if kind == "siglip":
        # transformers' own tokenizer of SigLIP needs sentencepiece; what it does to a text first
        # is written out here by hand.
        tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder(kind))
        plain = {
            "A Photo of a DOG!": "a photo of a dog",
            "¿Qué es esto? Ünïcödé 日本語 🐈": "¿qué es esto ünïcödé 日本語 🐈",
            "the cat, the dog; and the cat again": "the cat the dog and the cat again",
        }
        texts = tuple(plain.get(text, text.lower()) for text in texts)
    else:
        tokenizer = AutoTokenizer.from_pretrained(folder(kind))
    padding: Any = "max_length" if kind.startswith("siglip") else True
    tokens = tokenizer(
        list(texts), padding=padding, truncation=True, max_length=None, return_tensors="pt"
    )
    return {name: tokens[name] for name in tokenizer.model_input_names if name in tokens}


@pytest.fixture(scope="module", params=DUAL)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reference(kind: str) -> dict[str, NDArray[np.float32]]:
    """Embeddings and logits by transformers' own classes."""
    model = AutoModel.from_pretrained(folder(kind)).eval()
    processor = SiglipImageProcessorPil if kind.startswith("siglip") else CLIPImageProcessorPil
    pixels = processor.from_pretrained(folder(kind))(pictures(), return_tensors="pt")
    tokens = reference_texts(kind, TEXTS)
    with torch.inference_mode():
        output = model(**tokens, **pixels)
    return {
        "images": output.image_embeds.numpy(),
        "texts": output.text_embeds.numpy(),
        "logits": output.logits_per_image.numpy(),
    }


def test_images_equal_transformers_in_any_batch_and_order(
    kind: str, reference: dict[str, NDArray[np.float32]]
) -> None:
    images, mine = pictures(), encoder(folder(kind))
    embeddings = mine.encode_images(images)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, reference["images"], atol=TOLERANCE)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    for chosen in ([3], [4, 1], [2, 0, 4, 3, 1]):
        part = mine.encode_images([images[i] for i in chosen])
        np.testing.assert_allclose(part, embeddings[chosen], atol=TOLERANCE)
    # Different pictures are different beyond the tolerance, so that the above can fail.
    assert np.abs(embeddings[0] - embeddings[1]).max() > 100 * TOLERANCE


def test_texts_equal_transformers_in_any_batch_and_order(
    kind: str, reference: dict[str, NDArray[np.float32]]
) -> None:
    mine = encoder(folder(kind))
    embeddings = mine.encode_texts(TEXTS)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, reference["texts"], atol=TOLERANCE)
    for chosen in ([3], [1], [4, 1], [2, 0, 4, 3, 1]):
        part = mine.encode_texts([TEXTS[i] for i in chosen])
        np.testing.assert_allclose(part, embeddings[chosen], atol=TOLERANCE)
    assert np.abs(embeddings[0] - embeddings[3]).max() > 100 * TOLERANCE


def test_logits_equal_transformers(kind: str, reference: dict[str, NDArray[np.float32]]) -> None:
    mine = encoder(folder(kind))
    similarity = mine.encode_images(pictures()) @ mine.encode_texts(TEXTS).T
    logits = mine.logits(similarity)
    assert logits.dtype == np.float32
    # The largest logits are about 20: the scale multiplies the embeddings' rounding.
    np.testing.assert_allclose(logits, reference["logits"], atol=20 * TOLERANCE, rtol=0)
    assert mine.loss == ("sigmoid" if kind.startswith("siglip") else "softmax")


def test_a_long_text_is_cut_with_a_warning_that_names_it(kind: str) -> None:
    mine = encoder(folder(kind))
    with pytest.warns(
        TruncationWarning, match=r"first \d+ tokens.*'the cat and the dog and"
    ) as caught:
        long, short = mine.encode_texts([LONG, "a cat"])
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(mine.encode_texts(["a cat"])[0], short, atol=TOLERANCE)
    model = AutoModel.from_pretrained(folder(kind)).eval()
    with torch.inference_mode():
        # Two texts, because transformers' AIMv2 is causal only where there is padding.
        tokens = reference_texts(kind, (LONG, "a"))
        raw = model.get_text_features(**tokens).pooler_output[0]
    np.testing.assert_allclose(long, raw / raw.norm(), atol=TOLERANCE)


@pytest.mark.parametrize("missing", ["vision", "text"])
def test_only_the_tower_that_is_needed_is_loaded(kind: str, missing: str, tmp_path: Path) -> None:
    path = altered(kind, tmp_path / kind)
    weights = load_file(path / "model.safetensors")
    other = "visual_projection" if missing == "vision" else "text_projection"
    kept = {k: v for k, v in weights.items() if not k.startswith((f"{missing}_model.", other))}
    assert len(kept) < len(weights)
    save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
    whole, half = encoder(folder(kind)), encoder(path)
    if missing == "vision":
        np.testing.assert_array_equal(half.encode_texts(TEXTS), whole.encode_texts(TEXTS))
        with pytest.raises(EncoderError, match="vision_model"):
            half.encode_images(pictures())
    else:
        np.testing.assert_array_equal(
            half.encode_images(pictures()), whole.encode_images(pictures())
        )
        with pytest.raises(EncoderError, match="text_model"):
            half.encode_texts(TEXTS)
    assert half.logits(np.zeros((1, 1))).shape == (1, 1)


def test_dimensions_and_sides_are_known_before_loading(kind: str) -> None:
    mine = encoder(folder(kind))
    assert (mine.image_dim, mine.image_side) == (mine.text_dim, 32)
    # A backend may compile for the one length that SigLIP's texts have.
    assert (mine.text_network.length is not None) == kind.startswith("siglip")
    assert mine.encode_images([]).shape == (0, mine.image_dim)
    assert mine.encode_texts([]).shape == (0, mine.text_dim)
    assert mine.loaded == frozenset()
    assert mine.encode_texts(["a"]).shape == (1, mine.text_dim)
    assert mine.loaded == {"text"}


def test_both_sides_share_one_fingerprint_that_follows_the_weights(
    kind: str, tmp_path: Path
) -> None:
    mine, path = encoder(folder(kind)), altered(kind, tmp_path / kind)
    assert mine.image_fingerprint == mine.text_fingerprint
    # The same files elsewhere are the same model, whatever a folder among them is called.
    (path / "old.json").mkdir()
    assert encoder(path).image_fingerprint == mine.image_fingerprint
    weights = load_file(path / "model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    assert encoder(path).image_fingerprint.digest != mine.image_fingerprint.digest


def test_defaults_of_left_out_settings_are_those_of_transformers() -> None:
    from transformers import CONFIG_MAPPING

    from pareja.encoders.dual import FAMILIES

    for model_type, family in FAMILIES.items():
        config = CONFIG_MAPPING[model_type]()
        assert config.text_config.max_position_embeddings == family.length
        vision = config.vision_config
        assert getattr(vision, "image_size", vision.patch_size) == family.side
        assert getattr(config, "temperature_init_value", None) == family.temperature
        if family.projection is None:
            assert config.text_config.hidden_size == family.hidden
        else:
            assert config.projection_dim == family.projection


def test_weights_in_half_precision_are_read_as_float32(tmp_path: Path) -> None:
    path = altered("siglip", tmp_path / "half")
    weights = load_file(path / "model.safetensors")
    halved = {name: tensor.bfloat16() for name, tensor in weights.items()}
    save_file(halved, path / "model.safetensors", metadata={"format": "pt"})
    model = AutoModel.from_pretrained(path, dtype=torch.float32).eval()
    mine = encoder(path)
    pixels = SiglipImageProcessorPil.from_pretrained(path)(pictures(), return_tensors="pt")
    with torch.inference_mode():
        raw = model.get_image_features(**pixels).pooler_output
    expected = raw / raw.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(mine.encode_images(pictures()), expected, atol=TOLERANCE)
    scale, bias = mine.logit_terms
    assert scale == pytest.approx(float(halved["logit_scale"].float().exp()))
    assert bias == -3.5


def test_sharded_and_pickled_weights_are_read(tmp_path: Path) -> None:
    expected = encoder(folder("clip")).encode_texts(TEXTS)
    model = AutoModel.from_pretrained(folder("clip"))
    sharded = altered("clip", tmp_path / "sharded")
    (sharded / "model.safetensors").unlink()
    model.save_pretrained(sharded, max_shard_size="20KB")
    assert (sharded / "model.safetensors.index.json").exists()
    pickled = altered("clip", tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save(model.state_dict(), pickled / "pytorch_model.bin")
    for path in (sharded, pickled):
        mine = encoder(path)
        np.testing.assert_array_equal(mine.encode_texts(TEXTS), expected)
        assert mine.logit_terms == pytest.approx((20, 0))


def test_bfloat16_keeps_the_direction(kind: str, reference: dict[str, Any]) -> None:
    half = open_folder(folder(kind), kind, device="cpu", precision="bfloat16")
    assert isinstance(half, NetworkDualEncoder)
    assert (half.device, half.precision) == ("cpu", "bfloat16")
    cosine = (half.encode_images(pictures()) * reference["images"]).sum(axis=1)
    assert cosine.min() > 0.99


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploited"),)


def test_pickled_weights_that_would_run_code_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = altered("clip", tmp_path / "clip")
    (path / "model.safetensors").unlink()
    torch.save({"text_model.x": Exploit()}, path / "pytorch_model.bin")
    mine = encoder(path)
    with pytest.raises(EncoderError, match="clip: its weights cannot be loaded"):
        mine.encode_texts(["a"])
    with pytest.raises(EncoderError, match="clip: its weights cannot be loaded"):
        mine.logits(np.zeros((1, 1)))
    assert not (tmp_path / "exploited").exists()


def use(path: Path) -> None:
    mine = encoder(path)
    mine.encode_images(pictures())
    mine.encode_texts(["a"])
    mine.logits(np.zeros((1, 1)))


def remove(file: str) -> Any:
    return lambda path: (path / file).unlink()


def truncate(file: str) -> Any:
    return lambda path: (path / file).write_bytes((path / file).read_bytes()[:-100])


def write(file: str, **changes: Any) -> Any:
    return lambda path: write_json(path / file, **changes)


def no_scale(path: Path) -> None:
    weights = load_file(path / "model.safetensors")
    del weights["logit_scale"]
    save_file(weights, path / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("config.json"), "config.json is missing"),
        (truncate("config.json"), "config.json cannot be read"),
        (remove("model.safetensors"), "weights are missing"),
        (remove("tokenizer.json"), "tokenizer is missing or cannot be read"),
        (truncate("tokenizer.json"), "tokenizer is missing or cannot be read"),
        (remove("preprocessor_config.json"), "preprocessor_config.json is missing"),
        (truncate("model.safetensors"), "weights cannot be loaded"),
        (no_scale, "no logit_scale"),
        (write("config.json", projection_dim=25), "do not fit its config.json"),
        (write("config.json", model_type="gpt2"), "'gpt2', which is no encoder"),
        (write("config.json", model_type=None), "no encoder"),
        (
            write("preprocessor_config.json", crop_size=48, size={"shortest_edge": 48}),
            "squares of 48 pixels, and the network of config.json sees 32",
        ),
    ],
)
def test_a_broken_folder_is_one_clear_line(change: Any, message: str, tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "clip")
    change(path)
    with pytest.raises(EncoderError, match=message) as caught:
        use(path)
    assert str(caught.value).startswith("clip: ")
    assert "\n" not in str(caught.value)


def test_a_processor_inside_processor_config_is_found(tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "clip")
    inner = (path / "preprocessor_config.json").read_text()
    (path / "preprocessor_config.json").unlink()
    (path / "processor_config.json").write_text(f'{{"image_processor": {inner}}}')
    np.testing.assert_array_equal(
        encoder(path).encode_images(pictures()), encoder(folder("clip")).encode_images(pictures())
    )


def test_converting_writes_nothing_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    script = (
        "import transformers; from pareja.encoders import load; "
        "transformers.logging.set_verbosity(25); "
        f"load({str(folder('clip'))!r}, device='openvino').encode_texts(['a cat']); "
        "assert transformers.logging.get_verbosity() == 25"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_loading_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    encoder(folder("clip")).encode_texts(["a"])
    assert capfd.readouterr() == ("", "")


def test_a_large_file_is_hashed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pareja.encoders import checkpoint

    path = altered("clip", tmp_path / "clip")
    plain = encoder(path).image_fingerprint
    monkeypatch.setattr(checkpoint, "_LARGE", 1000)
    monkeypatch.setattr(checkpoint, "user_cache_path", lambda name: tmp_path / name)
    assert encoder(path).image_fingerprint == plain
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", lambda file, name: pytest.fail("hashed again"))
        patch.setattr(checkpoint, "_LARGE", -1)
        for file in path.iterdir():
            if file.stat().st_size > 1000:
                checkpoint._content_digest(file)
    weights = load_file(path / "model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    assert encoder(path).image_fingerprint != plain


def test_a_tokenizer_in_the_older_files_is_read(tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "clip")
    model = json.loads((path / "tokenizer.json").read_text())["model"]
    (path / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    (path / "tokenizer.json").unlink()
    write_json(path / "tokenizer_config.json", tokenizer_class="CLIPTokenizer")
    np.testing.assert_array_equal(
        encoder(path).encode_texts(TEXTS), encoder(folder("clip")).encode_texts(TEXTS)
    )


def test_a_clip_inside_a_folder_of_sentence_transformers_is_dual(tmp_path: Path) -> None:
    altered("clip", tmp_path / "0_CLIPModel")
    module = {"path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}

    (tmp_path / "modules.json").write_text(json.dumps([module]))
    np.testing.assert_array_equal(
        encoder(tmp_path).encode_texts(TEXTS), encoder(folder("clip")).encode_texts(TEXTS)
    )


def test_a_broken_header_of_weights_is_one_clear_line(tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "clip")
    mine = encoder(path)
    (path / "model.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0{]}..")
    with pytest.raises(EncoderError, match=r"clip: model.safetensors is broken"):
        mine.logits(np.zeros((1, 1)))
