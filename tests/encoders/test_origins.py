from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tiny_models import folder

import pareja
from pareja.classifiers.zero_shot import zero_shot
from pareja.encoders import load, require_dual
from pareja.encoders.origins import is_model_folder, origin_of
from pareja.errors import ModelUnavailableError

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

WORDS = ["a cat", "a dog"]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder from which models are ``models/clip`` and the like; nothing is fetched."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "work" / "models").mkdir(parents=True)
    for name in ("clip", "resnet"):
        (tmp_path / "work" / "models" / name).symlink_to(folder(name))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize("file", ["config.json", "modules.json", "adapter_config.json"])
def test_a_folder_is_named_by_its_whole_path(
    file: str, models: Path, colours: ColourEncoder
) -> None:
    mine = models / "work" / "mine"
    mine.mkdir()
    assert not is_model_folder("mine")
    (mine / file).touch()
    for written in ("mine", "./mine", os.fspath(mine)):
        assert is_model_folder(written)
        object.__setattr__(colours, "name", written)
        assert origin_of(colours) == os.fspath(mine)
    object.__setattr__(colours, "name", "mine+starter")
    assert origin_of(colours) == f"{mine}+starter"


def test_a_relative_folder_is_found_again_from_another_working_folder(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (40, 30), "red").save("red.png")
    clip = require_dual(load("models/clip", device="cpu"))
    file = zero_shot(WORDS, clip).save("cats.safetensors").absolute()
    with pareja.open("shelf", create=True) as shelf:
        shelf.index("red.png", "models/clip", device="cpu", cache=False)
    expected = pareja.load_classifier(file).predict_proba("red.png")
    picture = models / "work" / "red.png"
    monkeypatch.chdir(models / "elsewhere")
    with pytest.raises(ModelUnavailableError, match=r"no such folder here") as gone:
        load("models/clip")
    assert "\n" not in str(gone.value)
    again = pareja.load_classifier(file)
    assert again.encoder == os.fspath(models / "work" / "models" / "clip")
    np.testing.assert_array_equal(again.predict_proba(picture), expected)
    with pareja.open(models / "work" / "shelf") as shelf:
        assert len(shelf.search("a cat", k=1).hits) == 1
        assert len(shelf.search("a cat", "models/clip", k=1).hits) == 1


def test_networks_are_read_from_where_the_folder_was_named(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = require_dual(load("models/clip", device="cpu"))
    monkeypatch.chdir(models / "elsewhere")
    assert clip.encode_texts(WORDS).shape == (2, clip.text_dim)
