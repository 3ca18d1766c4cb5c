from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image
from rich.table import Table
from tests.conftest import ColourEncoder
from typer.testing import CliRunner

from pareja.cli import build_app
from pareja.cli.console import command_line, print_json, print_warning, stdout
from pareja.datasets import load_dataset
from pareja.datasets.formats.folders import FolderTree
from pareja.inputs import find_pictures
from pareja.names import harmless, printable
from pareja.search import Collection
from pareja.server import create_app

ODD = (b"caf\xe9.png", b"caf\xe8.png", "café.png".encode(), b"caf%E9.png", b"a\x1b[2J\nb.png")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Pictures in a folder, all with names that are no text or print alike."""
    folder = tmp_path / os.fsdecode(b"d\xe9")
    folder.mkdir()
    for number, name in enumerate(ODD):
        Image.new("RGB", (8, 8), (250 - 60 * number, 60 * number, 0)).save(
            folder / os.fsdecode(name)
        )
    return folder


def test_names_that_print_alike_are_two_pictures(odd: Path) -> None:
    tree = FolderTree(odd)
    assert tree.names == (
        "a%1B[2J%0Ab.png", "caf%E8.png", "caf%E9%.png", "caf%E9.png", "café.png",
    )  # fmt: skip
    contents = {tree.source(name).read() for name in tree.names}
    assert len(contents) == len(find_pictures(odd).names) == 5
    dataset = load_dataset(odd)
    assert (dataset.name, len(dataset)) == ("d%E9", 5)


def test_a_folder_that_is_no_text_is_indexed_searched_and_served(
    odd: Path, tmp_path: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastapi.testclient import TestClient

    monkeypatch.setattr("pareja.encoders.load", lambda *_, **__: colours)
    with Collection.open(tmp_path / "index", create=True) as collection:
        assert collection.index([odd], colours).added == 5
        assert collection.index([odd], colours).added == 0
        assert collection.verify().ok
        assert {hit.picture.path for hit in collection.search("red", colours, k=9).hits} == {
            odd / os.fsdecode(name) for name in ODD
        }
        client = TestClient(create_app(collection), base_url="http://127.0.0.1:8420")
        hits = client.get("/v1/search?q=red&k=9").json()["hits"]
        assert f"{tmp_path}/d%E9/caf%E9.png" in {hit["path"] for hit in hits}
        for picture in collection.pictures():
            picture.path.write_bytes(b"text")
            assert client.get(f"/v1/pictures/{picture.id}").status_code == 200
            assert client.get(f"/v1/pictures/{picture.id}/thumbnail").status_code == 404
            assert client.get(f"/pictures/{picture.id}").status_code == 200
        assert collection.forget(odd) == 5


def test_one_bad_picture_takes_no_other_with_it(
    odd: Path, tmp_path: Path, colours: ColourEncoder
) -> None:
    with Collection.open(tmp_path / "index", create=True) as collection:
        collection.index([odd], colours)
        (odd / os.fsdecode(ODD[0])).write_bytes(b"text")
        report = collection.index([odd], colours)
        assert (collection.count(), report.removed) == (4, 1)
        assert report.skipped[0][0].endswith("d%E9/caf%E9.png")


def test_nothing_that_others_wrote_commands_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = "red \x1b]0;owned\x07 \x9b31m \u202etxt.exe \udce9"
    table = Table()
    table.add_row(written)
    for value in (written, table):
        stdout().print(value)
    print_json({"caption": written})
    print_warning(written)
    monkeypatch.setattr(sys, "argv", ["pareja", "check", "d\udce9\n"])
    assert command_line() == "pareja check d%E9%0A"
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        text.encode()
        assert not set("\x1b\x07\x9b\u202e") & set(text)
    assert "\\x1b]0;owned" in shown.out


def test_a_pipe_that_knows_few_letters_gets_json_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", pipe)
    print_json({"caption": "año"})
    pipe.seek(0)
    assert json.loads(pipe.read()) == {"caption": "año"}


def test_a_terminal_that_knows_few_letters(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = CliRunner(charset="ascii").invoke(
        build_app(), ["check", str(odd)], catch_exceptions=False
    )
    assert ran.exit_code == 0


def test_names_and_texts() -> None:
    assert printable("año/日本.png") == harmless("año/日本.png") == "año/日本.png"
    assert printable("\ud800") == "%ED%A0%80"
    assert harmless("a\n\tb\r\x00") == "a\n\tb\\r\\x00"
