"""Trials against a server on loopback."""

from __future__ import annotations

import base64
import csv
import io
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import httpx
import uvicorn
from PIL import Image
from soak_row import HOSTILE, PATIENCE, Row, png, start

from pareja.search import Collection
from pareja.search.database import FILE_NAME
from pareja.search.vectors.sqlite import SqliteVectors
from pareja.server import Settings, create_app

_DRAW = random.Random(0)  # noqa: S311  draws no secret
_SECONDS = 3.0
_AGAIN = 20


@contextmanager
def _served(place: Path, **options: Any) -> Iterator[str]:
    with Collection.open(place) as collection, socket.create_server(("127.0.0.1", 0)) as port:
        number = port.getsockname()[1]
        app = create_app(collection, Settings(port=number, **options))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([port],))
        thread.start()
        address = f"http://127.0.0.1:{number}"
        while not server.started:
            time.sleep(0.05)
        httpx.get(f"{address}/v1/search?q=a+bird", timeout=PATIENCE)
        yield address
        server.should_exit = True
        thread.join()


def bothered_server(folder: Path, times: int) -> Iterator[Row]:
    """Send a server what it should not answer, and many requests at once."""
    with Collection.open(folder / "index", create=True) as collection:
        collection.index("pareja20")
    with (
        _served(folder / "index") as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as client,
    ):
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


def described_requests(folder: Path, times: int) -> Iterator[Row]:
    """Send what the server's own description of its API allows, and what it does not."""
    tool = Path(sys.executable).with_name("schemathesis")
    if not tool.exists():
        return
    config = Path(__file__).parents[1] / "tests" / "server" / "schemathesis.toml"
    with Collection.open(folder / "index", create=True) as collection:
        collection.index("pareja20")
    row = Row("requests made by schemathesis from the description of the API", ["as described"])
    with _served(folder / "index") as address:
        done = subprocess.run(
            [
                *(tool, "--config-file", config, "run", f"{address}/openapi.json"),
                *("--max-examples", str(10 * times), "--seed", "1", "--no-color"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    generated = re.search(r"([\d,]+) generated", done.stdout)
    failures = re.findall(r"❌ (.+): (\d+)$", done.stdout, re.MULTILINE)
    for what, count in failures:
        row.endings[what] += int(count)
    if generated is not None:
        sent = int(generated[1].replace(",", ""))
        row.endings["as described"] = sent - row.endings.total()
    yield row


def hostile_pages(folder: Path, times: int) -> Iterator[Row]:
    """Show hostile words, names, captions and categories on every page, in a browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return
    row = Row("pages with hostile names, captions and words in a browser", ["no script ran"])
    pictures = folder / "pictures"
    pictures.mkdir()
    with (pictures / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("file_name", "caption", "category"))
        for number, words in enumerate(HOSTILE):
            name = f"{number}{words.replace('/', '')}.png"
            (pictures / name).write_bytes(png(30 * number))
            table.writerow((name, words, words))
    with Collection.open(folder / "index", create=True) as collection:
        collection.index(pictures)
    pages = ["/?q={}", "/?category={}", "/classify?labels={}", "/map?model={}", "/?shows={}"]
    pages += ["/pictures/1?q={}", "/login?next={}", "/{}", "/?q=red&minus={}", "/where?q={}"]
    with _served(folder / "index") as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page()
        for page in pages:
            for words in HOSTILE * times:
                place = address + page.format(quote(words, safe=""))
                tab.goto(place, wait_until="domcontentloaded", timeout=60_000)
                row.add("a script ran" if tab.title() == "ran" else "no script ran")
        browser.close()
    yield row


def wrong_tokens(folder: Path, times: int) -> Iterator[Row]:
    """Guess the token, and show the right one from the same address."""
    with Collection.open(folder / "index", create=True) as collection:
        collection.index("pareja20")
    row = Row("requests with the right token after 20 wrong ones", ["answered"])
    guessed = Row("wrong tokens", ["refused"])
    token = "a token that nobody guesses"  # noqa: S105  of this trial
    with _served(folder / "index", token=token) as address:
        for number in range(10 * times):
            for guess in range(20 if number == 0 else 2):
                headers = {"authorization": f"Bearer {guess}"}
                status = httpx.get(f"{address}/v1/models", headers=headers).status_code
                guessed.add("refused" if status in (401, 429) else str(status))
            headers = {"authorization": f"Bearer {token}"}
            status = httpx.get(f"{address}/v1/models", headers=headers).status_code
            row.add("answered" if status == 200 else str(status))
    yield from (guessed, row)


def large_pictures(folder: Path, times: int) -> Iterator[Row]:
    """Search by pictures whose pixels take much more memory than their files, at once."""
    with Collection.open(folder / "index", create=True) as collection:
        collection.index("pareja20")
    row = Row(
        "searches by a picture of 59 megapixels at once, under 2.5 GB",
        ["answered", "answered when sent again after 503"],
    )
    stream = io.BytesIO()
    Image.new("RGB", (7680, 7680), "teal").save(stream, "PNG")
    body = {"image": f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"}
    process, address = _process(folder / "index")
    try:

        def asked(again: int) -> str:
            answer = httpx.post(f"{address}/v1/search", json=body, timeout=PATIENCE)
            later = answer.headers.get("retry-after")
            if answer.status_code == 503 and later and again < _AGAIN:
                time.sleep(float(later))
                return asked(again + 1)
            when = " when sent again after 503" if again else ""
            return f"answered{when}" if answer.status_code == 200 else str(answer)

        with ThreadPoolExecutor(64) as pool:
            for ending in pool.map(asked, [0] * 64):
                row.add(ending)
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        peak = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1e6
        if peak > 2.5:
            row.endings = Counter({f"{peak:.1f} GB": 64})
    finally:
        process.terminate()
        process.communicate()
    yield row


def graphs_cut_short(folder: Path, times: int) -> Iterator[Row]:
    """Cut the file of a graph short under its server."""
    row = Row("a graph cut short under its server", ["same answer"])
    with patch.dict(SqliteVectors.__init__.__kwdefaults__, graph_from=100):
        for number in range(3 * times):
            place = folder / f"index-{number}"
            with Collection.open(place, create=True) as collection:
                collection.index("commons200")
            (graph,) = place.glob("*.usearch")
            with _served(place) as address:

                def found(address: str = address) -> list[int]:
                    hits = httpx.get(f"{address}/v1/search?q=a+bridge", timeout=PATIENCE).json()[
                        "hits"
                    ]
                    return [hit["id"] for hit in hits]

                before = found()
                for _ in range(number):
                    found()  # from the second search on, the graph is read into memory
                os.truncate(graph, 100)
                same = [found() for _ in range(5)] == [before] * 5
            row.add("same answer" if same else "another answer")
    yield row


def _process(place: Path) -> tuple[subprocess.Popen[str], str]:
    """Serve a collection from a process of its own; return that and its address."""
    process = start("serve", "--index", str(place), "--port", "0")
    assert process.stdout is not None  # noqa: S101  for the type checker
    address = next(word for word in process.stdout.readline().split() if word.startswith("http"))
    httpx.get(f"{address}/v1/search?q=a+bird", timeout=PATIENCE)
    return process, address.rstrip("/")


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
                    sent = httpx.put(f"{address}/v1/judgements", json=body, timeout=PATIENCE)  # noqa: B023  of this turn
                    return sent.status_code

                if what == "cut short":
                    whole = (place / FILE_NAME).read_bytes()
                    os.truncate(place / FILE_NAME, len(whole) // 3)
                    status = httpx.get(
                        f"{address}/v1/pictures?limit=20", timeout=PATIENCE
                    ).status_code
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
