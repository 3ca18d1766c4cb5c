"""How widely the graph is walked, and what it is worth."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pareja.checksums import file_digest
from pareja.search.vectors import graph as building
from pareja.search.vectors import mapped, walking
from pareja.search.vectors.exact import Keys
from pareja.search.vectors.graph import CODED_FROM, Source, build, extend, opened
from pareja.search.vectors.graph_layout import Compared, Layout, UnknownLayoutError
from pareja.search.vectors.graph_search import BEAMS, Bytes, SearchedGraph, Walk, as_bytes
from pareja.search.vectors.library import LibraryGraph
from pareja.search.vectors.walking import Graph

DIM = 48
ROWS, FEW = 3_000, 1_000

Rows = NDArray[np.float32]


def around(direction: int, seed: int, count: int, dim: int = DIM) -> Rows:
    """Draw vectors that share a direction, as those of pictures do, and those of texts."""
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32) / dim**0.5
    rows[:, direction] += 1
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def source_of(keys: Keys, rows: Rows) -> Source:
    halves = rows.astype(np.float16)

    def batches(last: int) -> Iterator[tuple[Keys, NDArray[np.float16]]]:
        for start in range(0, len(keys), 500):
            some = slice(start, start + 500)
            later = keys[some] > (last or -1)
            yield keys[some][later], halves[some][later]

    return Source(batches, lambda: halves[::7])


def file_of(folder: Path, rows: Rows) -> tuple[Path, Walk]:
    path = folder / "some.usearch"
    keys = np.arange(len(rows), dtype=np.int64)
    # Which rows a graph misses depends on which of several threads is ahead.
    held, walk = build(path, rows.shape[1], source_of(keys, rows), threads=1)
    assert held == len(rows)
    return path, walk


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Walk]:
    return file_of(tmp_path_factory.mktemp("graph"), around(0, 1, ROWS))


@pytest.fixture(params=[Graph, LibraryGraph])
def searched(request: pytest.FixtureRequest) -> Callable[[Path, Walk], SearchedGraph]:
    """Open a graph in each of the ways to search it."""
    way: Callable[[Path, Walk], SearchedGraph] = request.param
    return way


@pytest.fixture
def graph(
    built: tuple[Path, Walk], searched: Callable[[Path, Walk], SearchedGraph]
) -> SearchedGraph:
    return searched(*built)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Callable[[Graph, Rows], int]:
    """Count the vectors that are compared with a query."""
    counts: list[int] = []
    distances = walking._distances

    def spy(query: Bytes, rows: Bytes) -> NDArray[np.floating]:
        counts.append(len(rows))
        return distances(query, rows)

    def count(graph: Graph, query: Rows) -> int:
        counts.clear()
        graph.nearest(query, 5)
        return sum(counts)

    monkeypatch.setattr(walking, "_distances", spy)
    return count


def test_most_queries_like_the_vectors_take_a_narrow_walk(
    built: tuple[Path, Walk], compared: Callable[[Graph, Rows], int]
) -> None:
    path, walk = built
    assert walk.beam < BEAMS[-1]
    narrow, either = Graph(path, Walk(walk.beam, -1.0)), Graph(path, walk)
    queries = around(0, 2, 100)
    wider = [compared(either, query) > compared(narrow, query) for query in queries]
    assert 5 < sum(wider) < 45


def test_a_query_apart_from_them_takes_a_wide_one(
    built: tuple[Path, Walk], compared: Callable[[Graph, Rows], int]
) -> None:
    path, walk = built
    narrow, either = Graph(path, Walk(walk.beam, -1.0)), Graph(path, walk)
    queries = around(1, 3, 20)
    widely = [compared(either, query) for query in queries]
    narrowly = [compared(narrow, query) for query in queries]
    assert all(np.array(widely) > narrowly)
    # Threads build the graph, each time a little differently: single queries vary.
    assert sum(widely) > 1.2 * sum(narrowly)


def share_found(graph: SearchedGraph, queries: Rows, rows: Rows) -> float:
    truth = np.argsort(-(queries @ rows.T), axis=1)[:, :10]
    found = [
        len(set(graph.nearest(query, 10).tolist()) & set(best)) / 10
        for query, best in zip(queries, truth.tolist(), strict=True)
    ]
    return float(np.mean(found))


@pytest.mark.parametrize("direction", [0, 1])
def test_nearly_all_of_the_nearest_are_among_the_answer(
    graph: SearchedGraph, direction: int
) -> None:
    assert share_found(graph, around(direction, 4, 100), around(0, 1, ROWS)) > 0.955


@pytest.fixture(scope="module")
def long() -> Rows:
    """Vectors of so many numbers that codes tell them apart."""
    return around(0, 1, ROWS, CODED_FROM)


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory, long: Rows) -> tuple[Path, Walk]:
    return file_of(tmp_path_factory.mktemp("coded"), long)


@pytest.mark.parametrize("direction", [0, 1])
def test_as_many_are_found_in_a_graph_that_codes_have_built(
    coded: tuple[Path, Walk],
    searched: Callable[[Path, Walk], SearchedGraph],
    long: Rows,
    direction: int,
) -> None:
    queries = around(direction, 4, 100, CODED_FROM)
    assert share_found(searched(*coded), queries, long) > 0.955


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory, long: Rows) -> dict[str, bytes]:
    """Some of the vectors in a graph that was built by codes, and in one without."""
    files = {}
    with pytest.MonkeyPatch.context() as patch:
        for way in ("codes", "bytes"):
            path, _ = file_of(tmp_path_factory.mktemp(way), long[:FEW])
            files[way] = path.read_bytes()
            patch.setattr(building, "CODED_FROM", CODED_FROM + 1)
    return files


def test_codes_lead_to_other_edges(ways: dict[str, bytes]) -> None:
    assert ways["codes"] != ways["bytes"]
    assert len(ways["codes"]) == pytest.approx(len(ways["bytes"]), rel=0.01)


@pytest.mark.parametrize("fault", ["layout", "vectors"])
def test_where_a_file_is_not_as_expected_a_graph_is_built_without_codes(
    ways: dict[str, bytes],
    long: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    if fault == "layout":
        monkeypatch.setitem(building._METRICS, Compared.BITS_BY_HAMMING, ("tanimoto", "b1"))
    else:
        write = Layout.write
        monkeypatch.setattr(
            Layout, "write", lambda layout, path, rows: write(layout, path, rows[::-1].copy())
        )
    path, _ = file_of(tmp_path, long[:FEW])
    assert path.read_bytes() == ways["bytes"]


def test_vectors_that_are_alike_and_vectors_of_zeros_hide_no_others(
    long: Rows, tmp_path: Path
) -> None:
    rows = long[:FEW].copy()
    rows[:100] = 0
    rows[100:400] = rows[100]
    graph = opened(*file_of(tmp_path, rows))
    assert len(graph) == FEW
    found = [key in graph.nearest(rows[key], 1) for key in range(400, FEW)]
    assert np.mean(found) > 0.99


def test_what_is_reached_comes_once_and_the_best_first(graph: SearchedGraph) -> None:
    for query in as_bytes(around(1, 12, 20))[:, None]:
        keys, cosines = graph.reached(query, 40, Walk(64, 0.0))
        assert len(set(keys.tolist())) == 40
        assert (np.diff(cosines) <= 0).all()


def test_vectors_that_vary_in_few_ways_are_searched_less_widely(
    built: tuple[Path, Walk], tmp_path: Path
) -> None:
    orderly = around(0, 8, ROWS)
    orderly[:, 4:] = 0
    orderly /= np.linalg.norm(orderly, axis=1, keepdims=True)
    _, walk = file_of(tmp_path, orderly)
    assert walk.beam < built[1].beam
    assert walk.usual > built[1].usual


@pytest.mark.parametrize("dim", [DIM, CODED_FROM + 3])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_graph_of_few_rows_answers(
    searched: Callable[[Path, Walk], SearchedGraph], tmp_path: Path, count: int, dim: int
) -> None:
    rows = around(0, 6, count, dim)
    found = searched(*file_of(tmp_path, rows)).nearest(around(1, 7, 1, dim)[0], 3)
    assert sorted(found.tolist()) == list(range(count))


@pytest.mark.parametrize("dim", [DIM, CODED_FROM])
def test_rows_that_are_added_later_are_found(
    request: pytest.FixtureRequest,
    searched: Callable[[Path, Walk], SearchedGraph],
    tmp_path: Path,
    dim: int,
) -> None:
    start, _ = request.getfixturevalue("built" if dim == DIM else "coded")
    more = around(1, 10, 200, dim)
    keys = np.arange(ROWS, ROWS + len(more), dtype=np.int64)
    path = tmp_path / "more.usearch"
    held, walk = extend(path, dim, source_of(keys, more), start, ROWS - 1, threads=1)
    assert held == ROWS + len(more)
    graph = searched(path, walk)
    assert all(key in graph.nearest(row, 1) for key, row in zip(keys, more, strict=True))
    assert 9 in graph.nearest(around(0, 1, ROWS, dim)[9], 1)


def test_a_graph_in_memory_outlives_its_file(
    built: tuple[Path, Walk],
    searched: Callable[[Path, Walk], SearchedGraph],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = Path(shutil.copy(built[0], tmp_path / "copy.usearch"))
    graph, query = searched(path, built[1]), around(0, 1, ROWS)[9]
    before = graph.nearest(query, 3).tolist()
    monkeypatch.setattr(mapped, "_PIECE", 8192)
    graph.load(file_digest(path))
    os.truncate(path, 100)
    assert graph.is_whole  # else the next line would end this process
    assert graph.nearest(query, 3).tolist() == before
    assert before[0] == 9


@pytest.mark.parametrize("change", ["cut", "flipped"])
def test_a_file_that_changed_is_searched_no_more(
    built: tuple[Path, Walk],
    searched: Callable[[Path, Walk], SearchedGraph],
    tmp_path: Path,
    change: str,
) -> None:
    path = Path(shutil.copy(built[0], tmp_path / "copy.usearch"))
    graph = searched(path, built[1])
    if change == "cut":
        os.truncate(path, 5000)
    else:
        with path.open("r+b") as file:
            file.seek(5000)
            file.write(bytes(300))
    graph.load(file_digest(built[0]))
    assert not graph.is_whole


def test_a_large_file_stays_mapped(graph: SearchedGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "READ_AHEAD", 100_000)
    graph.load("")
    assert graph.is_whole
    assert graph.nearest(around(0, 1, ROWS)[9], 1)[0] == 9


def test_walks_at_the_same_time_and_one_after_the_other_do_not_meet(
    built: tuple[Path, Walk],
    searched: Callable[[Path, Walk], SearchedGraph],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = searched(*built)
    queries = [*around(0, 11, 60), *around(1, 11, 60)]
    alone = [searched(*built).nearest(query, 10).tolist() for query in queries]
    monkeypatch.setattr(walking, "_LAST_VISIT", 2_000)  # numbers begin anew every few walks
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda query: graph.nearest(query, 10).tolist(), queries))
    assert found == alone


def test_the_library_searches_what_is_laid_out_in_an_unknown_way(
    built: tuple[Path, Walk], tmp_path: Path
) -> None:
    content = built[0].read_bytes()
    head = 8 + ROWS * DIM
    known = opened(*built)
    assert isinstance(known, Graph)
    longer = tmp_path / "longer.usearch"
    longer.write_bytes(content + bytes(1))
    unknown = opened(longer, built[1])
    assert isinstance(unknown, LibraryGraph)
    assert len(unknown) == len(known) == ROWS
    query = around(0, 1, ROWS)[9]
    assert unknown.nearest(query, 3)[0] == known.nearest(query, 3)[0] == 9
    for changed in (content[: head + 7] + b"\x07" + content[head + 8 :], content[:head], b"x"):
        path = tmp_path / "changed.usearch"
        path.write_bytes(changed)
        with pytest.raises(UnknownLayoutError):
            Graph(path, built[1])
        with pytest.raises(ValueError, match="usearch"):
            opened(path, built[1])
