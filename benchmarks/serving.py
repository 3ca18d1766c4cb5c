"""Searches over HTTP, one after the other and a thousand at once, while indexing goes on.

Makes a collection of ``commons200``, serves it with ``pareja serve``, and sends searches, so many
at once, while ``pareja index`` adds turned copies of the pictures to it. Every answer is checked:
right status, ten different hits in falling order, and the query's own words, which differ each
time, since the server keeps the embeddings of texts that it has met.

    python benchmarks/serving.py --out docs/benchmarks/serving.md
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import numpy as np

import pareja
from pareja.datasets.images import decode_image
from pareja.files import atomic_write

QUERIES = (
    "a fish in the water",
    "windmills",
    "un castillo",
    "a cat",
    "solar panels",
    "a hammer",
    "musicians",
    "una pintura de flores",
)
AT_ONCE = (1, 16, 1_000)
PAREJA = [sys.executable, "-m", "pareja"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=1_000, help="for each number at once")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        index = ["--index", str(Path(folder) / "index")]
        subprocess.run([*PAREJA, "index", "commons200", *index], check=True, capture_output=True)
        with served(index) as address:
            for turn, at_once in enumerate(AT_ONCE):
                more = turned_copies(Path(folder) / f"turned{turn}", turn + 1)
                queries = [
                    f"{QUERIES[n % len(QUERIES)]} {turn} {n}" for n in range(options.searches)
                ]
                rows.append(
                    measure(
                        address,
                        [*PAREJA, "index", more, "--batch-size", "8", *index],
                        queries,
                        at_once,
                    )
                )
                print(rows[-1], flush=True)
    page = [
        "# How many searches the server answers",
        "",
        "Made by `python benchmarks/serving.py`, which says how it is measured: "
        f"{options.searches:,} searches with the encoder `starter` in a collection of some 200 to "
        f"800 pictures, on {os.cpu_count()} cores that also run the clients and `pareja index`.",
        "",
        "| at once | wrong answers | searches/s | p50, ms | p95, ms | longest, ms "
        "| texts per run of the encoder | pictures indexed a second meanwhile |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
        "",
    ]
    if options.out:
        atomic_write(options.out, "\n".join(page), force=True)


@contextmanager
def served(index: list[str]) -> Iterator[str]:
    """Run a server that has loaded its encoder; yields its address."""
    server = subprocess.Popen(
        [*PAREJA, "serve", "--port", "0", *index],
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PAREJA_TOKEN"},
    )
    try:
        line = server.stderr.readline() if server.stderr else ""
        address = line.rpartition(" at ")[2].split()[0]
        httpx.get(f"{address}v1/search?q=warm", timeout=120).raise_for_status()
        yield address
    finally:
        server.terminate()
        server.wait(20)


def turned_copies(folder: Path, quarters: int) -> str:
    """Write the pictures of ``commons200``, turned, as files that no collection has seen."""
    folder.mkdir()
    for number, record in enumerate(pareja.load_dataset("commons200").records):
        turned = decode_image(record.source).rotate(90 * quarters, expand=True)
        turned.save(folder / f"{number}.jpg")
    return str(folder)


def measure(address: str, indexing: list[str], queries: list[str], at_once: int) -> str:
    """Send searches once indexing has begun to store pictures; return a row of the table."""
    runs, texts = encoder_counts(address)
    pictures = picture_count(address)
    indexer = subprocess.Popen(indexing, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while picture_count(address) == pictures and indexer.poll() is None:
        time.sleep(0.05)
    pictures = picture_count(address)
    start = time.perf_counter()
    times, wrong = asyncio.run(ask(address, queries, at_once))
    seconds = time.perf_counter() - start
    added = picture_count(address) - pictures
    ended = indexer.poll() is not None
    indexer.wait()
    runs, texts = (
        now - then for now, then in zip(encoder_counts(address), (runs, texts), strict=True)
    )
    p50, p95, longest = 1e3 * np.percentile(times, [50, 95, 100])
    return (
        f"| {at_once:,} | {wrong} | {len(queries) / seconds:.0f} | {p50:,.0f} | {p95:,.0f} "
        f"| {longest:,.0f} | {texts / runs:.1f} "
        f"| {f'all {added}, done before the end' if ended else f'{added / seconds:.0f}'} |"
    )


def picture_count(address: str) -> int:
    return int(httpx.get(f"{address}v1/pictures?limit=1").json()["total"])


def encoder_counts(address: str) -> tuple[int, int]:
    """Return how often the encoder ran, and for how many texts."""
    metrics = httpx.get(f"{address}metrics").text
    runs, texts = (
        int(re.search(rf"^pareja_encoder_{key}_total (\d+)", metrics, re.MULTILINE)[1])  # type: ignore[index]
        for key in ("runs", "requests")
    )
    return runs, texts


async def ask(address: str, queries: list[str], at_once: int) -> tuple[list[float], int]:
    """Send searches, so many at once; return how long each took, and how many were wrong."""
    parts = urlsplit(address)
    places = asyncio.Semaphore(at_once)

    async def one(query: str) -> tuple[float, bool]:
        async with places:
            start = time.perf_counter()
            # Plain sockets: httpx spends longer on a thousand connections than the server does.
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            target = f"/v1/search?{urlencode({'q': query, 'k': 10})}"
            head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            answer = await reader.read()
            writer.close()
            return time.perf_counter() - start, is_right(answer, query)

    answers = await asyncio.gather(*(one(query) for query in queries))
    return [seconds for seconds, _ in answers], sum(not right for _, right in answers)


def is_right(answer: bytes, query: str) -> bool:
    """Tell whether an answer is whole: ten different hits in falling order, to this query."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return False
    found = json.loads(body)
    scores = [hit["score"] for hit in found["hits"]]
    distinct = len({hit["id"] for hit in found["hits"]}) == 10
    return found["query"] == query and distinct and scores == sorted(scores, reverse=True)


if __name__ == "__main__":
    main()
