"""How widely the graph is walked, and what it is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pareja.search import graph
from pareja.search.graph import BEAMS, Graph, Walk, build

DIM = 48
ROWS = 3_000

Rows = NDArray[np.float32]


def around(direction: int, seed: int, count: int) -> Rows:
    """Draw vectors that share a direction, as those of pictures do, and those of texts."""
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32) / DIM**0.5
    rows[:, direction] += 1
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def file_of(folder: Path, rows: Rows) -> tuple[Path, Walk]:
    path = folder / "some.usearch"
    held, walk = build(path, DIM, [(np.arange(len(rows), dtype=np.int64), rows.astype(np.float16))])
    assert held == len(rows)
    return path, walk


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Walk]:
    return file_of(tmp_path_factory.mktemp("graph"), around(0, 1, ROWS))


@pytest.fixture
def opened(built: tuple[Path, Walk]) -> Graph:
    path, walk = built
    return Graph(path, DIM, walk)


@pytest.fixture
def beams(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List how widely each walk looked."""
    walked: list[int] = []
    searched = graph._searched

    def spy(index: object, queries: object, beam: int, threads: int) -> object:
        walked.append(beam)
        return searched(index, queries, beam, threads)  # type: ignore[arg-type]

    monkeypatch.setattr(graph, "_searched", spy)
    return walked


def test_most_queries_like_the_vectors_take_one_narrow_walk(
    opened: Graph, built: tuple[Path, Walk], beams: list[int]
) -> None:
    queries = around(0, 2, 100)
    for query in queries:
        opened.nearest(query, 5)
    assert built[1].beam < BEAMS[-1]
    assert beams.count(built[1].beam) == len(queries)
    assert beams.count(BEAMS[-1]) < 45


def test_a_query_apart_from_them_takes_a_wide_one(
    opened: Graph, built: tuple[Path, Walk], beams: list[int]
) -> None:
    queries = around(1, 3, 20)
    for query in queries:
        opened.nearest(query, 5)
    assert beams == [built[1].beam, BEAMS[-1]] * len(queries)


@pytest.mark.parametrize("direction", [0, 1])
def test_nearly_all_of_the_nearest_are_among_the_answer(opened: Graph, direction: int) -> None:
    queries = around(direction, 4, 100)
    truth = np.argsort(-(queries @ around(0, 1, ROWS).T), axis=1)[:, :10]
    found = [
        len(set(opened.nearest(query, 10).tolist()) & set(best)) / 10
        for query, best in zip(queries, truth.tolist(), strict=True)
    ]
    assert np.mean(found) > 0.955


def test_vectors_that_vary_in_few_ways_are_searched_less_widely(
    built: tuple[Path, Walk], tmp_path: Path
) -> None:
    orderly = around(0, 8, ROWS)
    orderly[:, 4:] = 0
    orderly /= np.linalg.norm(orderly, axis=1, keepdims=True)
    _, walk = file_of(tmp_path, orderly)
    assert walk.beam < built[1].beam
    assert walk.usual > built[1].usual


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_graph_of_few_rows_answers(tmp_path: Path, count: int) -> None:
    path, walk = file_of(tmp_path, around(0, 6, count))
    found = Graph(path, DIM, walk).nearest(around(1, 7, 1)[0], 3)
    assert len(found) == min(6, count)


def test_reading_ahead_changes_no_answer(opened: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    query = around(0, 1, ROWS)[9]
    before = opened.nearest(query, 3).tolist()
    monkeypatch.setattr(graph, "READ_AHEAD", 100_000)
    monkeypatch.setattr(graph, "_PIECE", 8192)
    opened.read_ahead()
    assert opened.nearest(query, 3).tolist() == before
    assert before[0] == 9
