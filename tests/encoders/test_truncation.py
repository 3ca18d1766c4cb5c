"""Vectors cut to lengths that a model was trained for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import TEXTS, altered, folder, pictures, write_json

import pareja
from pareja.encoders import load
from pareja.encoders.catalogue import find_card, without_dim
from pareja.encoders.origins import origin_of
from pareja.errors import EncoderError, FingerprintMismatchError


def opened(name: str) -> Any:
    return load(name, device="cpu", precision="float32")


def first(rows: Any, dim: int) -> Any:
    kept = rows[:, :dim]
    return kept / np.linalg.norm(kept, axis=1, keepdims=True)


def test_a_length_after_the_name_keeps_the_first_numbers() -> None:
    whole, short = opened(str(folder("gemma"))), opened(f"{folder('gemma')}:128")
    assert (short.image_dim, short.text_dim, whole.image_dim) == (128, 128, 160)
    for what, given in (
        ("encode_texts", (TEXTS,)),
        ("encode_images", (pictures(),)),
        ("encode_fused", (pictures(), TEXTS)),
    ):
        rows = getattr(short, what)(*given)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(rows, first(getattr(whole, what)(*given), 128), atol=1e-6)


def test_it_is_a_space_of_its_own_under_a_name_that_is_found_again() -> None:
    whole, short = opened(str(folder("gemma"))), opened(f"{folder('gemma')}:128")
    assert short.fingerprint != whole.fingerprint
    assert short.fingerprint == opened(f"{folder('gemma')}:128").fingerprint
    assert origin_of(short) == f"{folder('gemma')}:128"
    a, b = (pareja.embed_texts("a cat", one, cache=False) for one in (whole, short))
    with pytest.raises(FingerprintMismatchError):
        a.similarity(b)
    # Its own length is the model itself.
    assert opened(f"{folder('gemma')}:160").fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gemma:64", "have 160 numbers and can be cut to 128, not to 64"),
        ("gemma:200", "can be cut to 128, not to 200"),
        ("clip:16", r"cannot be cut to 16 numbers: it was not trained for it"),
    ],
)
def test_other_lengths_and_other_models_are_refused(name: str, message: str) -> None:
    kind, _, dim = name.partition(":")
    with pytest.raises(EncoderError, match=message):
        opened(f"{folder(kind)}:{dim}")


def test_models_that_come_with_pareja_were_not_trained_for_it() -> None:
    for name in ("starter:256", "clip-shapes:32", "starter-unaligned:512"):
        with pytest.raises(EncoderError, match="it was not trained for it, so that the first"):
            load(name)


def test_files_of_sentence_transformers_may_ask_for_it_too(tmp_path: Path) -> None:
    path = altered("gemma", tmp_path / "gemma")
    write_json(path / "config_sentence_transformers.json", truncate_dim=128)
    short, whole = opened(str(path)), opened(str(folder("gemma")))
    assert (short.text_dim, short.name) == (128, str(path))
    np.testing.assert_allclose(
        short.encode_texts(TEXTS), first(whole.encode_texts(TEXTS), 128), atol=1e-6
    )


def test_a_card_of_ones_own_says_which_lengths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.toml"
    monkeypatch.setenv("PAREJA_MODELS", str(file))
    own = f'[mine]\nkind = "dual"\nfolder = "{folder("clip")}"\ndims = '
    file.write_text(f"{own}[8, 16]\n")
    assert opened("mine:8").encode_texts("a cat").shape == (8,)
    assert opened("mine").dims == (16, 8)
    card = find_card("mine:8:int8")
    assert card is not None
    assert card.dims == (16, 8)
    file.write_text(f"{own}[24]\n")
    with pytest.raises(EncoderError, match=r"mine.toml:4: .* its vectors of 24 numbers cannot"):
        opened("mine")
    for wrong in ("[]", "[0]", "8", '["8"]'):
        file.write_text(f"{own}{wrong}\n")
        with pytest.raises(EncoderError, match=r":4: .*dims = .* is not a list of whole numbers"):
            find_card("mine")


def test_only_a_length_at_the_end_of_a_name_is_one() -> None:
    assert without_dim("a:256") == ("a", 256)
    for name in ("a", "a:", ":256", "a:b", "a:256:int8", "a:1234567"):
        assert without_dim(name) == (name, None)


def test_a_folder_that_is_called_so_is_a_folder(tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "clip:24")
    assert opened(str(path)).name == str(path)


def test_the_catalogue_says_which_lengths_and_which_licence() -> None:
    card = find_card("embeddinggemma-2:256")
    assert card is not None
    assert (card.dim, card.dims) == (768, (512, 256, 128))
    assert (card.licence, "Apache-2.0" in card.licence_note) == ("LicenseRef-gemma", True)
    assert card.name not in {one.card.name for one in pareja.recommend_models("commercial")}
