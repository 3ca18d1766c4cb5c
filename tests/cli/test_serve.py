from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.colour_classifier import colour_classifier
from typer.testing import CliRunner

from pareja.cli import build_app
from pareja.errors import ModelUnavailableError, ParejaError, ServerError
from pareja.search import Collection

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.fixture
def index(tmp_path: Path, colour_folder: Path, colours: ColourEncoder) -> Path:
    with Collection.open(tmp_path / "walls", create=True) as collection:
        collection.index([colour_folder], colours)
    return tmp_path / "walls"


def refusal(*options: str) -> str:
    result = CliRunner().invoke(build_app(), ["serve", *options])
    assert isinstance(result.exception, ParejaError)
    return str(result.exception)


def test_no_collection_says_which_command_makes_one(tmp_path: Path) -> None:
    assert "pareja index" in refusal("--index", str(tmp_path / "none"), "--port", "0")


def test_an_empty_collection_says_how_to_fill_it(tmp_path: Path) -> None:
    Collection.open(tmp_path / "empty", create=True).close()
    message = refusal("--index", str(tmp_path / "empty"), "--port", "0")
    assert "holds no pictures" in message
    assert "pareja index" in message


def test_a_folder_of_nothing_but_damaged_pictures_is_not_served(
    tmp_path: Path, colours: ColourEncoder
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    (album / "broken.jpg").write_bytes(b"no picture")
    with Collection.open(tmp_path / "none", create=True) as collection:
        assert len(collection.index([album], colours).skipped) == 1
    assert "holds no pictures" in refusal("--index", str(tmp_path / "none"), "--port", "0")


def test_a_model_that_was_not_indexed_with(index: Path) -> None:
    message = refusal("--index", str(index), "--port", "0", "-m", "starter")
    assert "colours" in message
    assert "`model`" in message


def test_classifiers_and_the_device_are_handed_on(
    index: Path, colours: ColourEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = colour_classifier(colours).save(tmp_path / "kinds.safetensors")
    asked: list[object] = []

    def start(pages: FastAPI) -> None:
        client = TestClient(pages, base_url="http://127.0.0.1:8420")
        answer = client.get("/v1/classifiers").json()
        assert [one["name"] for one in answer["classifiers"]] == ["kinds"]
        client.get("/v1/search?q=red")
        raise ServerError("in place of a server that runs")

    def load(name: str, *, device: object = None) -> object:
        asked.append(device)
        raise ModelUnavailableError("only asked")

    monkeypatch.setattr("uvicorn.Config", lambda pages, **_: pages)
    monkeypatch.setattr("uvicorn.Server", start)
    monkeypatch.setattr("pareja.encoders.load", load)
    options = ["--index", str(index), "--port", "0", "--device", "cpu", "--classifier", str(kinds)]
    assert refusal(*options) == "in place of a server that runs"
    assert set(asked) == {"cpu"}


def test_a_collection_that_may_not_be_written_to_is_served_and_said_to_be(
    index: Path, seal: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: object) -> None:
        raise ServerError("in place of a server that runs")

    monkeypatch.setattr("uvicorn.Server", start)
    options = ["serve", "--index", str(index), "--port", "0"]
    said = "may not be written to: judgements and query sets are not kept.\n"
    assert said not in CliRunner().invoke(build_app(), options).stderr
    seal(index)
    assert f"{index} {said}" in CliRunner().invoke(build_app(), options).stderr


def test_a_classifier_of_another_model_is_refused(
    index: Path, colours: ColourEncoder, tmp_path: Path
) -> None:
    other = colour_classifier(replace(colours, name="clip"))
    file = other.save(tmp_path / "kinds.safetensors")
    message = refusal("--index", str(index), "--port", "0", "--classifier", str(file))
    assert "the pictures with clip too" in message
    gone = refusal("--index", str(index), "--port", "0", "--classifier", str(tmp_path / "none"))
    assert "cannot be read" in gone


def test_a_taken_port(index: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refusal("--index", str(index), "--port", str(port))
    assert f"127.0.0.1:{port}" in message
    assert "`port`" in message


def test_an_address_that_is_not_here(index: Path) -> None:
    token = ["--token", "correct-horse-battery"]
    message = refusal("--index", str(index), "--host", "192.0.2.1", "--port", "0", *token)
    assert "cannot listen on 192.0.2.1" in message


def test_a_public_address_without_a_token(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAREJA_TOKEN", raising=False)
    assert "PAREJA_TOKEN" in refusal("--index", str(index), "--host", "0.0.0.0")  # noqa: S104


def test_it_says_where_it_serves_and_ends_when_told(index: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pareja", "serve", "--index", str(index), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PAREJA_TOKEN": "correct-horse-battery"},
    )
    try:
        assert process.stderr
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line
        assert httpx.get(f"{found[0]}healthz", timeout=60).json() == {"status": "ok"}
        assert httpx.get(f"{found[0]}v1/models").status_code == 401
        right = {"authorization": "Bearer correct-horse-battery"}
        models = httpx.get(f"{found[0]}v1/models", headers=right).json()["data"]
        assert [model["id"] for model in models] == ["colours"]
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=20)[1]
        assert "Traceback" not in rest
        assert process.returncode in {0, 130}
    finally:
        process.kill()
        process.communicate()
