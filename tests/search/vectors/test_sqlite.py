"""The graph beside the database: derived, never trusted, never stale."""

from __future__ import annotations

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.search.vectors.made_up import unit_rows

from pareja.checksums import file_digest
from pareja.encoders.protocols import Embeddings
from pareja.search.database import Database
from pareja.search.vectors import graph_files, graph_layout
from pareja.search.vectors import sqlite as vectors
from pareja.search.vectors.exact import Scan
from pareja.search.vectors.graph import extend
from pareja.search.vectors.graph_files import GraphFiles
from pareja.search.vectors.graph_search import SearchedGraph, Walk
from pareja.search.vectors.library import LibraryGraph
from pareja.search.vectors.sqlite import SqliteVectors
from pareja.search.vectors.walking import Graph
from pareja.staging import staging_path

DIM = 32
ROWS = 400


def rows_of(seed: int, count: int) -> Embeddings:
    return unit_rows(seed, count, DIM)


@pytest.fixture
def store(database: Database) -> SqliteVectors:
    store = SqliteVectors(database, 1, DIM, graph_from=100)
    store.upsert(range(ROWS), rows_of(0, ROWS), [{}] * ROWS)
    store.optimise()
    return store


def graphs(database: Database) -> list[Path]:
    return sorted(database.folder.glob("*.usearch"))


def reopened(database: Database) -> SqliteVectors:
    return SqliteVectors(database, 1, DIM, graph_from=100)


def test_many_vectors_get_a_graph_and_it_is_asked(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(graphs(database)) == 1
    asked = []
    nearest = Graph.nearest

    def spy(self: Graph, vector: object, count: int) -> object:
        asked.append(count)
        return nearest(self, vector, count)  # type: ignore[arg-type]

    monkeypatch.setattr(Graph, "nearest", spy)
    assert store.search(rows_of(0, ROWS)[17], 3)[0][0] == 17
    assert asked == [3]
    store.search(rows_of(0, ROWS)[17], 3, category="any")
    assert asked == [3]
    monkeypatch.setattr(vectors, "_GRAPH_UP_TO", ROWS - 1)
    assert len(store.search(rows_of(0, ROWS)[17], ROWS)) == ROWS
    assert asked == [3]


def test_the_files_are_read_ahead_from_the_second_search_on(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    read: list[SearchedGraph] = []

    def spy(self: GraphFiles, graph: SearchedGraph, digest: str) -> None:
        ahead(self, graph, digest)
        read.append(graph)
        done.set()

    ahead = GraphFiles._read_ahead
    monkeypatch.setattr(GraphFiles, "_read_ahead", spy)
    reader = reopened(database)
    reader.search(rows_of(0, ROWS)[17], 3)
    assert not done.wait(0.1)
    reader.search(rows_of(0, ROWS)[17], 3)
    assert done.wait(10)
    os.truncate(graphs(database)[0], 100)
    assert reader.search(rows_of(0, ROWS)[17], 3)[0][0] == 17
    assert read[0].is_whole
    assert len(read) == 1


def test_a_graph_that_is_no_more_is_not_read_ahead(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[SearchedGraph | None] = []

    class _Records(threading.Thread):
        def start(self) -> None:
            started.append(self._args[0])  # type: ignore[attr-defined]  # what it would run with

    monkeypatch.setattr(threading, "Thread", _Records)
    reader = reopened(database)
    for _ in range(3):
        reader.search(rows_of(0, ROWS)[17], 3)
    with database.write() as connection:
        connection.execute("UPDATE graph SET name = 'graph-1-lost.usearch'")
    for _ in range(3):
        assert reader.search(rows_of(0, ROWS)[17], 3)[0][0] == 17
    assert [type(graph) for graph in started] == [Graph]


def test_few_vectors_get_none(database: Database) -> None:
    store = SqliteVectors(database, 2, DIM, graph_from=100)
    store.upsert(range(99), rows_of(0, 99), [{}] * 99)
    store.optimise()
    assert graphs(database) == []


def test_a_graph_stays_while_it_knows_most_of_the_rows(
    database: Database, store: SqliteVectors
) -> None:
    before = graphs(database)
    store.upsert(range(ROWS, ROWS + 30), rows_of(1, 30), [{}] * 30)
    store.optimise()
    assert graphs(database) == before
    assert store.search(rows_of(1, 30)[4], 1)[0][0] == ROWS + 4
    store.upsert(range(ROWS + 30, ROWS + 100), rows_of(2, 70), [{}] * 70)
    store.optimise()
    assert graphs(database) != before
    assert len(graphs(database)) == 1
    assert store.search(rows_of(2, 70)[4], 1)[0][0] == ROWS + 34


@pytest.mark.parametrize(("more", "added"), [(ROWS // 2, True), (ROWS // 2 + 1, False)])
def test_few_rows_are_added_to_a_graph_and_many_have_it_built_anew(
    database: Database,
    store: SqliteVectors,
    monkeypatch: pytest.MonkeyPatch,
    more: int,
    added: bool,
) -> None:
    extended = []

    def spy(path: Path, dim: int, *further: Any) -> Any:
        extended.append(path)
        return extend(path, dim, *further)

    monkeypatch.setattr(graph_files, "extend", spy)
    store.upsert(range(ROWS, ROWS + more), rows_of(1, more), [{}] * more)
    store.optimise()
    assert bool(extended) is added
    assert store.search(rows_of(1, more)[17], 1)[0][0] == ROWS + 17
    assert store.search(rows_of(0, ROWS)[17], 1)[0][0] == 17


def test_a_graph_of_removed_rows_is_built_anew(database: Database, store: SqliteVectors) -> None:
    before = graphs(database)
    store.remove(range(150))
    found = store.search(rows_of(0, ROWS)[10], 10)
    assert len(found) == 10
    assert min(key for key, _ in found) >= 150
    store.optimise()
    assert graphs(database) != before
    assert len(Graph(graphs(database)[0], Walk(64, 0.0))) == ROWS - 150


@pytest.mark.parametrize("damage", ["cut", "foreign", "flipped", "missing"])
def test_a_graph_that_is_not_what_was_written_is_never_read(
    database: Database, store: SqliteVectors, damage: str
) -> None:
    graph = graphs(database)[0]
    content = graph.read_bytes()
    if damage == "cut":
        graph.write_bytes(content[: len(content) // 2])
    elif damage == "foreign":
        graph.write_bytes(b"not a graph at all")
    elif damage == "flipped":
        graph.write_bytes(content[:5000] + bytes(300) + content[5300:])
    else:
        graph.unlink()
    fresh = reopened(database)
    assert fresh.search(rows_of(0, ROWS)[17], 3)[0][0] == 17
    problems = fresh.problems(repair=True)
    assert len(problems) == 1
    assert graph.name in problems[0]
    assert fresh.problems(repair=False) == []
    assert graphs(database) != [graph]
    assert fresh.search(rows_of(0, ROWS)[17], 3)[0][0] == 17


def test_a_graph_that_is_cut_short_while_it_is_open_ends_no_process(
    database: Database, store: SqliteVectors
) -> None:
    query = rows_of(0, ROWS)[17]
    assert store.search(query, 3)[0][0] == 17
    os.truncate(graphs(database)[0], 100)
    assert store.search(query, 3)[0][0] == 17


def test_a_graph_outside_of_the_collection_is_none(
    database: Database, store: SqliteVectors, tmp_path: Path
) -> None:
    graphs(database)[0].rename(tmp_path / "graph.usearch")
    with database.write() as connection:
        connection.execute("UPDATE graph SET name = '../graph.usearch'")
    assert reopened(database).search(rows_of(0, ROWS)[17], 3)[0][0] == 17
    assert reopened(database).problems(repair=False) == []


def test_graphs_that_are_built_at_the_same_time(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is on record or deleted when its run ends, whichever ends first."""
    store.upsert(range(1000, 1200), rows_of(1, 200), [{}] * 200)
    others = [Database(database.folder) for _ in range(4)]
    together = threading.Barrier(len(others))

    def meet(self: GraphFiles, *what: Any) -> None:
        together.wait(20)
        adopt(self, *what)

    adopt = GraphFiles._adopt
    monkeypatch.setattr(GraphFiles, "_adopt", meet)
    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(lambda other: reopened(other).optimise(), others))
    for other in others:
        assert reopened(other).problems(repair=False) == []
        other.close()
    assert len(graphs(database)) == 1
    assert not list(database.folder.glob(".*.part"))


def test_what_a_killed_build_left_is_deleted_by_the_next(
    database: Database, store: SqliteVectors
) -> None:
    left = staging_path(database.folder.resolve() / "graph-1")
    left.write_bytes(b"half a graph")
    os.utime(left, (1, 1))
    store.upsert(range(1000, 1200), rows_of(1, 200), [{}] * 200)
    store.optimise()
    assert not left.exists()
    assert len(graphs(database)) == 1


def test_a_graph_of_a_layout_that_is_not_known_is_searched_by_its_library(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_layout, "_MAJOR", 3)
    monkeypatch.setattr(vectors, "Scan", _RefusesToLoadAll)
    asked: list[int] = []
    nearest = LibraryGraph.nearest

    def spy(self: LibraryGraph, vector: Any, count: int) -> Any:
        asked.append(count)
        return nearest(self, vector, count)

    monkeypatch.setattr(LibraryGraph, "nearest", spy)
    fresh = reopened(database)
    assert fresh.search(rows_of(0, ROWS)[17], 3)[0][0] == 17
    assert asked == [3]
    assert fresh.problems(repair=False) == []


def test_a_graph_that_the_library_cannot_read_either_costs_no_result(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graphs(database)[0]
    content = graph.read_bytes()
    major = 8 + ROWS * DIM + len(graph_layout._MAGIC)
    graph.write_bytes(content[:major] + b"\x07" + content[major + 1 :])
    with database.write() as connection:
        connection.execute("UPDATE graph SET digest = ?", (file_digest(graph),))
    fresh = reopened(database)
    assert fresh.search(rows_of(0, ROWS)[17], 3)[0][0] == 17
    assert fresh.problems(repair=True) == [
        f"{graph.name} is of a kind that the installed version of usearch cannot read"
    ]
    assert fresh.problems(repair=False) == []
    assert graphs(database) != [graph]


def test_a_copied_collection_keeps_its_graph(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graphs(database)[0]
    graph.write_bytes(graph.read_bytes())  # another time stamp, the same content
    monkeypatch.setattr(vectors, "Scan", _RefusesToLoadAll)
    assert reopened(database).search(rows_of(0, ROWS)[17], 3)[0][0] == 17


class _RefusesToLoadAll(Scan):
    def reserve(self, rows: int) -> None:
        assert rows == 0, "the vectors were loaded although the graph has them"


def test_two_spaces_do_not_see_each_other(database: Database, store: SqliteVectors) -> None:
    other = SqliteVectors(database, 2, DIM)
    other.upsert([1], rows_of(5, 1), [{}])
    assert [key for key, _ in other.search(rows_of(0, 1)[0], 5)] == [1]
    assert store.count() == ROWS
    assert other.search(rows_of(0, 1)[0], 5)[0][1] < 0.99


def test_another_connection_sees_what_is_new_at_once(
    database: Database, store: SqliteVectors
) -> None:
    elsewhere = Database(database.folder)
    try:
        reader = SqliteVectors(elsewhere, 1, DIM, graph_from=100)
        assert reader.search(rows_of(0, ROWS)[3], 1)[0][0] == 3
        store.upsert([5000], rows_of(6, 1), [{"category": "new"}])
        assert reader.search(rows_of(6, 1)[0], 1)[0][0] == 5000
        assert reader.search(rows_of(6, 1)[0], 1, category="new")[0][0] == 5000
        store.remove([5000])
        assert reader.search(rows_of(6, 1)[0], 1)[0][0] != 5000
        assert reader.search(rows_of(6, 1)[0], 1, category="new") == []
    finally:
        elsewhere.close()


def test_a_failed_write_leaves_nothing(database: Database, store: SqliteVectors) -> None:
    def fail_halfway() -> None:
        with database.write():
            store.upsert([7000], rows_of(7, 1), [{}])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert store.known([7000]) == set()
    assert store.search(rows_of(7, 1)[0], 1)[0][0] != 7000


def test_the_exact_scan_returns_every_row_that_could_be_among_the_nearest() -> None:
    rows = rows_of(8, 3000)
    halves = rows.astype("<f2")
    scan = Scan(DIM)
    scan.extend(list(range(1, 3001)), [row.tobytes() for row in halves])
    for query in rows_of(9, 20):
        exact = halves.astype(np.float64) @ query
        best = np.argsort(-exact)[:10] + 1
        near = scan.nearest(query, 10)
        assert set(best) <= set(near.keys.tolist())
        assert len(near.keys) < 30
        others = np.setdiff1d(np.arange(1, 3001), near.keys) - 1
        assert exact[others].max() < near.floor


def test_rows_that_a_scan_has_are_not_added_twice() -> None:
    scan = Scan(DIM)
    blobs = [row.tobytes() for row in rows_of(8, 4).astype("<f2")]
    scan.extend([1, 2], blobs[:2])
    scan.extend([1, 2, 3, 4], blobs)
    assert sorted(scan.nearest(rows_of(9, 1)[0], 9).keys.tolist()) == [1, 2, 3, 4]


def test_vectors_are_float16_on_disk(database: Database, store: SqliteVectors) -> None:
    with sqlite3.connect(database.folder / "collection.sqlite3") as connection:
        assert connection.execute("SELECT max(length(vector)) FROM vector").fetchone() == (2 * DIM,)
    connection.close()
