"""How widely the graph is walked, and what it is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pareja.search import graph
from pareja.search.graph import BEAM, WIDE_BEAM, Graph, build

DIM = 48
ROWS = 3_000

Rows = NDArray[np.float32]


def around(direction: int, seed: int, count: int) -> Rows:
    """Draw vectors that share a direction, as those of pictures do, and those of texts."""
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32) / DIM**0.5
    rows[:, direction] += 1
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "some.usearch"
    keys = np.arange(ROWS, dtype=np.int64)
    assert build(path, DIM, [(keys, around(0, 1, ROWS).astype(np.float16))]) == ROWS
    return path


@pytest.fixture
def beams(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List how widely each walk looked."""
    walked: list[int] = []
    walk = Graph._walk

    def spy(self: Graph, query: NDArray[np.int8], beam: int) -> object:
        walked.append(beam)
        return walk(self, query, beam)

    monkeypatch.setattr(Graph, "_walk", spy)
    return walked


def test_a_query_like_the_vectors_takes_one_narrow_walk(path: Path, beams: list[int]) -> None:
    opened = Graph(path, DIM)
    beams.clear()
    queries = around(0, 2, 100)
    for query in queries:
        opened.nearest(query, 5)
    assert beams.count(BEAM) == len(queries)
    assert beams.count(WIDE_BEAM) < 25


def test_a_query_apart_from_them_takes_a_wide_one(path: Path, beams: list[int]) -> None:
    opened = Graph(path, DIM)
    beams.clear()
    queries = around(1, 3, 20)
    for query in queries:
        opened.nearest(query, 5)
    assert beams == [BEAM, WIDE_BEAM] * len(queries)


@pytest.mark.parametrize("direction", [0, 1])
def test_nearly_all_of_the_nearest_are_among_the_answer(path: Path, direction: int) -> None:
    opened = Graph(path, DIM)
    queries = around(direction, 4, 50)
    truth = np.argsort(-(queries @ around(0, 1, ROWS).T), axis=1)[:, :10]
    found = [
        len(set(opened.nearest(query, 10).tolist()) & set(best)) / 10
        for query, best in zip(queries, truth.tolist(), strict=True)
    ]
    assert np.mean(found) > 0.97


def test_more_than_there_are_is_all_there_is(path: Path) -> None:
    assert len(set(Graph(path, DIM).nearest(around(0, 5, 1)[0], ROWS).tolist())) == ROWS


def test_a_graph_of_one_row_answers(tmp_path: Path) -> None:
    row = around(0, 6, 1)
    build(tmp_path / "one", DIM, [(np.array([7], np.int64), row.astype(np.float16))])
    assert Graph(tmp_path / "one", DIM).nearest(around(1, 7, 1)[0], 3).tolist() == [7]


def test_a_file_beyond_what_is_read_ahead_is_searched_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "_AHEAD", 10_000)
    monkeypatch.setattr(graph, "_PIECE", 8192)
    assert Graph(path, DIM).nearest(around(0, 1, 10)[9], 3)[0] == 9
