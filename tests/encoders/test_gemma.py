"""EmbeddingGemma 2 against transformers' own processor and forward pass."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma_reference import by_transformers
from numpy.typing import NDArray
from PIL import Image
from tiny_models import (
    GEMMA_PROMPTS,
    TEXTS,
    altered,
    folder,
    pictures,
    write_json,
)
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

from pareja.encoders import load
from pareja.encoders.image_processors import read_preprocessing
from pareja.encoders.mosaics import SoftTokens
from pareja.encoders.protocols import FusedEncoder
from pareja.errors import EncoderError, InputError
from pareja.tasks.tuning_setup import trainable
from pareja.training.methods import Method

TOLERANCE = 1e-5
SHAPES = ((1, 1), (3000, 2), (2, 400), (301, 299))
QUERY, DOCUMENT = GEMMA_PROMPTS.values()


def opened(path: Path, device: str = "cpu") -> Any:
    return load(path, device=device, precision="float32")


@cache
def images() -> list[Image.Image]:
    return [*pictures(), *(Image.effect_noise(size, 90).convert("RGB") for size in SHAPES)]


@cache
def right() -> dict[str, NDArray[np.float32]]:
    """Return what transformers makes of all that is compared."""
    path, shown = folder("gemma"), images()
    found = {
        "texts": by_transformers(path, [QUERY + text for text in TEXTS]),
        "images": by_transformers(path, ["<|image|>"] * len(shown), shown),
    }
    for name, prompt in (("documents", DOCUMENT), ("queries", QUERY)):
        texts = [f"{prompt}{text}<|image|>" for text in TEXTS]
        found[name] = by_transformers(path, texts, shown[-len(TEXTS) :])
    return found


def test_texts_and_pictures_equal_transformers() -> None:
    mine = opened(folder("gemma"))
    np.testing.assert_allclose(mine.encode_texts(TEXTS), right()["texts"], atol=TOLERANCE)
    np.testing.assert_allclose(mine.encode_images(images()), right()["images"], atol=TOLERANCE)


# The other two networks are parts of this one; converting each takes seconds.
@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_pictures_with_texts_equal_transformers(device: str) -> None:
    mine, shown = opened(folder("gemma"), device), images()[-len(TEXTS) :]
    for name, query in (("documents", False), ("queries", True)):
        made = mine.encode_fused(shown, TEXTS, query=query)
        np.testing.assert_allclose(made, right()[name], atol=TOLERANCE, err_msg=name)


def test_it_is_a_fused_encoder_in_one_space() -> None:
    mine = opened(folder("gemma"))
    assert isinstance(mine, FusedEncoder)
    assert not isinstance(opened(folder("clip")), FusedEncoder)
    assert mine.image_fingerprint == mine.text_fingerprint
    one = mine.encode_fused(pictures()[0], "a cat")
    assert one.shape == (160,)
    assert abs(one @ mine.encode_images(pictures()[0])) < 0.9999


def test_a_pair_does_not_depend_on_its_batch() -> None:
    mine = opened(folder("gemma"))
    texts = ["a", "a longer text of several words", "", "cat"]
    together = mine.encode_fused(pictures()[:4], texts)
    alone = [mine.encode_fused(image, text) for image, text in zip(pictures(), texts, strict=False)]
    np.testing.assert_allclose(together, alone, atol=TOLERANCE)
    assert mine.encode_fused([], []).shape == (0, 160)


def test_pictures_without_a_text_each_are_refused() -> None:
    mine = opened(folder("gemma"))
    with pytest.raises(InputError, match=r"texts has 1 for the 2 of images"):
        mine.encode_fused(pictures()[:2], ["a cat"])
    with pytest.raises(InputError, match=r"texts\[0\]: expected a text"):
        mine.encode_fused(pictures()[:1], [None])


def test_it_keeps_the_direction_in_bfloat16() -> None:
    half = load(folder("gemma"), device="cpu", precision="bfloat16")
    mine = opened(folder("gemma"))
    for what in ("encode_images", "encode_fused"):
        texts = () if what == "encode_images" else (["a cat"] * 5,)
        rows = getattr(half, what)(pictures(), *texts) * getattr(mine, what)(pictures(), *texts)
        assert rows.sum(axis=1).min() > 0.98
    with pytest.raises(EncoderError, match="unknown precision 'float16'"):
        load(folder("gemma"), precision="float16")


def test_without_a_modules_file_it_has_the_prompts_of_its_card(tmp_path: Path) -> None:
    path = altered("gemma", tmp_path / "gemma")
    (path / "modules.json").unlink()
    mine = opened(path)
    text = "a cat"
    np.testing.assert_allclose(
        mine.encode_texts([text]),
        by_transformers(path, [f"task: search result | query: {text}"]),
        atol=TOLERANCE,
    )


def test_what_its_image_processor_leaves_out_is_as_in_transformers() -> None:
    made, processor = read_preprocessing({}, "embedding_gemma2"), Gemma4ImageProcessorPil()
    assert isinstance(made, SoftTokens)
    kernel, size = processor.pooling_kernel_size, processor.patch_size
    assert (made.kernel, made.patch, made.most) == (
        kernel,
        kernel * size,
        processor.max_soft_tokens,
    )
    assert (made.resample, made.mean, made.std) == (processor.resample, (0, 0, 0), (1, 1, 1))
    assert made.side == read_preprocessing({"max_soft_tokens": 280}, "embedding_gemma2").side
    assert made.prepare(Image.new("RGB", (64, 48))).shape == (made.side, made.side, 3)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"vision_config": None}, "has no vision_config, so that it sees no pict"),
        (
            "processor_config.json",
            {"image_processor": {"image_processor_type": "Gemma4ImageProcessor"}},
            "does not make groups of 3 by 3 patches of 4 pixels",
        ),
        (
            "processor_config.json",
            {
                "image_processor": {
                    "image_processor_type": "Gemma4ImageProcessor",
                    "max_soft_tokens": 0,
                }
            },
            r"pooling_kernel_size = 3 and max_soft_tokens = 0\. All are whole numbers above 0",
        ),
        ("1_Pooling/config.json", {"pooling_mode": "cls"}, "pools tokens in another way than by"),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "Document"},
            "puts the prompt 'Document' before everything",
        ),
        ("sentence_bert_config.json", {"do_lower_case": True}, "reads texts in lower case"),
        (
            "sentence_bert_config.json",
            {"modality_config": {"text": {"method": "get_text_features"}}},
            "its modality_config takes None of 'get_text_features' for text",
        ),
    ],
)
def test_files_that_ask_for_something_else_are_refused(
    file: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = altered("gemma", tmp_path / "gemma")
    content = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps(content | changes))
    with pytest.raises(EncoderError, match=message):
        opened(path)


def test_a_tokenizer_that_adds_no_end_is_refused(tmp_path: Path) -> None:
    path = altered("gemma", tmp_path / "gemma")
    content = json.loads((path / "tokenizer.json").read_text())
    content["post_processor"] = None
    (path / "tokenizer.json").write_text(json.dumps(content))
    write_json(path / "tokenizer_config.json", add_bos_token=None, add_eos_token=None)
    with pytest.raises(EncoderError, match="makes 0 tokens of an empty text"):
        opened(path)


def test_what_would_train_its_one_network_as_two_is_refused(tmp_path: Path) -> None:
    mine = opened(folder("gemma"))
    methods: tuple[Method, ...] = ("lora", "full", "projection")
    for method in methods:
        with pytest.raises(EncoderError, match=r"with one network, .* Use `method='head'`"):
            trainable(mine, method)
    assert trainable(mine, "head") is mine
    (tmp_path / "adapter").mkdir()
    write_json(
        tmp_path / "adapter" / "adapter_config.json",
        base_model_name_or_path=str(folder("gemma")),
        peft_type="LORA",
    )
    with pytest.raises(EncoderError, match="whose pictures and texts share one network: not supp"):
        opened(tmp_path / "adapter")


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = altered("gemma", tmp_path / "gemma")
    weights = load_file(path / "model.safetensors")
    del weights["language_model.embedding_projection.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"do not fit its config\.json: 1 tensors are missing"):
        opened(path).encode_texts("a cat")
