"""Codes in the database: derived, complete or not used, and as up to date as every search."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.search.vectors.made_up import unit_rows

from pareja.encoders.protocols import Embeddings
from pareja.errors import ReadOnlyError
from pareja.search.database import Database
from pareja.search.vectors import sqlite as vectors
from pareja.search.vectors.code_tables import CodeTables
from pareja.search.vectors.codes import Codebook
from pareja.search.vectors.exact import Scan
from pareja.search.vectors.quantization import Quantization, choose, chosen
from pareja.search.vectors.sqlite import SqliteVectors

DIM = 32
ROWS = 400


def rows_of(seed: int, count: int) -> Embeddings:
    return unit_rows(seed, count, DIM)


def opened(database: Database, space: int = 1) -> SqliteVectors:
    return SqliteVectors(database, space, DIM, graph_from=100, codes_from=50)


@pytest.fixture
def store(database: Database) -> SqliteVectors:
    """A store with codes of a bit a number."""
    store = opened(database)
    store.upsert(range(ROWS), rows_of(0, ROWS), [{"category": "ab"[n % 2]} for n in range(ROWS)])
    choose(database, "binary")
    store.optimise()
    return store


def books(database: Database) -> list[tuple[Any, ...]]:
    with database.read() as connection:
        return connection.execute(
            "SELECT kind, ready, around, coalesce(sum(rows), 0) FROM codebook "
            "LEFT JOIN code ON book = id GROUP BY id ORDER BY id"
        ).fetchall()


class _LoadsFew(Scan):
    def reserve(self, rows: int) -> None:
        assert rows < 50, "the vectors were loaded although there are codes of them"


def test_codes_are_searched_in_the_place_of_vectors(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert books(database) == [("binary", 1, ROWS, ROWS)]
    monkeypatch.setattr(vectors, "Scan", _LoadsFew)
    fresh = opened(database)
    query = rows_of(0, ROWS)[17]
    ((found, score),) = fresh.search(query, 1)
    assert found == 17
    assert score == pytest.approx(1, abs=1e-3)
    assert len(fresh.search(query, ROWS)) == ROWS
    assert all(key % 2 == 0 for key, _ in fresh.search(query, 99, category="a"))
    assert fresh.search(query, 3, category="b")[0][0] == 17
    assert fresh.problems(repair=False) == []


def test_few_vectors_get_none(database: Database) -> None:
    store = opened(database)
    store.upsert(range(49), rows_of(0, 49), [{}] * 49)
    choose(database, "int8")
    store.optimise()
    assert books(database) == []
    assert store.search(rows_of(0, 49)[3], 1)[0][0] == 3


def test_what_is_newer_than_the_codes_is_found_and_coded_when_it_is_enough(
    database: Database, store: SqliteVectors
) -> None:
    reader = opened(database)
    reader.search(rows_of(0, 1)[0], 3, category="b")
    store.upsert(range(1000, 1030), rows_of(1, 30), [{"category": "b"}] * 30)
    store.optimise()
    assert books(database) == [("binary", 1, ROWS, ROWS)]
    assert reader.search(rows_of(1, 30)[4], 1)[0][0] == 1004
    assert reader.search(rows_of(1, 30)[4], 1, category="b")[0][0] == 1004
    store.upsert(range(2000, 2030), rows_of(2, 30), [{"category": "b"}] * 30)
    store.optimise()
    assert books(database) == [("binary", 1, ROWS, ROWS + 60)]
    for seed, start in ((1, 1000), (2, 2000)):
        assert reader.search(rows_of(seed, 30)[4], 1)[0][0] == start + 4
        assert reader.search(rows_of(seed, 30)[4], 1, category="b")[0][0] == start + 4


def test_a_collection_changes_its_mind_both_ways(database: Database, store: SqliteVectors) -> None:
    reader = opened(database)
    query = rows_of(0, ROWS)[17]
    steps: tuple[Quantization, ...] = ("int8", "float16", "binary")
    for wanted in steps:
        choose(database, wanted)
        store.optimise()
        is_coded = wanted != "float16"
        assert [kind for kind, *_ in books(database)] == [wanted] * is_coded
        assert len(list(database.folder.glob("*.usearch"))) == (not is_coded)
        assert reader.search(query, 1)[0][0] == 17
    assert store.problems(repair=False) == []


def test_codes_of_removed_rows_are_made_anew(database: Database, store: SqliteVectors) -> None:
    store.remove(range(150))
    found = opened(database).search(rows_of(0, ROWS)[10], 10)
    assert len(found) == 10
    assert min(key for key, _ in found) >= 150
    store.optimise()
    assert books(database) == [("binary", 1, ROWS - 150, ROWS - 150)]


def test_the_mean_is_taken_anew_when_there_are_many_more(
    database: Database, store: SqliteVectors
) -> None:
    more = 4 * ROWS
    store.upsert(range(1000, 1000 + more), rows_of(3, more), [{}] * more)
    store.optimise()
    assert books(database) == [("binary", 1, ROWS + more, ROWS + more)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE code SET codes = zeroblob(length(codes))",
        "UPDATE codebook SET mean = zeroblob(length(mean))",
    ],
)
def test_damaged_codes_are_not_searched(
    database: Database, store: SqliteVectors, damage: str
) -> None:
    query = rows_of(0, ROWS)[17]
    exact = [key for key, _ in SqliteVectors(database, 1, DIM).search(query, ROWS)]
    with database.write() as connection:
        connection.execute(damage)
    fresh = opened(database)
    assert [key for key, _ in fresh.search(query, ROWS)] == exact
    (problem,) = fresh.problems(repair=True)
    assert problem.startswith("the binary codes of 400 vectors are damaged")
    assert fresh.problems(repair=False) == []
    assert books(database) == [("binary", 1, ROWS, ROWS)]


class _Killed(BaseException):
    pass


def test_a_run_that_was_ended_is_gone_on_with(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The codes that are there are searched meanwhile."""
    monkeypatch.setattr("pareja.search.vectors.rows._BATCH", 30)
    coded = Codebook.coded
    calls = []

    def fail_at_the_third(self: Codebook, rows: Any) -> Any:
        calls.append(len(rows))
        if len(calls) == 3:
            raise _Killed
        return coded(self, rows)

    monkeypatch.setattr(Codebook, "coded", fail_at_the_third)
    choose(database, "int8")
    with pytest.raises(_Killed):
        store.optimise()
    assert books(database) == [("binary", 1, ROWS, ROWS), ("int8", 0, ROWS, 240)]
    assert opened(database).search(rows_of(0, ROWS)[17], 1)[0][0] == 17
    store.optimise()
    assert books(database) == [("int8", 1, ROWS, ROWS - 40)]
    assert sum(calls) == ROWS - 40 + 120
    assert opened(database).search(rows_of(0, ROWS)[399], 1)[0][0] == 399


def test_codes_that_are_made_at_the_same_time(
    database: Database, store: SqliteVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is coded once in what searches use, whoever ends first."""
    choose(database, "int8")
    others = [Database(database.folder) for _ in range(4)]
    together = threading.Barrier(len(others))
    begun = CodeTables._begun

    def meet(self: CodeTables, *what: Any) -> int:
        together.wait(20)
        return begun(self, *what)

    monkeypatch.setattr(CodeTables, "_begun", meet)
    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(lambda other: opened(other).optimise(), others))
    for other in others:
        assert opened(other).search(rows_of(0, ROWS)[17], 1)[0][0] == 17
        other.close()
    store.optimise()
    assert books(database) == [("int8", 1, ROWS, ROWS)]


def test_two_spaces_have_codes_of_their_own(database: Database, store: SqliteVectors) -> None:
    other = opened(database, 2)
    other.upsert(range(60), rows_of(5, 60), [{"category": "a"}] * 60)
    other.optimise()
    assert [rows for *_, rows in books(database)] == [ROWS, 60]
    assert [key for key, _ in other.search(rows_of(5, 60)[9], 1, category="a")] == [9]
    assert store.search(rows_of(0, ROWS)[17], 1)[0][0] == 17


def test_a_collection_that_cannot_be_written_keeps_what_it_chose(
    database: Database, store: SqliteVectors
) -> None:
    reader = Database(database.folder, read_only=True)
    wanted: Quantization = "int8"
    with pytest.raises(ReadOnlyError):
        choose(reader, wanted)
    assert not choose(reader, "binary")
    assert chosen(reader) == "binary"
    assert opened(reader).search(rows_of(0, ROWS)[17], 1)[0][0] == 17
    reader.close()
