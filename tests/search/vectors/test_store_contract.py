"""What every place for vectors promises; the same tests for all of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.search.vectors.fake_qdrant import FakeQdrant
from tests.search.vectors.made_up import unit_rows

from pareja.encoders import Embeddings
from pareja.errors import CollectionError
from pareja.search.database import Database
from pareja.search.vectors import graph_layout
from pareja.search.vectors.protocol import VectorStore
from pareja.search.vectors.qdrant import QdrantVectors
from pareja.search.vectors.qdrant_server import QdrantAddress, QdrantServer
from pareja.search.vectors.quantization import Quantization, choose
from pareja.search.vectors.sqlite import SqliteVectors

DIM = 16
SERVER = os.environ.get("QDRANT_URL")
StoreFactory = Callable[[], VectorStore]


KINDS = [
    "sqlite",
    "sqlite-graph",
    "sqlite-graph-of-unknown-layout",
    "sqlite-int8",
    "sqlite-binary",
    "qdrant-memory",
    pytest.param(
        "qdrant-server",
        marks=pytest.mark.skipif(SERVER is None, reason="QDRANT_URL names no server"),
    ),
]


@pytest.fixture(params=[*KINDS, "qdrant-wire"])
def new_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StoreFactory]:
    """Make empty stores of one kind."""
    if request.param == "sqlite-graph-of-unknown-layout":
        monkeypatch.setattr(graph_layout, "_MAJOR", 3)
    closing: list[Callable[[], None]] = []

    def sqlite() -> VectorStore:
        database = Database(tmp_path / uuid.uuid4().hex, create=True)
        closing.append(database.close)
        few = 10_000 if request.param == "sqlite" else 8
        options: tuple[Quantization, ...] = ("int8", "binary")
        for quantization in options:
            if request.param.endswith(quantization):
                choose(database, quantization)
        return SqliteVectors(database, 1, DIM, graph_from=few, codes_from=8)

    def address() -> str:
        if request.param == "qdrant-memory":
            return "qdrant://:memory:/test"
        return str(SERVER) if request.param == "qdrant-server" else fake.address

    def qdrant() -> VectorStore:
        server = QdrantServer(QdrantAddress.parse(address()))
        name = uuid.uuid4().hex
        store = QdrantVectors(server, name, DIM)
        closing.append(server.close)
        closing.append(lambda: drop(server, f"{server.address.name}-{name}"))
        return store

    with (
        FakeQdrant().run() if request.param == "qdrant-wire" else nullcontext(FakeQdrant()) as fake
    ):
        yield sqlite if request.param.startswith("sqlite") else qdrant
        for close in reversed(closing):
            close()
    assert fake.complaints == []


def drop(server: QdrantServer, name: str) -> None:
    server.client.delete_collection(name)


@pytest.fixture
def store(new_store: StoreFactory) -> VectorStore:
    return new_store()


def unit(seed: int, count: int = 1) -> Embeddings:
    return unit_rows(seed, count, DIM)


def put(
    store: VectorStore, ids: list[int], rows: Embeddings, categories: list[str | None] | None = None
) -> None:
    named = categories or [None] * len(ids)
    store.upsert(ids, rows, [{"category": category} for category in named])


def nearest(rows: dict[int, NDArray[np.float32]], query: NDArray[np.float32], k: int) -> list[int]:
    """Compare with every vector, as slowly and plainly as can be."""
    scores = {key: float(row @ query) for key, row in rows.items()}
    return sorted(scores, key=lambda key: (-scores[key], key))[:k]


def test_an_empty_store_answers_with_nothing(store: VectorStore) -> None:
    assert store.count() == 0
    assert store.search(unit(0)[0], 5) == []
    assert store.known([1, 2]) == set()
    assert store.get([]).shape == (0, DIM)
    store.remove([1])
    store.upsert([], np.empty((0, DIM), np.float32), [])
    store.optimise()


def test_what_was_added_is_found_best_first(store: VectorStore) -> None:
    rows = unit(1, 30)
    put(store, list(range(1, 31)), rows)
    store.optimise()
    for query in unit(2, 5):
        found = store.search(query, 7)
        assert [key for key, _ in found] == nearest(dict(enumerate(rows, start=1)), query, 7)
        for key, score in found:
            assert score == pytest.approx(float(rows[key - 1] @ query), abs=2e-3)


def test_a_picture_finds_itself_with_a_cosine_of_one(store: VectorStore) -> None:
    rows = unit(3, 4)
    put(store, [10, 20, 30, 40], rows)
    key, score = store.search(rows[2], 1)[0]
    assert key == 30
    assert 0.998 < score <= 1.0


def test_k_beyond_the_store_gives_all(store: VectorStore) -> None:
    put(store, [1, 2, 3], unit(4, 3))
    assert len(store.search(unit(5)[0], 100)) == 3


def test_only_the_category_that_is_asked_for(store: VectorStore) -> None:
    rows = unit(6, 20)
    put(store, list(range(20)), rows, ["a" if n % 4 else "b" for n in range(20)])
    store.optimise()
    found = store.search(rows[1], 20, category="b")
    assert sorted(key for key, _ in found) == [0, 4, 8, 12, 16]
    assert store.search(rows[1], 20, category="none such") == []


def test_a_category_can_change(store: VectorStore) -> None:
    rows = unit(7, 2)
    put(store, [1, 2], rows, ["a", "a"])
    assert len(store.search(rows[0], 5, category="a")) == 2
    put(store, [1], rows[:1], ["b"])
    assert [key for key, _ in store.search(rows[0], 5, category="a")] == [2]
    assert [key for key, _ in store.search(rows[0], 5, category="b")] == [1]


def test_excluded_pictures_make_room_for_others(store: VectorStore) -> None:
    rows = unit(8, 12)
    put(store, list(range(12)), rows)
    store.optimise()
    first = [key for key, _ in store.search(rows[0], 4)]
    second = [key for key, _ in store.search(rows[0], 4, exclude=first)]
    assert len(second) == 4
    assert not set(first) & set(second)


def test_removed_and_replaced_vectors_are_gone_at_once(store: VectorStore) -> None:
    rows = unit(9, 12)
    put(store, list(range(12)), rows)
    store.optimise()
    assert store.search(rows[3], 1)[0][0] == 3
    store.remove([3])
    assert store.search(rows[3], 1)[0][0] != 3
    put(store, [5], rows[3:4])
    key, score = store.search(rows[3], 1)[0]
    assert key == 5
    assert score == pytest.approx(1, abs=2e-3)
    assert store.count() == 11
    assert store.known([3, 5, 99]) == {5}


def test_vectors_come_back_in_the_order_asked_for(store: VectorStore) -> None:
    rows = unit(10, 3)
    put(store, [1, 2, 3], rows)
    np.testing.assert_allclose(store.get([3, 1]), rows[[2, 0]], atol=1e-3)
    with pytest.raises(KeyError):
        store.get([1, 4])


def test_equal_vectors_come_in_the_order_of_their_ids(store: VectorStore) -> None:
    row = unit(11)
    put(store, [9, 3, 7, 1], np.repeat(row, 4, axis=0))
    found = store.search(row[0], 4)
    assert [key for key, _ in found] == [1, 3, 7, 9]
    assert len({score for _, score in found}) == 1


@pytest.mark.parametrize("length", [DIM - 1, DIM + 1, 0])
def test_vectors_of_another_length_are_refused(store: VectorStore, length: int) -> None:
    put(store, [7], unit(14))
    with pytest.raises(CollectionError, match="another encoder"):
        put(store, [1, 2], np.ones((2, length), np.float32))
    with pytest.raises(CollectionError, match="another encoder"):
        put(store, [1, 2], unit(15))
    with pytest.raises(CollectionError, match="another encoder"):
        store.search(np.ones(length, np.float32), 1)
    assert store.ids() == [7]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(store: VectorStore, number: float) -> None:
    put(store, [7], unit(14))
    wrong = unit(15, 2)
    wrong[1, 3] = number
    with pytest.raises(CollectionError, match="not finite"):
        put(store, [1, 2], wrong)
    with pytest.raises(CollectionError, match="not finite"):
        store.search(wrong[1], 1)
    assert store.ids() == [7]


def test_the_length_of_a_vector_does_not_count(store: VectorStore) -> None:
    rows = unit(16, 12)
    put(store, list(range(12)), rows * np.geomspace(1e-30, 1e30, 12, dtype=np.float32)[:, None])
    store.optimise()
    for scale in (1e-30, 1, 1e30):
        found = store.search(rows[4] * np.float32(scale), 12)
        assert [key for key, _ in found] == nearest(dict(enumerate(rows)), rows[4], 12)
        assert found[0][1] == pytest.approx(1, abs=2e-3)


def test_a_vector_of_zeros_has_a_cosine_of_0_with_every_other(store: VectorStore) -> None:
    rows = unit(17, 30)
    rows[:, 0] = -np.abs(rows[:, 0]) - 0.1
    rows[[4, 9, 21]] = 0
    put(store, list(range(30)), rows, ["a" if n % 2 else "b" for n in range(30)])
    store.optimise()
    np.testing.assert_array_equal(store.get([9, 21]), np.zeros((2, DIM)))
    axis = np.eye(DIM, dtype=np.float32)[0]
    assert store.search(axis, 3) == [(4, 0.0), (9, 0.0), (21, 0.0)]
    assert [key for key, _ in store.search(-axis, 30)[-3:]] == [4, 9, 21]
    assert all(np.isfinite(score) for _, score in store.search(-axis, 30))
    assert store.search(axis, 1, category="b") == [(4, 0.0)]


def test_to_a_vector_of_zeros_all_are_equally_close(store: VectorStore) -> None:
    put(store, list(range(3, 63)), unit(18, 60), ["a" if n % 2 else "b" for n in range(60)])
    store.optimise()
    nowhere = np.zeros(DIM, np.float32)
    assert store.search(nowhere, 3) == [(3, 0.0), (4, 0.0), (5, 0.0)]
    assert store.search(nowhere, 3, exclude=[3, 5]) == [(4, 0.0), (6, 0.0), (7, 0.0)]
    assert store.search(nowhere, 2, category="a") == [(4, 0.0), (6, 0.0)]
    assert len(store.search(nowhere, 99)) == 60


def test_ties_beyond_the_last_place_come_in_the_order_of_their_ids(store: VectorStore) -> None:
    put(store, list(range(100, 0, -1)), np.repeat(unit(19), 100, axis=0))
    assert [key for key, _ in store.search(unit(19)[0], 3)] == [1, 2, 3]


def test_many_vectors_take_several_requests(store: VectorStore) -> None:
    rows = unit(12, 1200)
    put(store, list(range(1200)), rows)
    assert store.count() == 1200
    assert store.ids() == list(range(1200))
    assert len(store.known(list(range(2000)))) == 1200
    np.testing.assert_allclose(store.get(list(range(1200))), rows, atol=1e-3)


def test_there_is_nothing_wrong_with_it(store: VectorStore) -> None:
    put(store, list(range(20)), unit(13, 20))
    store.optimise()
    assert store.problems(repair=False) == []


Step = tuple[str, list[int]]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.integers(0, 40), unique=True, max_size=12)),
        st.tuples(st.just("remove"), st.lists(st.integers(0, 40), unique=True, max_size=8)),
        st.tuples(st.just("optimise"), st.just([0])),
        st.tuples(st.sampled_from(["search", "exclude", "a", "b"]), st.just([0])),
    ),
    min_size=1,
    max_size=12,
)


def test_what_was_removed_takes_no_place_of_another(new_store: StoreFactory) -> None:
    store, rows, query = new_store(), dict(enumerate(unit(1, 16))), unit(2)[0]
    put(store, list(rows), np.stack(list(rows.values())), ["a"] * len(rows))
    store.optimise()
    for key in nearest(rows, query, 5):
        store.remove([key])
        del rows[key]
    far = unit(3, 6) - 9 * query
    fresh = dict(zip(range(50, 56), far / np.linalg.norm(far, axis=1)[:, None], strict=True))
    put(store, list(fresh), np.stack(list(fresh.values())), ["a"] * len(fresh))
    check(store, rows | fresh, dict.fromkeys(rows | fresh, "a"), query, "search")


# Thousands of requests would show nothing further about their form.
@pytest.mark.parametrize("new_store", KINDS, indirect=True)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(script=steps)
def test_any_history_gives_what_comparing_with_every_vector_gives(
    new_store: StoreFactory, script: list[Step]
) -> None:
    store = new_store()
    rows: dict[int, NDArray[np.float32]] = {}
    category: dict[int, str] = {}
    for seed, (step, ids) in enumerate(script):
        if step == "add":
            fresh = unit(1000 + seed, len(ids))
            named = ["a" if (key + seed) % 3 else "b" for key in ids]
            put(store, ids, fresh, list(named))
            rows.update(zip(ids, fresh, strict=True))
            category.update(zip(ids, named, strict=True))
        elif step == "remove":
            store.remove(ids)
            for key in ids:
                rows.pop(key, None)
        elif step == "optimise":
            store.optimise()
        check(store, rows, category, unit(2000 + seed)[0], step)
    assert store.count() == len(rows)


def check(
    store: VectorStore,
    rows: dict[int, NDArray[np.float32]],
    category: dict[int, str],
    query: NDArray[np.float32],
    step: str,
) -> None:
    only = step if step in ("a", "b") else None
    left_out = list(rows)[::2] if step == "exclude" else []
    eligible = {
        key: row
        for key, row in rows.items()
        if key not in left_out and only in (None, category[key])
    }
    found = store.search(query, 6, category=only, exclude=left_out)
    assert [score for _, score in found] == pytest.approx(
        [float(eligible[key] @ query) for key in nearest(eligible, query, 6)], abs=2e-3
    )
    for key, score in found:
        assert score == pytest.approx(float(eligible[key] @ query), abs=2e-3)
