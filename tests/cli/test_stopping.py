from __future__ import annotations

import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path

import pytest

from pareja.cli.stopping import clear_up_when_stopped, ending_as_asked

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    # A program that a shell runs in the background begins with this one ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_it_is_an_exception(number: signal.Signals) -> None:
    clear_up_when_stopped()
    with pytest.raises((KeyboardInterrupt, SystemExit)) as stopped:
        signal.raise_signal(number)
    if number == signal.SIGINT:
        assert stopped.type is KeyboardInterrupt
    else:
        assert isinstance(stopped.value, SystemExit)
        assert stopped.value.code == 128 + number


@pytest.mark.parametrize("number", SIGNALS)
def test_an_import_ends_first(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"stopped_by_{number.name}"
    lines = ["import signal", f"signal.raise_signal({number.value})", "whole = True"]

    def import_and_wait() -> None:
        assert import_module(name).whole
        time.sleep(30)

    (tmp_path / f"{name}.py").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    clear_up_when_stopped()
    begun = time.monotonic()
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        import_and_wait()
    assert time.monotonic() < begun + 25
    assert sys.modules.pop(name).whole


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clear_up_when_stopped()
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@pytest.mark.parametrize("number", SIGNALS)
def test_what_a_library_made_of_it_ends_as_it(number: signal.Signals) -> None:
    def compute() -> int:
        signal.raise_signal(number)
        return 1

    clear_up_when_stopped()
    with closing(sqlite3.connect(":memory:")) as database:
        database.create_function("compute", 0, compute)
        with pytest.raises(SystemExit) as stopped, ending_as_asked():
            database.execute("SELECT compute()").fetchone()
        assert stopped.value.code == 128 + number
        assert isinstance(stopped.value.__cause__, sqlite3.OperationalError)
        # That of another block, which nobody asked to stop, is as it was.
        with pytest.raises(sqlite3.OperationalError, match="no such table"), ending_as_asked():
            database.execute("SELECT * FROM missing")


def test_who_ended_well_although_asked_to_stop_ended_well() -> None:
    def serve() -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        sys.exit(0)

    clear_up_when_stopped()
    with pytest.raises(SystemExit) as ended, ending_as_asked():
        serve()
    assert ended.value.code == 0
