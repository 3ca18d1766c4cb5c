from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_models import TEXTS, folder, pictures

from pareja.encoders import towers
from pareja.encoders.backends import open_tower
from pareja.encoders.backends.network import Device, Network, Precision, Tower
from pareja.encoders.opening import open_folder
from pareja.encoders.towers import NetworkDualEncoder

THREADS = 6


def test_threads_that_come_at_once_load_each_network_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: Counter[str] = Counter()

    def slow(network: Network, device: Device, precision: Precision) -> Tower:
        loaded[network.modality] += 1
        # Long enough for every thread to find nothing there yet.
        time.sleep(0.1)
        return open_tower(network, device, precision)

    monkeypatch.setattr(towers, "open_tower", slow)
    mine = open_folder(folder("clip"), "clip", device="cpu", precision="float32")
    assert isinstance(mine, NetworkDualEncoder)
    start = threading.Barrier(2 * THREADS)

    def embed(number: int) -> NDArray[np.float32]:
        start.wait()
        return mine.encode_texts(TEXTS) if number % 2 else mine.encode_images(pictures())

    with ThreadPoolExecutor(2 * THREADS) as pool:
        results = list(pool.map(embed, range(2 * THREADS)))
    assert loaded == {"image": 1, "text": 1}
    for number, result in enumerate(results):
        np.testing.assert_array_equal(result, results[number % 2])


def test_a_network_that_fails_to_load_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = open_folder(folder("clip"), "clip", device="cpu", precision="float32")
    assert isinstance(mine, NetworkDualEncoder)

    def refuse(*arguments: object) -> Tower:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(towers, "open_tower", refuse)
        with pytest.raises(MemoryError):
            mine.encode_texts(TEXTS)
    assert mine.loaded == frozenset()
    assert mine.encode_texts(TEXTS).shape == (len(TEXTS), mine.text_dim)
