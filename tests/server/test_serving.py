from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.colour_classifier import colour_classifier

import pareja
from pareja.errors import (
    CollectionError,
    DatasetError,
    FingerprintMismatchError,
    MissingDependencyError,
    ServerError,
)
from pareja.search import Collection

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


ROOT = Path(__file__).parents[2]


class Started(Exception):  # noqa: N818  it ends a server before the first request
    pass


def stop(address: str) -> None:
    raise Started(address)


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAREJA_TOKEN", raising=False)


@pytest.fixture
def folder(collection: Collection) -> Iterator[Path]:
    with closing(collection):
        yield collection.path


def address_of(served: Any, *given: Any, **options: Any) -> str:
    with pytest.raises(Started) as started:
        pareja.serve(served, *given, port=0, started=stop, **options)
    return str(started.value)


SERVES = """
import signal, sys, threading
from dataclasses import replace
import httpx
import pareja
from pareja.search import Collection
from tests.conftest import ColourEncoder

def visit(address):
    found = httpx.get(f"{address}v1/search?q=red&k=1", timeout=30).json()
    print(found["model"], found["hits"][0]["caption"])
    signal.raise_signal(signal.SIGINT)

def started(address):
    threading.Thread(target=visit, args=[address]).start()

with Collection.open(sys.argv[1]) as collection:
    pareja.serve(collection, replace(ColourEncoder(), name="hues"), port=0, started=started)
    print(collection.count())
"""


def test_it_serves_until_it_is_interrupted_and_returns(folder: Path) -> None:
    command = [sys.executable, "-X", "faulthandler", "-c", SERVES, str(folder)]
    served = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (served.returncode, served.stderr) == (0, "")
    assert served.stdout.splitlines() == ["hues A wall painted red", "8"]


@pytest.mark.parametrize("give", [str, Path, Collection.open])
def test_a_folder_or_an_open_collection(give: Callable[[Path], Any], folder: Path) -> None:
    given = give(folder)
    try:
        assert address_of(given).startswith("http://127.0.0.1:")
        if isinstance(given, Collection):
            assert given.count() == 8
    finally:
        if isinstance(given, Collection):
            given.close()


def test_a_model_by_name_or_itself(collection: Collection, colours: ColourEncoder) -> None:
    for model in (None, "hues", colours):
        address_of(collection, model)
    for model in ("starter", replace(colours, name="starter")):
        with pytest.raises(CollectionError, match="colours, hues"):
            pareja.serve(collection, model, port=0)


def test_classifiers_by_file_and_by_name(
    collection: Collection, colours: ColourEncoder, tmp_path: Path
) -> None:
    walls = colour_classifier(colours)
    file = walls.save(tmp_path / "walls.safetensors")
    for given in (file, str(file), [file], {"walls": walls}):
        address_of(collection, classifiers=given)
    with pytest.raises(DatasetError, match="none"):
        pareja.serve(collection, port=0, classifiers=tmp_path / "none")
    stranger = colour_classifier(replace(colours, name="clip"))
    with pytest.raises(FingerprintMismatchError, match="clip"):
        pareja.serve(collection, port=0, classifiers={"walls": stranger})


def test_what_cannot_be_served_is_one_line(
    tmp_path: Path, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collection.open(tmp_path / "empty", create=True) as empty:
        refused: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
            (tmp_path / "none", {}, CollectionError, "none"),
            (empty, {}, CollectionError, "holds no pictures"),
            (collection, {"host": "0.0.0.0"}, ServerError, "PAREJA_TOKEN"),  # noqa: S104
            (collection, {"token": "short"}, ServerError, "16 ASCII characters"),
            (collection, {"port": 70_000}, ServerError, "`port`"),
            (collection, {"host": "192.0.2.1", "token": "t" * 16}, ServerError, "`host`"),
        ]
        for given, options, error, said in refused:
            with pytest.raises(error, match=said) as caught:
                pareja.serve(given, **{"port": 0, "started": stop, **options})
            assert "\n" not in str(caught.value)
    monkeypatch.setenv("PAREJA_TOKEN", "short")
    with pytest.raises(ServerError, match="16 ASCII characters"):
        pareja.serve(collection, port=0)
    monkeypatch.setattr("pareja.server.serving.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pareja\[server\]"):
        pareja.serve(collection)


def test_the_browser_is_opened_where_it_is_wanted(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", stop)
    address_of(collection)
    with pytest.raises(Started):
        pareja.serve(collection, port=0, started=opened.append, open_browser=True)
    assert opened[0].startswith("http://127.0.0.1:")
