"""Where a picture's files are, and opening their folder at the server's own machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.server.conftest import ADDRESS

from pareja.search import Collection
from pareja.server import folders

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

Sitting = Callable[..., TestClient]
HERE = ("127.0.0.1", 40_000)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have opened a window; there is a desktop."""
    commands: list[list[str]] = []

    class Opener:
        def __init__(self, command: list[str], **how: Any) -> None:
            assert "shell" not in how
            commands.append(command)

        def wait(self, seconds: float | None = None) -> int:
            return 0

    monkeypatch.setattr(subprocess, "Popen", Opener)
    monkeypatch.setattr(folders, "has_desktop", lambda: True)
    monkeypatch.setattr(sys, "platform", "linux")
    return commands


@pytest.fixture
def sitting(make_app: Callable[..., FastAPI]) -> Sitting:
    """Somebody at the server's machine, or at another address."""

    def sit(client: tuple[str, int] = HERE, **settings: Any) -> TestClient:
        app = make_app(**settings)
        return TestClient(app, base_url=ADDRESS, follow_redirects=False, client=client)

    return sit


@pytest.fixture
def album(collection: Collection, tmp_path: Path, colours: ColourEncoder) -> Path:
    """A picture without a caption, and a copy of it in another folder."""
    first = tmp_path / "2019" / "Rome & <b>"
    second = tmp_path / "copies"
    for folder in (first, second):
        folder.mkdir(parents=True)
    red = next(p for p in collection.pictures() if p.path.stem == "red")
    shutil.copy(red.path, first / "IMG_1.png")
    with (first / "IMG_1.png").open("ab") as file:
        file.write(b"other content")
    shutil.copy(first / "IMG_1.png", second / "IMG_2.png")
    collection.index([tmp_path / "2019", second], colours)
    return first / "IMG_1.png"


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html))


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_picture_without_a_caption_is_called_after_its_file_and_folder(
    client: TestClient, album: Path, language: str
) -> None:
    for page in ("/", "/?q=red", "/pictures/1", "/side-by-side?q=red", "/pictures/9"):
        shown = plain(client.get(page, headers={"accept-language": language}).text)
        assert "IMG_1.png" in shown, page
        assert "2019/Rome &amp; &lt;b&gt;" in shown, page
        assert not re.search(r"\b(Imagen|Picture) \d", shown), page


def test_a_captioned_picture_shows_its_file_too(client: TestClient, collection: Collection) -> None:
    shown = plain(client.get("/").text)
    for picture in collection.pictures():
        assert f"{picture.caption} {picture.shown_name} …/pictures/images" in shown


def test_the_page_of_a_picture_names_all_its_files(client: TestClient, album: Path) -> None:
    copy = album.parents[2] / "copies" / "IMG_2.png"
    shown = plain(client.get("/pictures/9").text)
    assert "2 files with this content" in shown
    assert shown.index("Rome &amp; &lt;b&gt;/IMG_1.png") < shown.index(str(copy))
    assert "not there any more" not in shown
    copy.unlink()
    assert f"{copy} not there any more" in plain(client.get("/pictures/9").text)


def test_the_folder_of_a_picture_is_opened_without_a_shell(
    sitting: Sitting, album: Path, opened: list[list[str]]
) -> None:
    client = sitting()
    assert 'action="/pictures/9/folder"' in client.get("/pictures/9").text
    answer = client.post("/pictures/9/folder", data={"place": "1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/pictures/9")
    assert opened == [["xdg-open", str(album.parents[2] / "copies")]]
    told = client.post("/pictures/9/folder", headers={"hx-request": "true"}).text
    assert "The folder is open" in told
    assert opened[1] == ["xdg-open", str(album.parent)]


def test_on_a_mac_a_folder_that_looks_like_a_program_is_shown_and_not_started(
    sitting: Sitting, album: Path, opened: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    sitting().post("/pictures/9/folder")
    assert opened == [["open", "-R", str(album)]]


@pytest.mark.parametrize(
    ("client", "headers", "settings"),
    [
        (("192.168.1.7", 1), {}, {}),
        (("testclient", 1), {}, {}),
        (HERE, {"x-forwarded-for": "203.0.113.9"}, {}),
        (HERE, {"sec-fetch-site": "cross-site"}, {}),
        (HERE, {"origin": "http://evil.example"}, {}),
        (HERE, {}, {"open_folders": False}),
        (HERE, {}, {"root_path": "/photos"}),
        (HERE, {}, {"proxies": ("127.0.0.1",)}),
        (HERE, {}, {"allowed_hosts": ("photos.example",)}),
        (HERE, {"authorization": f"Bearer {'t' * 16}"}, {"host": "0.0.0.0", "token": "t" * 16}),  # noqa: S104
    ],
)
def test_nobody_elsewhere_opens_a_folder(
    sitting: Sitting,
    album: Path,
    opened: list[list[str]],
    client: tuple[str, int],
    headers: dict[str, str],
    settings: dict[str, Any],
) -> None:
    somebody = sitting(client, **settings)
    assert somebody.post("/pictures/9/folder", headers=headers).status_code == 403
    if "sec-fetch-site" not in headers and "origin" not in headers:
        assert "/pictures/9/folder" not in somebody.get("/pictures/9", headers=headers).text
    assert opened == []


def test_no_folder_is_opened_but_that_of_a_picture(
    sitting: Sitting, album: Path, opened: list[list[str]]
) -> None:
    client = sitting()
    for address, fields in (
        ("/pictures/999/folder", {}),
        ("/pictures/9/folder", {"place": "2"}),
        ("/pictures/9/folder", {"place": "/etc"}),
        ("/pictures/9/folder", {"place": "-1"}),
    ):
        assert client.post(address, data=fields).status_code in {404, 422}
    assert client.get("/pictures/9/folder").status_code == 405
    shutil.rmtree(album.parent)
    gone = client.post("/pictures/9/folder")
    assert (gone.status_code, "is not there any more" in gone.text) == (404, True)
    assert opened == []


def test_a_file_manager_that_fails_is_said(
    sitting: Sitting, album: Path, opened: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess.Popen, "wait", lambda *_: 3)
    answer = sitting().post("/pictures/9/folder")
    assert (answer.status_code, "No file manager opened" in answer.text) == (503, True)


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, False),
    ],
)
def test_a_desktop_is_where_somebody_can_see_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], shown: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/xdg-open")
    assert folders.has_desktop() is shown


def test_a_picture_in_an_archive_lies_where_the_archive_does(
    collection: Collection, colour_folder: Path, tmp_path: Path, colours: ColourEncoder
) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "colours"), "zip", colour_folder))
    collection.index([archive], colours)
    member = collection.files(1)[1]
    assert member.path == archive / "images" / member.path.name
    assert (member.archive, member.on_disk) == (archive, archive)
