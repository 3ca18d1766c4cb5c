"""What git says about a delivery: its commits, and what of it is not in the repository."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# A repository of somebody else is only read: nothing that its settings name is run.
_READ_ONLY = (
    "--no-pager",
    "-c",
    "safe.directory=*",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "log.showSignature=false",
    "-c",
    "core.quotePath=false",
)


@dataclass(frozen=True)
class Commit:
    """One commit: its short name, when it was made, and the first line of its message."""

    name: str
    when: datetime
    subject: str


def repository(folder: Path, *, own: bool) -> bool:
    """Return whether a folder is in a git repository; with `own`, in one that begins there."""
    if shutil.which("git") is None:
        return False
    top = _git(folder, "rev-parse", "--show-toplevel")
    return top is not None and (not own or Path(top.strip()).resolve() == folder.resolve())


def commits(folder: Path) -> list[Commit]:
    """Return every commit of every branch, the newest first."""
    log = _git(folder, "log", "--all", "--format=%h%x09%cI%x09%s") or ""
    rows = [line.split("\t", 2) for line in log.splitlines()]
    found = [Commit(name, datetime.fromisoformat(when), subject) for name, when, subject in rows]
    return sorted(found, key=lambda commit: commit.when, reverse=True)


def unsaved(folder: Path, paths: Sequence[Path]) -> list[tuple[str, bool]]:
    """Return the files that the last commit has not as they are, and whether each is ignored."""
    listed = _git(folder, "ls-files", "-z", "--full-name", ":/") or ""
    top = Path((_git(folder, "rev-parse", "--show-toplevel") or str(folder)).strip())
    tracked = {(top / name).resolve() for name in listed.split("\0") if name}
    status = _git(folder, "status", "--porcelain", "-z", "--untracked-files=no") or ""
    changed = {(top / entry[3:]).resolve() for entry in status.split("\0") if entry}
    found: list[tuple[str, bool]] = []
    for path in paths:
        if path.resolve() not in tracked:
            ignored = _git(folder, "check-ignore", "--quiet", "--no-index", str(path)) is not None
            found.append((path.relative_to(folder).as_posix(), ignored))
        elif path.resolve() in changed:
            found.append((path.relative_to(folder).as_posix(), False))
    return found


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints; None where it fails."""
    done = subprocess.run(  # noqa: S603  the arguments are this module's own
        ["git", *_READ_ONLY, "-C", str(folder), *arguments],  # noqa: S607  where PATH says
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.stdout if done.returncode == 0 else None
