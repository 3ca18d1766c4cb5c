"""The memory that decoded pictures share."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.server.conftest import ADDRESS
from tests.server.pictures import data_url, png

from pareja.server.decoding import MemoryBudget
from pareja.server.problems import Problem
from pareja.server.settings import Limits


def test_no_more_than_the_budget_is_taken_at_once() -> None:
    budget = MemoryBudget(100, patience=30)
    taken, most, lock = 0, 0, threading.Lock()

    def work(amount: int) -> None:
        nonlocal taken, most
        with budget.take(amount):
            with lock:
                taken += min(amount, 100)
                most = max(most, taken)
            time.sleep(0.002)
            with lock:
                taken -= min(amount, 100)

    threads = [threading.Thread(target=work, args=(n,)) for n in (40, 70, 30, 500, 50, 50) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 50 < most <= 100


def test_who_waits_too_long_is_asked_to_come_back() -> None:
    budget = MemoryBudget(100, patience=0.01)
    with budget.take(60):
        with pytest.raises(Problem) as refused, budget.take(60):
            pass
        with budget.take(40):
            pass
    assert refused.value.status_code == 503
    assert refused.value.headers == {"retry-after": "5"}
    with budget.take(100):
        pass


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/search", {"image": data_url((200, 0, 0))}),
        ("/v1/embeddings", {"input": [{"image": data_url((200, 0, 0))}]}),
        ("/v1/classify", {"images": [{"image": data_url((200, 0, 0))}], "labels": ["red", "blue"]}),
        ("/search-by-picture", None),
        ("/v1/pictures/1/thumbnail", None),
    ],
)
def test_every_door_waits_for_the_same_memory(
    make_app: Callable[..., FastAPI], path: str, body: dict[str, object] | None
) -> None:
    app = make_app(limits=Limits(patience=0.01))
    client = TestClient(app, base_url=ADDRESS)
    budget = app.state.engine.decoder.budget
    with budget.take(2**30):
        if path == "/search-by-picture":
            answer = client.post(path, files={"picture": ("a.png", png((200, 0, 0)), "image/png")})
        elif body is None:
            answer = client.get(path)
        else:
            answer = client.post(path, json=body)
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "5"


_HELD_BY_THREADS = """
import io, re, threading, time
from pathlib import Path
from PIL import Image
from pareja.server.decoding import Decoder
from pareja.server.settings import Limits

stream = io.BytesIO()
Image.new("RGBA", (3000, 3000)).save(stream, "PNG")
decoder = Decoder(Limits())

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

def work(turn, go):
    with turn:
        for _ in range(2):
            with decoder.upload(stream.getvalue(), "large"):
                pass
    go.wait()

before, turn, done = resident(), threading.Lock(), threading.Barrier(7)
for _ in range(6):
    threading.Thread(target=work, args=(turn, done), daemon=True).start()
while done.n_waiting < 6:
    time.sleep(0.01)
print(resident() - before)
done.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_threads_that_decoded_keep_no_memory_of_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _HELD_BY_THREADS], capture_output=True, text=True, check=True
    )
    # One picture is 36 MB, and its decoding takes more than a hundred.
    assert int(ran.stdout) < 100
