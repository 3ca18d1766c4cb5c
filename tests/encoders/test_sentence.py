from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_models import LENGTH, LONG, TEXTS, altered, folder, write_json

from pareja.encoders.opening import open_folder
from pareja.encoders.protocols import TruncationWarning
from pareja.encoders.towers import NetworkTextEncoder
from pareja.errors import EncoderError

TOLERANCE = 1e-5
NORMALIZE = {"idx": 3, "name": "3", "path": "", "type": "sentence_transformers.models.Normalize"}


def encoder(path: Path, **options: Any) -> NetworkTextEncoder:
    opened = open_folder(path, path.name, device="cpu", precision="float32", **options)
    assert isinstance(opened, NetworkTextEncoder)
    return opened


def reference(path: Path, texts: list[str]) -> np.ndarray:
    """What sentence-transformers itself makes of the texts."""
    from sentence_transformers import SentenceTransformer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SentenceTransformer(str(path), device="cpu", local_files_only=True)
        raw: np.ndarray = model.encode(texts, show_progress_bar=False)
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True))


def change_modules(path: Path, change: Any) -> None:
    modules = json.loads((path / "modules.json").read_text())
    (path / "modules.json").write_text(json.dumps(change(modules)))


def cls_and_mean(path: Path) -> None:
    write_json(path / "1_Pooling/config.json", pooling_mode_cls_token=True)
    change_modules(path, lambda modules: modules[:2])


def new_format(path: Path) -> None:
    """As sentence-transformers writes it since version 5."""
    (path / "1_Pooling/config.json").write_text(
        json.dumps({"embedding_dimension": 32, "pooling_mode": "max", "include_prompt": True})
    )
    write_json(path / "2_Dense/config.json", module_input_name="sentence_embedding")
    weights = torch.load(path / "2_Dense/pytorch_model.bin", weights_only=True)
    save_file(weights, path / "2_Dense/model.safetensors")
    (path / "2_Dense/pytorch_model.bin").unlink()


def mean_sqrt(path: Path) -> None:
    write_json(
        path / "1_Pooling/config.json",
        pooling_mode_mean_tokens=False,
        pooling_mode_mean_sqrt_len_tokens=True,
    )


def normalised(path: Path) -> None:
    change_modules(path, lambda modules: [*modules[:2], NORMALIZE, modules[2]])


def prompted(path: Path) -> None:
    write_json(
        path / "config_sentence_transformers.json",
        prompts={"query": "query: ", "passage": "passage: "},
        default_prompt_name="query",
    )


def unchanged(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    "change", [unchanged, cls_and_mean, new_format, mean_sqrt, normalised, prompted]
)
def test_embeddings_equal_sentence_transformers_in_any_batch_and_order(
    change: Any, tmp_path: Path
) -> None:
    path = altered("sentence", tmp_path / "sentence")
    change(path)
    mine = encoder(path)
    texts = list(TEXTS)
    embeddings = mine.encode_texts(texts)
    assert embeddings.shape == (len(texts), mine.text_dim)
    np.testing.assert_allclose(embeddings, reference(path, texts), atol=TOLERANCE)
    for chosen in ([1], [2, 0]):
        part = mine.encode_texts([texts[i] for i in chosen])
        np.testing.assert_allclose(part, embeddings[chosen], atol=TOLERANCE)
    assert np.abs(embeddings[0] - embeddings[1]).max() > 100 * TOLERANCE


def test_a_long_text_is_cut_where_sentence_transformers_cuts_it() -> None:
    mine = encoder(folder("sentence"))
    with pytest.warns(TruncationWarning, match=f"first {LENGTH} tokens"):
        embeddings = mine.encode_texts([LONG])
    np.testing.assert_allclose(embeddings, reference(folder("sentence"), [LONG]), atol=TOLERANCE)


def test_a_prefix_stands_before_every_text_unless_the_folder_has_one(tmp_path: Path) -> None:
    plain = encoder(folder("sentence"))
    with_prefix = encoder(folder("sentence"), text_prefix="query: ")
    np.testing.assert_array_equal(
        with_prefix.encode_texts(["a cat"]), plain.encode_texts(["query: a cat"])
    )
    assert with_prefix.text_fingerprint != plain.text_fingerprint
    path = altered("sentence", tmp_path / "sentence")
    write_json(
        path / "config_sentence_transformers.json",
        prompts={"p": "passage: "},
        default_prompt_name="p",
    )
    np.testing.assert_array_equal(
        encoder(path, text_prefix="query: ").encode_texts(["a cat"]),
        plain.encode_texts(["passage: a cat"]),
    )


def test_nothing_gives_no_rows() -> None:
    assert encoder(folder("sentence")).encode_texts([]).shape == (0, 24)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda path: change_modules(
                path, lambda modules: [*modules, {"type": "x.models.LSTM", "path": ""}]
            ),
            "has a x.models.LSTM, which is not supported",
        ),
        (
            lambda path: change_modules(path, lambda modules: [modules[0], modules[2]]),
            "no Pooling",
        ),
        (lambda path: change_modules(path, lambda modules: modules[1:]), "no Transformer"),
        (
            lambda path: write_json(path / "1_Pooling/config.json", pooling_mode="first"),
            "pools by 'first'",
        ),
        (
            lambda path: write_json(path / "1_Pooling/config.json", word_embedding_dimension=None),
            "no embedding_dimension",
        ),
        (
            lambda path: write_json(path / "2_Dense/config.json", activation_function="os.system"),
            "activation 'os.system'",
        ),
        (
            lambda path: write_json(path / "2_Dense/config.json", use_residual=True),
            "not a plain layer",
        ),
        (lambda path: write_json(path / "2_Dense/config.json", in_features=33), "do not fit"),
        (lambda path: (path / "2_Dense/pytorch_model.bin").unlink(), "weights are missing"),
        (
            lambda path: (path / "2_Dense/pytorch_model.bin").write_bytes(b"garbage"),
            "weights cannot be loaded",
        ),
        (lambda path: (path / "model.safetensors").unlink(), "weights are missing"),
        (lambda path: (path / "tokenizer.json").unlink(), "tokenizer is missing"),
    ],
)
def test_a_broken_folder_is_one_clear_line(change: Any, message: str, tmp_path: Path) -> None:
    path = altered("sentence", tmp_path / "sentence")
    change(path)
    with pytest.raises(EncoderError, match=message) as caught:
        encoder(path).encode_texts(["a"])
    assert str(caught.value).startswith("sentence: ")
    assert "\n" not in str(caught.value)


def test_code_of_a_repository_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = altered("sentence", tmp_path / "sentence")
    write_json(
        path / "config.json",
        model_type="something-new",
        auto_map={"AutoConfig": "code.Config", "AutoModel": "code.Model"},
    )
    (path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.setattr("builtins.input", lambda *prompt: pytest.fail("asked on the terminal"))
    with pytest.raises(EncoderError, match="weights cannot be loaded"):
        encoder(path).encode_texts(["a"])
    assert not (tmp_path / "ran").exists()
