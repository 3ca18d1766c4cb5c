from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from httpx import ConnectError
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from pareja.errors import CollectionError, MissingDependencyError
from pareja.search import Collection
from pareja.search.vectors import qdrant
from pareja.search.vectors.qdrant import QdrantAddress, QdrantServer, QdrantVectors

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant, "_FIRST_PAUSE", 0.0)


@pytest.fixture
def server() -> QdrantServer:
    return QdrantServer(QdrantAddress.parse("qdrant://:memory:/photos"))


def test_addresses() -> None:
    parse = QdrantAddress.parse
    assert parse("qdrant://host:7000/a?shards=3&replicas=2&tls=1") == QdrantAddress(
        "https://host:7000", "a", 3, 2
    )
    assert parse("qdrant://host/a") == QdrantAddress("http://host:6333", "a")
    assert parse("qdrant://:memory:/a").url == ":memory:"


@pytest.mark.parametrize(
    "address",
    [
        "http://host/a",
        "qdrant://host",
        "qdrant:///a",
        "qdrant://host:port/a",
        "qdrant://host/a?shards=0",
        "qdrant://host/a?shards=many",
        "qdrant://host/a?colour=red",
    ],
)
def test_wrong_addresses_are_refused(address: str) -> None:
    with pytest.raises(CollectionError, match="no address of a store"):
        QdrantAddress.parse(address)


def test_a_server_that_does_not_answer_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(
        CollectionError, match=r"does not answer at http://127\.0\.0\.1:9"
    ) as caught:
        Collection.open(tmp_path / "c", create=True, store="qdrant://127.0.0.1:9/photos")
    assert "\n" not in str(caught.value)


def test_another_dimension_is_refused(server: QdrantServer) -> None:
    QdrantVectors(server, "space", 4)
    with pytest.raises(CollectionError, match="vectors of 4 numbers, and this encoder makes 5"):
        QdrantVectors(server, "space", 5)


def test_a_busy_server_is_asked_again(server: QdrantServer) -> None:
    answers = iter(
        [
            ResponseHandlingException(ConnectError("reset")),
            UnexpectedResponse(503, "busy", b"", None),  # type: ignore[arg-type]
            None,
        ]
    )

    def question() -> str:
        error = next(answers)
        if error is not None:
            raise error
        return "answer"

    assert server.ask(question) == "answer"


def test_a_refusal_is_final(server: QdrantServer) -> None:
    asked = []

    def question() -> None:
        asked.append(1)
        raise UnexpectedResponse(400, "bad", b"wrong\nvector", None)  # type: ignore[arg-type]

    with pytest.raises(CollectionError, match="refuses") as caught:
        server.ask(question)
    assert len(asked) == 1
    assert "\n" not in str(caught.value)


def test_patience_ends(server: QdrantServer) -> None:
    def question() -> None:
        raise ConnectError("refused")

    with pytest.raises(CollectionError, match="does not answer"):
        server.ask(question)


def test_a_collection_remembers_its_store(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    place, address = tmp_path / "c", "qdrant://:memory:/photos"
    with Collection.open(place, create=True, store=address) as collection:
        collection.index([colour_folder], colours)
        assert collection.embeddings(colours)[1].shape == (8, 4)
    with Collection.open(place) as collection:
        # The server has forgotten everything: that is found, and indexing again mends it.
        assert not collection.verify().ok
        assert collection.index([colour_folder], colours).added == 8
        assert collection.verify().ok
    with pytest.raises(CollectionError, match="keeps its vectors in qdrant"):
        Collection.open(place, store="qdrant://elsewhere/photos")


def test_a_local_collection_does_not_move_to_a_server(tmp_path: Path) -> None:
    Collection.open(tmp_path / "c", create=True).close()
    with pytest.raises(CollectionError, match="in its own folder"):
        Collection.open(tmp_path / "c", store="qdrant://:memory:/photos")


def test_large_uploads_go_in_parts(server: QdrantServer, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    upsert = server.client.upsert

    def spy(name: str, points: list[object], *, wait: bool) -> object:
        assert wait
        sizes.append(len(points))
        return upsert(name, points, wait=wait)  # type: ignore[arg-type]

    store = QdrantVectors(server, "space", 3)
    monkeypatch.setattr(server.client, "upsert", spy)
    store.upsert(range(600), np.ones((600, 3), np.float32), [{}] * 600)
    assert sizes == [256, 256, 88]


def test_the_client_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "qdrant_client", None)
    with pytest.raises(MissingDependencyError, match=r"pareja\[qdrant\]"):
        QdrantServer(QdrantAddress.parse("qdrant://:memory:/photos"))


def test_only_a_store_that_answered_is_remembered(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="does not answer"):
        Collection.open(tmp_path / "index", create=True, store="qdrant://127.0.0.1:9/mistyped")
    with Collection.open(tmp_path / "index", create=True) as collection:
        assert collection.count() == 0
