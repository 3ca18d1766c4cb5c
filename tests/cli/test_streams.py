"""Standard output that is full or closed, and errors of the system: one line, no traceback."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from pareja import cli


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[object, str]:
    """Run the command line in this process; return its status and what it says of errors."""
    monkeypatch.setattr(sys, "argv", ["pareja", *words])
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(cli, "clear_up_when_stopped", lambda: None)
    monkeypatch.setattr("warnings.showwarning", None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, errors.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_output_that_cannot_be_written(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  a device
        monkeypatch.setattr(sys, "stdout", full)
        status, said = run(monkeypatch, "check", str(colour_folder), *more)
        monkeypatch.undo()
    assert status == 1
    assert said == "pareja: what is printed cannot be written: No space left on device.\n"


@pytest.mark.parametrize(
    "words", [["check"], ["check", "--json"], ["models", "list"], ["--help"], ["search", "--help"]]
)
def test_a_reader_that_went_away_ends_it_without_a_word(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    more = [str(colour_folder)] if words[0] == "check" else []
    with open(writer, "w", buffering=1, encoding="utf-8") as unread:  # noqa: PTH123  a pipe
        monkeypatch.setattr(sys, "stdout", unread)
        status, said = run(monkeypatch, *words, *more)
        monkeypatch.undo()
    assert (status, said) == (141, "")


def test_output_that_is_closed(colour_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[int, str]] = []
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(os, "open", lambda *_: 1)

    def opened(number: int, mode: str, **_: object) -> io.StringIO:
        taken.append((number, mode))
        return io.StringIO()

    monkeypatch.setattr(cli, "open", opened, raising=False)
    monkeypatch.setattr(cli, "build_app", lambda _: lambda: sys.stdout.write("something"))
    assert run(monkeypatch, "check", str(colour_folder)) == (0, "")
    assert taken == [(1, "w")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "a/b"), "a/b: Permission denied."),
        (OSError(5, "Input/output error"), "the disk does not answer as it should."),
        (MemoryError(), "the machine has too little free memory."),
    ],
)
def test_errors_of_the_system_are_one_line(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    monkeypatch.setattr(cli, "_discard_output", lambda: None)
    status, text = run(monkeypatch)
    assert status == 1
    assert text.startswith(f"pareja: {said}")
    assert text.count("\n") == 1


def test_errors_of_the_program_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a mistake in the code")

    monkeypatch.setattr(cli, "_run", fail)
    monkeypatch.setattr(cli, "clear_up_when_stopped", lambda: None)
    with pytest.raises(RuntimeError, match="a mistake"):
        cli.main()
