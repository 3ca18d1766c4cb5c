"""Opening the folder of a picture in the file manager, for who sits at the server's own machine."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from pareja.server.parameters import EngineHere, PictureId, engine_of
from pareja.server.problems import Problem
from pareja.server.rendering import is_partial, render
from pareja.server.security import client_of

router = APIRouter(include_in_schema=False)

MAX_COPIES = 10_000
"""Most places of one picture among which a request chooses."""

_SECONDS = 3.0
# What a proxy adds: whoever asks is then somewhere else, though the proxy is on this machine.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def has_desktop() -> bool:
    """Return whether this process runs where somebody could see a window that it opens."""
    if sys.platform in {"darwin", "win32"}:
        return "SSH_CONNECTION" not in os.environ
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(
        display and "SSH_CONNECTION" not in os.environ and shutil.which("xdg-open") is not None
    )


def may_open(request: Request) -> bool:
    """Return whether a visitor sits at this machine and may have folders opened on it.

    A proxy or a further host name means that others reach the server, whatever address they seem
    to come from.
    """
    settings = engine_of(request).settings
    alone = settings.is_loopback and not (
        settings.proxies or settings.root_path or settings.allowed_hosts
    )
    if not (settings.open_folders and alone):
        return False
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        here = ipaddress.ip_address(client_of(request.scope)).is_loopback
    except ValueError:
        return False
    return here and has_desktop()


def show_in_folder(path: Path) -> None:
    """Open the folder of a file in this machine's file manager; no shell reads the path.

    Raises
    ------
    Problem
        404 if the folder is gone, 503 if no file manager opens it.
    """
    folder = path.parent
    if not folder.is_dir():
        raise Problem(404, "folder_gone", folder=str(folder))
    if sys.platform == "win32":
        os.startfile(folder)  # noqa: S606  a folder, which the collection knows
        return
    # A folder may be called Album.app, and macOS would start it: -R shows what is in it instead.
    command = ["open", "-R", str(path)] if sys.platform == "darwin" else ["xdg-open", str(folder)]
    quiet = subprocess.DEVNULL
    try:
        opener = subprocess.Popen(  # noqa: S603  a fixed program, and a folder of the collection
            command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
    except OSError as error:
        raise Problem(503, "folder_unopened", folder=str(folder)) from error
    try:
        failed = opener.wait(_SECONDS) != 0
    except subprocess.TimeoutExpired:
        # Some file managers stay in the foreground; a process that nobody waits for stays a zombie.
        Thread(target=opener.wait, daemon=True).start()
        return
    if failed:
        raise Problem(503, "folder_unopened", folder=str(folder))


@router.post("/pictures/{id}/folder")
def open_folder(
    request: Request,
    engine: EngineHere,
    id: PictureId,  # noqa: A002  what its URL calls it
    place: Annotated[int, Form(ge=0, le=MAX_COPIES)] = 0,
) -> Response:
    """Open the folder that one of a picture's files lies in, where the visitor sees it open."""
    if not may_open(request):
        raise Problem(403, "folders_closed")
    files = engine.collection.files(id)
    if place >= len(files):
        raise Problem(404, "not_found")
    show_in_folder(files[place].on_disk)
    if is_partial(request):
        return render(request, "_opened")
    return RedirectResponse(f"/pictures/{id}", 303)
