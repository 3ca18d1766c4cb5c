from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qdrant_client import models
from tests.search.vectors.fake_qdrant import FakeQdrant, Fault

from pareja.errors import CollectionError
from pareja.search import Collection, Query
from pareja.search.vectors import qdrant_server
from pareja.search.vectors.qdrant import QdrantVectors
from pareja.search.vectors.qdrant_server import QdrantAddress, QdrantServer
from pareja.search.vectors.quantization import Quantization

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

SCALAR = {"scalar": {"type": "int8", "always_ram": True}}
BINARY = {"binary": {"always_ram": True}}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_server, "_FIRST_PAUSE", 0.0)


@pytest.fixture
def server(fake: FakeQdrant) -> Iterator[QdrantServer]:
    with connected(fake) as server:
        yield server


class connected:  # noqa: N801  read as a verb
    """A connection with some options, until the block ends."""

    def __init__(self, fake: FakeQdrant, options: str = "") -> None:
        self.server = QdrantServer(QdrantAddress.parse(fake.address + options))

    def __enter__(self) -> QdrantServer:
        return self.server

    def __exit__(self, *_: object) -> None:
        self.server.close()


def test_another_dimension_is_refused(server: QdrantServer) -> None:
    QdrantVectors(server, "space", 4)
    with pytest.raises(CollectionError, match="vectors of 4 numbers, and this encoder makes 5"):
        QdrantVectors(server, "space", 5)


@pytest.mark.parametrize(
    "vectors",
    [
        models.VectorParams(size=4, distance=models.Distance.DOT),
        {"image": models.VectorParams(size=4, distance=models.Distance.COSINE)},
    ],
)
def test_a_collection_of_another_program_is_refused(server: QdrantServer, vectors: Any) -> None:
    server.client.create_collection("photos-space", vectors)
    with pytest.raises(CollectionError, match=r"'photos-space' .* not made by pareja"):
        QdrantVectors(server, "space", 4)


def test_how_a_new_collection_is_asked_for(fake: FakeQdrant) -> None:
    with connected(fake, "?shards=3&replicas=2") as server:
        QdrantVectors(server, "space", 4)
    assert fake.bodies("PUT photos-space") == [
        {
            "vectors": {"size": 4, "distance": "Cosine", "datatype": "float16", "on_disk": False},
            "shard_number": 3,
            "replication_factor": 2,
        }
    ]
    assert fake.bodies("PUT index") == [{"field_name": "category", "field_schema": "keyword"}]


def test_a_collection_that_was_left_half_made_is_completed(
    fake: FakeQdrant, server: QdrantServer
) -> None:
    fake.faults.append(Fault(on="PUT index", status=500))
    with pytest.raises(CollectionError, match="refuses"):
        QdrantVectors(server, "space", 4)
    QdrantVectors(server, "space", 4)
    QdrantVectors(server, "space", 4)
    assert len(fake.bodies("PUT photos-space")) == 1
    assert len(fake.bodies("PUT index")) == 2


def test_an_answer_that_was_lost_does_not_matter(fake: FakeQdrant, server: QdrantServer) -> None:
    fake.faults.append(Fault(on="PUT photos-space", way="drop", done=True))
    fake.faults.append(Fault(on="PUT points", way="cut", done=True))
    fake.faults.append(Fault(on="POST delete", way="drop", done=True))
    store = QdrantVectors(server, "space", 2)
    store.upsert([1, 2], np.eye(2, dtype=np.float32), [{}, {}])
    store.remove([1])
    assert store.ids() == [2]
    assert len(fake.bodies("PUT points")) == len(fake.bodies("POST delete")) == 2


@pytest.mark.parametrize(("name", "config"), [("int8", SCALAR), ("binary", BINARY)])
def test_compressed_vectors_are_compared_again_as_they_are(
    server: QdrantServer, fake: FakeQdrant, name: Quantization, config: dict[str, Any]
) -> None:
    store = QdrantVectors(server, "space", 2, name)
    store.upsert([1, 2], np.eye(2, dtype=np.float32), [{}, {}])
    assert [key for key, _ in store.search(np.array([0.1, 1], np.float32), 2)] == [2, 1]
    (made,) = fake.bodies("PUT photos-space")
    assert made["vectors"]["quantization_config"] == config
    assert made["vectors"]["on_disk"] is True
    (asked,) = fake.bodies("POST query")
    wanted = asked["params"]["quantization"]
    assert wanted["rescore"] is True
    assert wanted["oversampling"] > 1


def test_a_collection_changes_how_it_is_compressed(
    fake: FakeQdrant, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    def vectors() -> models.VectorParams:
        (name,) = (each.name for each in fake._client.get_collections().collections)
        found = fake._client.get_collection(name).config.params.vectors
        assert isinstance(found, models.VectorParams)
        return found

    with Collection.open(tmp_path / "c", create=True, store=fake.address) as collection:
        collection.index([colour_folder], colours)
        before = [hit.picture.id for hit in collection.search("red", colours)]
    assert vectors().quantization_config is None
    options: tuple[Quantization, ...] = ("int8", "binary")
    for option in options:
        with Collection.open(tmp_path / "c", quantization=option) as collection:
            assert [hit.picture.id for hit in collection.search("red", colours)] == before
        config = vectors().quantization_config
        assert config is not None
        assert config.model_dump(mode="json", exclude_none=True) == (
            SCALAR if option == "int8" else BINARY
        )
        assert vectors().on_disk is True
    changes = [asked for asked in fake.asked if asked.method == "PATCH"]
    with Collection.open(tmp_path / "c") as collection:
        collection.search("red", colours)
    assert [asked for asked in fake.asked if asked.method == "PATCH"] == changes
    with Collection.open(tmp_path / "c", quantization="float16") as collection:
        collection.search("red", colours)
    assert vectors().quantization_config is None
    assert vectors().on_disk is False
    with pytest.raises(CollectionError, match="keeps its vectors in qdrant"):
        Collection.open(tmp_path / "c", store=f"{fake.address}?shards=2")


def test_two_collections_do_not_share_a_name(
    fake: FakeQdrant, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    with Collection.open(tmp_path / "mine", create=True, store=fake.address) as mine:
        mine.index([colour_folder], colours)
    with pytest.raises(CollectionError, match="vectors of another collection under the name"):
        Collection.open(tmp_path / "yours", create=True, store=fake.address)
    assert not (tmp_path / "yours").exists()
    with Collection.open(tmp_path / "mine", store=fake.address) as mine:
        assert mine.verify().ok


def test_indexing_that_lost_its_server_goes_on(
    fake: FakeQdrant,
    tmp_path: Path,
    colour_folder: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pareja.search.vectors.qdrant._BATCH", 3)
    with Collection.open(tmp_path / "c", create=True, store=fake.address) as collection:
        fake.faults.append(Fault(on="PUT points", way="drop"))
        fake.faults.append(Fault(on="PUT points", status=507))
        with pytest.raises(CollectionError, match="status 507"):
            collection.index([colour_folder], colours)
        assert collection.index([colour_folder], colours).skipped == ()
        assert collection.verify().ok
        assert len(collection.embeddings(colours)[0]) == 8


def test_a_search_while_the_server_is_away_is_an_error(
    fake: FakeQdrant, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    with Collection.open(tmp_path / "c", create=True, store=fake.address) as collection:
        collection.index([colour_folder], colours)
        fake.faults.extend([Fault(on="POST query", status=503)] * 4)
        with pytest.raises(CollectionError, match="status 503"):
            collection.search("red", colours)
        assert len(collection.search("red", colours)) == 5


@pytest.mark.parametrize("fold", [False, True])
def test_words_are_looked_up_beside_a_server_as_beside_a_folder(
    fake: FakeQdrant, tmp_path: Path, colour_folder: Path, colours: ColourEncoder, fold: bool
) -> None:
    words = "red green blue"
    asked = (Query(words), Query(words, category="dark"), Query(words, minus="green"))
    answers = []
    for place, store in ((tmp_path / "folder", None), (tmp_path / "server", fake.address)):
        with Collection.open(place, create=True, store=store) as collection:
            collection.index([colour_folder], colours)
            found = [
                collection.search(query, colours, k=3, offset=offset, fold=fold, hybrid=True)
                for offset in (0, 3, 6, 9)
                for query in asked
            ]
        answers.append([[(hit.picture.path, hit.rank, hit.why) for hit in page] for page in found])
        assert {hit.why.rank_by_words for hit in found[0] if hit.why} == {1, 2, 3}
    assert answers[0] == answers[1]


def test_what_only_reads_makes_nothing_on_a_server(
    fake: FakeQdrant, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    with Collection.open(tmp_path / "c", create=True, store=fake.address) as collection:
        collection.index([colour_folder], colours)
    (name,) = (each.name for each in fake._client.get_collections().collections)
    fake._client.delete_collection(name)
    with (
        Collection.open(tmp_path / "c", read_only=True) as collection,
        pytest.raises(CollectionError, match=r"no collection .* any more\. Index the pictures"),
    ):
        collection.export(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert fake._client.get_collections().collections == []


def test_a_server_that_cannot_index_says_so(
    server: QdrantServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = QdrantVectors(server, "space", 2)
    assert store.problems(repair=False) == []
    info = server.client.get_collection("photos-space").model_copy(
        update={"optimizer_status": models.OptimizersStatusOneOf1(error="no space left")}
    )
    monkeypatch.setattr(server.client, "get_collection", lambda name: info)
    assert store.problems(repair=True) == ["Qdrant cannot index photos-space: no space left"]


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


def test_large_uploads_go_in_parts(fake: FakeQdrant, server: QdrantServer) -> None:
    store = QdrantVectors(server, "space", 3)
    store.upsert(range(600), np.ones((600, 3), np.float32), [{}] * 600)
    uploads = [asked for asked in fake.asked if asked.what == "PUT points"]
    assert [len(asked.body["points"]) for asked in uploads] == [256, 256, 88]
    assert all(asked.query["wait"] == ["true"] for asked in uploads)
