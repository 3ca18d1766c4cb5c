"""Where the parts of a delivery lie: a folder or zip that somebody has put together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from pareja.delivery.layout import OUTPUTS
from pareja.delivery.memoria import SOURCE
from pareja.errors import InputError

_LARGEST = 2 * 10**9
_TASK = {
    2: re.compile(r"(?:tarea|task|practica|t)[-_ ]?2|pre[-_ ]?clip", re.IGNORECASE),
    3: re.compile(r"(?:tarea|task|practica|t)[-_ ]?3|(?<!pre[-_ ])(?<!pre)clip", re.IGNORECASE),
}
_LEFT_OUT = {".git", ".venv", "venv", "__pycache__", ".ipynb_checkpoints"}
_MARKS = {"readme.md", "makefile", "dockerfile", "dataset.zip", "study.json", SOURCE}


def paths_of(folder: Path) -> Iterator[Path]:
    """Yield the files of a delivery, those of environments and of git left out, by depth."""
    found = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and _LEFT_OUT.isdisjoint(path.relative_to(folder).parts)
        and path.relative_to(folder).parts[0] not in OUTPUTS
    ]
    yield from sorted(found, key=lambda path: (len(path.parts), path))


def is_delivery(path: Path) -> bool:
    """Return whether a folder or zip has some part of a delivery at its top."""
    if path.is_dir():
        names = {each.name.lower() for each in path.iterdir()}
        names |= {SOURCE} if (path / "memoria" / SOURCE).is_file() else set()
        return len(names & _MARKS) >= 2
    return path.suffix.lower() == ".zip"


def deliveries_in(folder: Path) -> list[Path]:
    """Return the deliveries of a class: every folder and every zip in it, by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and (path.is_dir() or path.suffix.lower() == ".zip")
    )


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give the folder of a delivery; a zip is unpacked for as long as the block runs.

    Raises
    ------
    InputError
        If it does not exist, or is a zip that cannot be unpacked.
    """
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise InputError(f"{path} does not exist. Give the folder or the zip of a delivery.")
    with TemporaryDirectory(prefix="pareja-delivery-") as temporary:
        try:
            with ZipFile(path) as archive:
                if sum(info.file_size for info in archive.infolist()) > _LARGEST:
                    raise InputError(f"{path} holds more than 2 GB. Unpack it and give the folder.")
                archive.extractall(temporary)
        except BadZipFile as error:
            raise InputError(f"{path} is no zip that can be read: {error}.") from error
        root = Path(temporary)
        inside = [each for each in root.iterdir() if each.name != "__MACOSX"]
        yield inside[0] if len(inside) == 1 and inside[0].is_dir() else root


def script_of(folder: Path, task: int) -> Path | None:
    """Return the script of a task: the Python file that is named after it."""
    scripts = [path for path in paths_of(folder) if path.suffix == ".py"]
    return next((path for path in scripts if _TASK[task].search(path.stem)), None)


def first_named(folder: Path, *patterns: str) -> Path | None:
    """Return the file that matches a pattern and lies least deep, the first patterns first."""
    files = list(paths_of(folder))
    for pattern in patterns:
        for path in files:
            if re.fullmatch(pattern, path.name, re.IGNORECASE):
                return path
    return None
