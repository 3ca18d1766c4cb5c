"""Cards that a person writes: what they may leave out, and what is wrong in which line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import folder

import pareja
from pareja.encoders.catalogue import bundled_models, find_card
from pareja.errors import EncoderError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mine.toml"
    monkeypatch.setenv("PAREJA_MODELS", str(path))
    return path


def test_a_model_of_ones_own_has_a_name_seen_from_its_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(folder("clip"), tmp_path / "models" / "clip")
    file.write_text('[mine]\nkind = "dual"\nfolder = "models/clip"\ndim = 24\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    mine: Any = pareja.load("mine", device="cpu", precision="float32")
    plain: Any = pareja.load(str(folder("clip")), device="cpu", precision="float32")
    assert mine.name == "mine"
    np.testing.assert_array_equal(mine.encode_texts("a cat"), plain.encode_texts("a cat"))
    assert mine.text_fingerprint == plain.text_fingerprint
    assert [card.name for card in pareja.list_models()] == [
        *(card.name for card in bundled_models().values() if card.kind != "detector"),
        "mine",
    ]


def test_a_file_in_the_configuration_folder_is_read_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAREJA_MODELS", raising=False)
    monkeypatch.setattr("pareja.encoders.catalogue.user_config_path", lambda name: tmp_path / name)
    assert find_card("mine") is None
    (tmp_path / "pareja").mkdir()
    path = tmp_path / "pareja" / "models.toml"
    path.write_text('[mine]\nkind = "image"\nrepository = "me/mine"\n')
    card = find_card("mine")
    assert card is not None
    assert (card.repository, card.title, card.speed) == ("me/mine", "mine", None)
    path.write_text('[other]\nkind = "image"\nrepository = "me/mine"\n')
    assert find_card("mine") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mine]\nkind = dual\n", r"mine\.toml: this is no TOML: .*line 2"),
        ('name = "mine"', r"mine\.toml:1: 'name' stands outside of any table"),
        ('# mine\n\n[mine]\nfolder = "a"', r"mine\.toml:3: 'mine': kind is missing"),
        ('[mine]\nkind = "dual"', r"mine\.toml:1: 'mine' needs either folder.* or repository"),
        (
            '[mine]\nkind = "dual"\nfolder = "a"\nrepository = "me/a"',
            r"mine\.toml:1: 'mine' needs either",
        ),
        (
            '[a]\nkind = "dual"\nfolder = "a"\n[mine]\nkind = "duel"\nfolder = "a"',
            r"mine\.toml:5: 'mine': kind = 'duel' is not one of 'dual', .*'detector'\.",
        ),
        (
            '[mine]\nkind = "dual"\nfolder = "a"\ndim = "512"',
            r"mine\.toml:4: 'mine': dim = '512' is not a whole number",
        ),
        (
            '[mine]\nkind = "dual"\nfolder = "a"\nlicense = "MIT"',
            r"mine\.toml:4: 'mine': there is no 'license' in a card. It has .*licence",
        ),
        (
            '[mine]\nkind = "dual"\nfolder = "a"\ncoco = { pictures = 40.0 }',
            r"mine\.toml:4: 'mine': coco: source is missing",
        ),
        (
            '[mine]\nkind = "dual"\nfolder = "a"\nimagenet = 63.3',
            r"mine\.toml:4: 'mine': imagenet = 63.3 is not a table of percent, source",
        ),
        (
            '\n["clip-vit-b32"]\nkind = "dual"\nfolder = "a"',
            r"mine\.toml:2: 'clip-vit-b32' would hide the model of that name",
        ),
        ('["a+b"]\nkind = "dual"\nfolder = "a"', r"mine\.toml:1: 'a\+b' cannot be the name"),
        ('[mine]\nkind = "pair"\nfolder = "a"', r"mine\.toml:1: 'mine' is a kind .* only pareja"),
    ],
)
def test_a_wrong_card_is_one_line_that_says_where(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(EncoderError, match=message) as caught:
        find_card("mine")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('kind = "text"', r":2: 'mine' has kind = 'text', and the model in .* has 'dual'"),
        ('kind = "dual"\ndim = 512', r":3: 'mine' has dim = 512, and the model in .* has 24"),
        ('kind = "dual"\nloss = "sigmoid"', r":3: 'mine' has loss = 'sigmoid', .* has 'softmax'"),
    ],
)
def test_a_model_that_is_not_what_its_card_says_is_refused(
    file: Path, fields: str, message: str
) -> None:
    file.write_text(f'[mine]\n{fields}\nfolder = "{folder("clip").as_posix()}"\n')
    with pytest.raises(EncoderError, match=message):
        pareja.load("mine")


def test_a_file_or_folder_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(EncoderError, match=r"PAREJA_MODELS names .*mine\.toml"):
        pareja.list_models()
    file.write_text('[mine]\nkind = "dual"\nfolder = "gone"\n')
    with pytest.raises(EncoderError, match=r":3: 'mine' has folder = .*there is no such folder"):
        pareja.load("mine")
