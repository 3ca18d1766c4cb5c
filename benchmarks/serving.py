"""A thousand searches at once over HTTP, while another process indexes into the same collection.

Makes a collection of ``commons200``, serves it with ``pareja serve``, lets ``pareja index`` add
``pareja20`` to it, and sends the searches. Every answer is checked: right status, ten different
hits in falling order, and the query's own words. Prints errors, searches a second, and latencies.

    python benchmarks/serving.py --searches 1000
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
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import numpy as np

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=1_000)
    count = parser.parse_args().searches
    with tempfile.TemporaryDirectory() as folder:
        index = ["--index", str(Path(folder) / "index")]
        pareja = [sys.executable, "-m", "pareja"]
        subprocess.run([*pareja, "index", "commons200", *index], check=True, capture_output=True)
        server = subprocess.Popen(
            [*pareja, "serve", "--port", "0", *index],
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "PAREJA_TOKEN"},
        )
        try:
            line = server.stderr.readline() if server.stderr else ""
            address = line.rpartition(" at ")[2].split()[0]
            httpx.get(f"{address}v1/search?q=warm", timeout=120).raise_for_status()
            indexing = subprocess.Popen(
                [*pareja, "index", "pareja20", *index], stdout=subprocess.DEVNULL
            )
            start = time.perf_counter()
            times, errors = asyncio.run(ask(address, count))
            seconds = time.perf_counter() - start
            still = indexing.poll() is None
            indexing.wait()
            pictures = httpx.get(f"{address}v1/pictures?limit=1").json()["total"]
            metrics = httpx.get(f"{address}metrics").text
        finally:
            server.terminate()
            server.wait(20)
    runs, requests = (
        int(re.search(rf"^pareja_encoder_{key}_total (\d+)", metrics, re.MULTILINE)[1])  # type: ignore[index]
        for key in ("runs", "requests")
    )
    p50, p95, worst = np.percentile(times, [50, 95, 100])
    print(f"{count} searches at once, indexing {'ran throughout' if still else 'ended meanwhile'}")
    print(f"errors {errors}, {count / seconds:.0f} searches/s")
    print(f"latency p50 {p50:.2f} s, p95 {p95:.2f} s, longest {worst:.2f} s")
    print(f"{requests} texts in {runs} runs of the encoder; {pictures} pictures afterwards")


async def ask(address: str, count: int) -> tuple[list[float], int]:
    """Send all searches at once; return how long each took, and how many answers were wrong."""
    parts = urlsplit(address)

    async def one(n: int) -> tuple[float, bool]:
        # All different: the server keeps the embeddings of texts that it has met.
        query = f"{QUERIES[n % len(QUERIES)]} {n}"
        start = time.perf_counter()
        # Plain sockets: httpx spends longer on a thousand connections than the server does.
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        target = f"/v1/search?{urlencode({'q': query, 'k': 10})}"
        head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.read()
        writer.close()
        return time.perf_counter() - start, is_right(answer, query)

    answers = await asyncio.gather(*(one(n) for n in range(count)))
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
