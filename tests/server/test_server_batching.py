from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pareja.encoders import Embeddings, Encoder
from pareja.server.batching import MAX_BATCH, Batcher, SharedEncoder

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


class Slow:
    """Embeds a text as its length, once it may; remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.started = threading.Event()
        self.may_go = threading.Event()

    def __call__(self, texts: Sequence[str]) -> Embeddings:
        self.calls.append(list(texts))
        self.started.set()
        assert self.may_go.wait(10)
        if "bad" in texts:
            raise ValueError("bad text")
        return np.array([[len(text)] for text in texts], dtype=np.float32)


def run_together(slow: Slow, requests: Sequence[list[str]]) -> list[list[float] | str]:
    """Send the first request, the others while the encoder works on it; return the answers."""
    batcher: Batcher[str] = Batcher(slow, threading.Lock())

    def ask(texts: list[str]) -> list[float] | str:
        try:
            return [float(row[0]) for row in batcher(texts)]
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(len(requests)) as pool:
        futures = [pool.submit(ask, requests[0])]
        assert slow.started.wait(10)
        futures += [pool.submit(ask, texts) for texts in requests[1:]]
        while len(batcher._waiting) < len(requests) - 1:
            pass
        slow.may_go.set()
        return [future.result(10) for future in futures]


def test_what_waits_is_embedded_together_and_goes_to_who_asked() -> None:
    slow = Slow()
    answers = run_together(slow, [["a"], ["bb", "ccc"], ["dddd"], ["e" * 5]])
    assert answers == [[1], [2, 3], [4], [5]]
    assert len(slow.calls) == 2
    assert len(slow.calls[1]) == 4


def test_one_bad_text_fails_alone() -> None:
    slow = Slow()
    answers = run_together(slow, [["a"], ["bad"], ["ccc"]])
    assert answers == [[1], "bad text", [3]]


def test_a_batch_has_an_end() -> None:
    slow = Slow()
    many = ["x"] * (MAX_BATCH - 1)
    answers = run_together(slow, [["a"], many, many])
    assert [len(answer) for answer in answers] == [1, MAX_BATCH - 1, MAX_BATCH - 1]
    assert max(map(len, slow.calls)) <= MAX_BATCH


def test_a_shared_encoder_is_an_encoder_with_the_same_answers(colours: ColourEncoder) -> None:
    runs: list[tuple[int, int]] = []
    shared = SharedEncoder(colours, lambda requests, items: runs.append((requests, items)))
    assert isinstance(shared, Encoder)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shared.encode_pixels(pixels), colours.encode_pixels(pixels))
    np.testing.assert_array_equal(shared.encode_texts(["red"]), colours.encode_texts(["red"]))
    assert shared.encode_texts([]).shape == (0, 4)
    assert shared.encode_images([]).shape == (0, 4)
    assert shared.encode_pixels(pixels[:0]).shape == (0, 4)
    assert runs == [(1, 3), (1, 1)]
    assert shared.image_fingerprint == colours.image_fingerprint
    assert (shared.name, shared.kind, shared.image_side) == ("colours", "dual", 8)
    assert (shared.image_dim, shared.text_dim) == (4, 4)


def test_a_text_is_embedded_once(colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pareja.server.batching.MAX_RECENT", 3)
    runs: list[int] = []
    shared = SharedEncoder(colours, lambda _, items: runs.append(items))
    texts = ["red", "blue", "red"]
    for _ in range(2):
        np.testing.assert_array_equal(shared.encode_texts(texts), colours.encode_texts(texts))
    assert runs == [2]
    shared.encode_texts(["green", "pink"])
    shared.encode_texts(["blue"])
    np.testing.assert_array_equal(shared.encode_texts(["red"]), colours.encode_texts(["red"]))
    assert runs == [2, 2, 1]
