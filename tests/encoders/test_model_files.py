"""Folders of models that lack a file, or hold one that nothing here reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_models import altered, folder
from transformers import AutoModel

from pareja.encoders import load
from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.model_files import missing_file, needed_files
from pareja.errors import EncoderError


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """Return a CLIP whose weights are in several files."""
    path = altered("clip", tmp_path / "sharded")
    (path / "model.safetensors").unlink()
    AutoModel.from_pretrained(folder("clip")).save_pretrained(path, max_shard_size="40KB")
    assert len(list(path.glob("*-of-*"))) > 2
    return path


def test_a_complete_folder_lacks_nothing(sharded: Path) -> None:
    assert missing_file(sharded) is None
    assert missing_file(folder("clip")) is None
    assert missing_file(folder("sentence")) is None


def test_a_missing_part_of_the_weights_is_named(sharded: Path) -> None:
    lost = sorted(sharded.glob("*-of-*"))[1]
    lost.unlink()
    assert missing_file(sharded) == lost.name
    with pytest.raises(EncoderError, match=f"weights are incomplete: {lost.name} is missing. Copy"):
        load(sharded)


def test_parts_without_their_index_are_incomplete(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").unlink()
    with pytest.raises(EncoderError, match=r"incomplete: model\.safetensors\.index\.json is miss"):
        load(sharded)


def test_an_index_that_cannot_be_read_is_named(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").write_text('{"weight_map": 3}')
    assert missing_file(sharded) == "model.safetensors.index.json"


def test_the_weights_of_a_module_may_be_missing(tmp_path: Path) -> None:
    path = altered("sentence", tmp_path / "model")
    (path / "2_Dense/pytorch_model.bin").unlink()
    assert missing_file(path) == "2_Dense/model.safetensors"


def test_a_link_to_nothing_is_a_missing_file(tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "model")
    (path / "tokenizer.json").unlink()
    (path / "tokenizer.json").symlink_to(tmp_path / "blobs" / "gone")
    assert missing_file(path) == "tokenizer.json"


def test_weights_for_other_programs_are_named(tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "model")
    (path / "model.safetensors").unlink()
    (path / "onnx").mkdir()
    (path / "onnx/model.onnx").write_bytes(b"onnx")
    with pytest.raises(EncoderError, match=r"no model\.safetensors, and onnx/model\.onnx is for"):
        load(path)


def test_one_format_of_the_weights_is_needed() -> None:
    names = [
        "config.json",
        "merges.txt",
        "README.md",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "onnx/model.onnx",
        "onnx/config.json",
        "1_Pooling/config.json",
    ]
    assert needed_files(names, None) == {*names} - {
        "README.md",
        "pytorch_model.bin",
        "onnx/model.onnx",
        "onnx/config.json",
    }


def test_open_clip_brings_weights_of_its_own() -> None:
    names = ["model.safetensors", "open_clip_model.safetensors"]
    assert needed_files(names, "open_clip") == {names[1]}
    assert needed_files(names, "transformers") == {names[0]}


def test_names_in_a_model_stay_inside_of_it(sharded: Path, tmp_path: Path) -> None:
    index = sharded / "model.safetensors.index.json"
    for outside in ("../other.safetensors", str(tmp_path / "other.safetensors")):
        (tmp_path / "other.safetensors").write_bytes(b"private")
        index.write_text(json.dumps({"weight_map": {"a": outside}}), encoding="utf-8")
        with pytest.raises(EncoderError, match=r"its weights are incomplete: .*other"):
            load(str(sharded))
    checkpoint = Checkpoint(sharded, "theirs", "theirs")
    for part in ("..", "1_Dense/../..", "/etc", "a\\b"):
        with pytest.raises(EncoderError, match="which is no folder of the model"):
            checkpoint.inside(part)
    assert checkpoint.inside("").folder == sharded


def test_of_a_model_that_also_hears_all_settings_are_fetched() -> None:
    names = {path.relative_to(folder("gemma")).as_posix() for path in folder("gemma").rglob("*")}
    names = {name for name in names if (folder("gemma") / name).is_file()}
    other = {"onnx/model.onnx", "chat_template.jinja", "README.md"}
    assert needed_files(names | other, "transformers") == names
    assert {"processor_config.json", "1_Pooling/config.json", "tokenizer.json"} <= names
