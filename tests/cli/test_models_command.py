from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_hub
import pytest
from fake_hub import FakeHub
from tiny_models import folder
from typer.testing import CliRunner

from pareja.cli.models import models_app
from pareja.encoders import list_models
from pareja.errors import EncoderError, ModelUnavailableError

NAME = "tiny/clip"


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with one tiny CLIP, and an empty cache of this machine."""
    from huggingface_hub import constants

    with fake_hub.serve() as server:
        server.add(NAME, folder("clip"))
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(models_app, list(arguments), env={"COLUMNS": "80"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result


def test_the_list_names_every_model(remote: FakeHub) -> None:
    bare, listed = run().stdout, run("list").stdout
    assert bare == listed
    for card in list_models():
        assert card.name in listed
    assert max(map(len, listed.splitlines()[:-1])) <= 80
    assert "…" not in listed
    starter = next(line for line in listed.splitlines() if line.startswith("starter "))
    assert starter.split()[-1] == "yes"
    assert not remote.requests


def test_the_list_as_json(remote: FakeHub) -> None:
    models = {model["name"]: model for model in json.loads(run("--json").stdout)}
    assert models["clip-vit-b32"]["repository"] == "openai/clip-vit-base-patch32"
    assert models["clip-vit-b32"]["here"] is False
    assert models["starter"]["here"] is True
    assert json.loads(run("list", "--json").stdout) == list(models.values())


def test_a_card_is_shown(remote: FakeHub) -> None:
    shown = run("show", "siglip2-b16").stdout
    assert "google/siglip2-base-patch16-224" in shown
    assert "78.2" in shown
    assert "Apache-2.0" in shown
    assert json.loads(run("show", "siglip2-b16", "--json").stdout)["loss"] == "sigmoid"


def test_a_model_is_fetched_shown_and_removed(remote: FakeHub) -> None:
    with pytest.raises(ModelUnavailableError, match="pareja models fetch tiny/clip"):
        run("show", NAME)
    fetched = run("fetch", NAME)
    path = Path(fetched.stdout.strip())
    assert (path / "model.safetensors").is_file()
    assert "licence mit" in fetched.stderr
    assert "0 MB" in fetched.stderr
    assert json.loads(run("fetch", NAME, "--json").stdout)["folder"] == str(path)
    assert json.loads(run("show", NAME, "--json").stdout)["commit"] == "a" * 40
    assert "is removed" in run("remove", NAME).stdout
    with pytest.raises(ModelUnavailableError):
        run("remove", NAME)


def test_embedded_models_cannot_be_removed(remote: FakeHub) -> None:
    with pytest.raises(EncoderError, match="part of pareja"):
        run("remove", "starter")
