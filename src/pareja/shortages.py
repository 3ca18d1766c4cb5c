"""Failures of the machine: short memory, too many open files, a disk that does not answer.

They say nothing about the file that was being read. A picture that could not be read for such a
reason is tried again with less at a time, and never counts as a broken one.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from pareja.errors import MachineError

_MEMORY = (
    "the machine has too little free memory. Close other programs, or take a smaller `batch_size` "
    "or a smaller model"
)
_FILES = "too many files are open. Close programs, or raise the limit (ulimit -n)"
_DISK = "the disk does not answer as it should. Check it, and its connection"
_REASONS = {
    errno.ENOMEM: _MEMORY,
    errno.EAGAIN: _MEMORY,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.EIO: _DISK,
    errno.ESTALE: _DISK,
    errno.ETIMEDOUT: _DISK,
    errno.ENODEV: _DISK,
}
# What Pillow, PyTorch and OpenVINO say in errors of other kinds.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can(?:no|')t allocate|not enough memory|bad[ _]alloc|can't start new thread",
    re.IGNORECASE,
)
_ROOM = 2**26


def shortage_of(error: BaseException) -> str | None:
    """Return why the machine is to blame for an error, as a clause and an advice; None if it isn't.

    The errors that led to it count too.

    Examples
    --------
    >>> shortage_of(ValueError("no picture")) is None
    True
    >>> shortage_of(OSError(errno.EMFILE, "Too many open files")).partition(".")[0]
    'too many files are open'
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MachineError):
            return cause.reason
        if isinstance(cause, MemoryError):
            return _MEMORY
        if isinstance(cause, OSError) and cause.errno in _REASONS:
            return _REASONS[cause.errno]
        if isinstance(cause, OSError | RuntimeError) and _OUT_OF_MEMORY.search(str(cause)):
            return _MEMORY
        cause = cause.__cause__
    return None


@contextmanager
def naming_shortages(what: object) -> Iterator[None]:
    """Raise `MachineError` where the machine is to blame for an error inside.

    Parameters
    ----------
    what
        What was being read or computed: the subject of the message.
    """
    try:
        yield
    except MachineError:
        raise
    except Exception as error:
        reason = shortage_of(error)
        if reason is None:
            raise
        raise MachineError(str(what), reason) from error


def has_memory(amount: int) -> bool:
    """Return whether so many bytes, and some more, can be had at the moment.

    Some decoders say that a file is broken when they cannot have their memory.
    """
    try:
        # Not touched, and so not taken from anybody.
        bytearray(amount + _ROOM)
    except MemoryError:
        return False
    return True
