"""How a command ends when it is asked to stop: by an exception, so that it clears up first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer, main_thread
from types import FrameType

INTERRUPTED = 128
"""What a shell adds the signal's number to: 130 after Ctrl+C, 143 after ``kill``."""

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_SOON = 0.05  # seconds

_asked: int | None = None
"""The signal that has asked the process to stop."""


@contextmanager
def ending_as_asked() -> Iterator[None]:
    """End a block that was asked to stop with that status, whatever error it ends with.

    A library may make an error of its own of the exception: so does SQLite, where it was computing
    something in Python.
    """
    global _asked
    _asked = None
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if _asked is None:
            raise
        raise SystemExit(INTERRUPTED + _asked) from error


def clear_up_when_stopped() -> None:
    """Turn each signal that asks the process to stop into an exception in the main thread.

    A signal that is ignored, as ``nohup`` has it, stays ignored.
    """
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    global _asked
    if _is_importing(frame):
        # A module written in C++ takes the exception for its own failure: the import ends with an
        # ImportError, or the process aborts.
        later = Timer(_SOON, _send, [number])
        later.daemon = True
        later.start()
        return
    _asked = number
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(INTERRUPTED + number)


def _send(number: int) -> None:
    thread = main_thread().ident
    if hasattr(signal, "pthread_kill") and thread is not None:
        signal.pthread_kill(thread, number)  # wakes it, should it wait for something
    else:
        signal.raise_signal(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
