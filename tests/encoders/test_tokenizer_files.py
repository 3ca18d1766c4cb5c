"""Tokenizers in the files that other libraries write."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import TEXTS, altered, sentencepiece_model, write_json

from pareja.encoders.opening import open_folder
from pareja.errors import EncoderError, MissingDependencyError


def opened(path: Path) -> Any:
    return open_folder(path, path.name, device="cpu", precision="float32")


@pytest.fixture
def siglip(tmp_path: Path) -> Path:
    """Return a SigLIP whose only file of a tokenizer is that of sentencepiece."""
    path = altered("siglip", tmp_path / "siglip")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (path / file).unlink()
    (path / "spiece.model").write_bytes(sentencepiece_model())
    return path


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("The cat, at a HAT!", [4, 3, 73, 6, 3, 6, 5, 3, 78, 6, 1]),
        ("", [1]),
        ("ﬁ ½ cafe\u0301", [3, 2, 3, 2, 3, 73, 71, 76, 75, 2, 1]),
        ("日本日本\n x", [3, 2, 3, 94, 1]),
    ],
)
def test_siglip_from_sentencepiece_alone(text: str, ids: list[int], siglip: Path) -> None:
    # The numbers are those of SiglipTokenizer in transformers 5.23 with sentencepiece 0.2.3.
    tokeniser = opened(siglip).tokeniser
    assert tokeniser.encode([text]) == [ids]
    assert (tokeniser.max_length, tokeniser.pad_id) == (64, 1)


@pytest.mark.skipif(find_spec("sentencepiece") is None, reason="SiglipTokenizer needs it")
def test_siglip_from_sentencepiece_alone_equals_transformers(siglip: Path) -> None:
    transformers: Any = import_module("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(siglip)
    tokens = tokenizer(list(TEXTS), padding="max_length", return_tensors="pt")
    model = transformers.AutoModel.from_pretrained(siglip).eval()
    with torch.inference_mode():
        raw = model.get_text_features(input_ids=tokens["input_ids"]).pooler_output
    right = (raw / raw.norm(dim=1, keepdim=True)).numpy()
    np.testing.assert_allclose(opened(siglip).encode_texts(TEXTS), right, atol=1e-5)


def test_siglip_from_sentencepiece_needs_protobuf(
    siglip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.encoders.checkpoint.find_spec", hidden("google.protobuf"))
    with pytest.raises(MissingDependencyError, match="protobuf is needed to read the tokenizer of"):
        opened(siglip)


def test_other_tokenizers_of_sentencepiece_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = altered("metaclip2", tmp_path / "model")
    (path / "tokenizer.json").unlink()
    (path / "sentencepiece.bpe.model").write_bytes(sentencepiece_model())
    monkeypatch.setattr("pareja.encoders.checkpoint.find_spec", hidden("sentencepiece"))
    with pytest.raises(MissingDependencyError, match="sentencepiece is needed to read the tokeniz"):
        opened(path)


def hidden(missing: str) -> Any:
    return lambda name: None if name == missing else find_spec(name)


def test_a_broken_file_of_sentencepiece_is_one_clear_line(siglip: Path) -> None:
    (siglip / "spiece.model").write_bytes(b"nothing")
    with pytest.raises(EncoderError, match="siglip: its tokenizer is missing or cannot be read"):
        opened(siglip)


def test_siglip_without_the_name_of_its_tokenizer_is_refused(tmp_path: Path) -> None:
    path = altered("siglip", tmp_path / "model")
    write_json(path / "tokenizer_config.json", tokenizer_class=None)
    with pytest.raises(EncoderError, match="has no tokenizer_class, so that it may be SigLIP, whi"):
        opened(path)
