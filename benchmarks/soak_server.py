"""Trials against a server on loopback."""

from __future__ import annotations

import os
import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import uvicorn
from soak_row import Row

from pareja.search import Collection
from pareja.search.database import FILE_NAME
from pareja.server import Settings, create_app

_DRAW = random.Random(0)  # noqa: S311  draws no secret
_SECONDS = 3.0


@contextmanager
def _served(place: Path) -> Iterator[str]:
    with Collection.open(place) as collection, socket.create_server(("127.0.0.1", 0)) as port:
        number = port.getsockname()[1]
        app = create_app(collection, Settings(port=number))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([port],))
        thread.start()
        address = f"http://127.0.0.1:{number}"
        while not server.started:
            time.sleep(0.05)
        httpx.get(f"{address}/v1/search?q=a+bird", timeout=60)
        yield address
        server.should_exit = True
        thread.join()


def bothered_server(folder: Path, times: int) -> Iterator[Row]:
    """Send a server what it should not answer, and many requests at once."""
    with Collection.open(folder / "index", create=True) as collection:
        collection.index("pareja20")
    with _served(folder / "index") as address, httpx.Client(base_url=address, timeout=60) as client:
        row = Row("requests for paths that lead out", ["4xx"])
        for number in range(96 * times):
            way = "/".join(
                ["..", "..%2f", "%2e%2e", "..\\", "%252e%252e"][number % 5 : number % 5 + 1] * 4
            )
            place = ("/static/", "/v1/pictures/", "/uploads/", "/")[number % 4]
            status = client.get(f"{place}{way}/etc/passwd").status_code
            row.add("4xx" if 400 <= status < 500 else str(status))
        yield row
        row = Row("changes with a forged Origin or Host", ["refused"])
        for number in range(50 * times):
            name = ("evil.example", "127.0.0.1.evil.example", "[::1].evil.example", "null")[
                number % 4
            ]
            headers = {"origin": f"http://{name}"} if number % 2 else {"host": name}
            body = {"query": "a", "picture_id": 1, "relevant": True}
            status = client.put("/v1/judgements", json=body, headers=headers).status_code
            row.add("refused" if status in (400, 403, 421) else str(status))
        yield row
        row = Row("generated requests", ["no 5xx"])
        letters = "aé<>'\"&%\0\n/\\{}日"
        for _ in range(300 * times):
            word = quote("".join(_DRAW.choices(letters, k=_DRAW.randrange(12))))
            path = _DRAW.choice(
                ["/v1/search?q=", "/?q=", "/v1/pictures/", "/map?model=", "/v1/map?x="]
            )
            status = client.get(f"{path}{word}").status_code
            row.add("no 5xx" if status < 500 else str(status))
        yield row
        row = Row("searches at once while pictures are indexed", ["answered"])
        with Collection.open(folder / "index") as other, ThreadPoolExecutor(17) as pool:
            indexing = pool.submit(other.index, "commons200")
            for status in pool.map(
                lambda n: client.get(f"/v1/search?q=bird+{n}").status_code, range(200 * times)
            ):
                row.add("answered" if status == 200 else str(status))
            indexing.result()
        yield row
        yield _others_wait_for_nobody(
            address, client, "slow bodies", b"POST /v1/search HTTP/1.1\r\n", times
        )
        yield _others_wait_for_nobody(address, client, "slow readers", b"GET / HTTP/1.1\r\n", times)


def _others_wait_for_nobody(
    address: str, client: httpx.Client, what: str, line: bytes, times: int
) -> Row:
    """Open connections that send or read hardly anything; ask something else meanwhile."""
    row = Row(f"searches beside 32 {what}", ["answered in time"])
    host, port = address.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(32)]
    for one in slow:
        one.sendall(line + f"host: {host}:{port}\r\ncontent-length: 1000\r\n\r\n".encode())
    for number in range(20 * times):
        begun = time.monotonic()
        status = client.get(f"/v1/search?q=bird+{number}").status_code
        in_time = status == 200 and time.monotonic() - begun < _SECONDS
        row.add("answered in time" if in_time else f"{status} late")
        slow[number % 32].sendall(b"x")
    for one in slow:
        one.close()
    return row


def moved_collections(folder: Path, times: int) -> Iterator[Row]:
    """Delete, replace and cut a collection short under its server."""
    with Collection.open(folder / "first", create=True) as collection:
        collection.index("pareja20")
    rows = {
        what: Row(f"a collection {what} under its server", ["503, then answers again"])
        for what in ("deleted", "replaced", "cut short")
    }
    for _ in range(2 * times):
        for what, row in rows.items():
            place = folder / "index"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(folder / "first", place)
            with _served(place) as address:
                body = {"query": "a", "picture_id": 1, "relevant": True}

                def judged(address: str = address) -> int:
                    sent = httpx.put(f"{address}/v1/judgements", json=body, timeout=60)  # noqa: B023  of this turn
                    return sent.status_code

                if what == "cut short":
                    whole = (place / FILE_NAME).read_bytes()
                    os.truncate(place / FILE_NAME, len(whole) // 3)
                    status = httpx.get(f"{address}/v1/pictures?limit=20", timeout=60).status_code
                    with (place / FILE_NAME).open("r+b") as file:
                        file.write(whole)
                else:
                    shutil.rmtree(place)
                    if what == "replaced":
                        shutil.copytree(folder / "first", place)
                    status = judged()
                    if what == "deleted":
                        shutil.copytree(folder / "first", place)
                        judged()
                again = judged()
            well = status == 503 and again == 200
            row.add("503, then answers again" if well else f"{status}, then {again}")
    yield from rows.values()
