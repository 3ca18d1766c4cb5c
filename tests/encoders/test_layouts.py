"""Folders as other libraries write them: read as those libraries read them, or refused."""

from __future__ import annotations

import importlib
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_models import DUAL, IMAGE, LONG, TEXTS, altered, folder, pictures, write_json

from pareja.encoders import load
from pareja.encoders.sentence_modules import NO_EFFECT, READ, TRANSFORMER_FILES
from pareja.errors import EncoderError

TOLERANCE = 1e-5


def opened(path: Path) -> Any:
    return load(path, device="cpu", precision="float32")


def assert_as_sentence_transformers(path: Path, *, images: bool = False) -> None:
    from sentence_transformers import SentenceTransformer

    texts = [text for text in TEXTS if text] + [LONG]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = SentenceTransformer(str(path), device="cpu", local_files_only=True)
        asked: list[tuple[Any, str]] = [(texts, "texts")]
        asked += [(pictures(), "images")] if images else []
        for given, what in asked:
            raw = np.asarray(library.encode(given, show_progress_bar=False))
            right = raw / np.linalg.norm(raw, axis=1, keepdims=True)
            mine = getattr(opened(path), f"encode_{what}")(given)
            np.testing.assert_allclose(mine, right, atol=TOLERANCE)


def saved_today(kind: str, path: Path) -> Path:
    """Save a dual encoder as sentence-transformers does."""
    from sentence_transformers import SentenceTransformer

    if kind == "siglip":
        # transformers reads its tokenizer only where sentencepiece is installed.
        other = saved_today("clip", path.with_name("clip"))
        altered(kind, path)
        for file in ("modules.json", "sentence_bert_config.json"):
            shutil.copy(other / file, path)
        return path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SentenceTransformer(str(folder(kind)), device="cpu").save_pretrained(str(path))
    return path


@pytest.mark.parametrize("kind", DUAL)
def test_a_dual_encoder_as_sentence_transformers_saves_it(kind: str, tmp_path: Path) -> None:
    path = saved_today(kind, tmp_path / "st")
    mine, whole = opened(path), opened(folder(kind))
    np.testing.assert_allclose(
        mine.encode_images(pictures()), whole.encode_images(pictures()), atol=TOLERANCE
    )
    np.testing.assert_allclose(mine.encode_texts(TEXTS), whole.encode_texts(TEXTS), atol=TOLERANCE)


def add_dense(path: Path) -> None:
    """Put a Dense after the CLIPModel of a folder, which is in a folder of its own."""
    (path / "1_Dense").mkdir()
    write_json(
        path / "1_Dense/config.json",
        in_features=24,
        out_features=10,
        bias=False,
        activation_function="torch.nn.modules.linear.Identity",
    )
    torch.manual_seed(5)
    save_file({"linear.weight": torch.randn(10, 24)}, path / "1_Dense/model.safetensors")
    kinds = ("CLIPModel", "Dense")
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{k}", "type": f"sentence_transformers.models.{k}"}
        for i, k in enumerate(kinds)
    ]
    (path / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize("truncate", [None, 4])
def test_layers_after_a_dual_encoder_are_computed(truncate: int | None, tmp_path: Path) -> None:
    path = tmp_path / "st"
    altered("clip", path / "0_CLIPModel")
    add_dense(path)
    write_json(path / "config_sentence_transformers.json", truncate_dim=truncate, prompts={})
    assert opened(path).image_dim == (truncate or 10)
    assert_as_sentence_transformers(path, images=True)


@pytest.mark.parametrize("file", TRANSFORMER_FILES)
def test_the_limit_and_case_of_texts_stand_in_several_files(file: str, tmp_path: Path) -> None:
    path = altered("sentence", tmp_path / "model")
    (path / TRANSFORMER_FILES[0]).unlink()
    write_json(path / file, max_seq_length=16, do_lower_case=True)
    assert opened(path).tokeniser.max_length == 16
    assert_as_sentence_transformers(path)


@pytest.mark.parametrize("key", ["tokenizer_args", "processor_kwargs"])
def test_the_limit_of_texts_may_be_an_argument_of_the_tokenizer(key: str, tmp_path: Path) -> None:
    path = altered("sentence", tmp_path / "model")
    write_json(path / TRANSFORMER_FILES[0], max_seq_length=None, **{key: {"model_max_length": 16}})
    assert_as_sentence_transformers(path)


@pytest.mark.parametrize("mode", ["lasttoken", "weightedmean"])
@pytest.mark.parametrize("old", [True, False])
def test_pooling(mode: str, old: bool, tmp_path: Path) -> None:
    path = altered("sentence", tmp_path / "model")
    key = f"pooling_mode_{mode}" + "_tokens" * (mode == "weightedmean")
    changes: dict[str, Any] = {"pooling_mode_mean_tokens": None, **({key: True} if old else {})}
    write_json(path / "1_Pooling/config.json", **changes, pooling_mode=None if old else mode)
    assert_as_sentence_transformers(path)
    through = load(path, device="openvino", precision="float32")
    np.testing.assert_allclose(
        through.encode_texts(TEXTS),  # type: ignore[union-attr]
        opened(path).encode_texts(TEXTS),
        atol=1e-4,
    )


def test_the_first_numbers_of_a_matryoshka_model(tmp_path: Path) -> None:
    path = altered("sentence", tmp_path / "model")
    whole = opened(path)
    write_json(path / "config_sentence_transformers.json", truncate_dim=8, prompts={})
    assert opened(path).text_dim == 8
    assert opened(path).fingerprint != whole.fingerprint
    assert_as_sentence_transformers(path)


def test_a_text_that_is_cut_on_the_left(tmp_path: Path) -> None:
    path = altered("sentence", tmp_path / "model")
    whole = opened(path)
    write_json(path / "tokenizer_config.json", truncation_side="left")
    assert opened(path).fingerprint.preprocessing != whole.fingerprint.preprocessing
    assert_as_sentence_transformers(path)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("sentence_bert_config.json", "Transformer"),
        ("1_Pooling/config.json", "Pooling"),
        ("2_Dense/config.json", "Dense"),
        ("config_sentence_transformers.json", "model"),
    ],
)
def test_a_setting_that_nobody_knows_is_refused(file: str, kind: str, tmp_path: Path) -> None:
    path = altered("sentence", tmp_path / "model")
    write_json(path / file, a_new_setting=1)
    with pytest.raises(EncoderError, match="has the setting 'a_new_setting', which is not supp"):
        opened(path)
    assert "a_new_setting" not in READ[kind]


def test_every_setting_of_sentence_transformers_is_read_or_without_effect() -> None:
    from sentence_transformers.base.modules.dense import Dense
    from sentence_transformers.base.modules.normalize import Normalize
    from sentence_transformers.base.modules.transformer import Transformer
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    for module in (Transformer, Pooling, Dense, Normalize):
        kind = module.__name__
        keys = {*module.config_keys, *getattr(module, "config_key_renames", ())}
        assert keys <= {*READ[kind], *NO_EFFECT.get(kind, ())}, kind


@pytest.mark.filterwarnings("ignore::pareja.encoders.protocols.TruncationWarning")
def test_the_settings_of_old_clips_count_as_in_transformers(tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "model")
    config = json.loads((path / "config.json").read_text())
    right = opened(path)
    moved = {
        "text_config_dict": config["text_config"],
        "vision_config_dict": config["vision_config"],
        "text_config": config["text_config"] | {"max_position_embeddings": 20},
        "vision_config": None,
    }
    write_json(path / "config.json", **moved)
    mine = opened(path)
    np.testing.assert_array_equal(mine.encode_texts([LONG]), right.encode_texts([LONG]))
    np.testing.assert_array_equal(mine.encode_images(pictures()), right.encode_images(pictures()))


@pytest.mark.parametrize("kind", ["clip", "siglip", "metaclip2", "aimv2", *IMAGE])
def test_a_processor_without_a_type_is_that_of_the_model(kind: str, tmp_path: Path) -> None:
    processors: Any = importlib.import_module("transformers").AutoImageProcessor
    path = altered(kind, tmp_path / "model")
    write_json(path / "preprocessor_config.json", image_processor_type=None)
    write_json(path / "preprocessor_config.json", feature_extractor_type=None)
    right = type(processors.from_pretrained(folder(kind), use_fast=False)).__name__
    found = type(processors.from_pretrained(path, use_fast=False)).__name__
    assert found == right
    assert opened(path).preprocessing == opened(folder(kind)).preprocessing


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 605247071\n"


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("clip", "model.safetensors"),
        ("clip", "tokenizer.json"),
        ("sentence", "2_Dense/pytorch_model.bin"),
    ],
)
def test_a_pointer_of_git_lfs_is_named(kind: str, file: str, tmp_path: Path) -> None:
    path = altered(kind, tmp_path / "model")
    (path / file).write_text(POINTER)
    with pytest.raises(EncoderError, match=f"{file} is a Git LFS pointer .*git -C {path} lfs pull"):
        opened(path)


def adapter_beside(path: Path) -> None:
    altered("clip", path)


def test_an_adapter_alone_asks_for_its_base(tmp_path: Path) -> None:
    path = tmp_path / "tuned"
    path.mkdir()
    write_json(path / "adapter_config.json", peft_type="LORA", base_model_name_or_path="my/base")
    with pytest.raises(EncoderError, match="my/base is not on this machine"):
        opened(path)


def test_an_adapter_beside_whole_weights_is_refused_with_or_without_peft(tmp_path: Path) -> None:
    path = tmp_path / "tuned"
    adapter_beside(path)
    write_json(path / "adapter_config.json", peft_type="LORA", base_model_name_or_path="my/base")
    with pytest.raises(
        EncoderError, match=r"is of an adapter of PEFT for 'my/base'.*merge_and_unl"
    ):
        opened(path)
