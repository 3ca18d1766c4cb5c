from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_hub
import pytest
from fake_hub import FakeHub
from tiny_models import folder
from typer.testing import CliRunner

from pareja.cli.models import models
from pareja.encoders import hub, list_models, load, require_both
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
    result = CliRunner().invoke(models, list(arguments), env={"COLUMNS": "80"})
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


def test_a_model_is_recommended(remote: FakeHub) -> None:
    said = run("--for", "es").stdout
    assert said.startswith("Take siglip-i18n-b16: ")
    assert "Get it with: pareja models fetch siglip-i18n-b16\n" in said
    assert said.index("ranked by es") < said.index("siglip-b16 ") < said.index("siglip2-b16 ")
    found = json.loads(run("--for", "slow-cpu", "--for", "commercial", "--json").stdout)
    assert {one["speed"] for one in found} == {"fast"}
    assert found[0]["coco"]["source"]
    assert found[0]["reasons"][0].startswith("slow CPU")
    assert not remote.requests


def test_a_recommendation_goes_without_a_command(remote: FakeHub) -> None:
    assert CliRunner().invoke(models, ["--for", "es", "list"]).exit_code == 2


def test_a_card_is_shown(remote: FakeHub) -> None:
    shown = run("show", "siglip2-b16").stdout
    assert "google/siglip2-base-patch16-224" in shown
    assert "78.2 % (big_vision, README_siglip2.md)" in shown
    assert "dims  " not in shown
    assert "pictures 52.1 %, texts 68.9 % (big_vision, README_siglip2.md)" in shown
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


PAIR = "tiny/vit+tiny/sentence"


@pytest.fixture
def pair(remote: FakeHub) -> FakeHub:
    remote.add("tiny/vit", folder("vit"), licence="apache-2.0")
    remote.add("tiny/sentence", folder("sentence"), commit="b" * 40)
    return remote


def test_a_pair_is_fetched_shown_and_removed(pair: FakeHub) -> None:
    with pytest.raises(ModelUnavailableError, match=r"pareja models fetch tiny/vit$"):
        run("show", PAIR)
    fetched = run("fetch", PAIR)
    image, text = (Path(line) for line in fetched.stdout.split())
    assert (image / "model.safetensors").is_file()
    assert (text / "modules.json").is_file()
    said = fetched.stderr.splitlines()
    assert [line.partition(" ")[0] for line in said] == ["tiny/vit", "tiny/sentence", "together:"]
    assert "licence apache-2.0" in said[0]
    assert "licence mit" in said[1]
    encoder = require_both(load(PAIR, device="cpu"))
    assert encoder.encode_texts(["a dog"]).shape == (1, encoder.text_dim)
    again = json.loads(run("fetch", PAIR, "--json").stdout)
    assert [model["folder"] for model in again["models"]] == [str(image), str(text)]
    shown = json.loads(run("show", PAIR, "--json").stdout)
    assert (shown["kind"], [m["commit"][0] for m in shown["models"]]) == ("pair", ["a", "b"])
    run("remove", "tiny/vit")
    assert run("remove", PAIR).stdout.startswith("tiny/sentence is removed")
    with pytest.raises(ModelUnavailableError, match="tiny/vit is not on this machine"):
        run("remove", PAIR)


def test_sizes_and_licences_are_said_before_either_half_is_downloaded(
    pair: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = sum(plan.size for plan in map(hub.plan, PAIR.split("+")))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=total - 1))
    pair.requests.clear()
    said = CliRunner().invoke(models, ["fetch", PAIR])
    assert said.stderr.count("licence") == 2
    assert isinstance(said.exception, ModelUnavailableError)
    assert str(said.exception).startswith("tiny/vit and tiny/sentence need ")
    assert not any("resolve" in path for _, path, _ in pair.requests)


def test_only_what_the_hub_has_is_fetched_of_a_pair(pair: FakeHub) -> None:
    fetched = run("fetch", "starter+tiny/sentence")
    assert fetched.stderr.count("licence") == 1
    assert len(run("fetch", f"{folder('vit')}+tiny/sentence").stdout.split()) == 1


def test_a_pair_the_wrong_way_round_is_not_downloaded(remote: FakeHub) -> None:
    with pytest.raises(EncoderError, match="'distiluse' embeds no pictures"):
        run("fetch", "distiluse+resnet50")
    assert not remote.requests


def test_a_catalogue_pair_is_shown_card_by_card(remote: FakeHub) -> None:
    shown = run("show", "resnet50+distiluse").stdout
    image, text = shown.split("\n\n")
    assert "microsoft/resnet-50" in image
    assert "sentence-transformers/distiluse" in text


def test_embedded_models_cannot_be_removed(remote: FakeHub) -> None:
    with pytest.raises(EncoderError, match="part of pareja"):
        run("remove", "starter")
