"""A small collection, and servers in front of it."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from pareja.classifiers.learned import Classifier
from pareja.search import Collection
from pareja.server import Settings, create_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page
    from tests.conftest import ColourEncoder

ADDRESS = "http://127.0.0.1:8420"
LoadBy = Callable[[Callable[[str], object]], None]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the collection that all tests start from lies once the first test has made it."""
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def collection(
    shelf: Path, tmp_path: Path, request: pytest.FixtureRequest, colours: ColourEncoder
) -> Iterator[Collection]:
    """Eight coloured walls, indexed by two encoders that agree in all but name."""
    if not (shelf / "index").exists():
        shutil.copytree(request.getfixturevalue("colour_folder"), shelf / "pictures")
        with Collection.open(shelf / "index", create=True) as first:
            for name in ("colours", "hues"):
                first.index([shelf / "pictures"], replace(colours, name=name))
    shutil.copytree(shelf / "index", tmp_path / "index")
    with Collection.open(tmp_path / "index") as opened:
        yield opened


@pytest.fixture
def load_by(monkeypatch: pytest.MonkeyPatch) -> LoadBy:
    """Decide which encoder a name stands for."""

    def decide(load: Callable[[str], object]) -> None:
        def replaced(model: object, *, device: str | None = None) -> object:
            return load(model) if isinstance(model, str) else model

        monkeypatch.setattr("pareja.encoders.load", replaced)

    return decide


@pytest.fixture
def make_app(
    collection: Collection,
    colours: ColourEncoder,
    load_by: LoadBy,
) -> Callable[..., FastAPI]:
    """Return applications for the collection, with the settings that a test wants."""

    def make(classifiers: Mapping[str, Classifier] | None = None, **settings: Any) -> FastAPI:
        load_by(lambda name: replace(colours, name=name))
        return create_app(collection, Settings(**settings), classifiers=classifiers)

    return make


@pytest.fixture
def client(make_app: Callable[..., FastAPI]) -> TestClient:
    """A program on the same machine."""
    return TestClient(make_app(), base_url=ADDRESS, follow_redirects=False)


@pytest.fixture
def ids(collection: Collection) -> dict[str, int]:
    """The id of each picture, by the colour of its wall."""
    return {(p.caption or "").rpartition(" ")[2]: p.id for p in collection.pictures()}


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Run an application on a free port of this machine; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="error",
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()
        listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Start real servers for applications; each call returns an address."""
    with ExitStack() as running:
        yield lambda app: running.enter_context(served(app))


@pytest.fixture
def address(make_app: Callable[..., FastAPI], serve: Callable[[FastAPI], str]) -> str:
    """The address of a real server in front of the collection."""
    return serve(make_app())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    if not Path(CHROMIUM).exists() and "CI" not in os.environ:
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """Somebody who reads English, at a desk."""
    opened = browser.new_context(
        base_url=address, locale="en-GB", viewport={"width": 1280, "height": 800}
    )
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page; nothing may be missing, break a policy or fail in a script."""
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    yield opened
    assert problems == []
