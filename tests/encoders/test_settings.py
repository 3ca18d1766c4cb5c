"""Settings in the files that other libraries write: read as they read them, or refused.

Each key is changed in a copy of a folder. What `pareja` then makes of a picture or a text is what
transformers makes of it, or the folder is refused. A key that transformers does not refuse either
stands in `docs/checkpoints.md`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import BY_TORCHVISION, DUAL, IMAGE, LENGTH, LONG, TEXTS, altered, folder, pictures

from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.opening import open_folder
from pareja.encoders.tokenizer_files import read_tokeniser
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError

PAGE = Path(__file__).parents[2] / "docs" / "checkpoints.md"
TOLERANCE = 1e-5

PROCESSORS = {"clip": "CLIP", "siglip": "Siglip", "resnet": "ConvNext", "vit": "ViT"}
TOKENIZERS = {
    "clip": "CLIP",
    "siglip2": "Siglip2",
    "metaclip2": "XLMRoberta",
    "sentence": "Bert",
}

PICTURES: dict[str, list[Any]] = {
    "do_resize": [None, False],
    "size": [None, 40, {"height": 40, "width": 40}, {"height": 40, "width": 30}],
    "default_to_square": [True, False],
    "crop_size": [None, 24, {"height": 24, "width": 20}],
    "resample": [None, 0],
    "do_rescale": [None, False],
    "rescale_factor": [None, 1 / 127.5],
    "do_normalize": [None, False],
    "image_mean": [None, 0.3, [0.1, 0.2, 0.3]],
    "image_std": [None, 0.3, [0.3, 0.4, 0.5]],
    "do_center_crop": [None, False, True],
    "crop_pct": [None, 0.5],
    "do_pad": [True],
    "pad_size": [{"height": 50, "width": 50}],
    "do_convert_rgb": [None, False],
    "data_format": ["channels_last"],
    "input_data_format": ["channels_last"],
    "image_seq_length": [3],
    "device": ["cpu"],
    "return_tensors": ["pt"],
    "disable_grouping": [True],
    "processor_class": ["CLIPProcessor"],
}
TOKENS: dict[str, list[Any]] = {
    "model_max_length": [None, 16, 200],
    "max_length": [16],
    "truncation_side": ["left"],
    "padding_side": ["left"],
    "pad_token": ["a", "[UNK]"],
    "unk_token": ["."],
    "bos_token": ["a"],
    "eos_token": ["a"],
    "cls_token": ["a"],
    "sep_token": ["a"],
    "mask_token": ["a"],
    "add_bos_token": [True, False],
    "add_eos_token": [True, False],
    "add_prefix_space": [True, False],
    "do_lower_case": [True, False],
    "strip_accents": [None, True, False],
    "tokenize_chinese_chars": [True, False],
    "split_special_tokens": [True],
    "additional_special_tokens": [["a"]],
    "extra_special_tokens": [["a"], {"image": "a"}],
    "added_tokens_decoder": [{}],
    "clean_up_tokenization_spaces": [True, False],
    "model_input_names": [["input_ids"]],
    "errors": ["ignore"],
    "trim_offsets": [False],
    "chat_template": ["x"],
    "stride": [3],
    "truncation_strategy": ["only_second"],
    "pad_to_multiple_of": [64],
    "pad_token_type_id": [3],
    "backend": ["tokenizers"],
    "processor_class": ["CLIPProcessor"],
    "name_or_path": ["x"],
    "special_tokens_map_file": ["x"],
}


@cache
def on_the_page(file: str) -> frozenset[str]:
    """Return the settings that the table of the page has for a file."""
    found: set[str] = set()
    current = ""
    for line in PAGE.read_text("utf-8").splitlines():
        cells = line.split(" | ")
        if line.startswith("| ") and len(cells) == 3:
            current = cells[0].strip("| ") or current
            if f"`{file}`" in current:
                found.update(re.findall(r"`([a-z_A-Z]+)", cells[1]))
    return frozenset(found)


def processor_of(name: str) -> Any:
    module = import_module(
        f"transformers.models.{name.lower()}.image_processing_pil_{name.lower()}"
    )
    return getattr(module, f"{name}ImageProcessorPil")


def tokenizer_of(name: str) -> Any:
    return getattr(import_module("transformers"), f"{name}Tokenizer")


def test_every_setting_of_pictures_is_walked_and_on_the_page() -> None:
    kinds = [processor_of(name).valid_kwargs.__annotations__ for name in PROCESSORS.values()]
    known = set().union(
        *kinds, import_module("transformers.processing_utils").ImagesKwargs.__annotations__
    )
    assert known <= PICTURES.keys()
    assert PICTURES.keys() <= on_the_page("preprocessor_config.json")


def test_every_setting_of_tokens_is_walked_and_on_the_page() -> None:
    private = {"self", "kwargs", "vocab", "merges", "_spm_precompiled_charsmap"}
    for name in TOKENIZERS.values():
        known = inspect.signature(tokenizer_of(name).__init__).parameters.keys() - private
        assert known <= TOKENS.keys(), name
    assert TOKENS.keys() <= on_the_page("tokenizer_config.json")


def changed(kind: str, path: Path, file: str, values: dict[str, list[Any]]) -> Iterator[str]:
    """Yield a description for each change, having made it."""
    altered(kind, path)
    original = json.loads((path / file).read_text())
    if kind == "sentence" and file.startswith("tokenizer"):
        original["tokenizer_class"] = "BertTokenizer"
    cases = [(key, value) for key, listed in values.items() for value in listed]
    for key, value in cases:
        (path / file).write_text(json.dumps(original | {key: value}))
        yield f"{kind}: {key} = {value}"
    for key in original.keys() & values.keys():
        (path / file).write_text(json.dumps({k: original[k] for k in original if k != key}))
        yield f"{kind}: no {key}"


@pytest.mark.parametrize("kind", PROCESSORS)
def test_pictures_are_prepared_as_the_file_says(kind: str, tmp_path: Path) -> None:
    path, seen = tmp_path / "model", pictures()
    differ, equal = [], 0
    for case in changed(kind, path, "preprocessor_config.json", PICTURES):
        try:
            mine = Checkpoint(path, "x", "x").preprocessing()
        except EncoderError:
            continue
        try:
            reader = processor_of(PROCESSORS[kind]).from_pretrained(path)
            right = np.asarray(reader(seen, return_tensors="np")["pixel_values"])
        except (ValueError, AttributeError, TypeError) as error:
            differ.append(f"{case}: transformers refuses it: {error}")
            continue
        pixels = mine.normalise(np.stack([mine.prepare(image) for image in seen]))
        off = np.abs(pixels - right).max() if pixels.shape == right.shape else np.inf
        # relative to the largest value, which is 255 and more where nothing is rescaled
        equal += bool(off <= TOLERANCE * max(1, np.abs(right).max()))
        if off > TOLERANCE * max(1, np.abs(right).max()):
            differ.append(f"{case}: {off}")
    assert not differ
    assert equal > 25


@pytest.mark.filterwarnings("ignore::pareja.encoders.protocols.TruncationWarning")
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_texts_become_tokens_as_the_file_says(kind: str, tmp_path: Path) -> None:
    auto = import_module("transformers").AutoTokenizer
    path, texts = tmp_path / "model", [*TEXTS, "a  cat\n of", LONG]
    full = kind == "siglip2"
    differ, equal = [], 0
    for case in changed(kind, path, "tokenizer_config.json", TOKENS):
        try:
            mine = read_tokeniser(
                Checkpoint(path, "x", "x"),
                LENGTH,
                pad_to_max=full,
                cleaning="lower" if full else "none",
            )
        except EncoderError:
            continue
        tokenizer = auto.from_pretrained(path, local_files_only=True)
        options: Any = {"padding": "max_length"} if full else {}
        limit = min(LENGTH, tokenizer.model_max_length)
        for text in texts:
            right = tokenizer(text, truncation=True, max_length=limit, **options)["input_ids"]
            if tokens(mine, text) != right:
                differ.append(f"{case}: {text[:20]!r}")
                break
        else:
            equal += 1
    assert not differ
    assert equal > 25


def tokens(tokeniser: Any, text: str) -> list[int]:
    _, inputs = next(tokeniser.batches([text], 1))
    return [int(number) for number in inputs["input_ids"][0]]


def test_a_network_that_answers_in_tuples_is_asked_by_name(tmp_path: Path) -> None:
    path = altered("siglip", tmp_path / "model")
    config = json.loads((path / "config.json").read_text())
    for table in (config, config["text_config"], config["vision_config"]):
        table["return_dict"] = False
    (path / "config.json").write_text(json.dumps(config))
    places = (path, folder("siglip"))
    mine, right = (open_folder(place, "x", device="cpu", precision="float32") for place in places)
    assert isinstance(mine, NetworkDualEncoder)
    assert isinstance(right, NetworkDualEncoder)
    np.testing.assert_array_equal(mine.encode_texts(TEXTS), right.encode_texts(TEXTS))
    np.testing.assert_array_equal(mine.encode_images(pictures()), right.encode_images(pictures()))


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("text_config", {"projection_size": 64}, "gives texts 64 numbers and pictures 32, which"),
        ("vision_config", {"vision_use_head": False}, "pictures 32 for each patch, which cannot"),
    ],
)
def test_a_siglip_without_one_space_is_refused(
    part: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = altered("siglip", tmp_path / "model")
    config = json.loads((path / "config.json").read_text())
    config[part] |= change
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match=message):
        open_folder(path, "x")


# They say what shape the weights have, or which numbers tokens have.
SHAPES = {
    "depths",
    "embedding_size",
    "hidden_size",
    "hidden_sizes",
    "image_size",
    "intermediate_size",
    "max_position_embeddings",
    "mlp_ratio",
    "num_attention_heads",
    "num_channels",
    "num_hidden_layers",
    "patch_size",
    "projection_dim",
    "projection_size",
    "vocab_size",
}


def otherwise(key: str, value: Any) -> Any:
    """Return another value of a setting of a network, which keeps its shape."""
    if key in ("hidden_act", "projection_hidden_act"):
        return "gelu" if value == "relu" else "relu"
    if key in SHAPES or not isinstance(value, float):
        return value
    return value + 0.25


@pytest.mark.parametrize("kind", [*DUAL, *IMAGE, *BY_TORCHVISION])
def test_a_network_is_built_as_its_file_says(kind: str, tmp_path: Path) -> None:
    transformers: Any = import_module("transformers")
    plain = Path(folder(kind))
    path = altered(kind, tmp_path / "model")
    config = transformers.AutoConfig.from_pretrained(plain).to_dict()
    changes = 0
    for table in (config, config.get("text_config", {}), config.get("vision_config", {})):
        for key, value in table.items():
            table[key] = otherwise(key, value)
            changes += table[key] != value
        table |= {"a_setting_that_nobody_knows": 3, "return_dict": False}
    assert changes
    (path / "config.json").write_text(json.dumps(config))
    mine: Any = open_folder(path, "x", device="cpu", precision="float32")
    before: Any = open_folder(plain, "x", device="cpu", precision="float32")
    config = transformers.AutoConfig.from_pretrained(path)
    for part in (config, *(getattr(config, name) for name in config.sub_configs)):
        part.return_dict = True
    model = transformers.AutoModel.from_pretrained(path, config=config).eval()
    images = pictures()
    pixels = torch.from_numpy(mine.preprocessing.normalise(np.stack([*map(mine.prepare, images)])))
    with torch.inference_mode():
        if not isinstance(mine, NetworkDualEncoder):
            output = model(pixel_values=pixels)
            raw = output.last_hidden_state[:, 0]
            raw = output.pooler_output.flatten(1) if kind == "resnet" else raw
        else:
            raw = model.get_image_features(pixel_values=pixels).pooler_output
            _, inputs = next(mine.tokeniser.batches(TEXTS, len(TEXTS)))
            tokens = {name: torch.from_numpy(value) for name, value in inputs.items()}
            if kind.startswith("siglip"):
                del tokens["attention_mask"]
            texts = model.get_text_features(**tokens).pooler_output
    right = [(raw, mine.encode_images(images), before.encode_images(images))]
    if isinstance(mine, NetworkDualEncoder):
        order, _ = next(mine.tokeniser.batches(TEXTS, len(TEXTS)))
        ordered = [TEXTS[i] for i in order]
        right.append((texts, mine.encode_texts(ordered), before.encode_texts(ordered)))
    for theirs, ours, unchanged in right:
        expected = (theirs / theirs.norm(dim=1, keepdim=True)).numpy()
        np.testing.assert_allclose(ours, expected, atol=TOLERANCE)
        assert np.abs(ours - unchanged).max() > 1e-3
