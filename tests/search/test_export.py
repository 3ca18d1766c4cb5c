from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import pareja
from pareja.embedding import Embedded
from pareja.errors import CollectionError, InputError, OutputError
from pareja.search import Collection, SearchResult
from pareja.search.database import Database
from pareja.search.vectors import qdrant_server
from pareja.search.vectors.qdrant import QdrantVectors
from pareja.search.vectors.qdrant_server import QdrantAddress, QdrantServer
from pareja.search.vectors.sqlite import SqliteVectors

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

SERVER = "qdrant://:memory:/photos"
QUERIES = ("red", "something green", "a pale wall", "brown and pink", "night")


@pytest.fixture
def shelf(tmp_path: Path, colour_folder: Path, colours: ColourEncoder) -> Iterator[Collection]:
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(colour_folder, colours)
        shelf.index(colour_folder, replace(colours, name="tones"))
        shelf.create_query_set("walls", ["red"])
        shelf.judge("red", shelf.search("red", colours, k=1)[0].picture.id, True)
        yield shelf


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Qdrant inside this process, which forgets nothing when a collection closes."""
    from qdrant_client import QdrantClient

    client = QdrantClient(":memory:")
    close = client.close
    monkeypatch.setattr(client, "close", lambda: None)
    monkeypatch.setattr(qdrant_server, "_client", lambda address: client)
    yield
    close()


def test_a_file_for_embedding_atlas_has_places_and_neighbours(
    shelf: Collection, tmp_path: Path
) -> None:
    from pyarrow import parquet

    table = parquet.read_table(shelf.export(tmp_path / "atlas.parquet", atlas=True).path)
    assert [str(table.schema.field(name).type) for name in ("x", "y")] == ["double", "double"]
    stored = np.array(table["embedding"].to_pylist())
    vectors = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    placed = np.array([table["x"].to_pylist(), table["y"].to_pylist()]).T
    centred = vectors - vectors.mean(axis=0)
    spread = np.linalg.svd(centred, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(placed, axis=0), spread[:2], rtol=1e-5)
    cosines = vectors @ vectors.T
    for row, near in enumerate(table["neighbors"].to_pylist()):
        assert near["ids"][0] == row
        assert sorted(near["ids"]) == list(range(8))
        assert near["distances"] == sorted(near["distances"])
        np.testing.assert_allclose(near["distances"], 1 - cosines[row, near["ids"]], atol=1e-6)
    again = Embedded.load(tmp_path / "atlas.parquet")
    np.testing.assert_allclose(again.vectors, stored)
    assert len(pareja.load_dataset(tmp_path / "atlas.parquet")) == 8
    with pytest.raises(InputError, match="atlas"):
        shelf.export(tmp_path / "copy", atlas=True)


def answers(shelf: Collection, encoder: ColourEncoder) -> list[list[tuple[int, float]]]:
    def told(result: SearchResult) -> list[tuple[int, float]]:
        return [(hit.picture.id, hit.score) for hit in result]

    asked = [shelf.search(query, encoder, k=6) for query in QUERIES]
    asked += [shelf.search(query, encoder, category="dark", k=6) for query in QUERIES]
    return list(map(told, asked))


def test_a_parquet_file_has_the_same_rows_and_the_fingerprint(
    shelf: Collection, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    report = shelf.export(colour_folder / "all.parquet")
    assert (report.pictures, report.vectors, report.models) == (8, 8, ("colours",))
    stored = Embedded.load(report.path, colours.image_fingerprint)
    ids, rows = shelf.embeddings(colours)
    pictures = [shelf.picture(picture_id) for picture_id in ids.tolist()]
    np.testing.assert_array_equal(stored.vectors, rows)
    assert stored.digests == tuple(picture.digest for picture in pictures)
    assert stored.names == tuple(
        picture.path.relative_to(colour_folder).as_posix() for picture in pictures
    )
    dataset = pareja.load_dataset(report.path)
    told = [(r.caption, r.category, r.author, r.license) for r in dataset]
    assert told == [(p.caption, p.category, p.author, p.license) for p in pictures]
    elsewhere = shelf.export(tmp_path / "deep" / "tones.parquet", model="tones")
    again = Embedded.load(elsewhere.path)
    assert again.space == replace(colours, name="tones").image_fingerprint
    assert again.names == tuple(picture.path.as_posix() for picture in pictures)


def test_columns_that_begin_empty_and_many_rows(
    shelf: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet

    monkeypatch.setattr("pareja.search.export._AT_ONCE", 3)
    monkeypatch.setattr("pareja.embedding.export.ROW_GROUP", 5)
    with shelf._database.write() as connection:
        connection.execute("UPDATE picture SET caption_es = 'muro' WHERE id = 8")
    table = pyarrow.parquet.read_table(shelf.export(tmp_path / "all.parquet").path)
    assert table["caption_es"].to_pylist() == [None] * 7 + ["muro"]
    assert set(table["width"].to_pylist()) == {400}
    assert str(table.schema.field("label").type) == "string"


@pytest.mark.usefixtures("server")
def test_from_sqlite_to_qdrant_and_back_every_search_answers_the_same(
    shelf: Collection, tmp_path: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(other: Collection, encoder: ColourEncoder) -> bool:
        for here, moved in zip(before, answers(other, encoder), strict=True):
            assert [key for key, _ in here] == [key for key, _ in moved]
            assert [score for _, score in here] == pytest.approx([s for _, s in moved], abs=3e-4)
        return True

    before = answers(shelf, colours)
    monkeypatch.setattr(type(colours), "encode_pixels", pytest.fail)
    report = shelf.export(tmp_path / "there", store=SERVER)
    assert (report.pictures, report.vectors, report.models) == (8, 16, ("colours", "tones"))
    with pareja.open(tmp_path / "there") as there:
        assert same(there, colours)
        assert there.export(tmp_path / "back").vectors == 16
    with pareja.open(tmp_path / "back") as back:
        assert same(back, colours)
        assert same(back, replace(colours, name="tones"))
        assert back.queries("walls") == ("red",)
        assert back.judgements("red") == shelf.judgements("red")
        assert back.verify().ok
        assert back.pictures() == shelf.pictures()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_vectors_of_the_usual_length_come_back_bit_by_bit(tmp_path: Path, server: None) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 512)).astype(np.float32)
    ids = list(range(1, 301))
    with Database(tmp_path / "some", create=True) as database:
        here, back = SqliteVectors(database, 1, 512), SqliteVectors(database, 2, 512)
        there = QdrantVectors(QdrantServer(QdrantAddress.parse(SERVER)), "space", 512)
        nothing = [{"category": None}] * 300
        here.upsert(ids, rows, nothing)
        there.upsert(ids, here.get(ids), nothing)
        back.upsert(ids, there.get(ids), nothing)
        np.testing.assert_array_equal(back.get(ids), here.get(ids))
        for query in rows[:5]:
            assert back.search(query, 20) == here.search(query, 20)


@pytest.mark.usefixtures("server")
def test_a_copy_can_be_indexed_further(
    shelf: Collection, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    shelf.export(tmp_path / "copy")
    with pareja.open(tmp_path / "copy") as copy:
        assert copy.index(colour_folder, colours, cache=False).unchanged == 8


@pytest.mark.usefixtures("server")
def test_nothing_is_replaced_and_nothing_half_copied_stays(
    shelf: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.export(tmp_path / "first", store=SERVER)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.txt").touch()
    shelf.export(tmp_path / "all.parquet")
    before = sorted(path.name for path in tmp_path.iterdir())
    for out, store, error, message in (
        ("mine", None, OutputError, "exists already"),
        ("all.parquet", None, OutputError, "exists"),
        ("second", SERVER, CollectionError, "under the name 'photos' already"),
        ("second", "mysql://x", CollectionError, "no address of a store"),
        ("all.csv", None, OutputError, "a .parquet file, or to a folder"),
        ("new.parquet", SERVER, InputError, "needs no store"),
    ):
        with pytest.raises(error, match=message):
            shelf.export(tmp_path / out, store=store)
        assert sorted(path.name for path in tmp_path.iterdir()) == before, out
    with pytest.raises(InputError, match="all models"):
        shelf.export(tmp_path / "second", model="tones")

    def fail(*_: object) -> None:
        raise CollectionError("the disk is full.")

    monkeypatch.setattr("pareja.search.vectors.sqlite.SqliteVectors.upsert", fail)
    with pytest.raises(CollectionError, match="full"):
        shelf.export(tmp_path / "second")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert shelf.export(tmp_path / "all.parquet", force=True).vectors == 8


def test_what_a_server_got_of_a_copy_that_failed_is_taken_back(
    shelf: Collection, tmp_path: Path, server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.search.export._AT_ONCE", 3)
    upsert = QdrantVectors.upsert
    calls: list[int] = []

    def second_fails(self: QdrantVectors, ids: list[int], *rest: object) -> None:
        calls.extend(ids)
        if len(calls) > 3:
            raise CollectionError("Qdrant does not answer.")
        upsert(self, ids, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(QdrantVectors, "upsert", second_fails)
        with pytest.raises(CollectionError, match="does not answer"):
            shelf.export(tmp_path / "there", store=SERVER)
    assert not (tmp_path / "there").exists()
    assert shelf.export(tmp_path / "there", store=SERVER).vectors == 16


def test_without_pictures_there_is_nothing_to_export(tmp_path: Path) -> None:
    shelf = pareja.open(tmp_path / "index", create=True)
    with pytest.raises(CollectionError, match="holds no pictures yet"):
        shelf.export(tmp_path / "all.parquet")
    shelf.close()


def test_an_older_collection_says_how_it_learns_the_fingerprint(
    shelf: Collection, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    with shelf._database.write() as connection:
        connection.execute("UPDATE space SET described = NULL")
    with pytest.raises(CollectionError, match="Index one of them again with colours"):
        shelf.export(tmp_path / "all.parquet")
    shelf.index(colour_folder / "images" / "red.png", colours)
    assert shelf.export(tmp_path / "all.parquet").vectors == 8
