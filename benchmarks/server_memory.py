"""Peak memory of a server that gets many large pictures to search by at the same time.

Makes a collection of ``pareja20``, serves it with ``pareja serve`` on loopback, and sends 64
requests at once, each with a picture of 59 megapixels. Prints what was answered, how long it took,
and the peak of the server's resident memory as Linux counts it. Stops after five minutes.

    python benchmarks/server_memory.py
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
from PIL import Image

_SIDE = 7_680
_LONGEST = 300.0


def large_picture(mode: str) -> str:
    """Return a picture of one colour, 59 megapixels, as a data URL."""
    stream = io.BytesIO()
    Image.new(mode, (_SIDE, _SIDE)).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


async def statuses(address: str, url: str, requests: int) -> Counter[str]:
    """Send the same search many times at once; count the answers by status."""
    limits = httpx.Limits(max_connections=requests)
    async with httpx.AsyncClient(timeout=_LONGEST, limits=limits) as client:

        async def ask() -> str:
            answer = await client.post(f"{address}v1/search", json={"image": url})
            again = answer.headers.get("retry-after")
            return f"{answer.status_code}" + (f" (Retry-After: {again})" if again else "")

        return Counter(await asyncio.gather(*(ask() for _ in range(requests))))


def peak_memory(process: int) -> int:
    """Return the largest resident memory that a process has had, in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise SystemExit("this system does not count the peak of a process's memory")
    return int(found[1]) * 1024


def main() -> None:
    """Print one line for each kind of picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--mode", default="RGBA", help="Pillow's mode of the picture.")
    parser.add_argument("--patience", default="60", help="Seconds that a request waits.")
    given = parser.parse_args()
    url = large_picture(given.mode)
    with tempfile.TemporaryDirectory() as folder:
        index = str(Path(folder) / "index")
        pareja = [sys.executable, "-m", "pareja"]
        subprocess.run([*pareja, "index", "pareja20", "--index", index], check=True)
        server = subprocess.Popen(
            [*pareja, "serve", "--index", index, "--port", "0", "--patience", given.patience],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            line = server.stderr.readline() if server.stderr else ""
            address = line.partition(" at ")[2].partition(" (")[0]
            httpx.get(f"{address}v1/search", params={"q": "a cat"}, timeout=60).raise_for_status()
            before, start = peak_memory(server.pid), time.perf_counter()
            answers = asyncio.run(statuses(address, url, given.requests))
            took = time.perf_counter() - start
            print(
                f"{given.requests} requests of {_SIDE**2 / 1e6:.0f} megapixels, {given.mode} PNG, "
                f"{len(url) / 1e3:.0f} kB each: {dict(answers)} in {took:.0f} s; peak "
                f"{peak_memory(server.pid) / 1e9:.2f} GB, {before / 1e9:.2f} GB before"
            )
        finally:
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    main()
