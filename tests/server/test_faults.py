"""A server whose collection is deleted, replaced, cut short or damaged while it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.conftest import ColourEncoder

from pareja.errors import CollectionError, EncoderError, MachineError, OutputError
from pareja.search import Collection
from pareja.search.database import FILE_NAME
from pareja.server.problems import problem_of

JUDGEMENT = {"query": "a wall", "picture_id": 1, "relevant": True}


def statuses(client: TestClient) -> list[int]:
    return [
        client.get("/v1/search?q=red").status_code,
        client.get("/healthz").status_code,
        client.put("/v1/judgements", json=JUDGEMENT).status_code,
        client.get("/pictures/1").status_code,
    ]


def test_a_deleted_collection_is_a_fault_until_it_is_back(
    client: TestClient, tmp_path: Path
) -> None:
    assert max(statuses(client)) < 300
    (tmp_path / "index").rename(tmp_path / "aside")
    assert statuses(client) == [503] * 4
    refused = client.get("/v1/search?q=red")
    assert "was deleted or moved away while it was open" in refused.json()["error"]["message"]
    assert refused.headers["retry-after"] == "5"
    (tmp_path / "aside").rename(tmp_path / "index")
    assert max(statuses(client)) < 300


def test_a_replaced_collection_is_opened_and_keeps_its_judgements(
    make_app: Callable[..., FastAPI], tmp_path: Path, shelf: Path, colours: ColourEncoder
) -> None:
    other = tmp_path / "pictures"
    other.mkdir()
    shutil.copy(next((shelf / "pictures" / "images").iterdir()), other / "a.png")
    with Collection.open(tmp_path / "other", create=True) as collection:
        collection.index([other], colours)
    with TestClient(make_app(), base_url="http://127.0.0.1:8420") as client:
        assert len(client.get("/v1/search?q=red").json()["hits"]) == 8
        shutil.rmtree(tmp_path / "index")
        (tmp_path / "other").rename(tmp_path / "index")
        refused = client.put("/v1/judgements", json=JUDGEMENT)
        assert refused.status_code == 503
        assert "was replaced by another" in refused.json()["error"]["message"]
        assert client.put("/v1/judgements", json=JUDGEMENT).status_code < 300
        assert len(client.get("/v1/search?q=red").json()["hits"]) == 1
        assert "pareja_requests_total" in client.get("/metrics").text
    with Collection.open(tmp_path / "index") as collection:
        assert len(collection.judgements("a wall")) == 1


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_a_database_that_is_cut_short_ends_no_process(
    client: TestClient, tmp_path: Path, left: int
) -> None:
    file = tmp_path / "index" / FILE_NAME
    whole = file.read_bytes()
    os.truncate(file, left * len(whole) // 4)
    assert set(statuses(client)) <= {200, 201, 204, 503}
    assert client.get("/v1/pictures?limit=8").status_code == 503
    with file.open("r+b") as stream:
        stream.write(whole)
    assert client.get("/v1/search?q=red").status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OutputError("the embedding cache cannot be written"), 503),
        (EncoderError("the weights are incomplete"), 503),
        (MachineError("a.png", "the machine has too little free memory"), 503),
        (CollectionError("there is no category 'x'"), 422),
    ],
)
def test_a_fault_of_the_server_is_not_told_as_the_visitors(error: Exception, status: int) -> None:
    problem = problem_of(error)
    assert (problem.status_code, problem.detail) == (status, str(error))
