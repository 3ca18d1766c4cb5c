"""Running the command line, inside this process or as one of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pareja import cli


@dataclass(frozen=True)
class Run:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


Pareja = Callable[..., Run]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the embeddings of a test away from the user's, and from those of other tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def pareja(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    blank_figures: None,
) -> Pareja:
    """Run a command in this process, in an empty folder, with blank figures in its reports."""
    monkeypatch.chdir(tmp_path)
    # The tests' own process ends by signals as before.
    monkeypatch.setattr(cli, "clear_up_when_stopped", lambda: None)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str | Path) -> Run:
        monkeypatch.setattr(sys, "argv", ["pareja", *map(str, arguments)])
        # main() routes warnings to standard error for the rest of the process.
        monkeypatch.setattr("warnings.showwarning", None)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        status = stop.value.code
        assert isinstance(status, int)
        return Run(status, printed.out, printed.err)

    return run


@pytest.fixture
def pareja_process(tmp_path: Path) -> Pareja:
    """Run a command as its own process, as a user does."""

    def run(*arguments: str | Path) -> Run:
        command = [sys.executable, "-m", "pareja", *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return run
