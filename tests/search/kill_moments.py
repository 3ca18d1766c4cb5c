"""Kill a process that indexes or judges at random moments; run as a program by the tests.

It forks, so that the many children need not import everything again.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.conftest import ColourEncoder

from pareja.encoders import Embeddings, Pixels
from pareja.search import Collection, Query


class SlowColours(ColourEncoder):
    """Takes a moment for each batch, so that there are moments to be killed in."""

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        time.sleep(0.004)
        return super().encode_pixels(pixels)


def child(work: Callable[[int], None]) -> tuple[int, int]:
    """Run work in a child; return its process and where it writes what it has finished."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    work(writing)
    os._exit(0)


def kill(process: int, reading: int, after: float) -> bytes:
    """Kill a child; return all that it said it had finished."""
    time.sleep(after)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with os.fdopen(reading, "rb") as said:
        return said.read()


def killed_while_indexing(root: Path, pictures: Path, moments: int) -> None:
    chance = np.random.default_rng(0)
    colours = SlowColours()
    started = time.perf_counter()
    with Collection.open(root / "whole", create=True) as whole:
        whole.index([pictures], colours, batch_size=2)
        expected = {picture.digest for picture in whole.pictures()}
        answer = [hit.picture.path for hit in whole.search(Query(text="red"), colours, k=9).hits]
    duration = time.perf_counter() - started
    known: set[str] = set()

    def work(_: int) -> None:
        Collection.open(root / "killed", create=True).index([pictures], colours, batch_size=2)

    for _ in range(moments):
        process, reading = child(work)
        kill(process, reading, chance.uniform(0.01, duration / 4))
        if not (root / "killed" / "collection.sqlite3").exists():
            continue
        with Collection.open(root / "killed", create=True) as collection:
            report = collection.verify()
            assert report.ok, report
            assert report.vectors == report.pictures
            now = {picture.digest for picture in collection.pictures()}
            assert known <= now, "a picture that was there is gone"
            known = now
    with Collection.open(root / "killed", create=True) as collection:
        added = collection.index([pictures], colours).added
        assert added == len(expected) - len(known)
        assert {picture.digest for picture in collection.pictures()} == expected
        found = collection.search(Query(text="red"), colours, k=9).hits
        assert [hit.picture.path for hit in found] == answer
    assert known


def killed_while_judging(root: Path, moments: int) -> None:
    chance = np.random.default_rng(1)
    acknowledged: list[str] = []
    with Collection.open(root / "whole") as collection:
        picture = collection.pictures()[0].id
    for moment in range(moments):

        def work(said: int, moment: int = moment) -> None:
            collection = Collection.open(root / "whole")
            for n in range(10_000):
                collection.judge(f"query {moment} {n}", picture, n % 3 == 0)
                os.write(said, f"query {moment} {n}\n".encode())

        process, reading = child(work)
        said = kill(process, reading, chance.uniform(0.02, 0.1)).decode().splitlines()
        acknowledged += said
        with Collection.open(root / "whole") as collection:
            assert collection.verify().ok
            for query in said:
                relevant = int(query.split()[-1]) % 3 == 0
                assert collection.judgements(query) == {picture: relevant}
    # How many there are depends on how busy the machine is.
    assert acknowledged
    with Collection.open(root / "whole") as collection:
        assert all(collection.judgements(query) for query in acknowledged)


if __name__ == "__main__":
    place, folder, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    killed_while_indexing(place, folder, count)
    killed_while_judging(place, count)
