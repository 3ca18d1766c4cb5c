"""How fast the pages are in a browser, with a collection of up to 20,000 pictures.

Draws small JPEGs in folders of 300, indexes them with an encoder that sees nothing but the mean
colour, serves them on loopback, and opens the pages in Chromium, each in a fresh profile. The
server, the browser and this script share the machine. Times are from the start of navigation:

- *largest paint*: largest contentful paint, as the browser reports it;
- *main thread*: how long the page's thread was at work until the page had settled;
- *longest task*: the longest time for which the page could not answer a key;
- *settled*: no picture on the screen is missing. On the map, all that it shows at first are there.

A list is scrolled to its end again and again until it has so many cards.

    python benchmarks/pages.py --write docs/benchmarks/pages.md

Needs Playwright and Chromium, as the tests do.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.conftest import ColourEncoder  # noqa: E402  the repository's own, found by its root

from pareja.files import atomic_write  # noqa: E402
from pareja.search import Collection  # noqa: E402
from pareja.server import Settings, create_app  # noqa: E402

SIZES = (200, 5_000, 20_000)
SCROLL = 200, 5_000
SIDES = 400, 300
_IN_FOLDER = 300
_LONGEST_MS = 900_000
_HEADER = """# How fast the pages are

Made by `python benchmarks/pages.py`, which says how it is measured: drawn JPEGs of 400 × 300,
nothing in any cache, Chromium on the same {cores} cores as the server. What else ran there counts:
on average {load:.0f} processes wanted to run.

| pictures | page | largest paint, s | settled, s | main thread, s | longest task, s |
| ---: | --- | ---: | ---: | ---: | ---: |
"""
_OBSERVE = """() => {
    window.seen = {paint: 0, longest: 0};
    performance.setResourceTimingBufferSize(20000);
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) seen.paint = entry.startTime;
    }).observe({type: "largest-contentful-paint", buffered: true});
    new PerformanceObserver((list) => {
        for (const {duration} of list.getEntries())
            seen.longest = Math.max(seen.longest, duration);
    }).observe({type: "longtask", buffered: true});
}"""
# Cards are measured, not pictures: a card far from the screen would be laid out to measure what is
# in it, which the page itself never does.
_SEEN = """() => document.readyState === "complete" && document.querySelector(".shot img") &&
    [...document.querySelectorAll(".card")].every((card) => {
        const box = card.getBoundingClientRect();
        return box.bottom < 0 || box.top > innerHeight || card.querySelector(".shot img").complete;
    })"""
_MAP = """() => performance.getEntriesByType("resource")
    .filter((entry) => entry.name.includes("thumbnail")).length >=
    document.querySelectorAll(".map image").length && document.readyState === "complete"
    && document.querySelectorAll(".map [data-x]").length > 0"""
_SCROLL = """(wanted) => {
    scrollTo(0, document.documentElement.scrollHeight);
    return document.querySelectorAll(".card").length >= wanted;
}"""


@dataclass(frozen=True)
class Row:
    """What one page took, in seconds."""

    pictures: int
    page: str
    paint: float
    settled: float
    main: float
    longest: float

    def __str__(self) -> str:
        times = (self.paint, self.settled, self.main, self.longest)
        numbers = " | ".join(f"{value:.2f}" for value in times)
        return f"| {self.pictures:,} | {self.page} | {numbers} |"


def draw(folder: Path, count: int) -> None:
    """Write so many pictures of two colours each."""
    rng = np.random.default_rng(0)
    for number in range(count):
        parent = folder / f"folder {number // _IN_FOLDER:02}"
        parent.mkdir(parents=True, exist_ok=True)
        around, inside = rng.integers(0, 256, (2, 3)).tolist()
        picture = Image.new("RGB", SIDES, tuple(around))
        left, top = rng.integers(0, 150, 2).tolist()
        picture.paste(tuple(inside), (left, top, left + 180, top + 120))
        picture.save(parent / f"IMG_{number:05}.jpg", quality=80)


@contextmanager
def served(collection: Collection) -> Iterator[str]:
    """Serve a collection on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(collection, Settings())
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def busy(session: CDPSession) -> float:
    """Return how long the page's main thread has been at work, in seconds."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def measured(
    browser: Browser,
    address: str,
    pictures: int,
    name: str,
    path: str,
    settled: str,
    cards: int = 0,
) -> Row:
    """Open a page, wait until it has settled, and return what that took."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page: Page = context.new_page()
        page.add_init_script(f"({_OBSERVE})()")
        session = context.new_cdp_session(page)
        session.send("Performance.enable")
        start = time.perf_counter()
        page.goto(address + path, wait_until="commit")
        if cards:
            page.wait_for_function(_SCROLL, arg=cards, polling=100, timeout=_LONGEST_MS)
        page.wait_for_function(settled, polling=50, timeout=_LONGEST_MS)
        took = time.perf_counter() - start
        work = busy(session)
        # The browser reports a paint a moment after it.
        page.wait_for_timeout(500)
        seen = page.evaluate("window.seen")
        return Row(pictures, name, seen["paint"] / 1e3, took, work, seen["longest"] / 1e3)


def rows(
    browser: Browser, address: str, pictures: int, pages: str, scroll: Sequence[int]
) -> Iterator[Row]:
    """Yield what each page of a collection took."""
    if pages != "map":
        yield measured(browser, address, pictures, "search, first page", "/", _SEEN)
        yield measured(browser, address, pictures, "results for “red”", "/?q=red", _SEEN)
        for cards in scroll:
            if cards <= pictures:
                name = f"scrolled to {cards:,} pictures"
                yield measured(browser, address, pictures, name, "/", _SEEN, cards)
    yield measured(browser, address, pictures, "map", "/map", _MAP)


def main() -> None:
    """Print a row for each page, and write them all down where that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--scroll", type=int, nargs="+", default=SCROLL, help="Cards, each time.")
    parser.add_argument("--pages", choices=("all", "map"), default="all")
    parser.add_argument("--folder", type=Path, help="Where pictures and collections are kept.")
    parser.add_argument("--write", type=Path, help="The page to write.")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    lines = []
    for pictures in given.sizes:
        if not (folder / f"{pictures} pictures").exists():
            draw(folder / f"{pictures} pictures", pictures)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for pictures in given.sizes:
            album = folder / f"{pictures} pictures"
            with Collection.open(folder / f"{pictures}.index", create=True) as collection:
                collection.index([album], ColourEncoder(), cache=False)
                with served(collection) as address:
                    for row in rows(browser, address, pictures, given.pages, given.scroll):
                        print(row, flush=True)
                        lines.append(f"{row}\n")
        browser.close()
    if given.folder is None:
        shutil.rmtree(folder)
    if given.write:
        cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[1]
        text = _HEADER.format(cores=cores, load=load) + "".join(lines)
        atomic_write(given.write, text, force=True)


if __name__ == "__main__":
    main()
