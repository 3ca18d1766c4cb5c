"""What a run writes into before it has its name: hidden, locked, and cleared up after a kill.

A lock ends with its process, whatever a clock says: what is not locked was left behind.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path
from uuid import uuid4

_OPEN_FILES = Path("/proc/self/fd")


def staging_path(target: Path) -> Path:
    """Return a new hidden path on the file system that the target will be on."""
    # The nearest folder that exists, so that a failed run leaves no empty parents behind.
    anchor = next(parent for parent in target.parents if parent.exists())
    # The same beginning for the same target, by which a later run finds what a killed one left.
    name = hashlib.sha256(os.fsencode(target)).hexdigest()[:12]
    return anchor / f".pareja-{name}-{uuid4().hex[:12]}.part"


def unnamed_file(target: Path) -> BufferedRandom | None:
    """Open a file that ends with its process, on the target's file system; None where none can be.

    It has no name until `give_name` gives it one.
    """
    if not hasattr(os, "O_TMPFILE") or not _OPEN_FILES.is_dir():
        return None
    try:
        descriptor = os.open(staging_path(target).parent, os.O_TMPFILE | os.O_RDWR, 0o666)
    except OSError:
        return None  # as on some file systems
    return open(descriptor, "w+b")  # noqa: PTH123  the caller closes it; it has no path


def give_name(stream: BufferedRandom, path: Path) -> None:
    """Give a file of `unnamed_file` a name that nothing has yet."""
    number = stream.fileno()
    try:
        # Only where a folder is named too does Python have the system follow this link.
        os.link(_OPEN_FILES / str(number), path, src_dir_fd=number)
    except OSError:  # as where open files are not shown
        with path.open("xb") as copy:
            stream.seek(0)
            shutil.copyfileobj(stream, copy)
            copy.flush()
            os.fsync(copy.fileno())


def locked_file(target: Path) -> BufferedRandom:
    """Make a file at a `staging_path`, locked for as long as it is open."""
    while True:
        path = staging_path(target)
        stream = path.open("x+b")
        if _is_ours(stream.fileno(), path):
            return stream
        stream.close()


@contextmanager
def locked_folder(target: Path) -> Iterator[Path]:
    """Make a folder at a `staging_path`, locked for as long as the block runs."""
    path, descriptor = _made_folder(target)
    try:
        yield path
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Lock a file or folder for as long as the block runs, and tell whether that worked."""
    descriptor = _opened(path)
    try:
        yield descriptor is not None and bool(_lock(descriptor))
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove_abandoned(target: Path) -> None:
    """Delete what runs to the same target left that were killed."""
    staging = staging_path(target)
    for path in staging.parent.glob(f"{staging.name.rpartition('-')[0]}-*.part"):
        with suppress(OSError), locked(path) as ours:
            if ours and path.is_dir():
                shutil.rmtree(path)
            elif ours:
                path.unlink()


def _made_folder(target: Path) -> tuple[Path, int | None]:
    while True:
        path = staging_path(target)
        path.mkdir()
        descriptor = _opened(path)
        if _is_ours(descriptor, path):
            return path, descriptor
        if descriptor is not None:
            os.close(descriptor)


def _opened(path: Path) -> int | None:
    """Open a file or folder; None where it is not there, or the system opens no folders."""
    with suppress(OSError):
        return os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    return None


def _is_ours(descriptor: int | None, path: Path) -> bool:
    """Lock what was just made, unless another run took it for abandoned in the meantime."""
    if descriptor is None:
        return path.exists()
    with suppress(FileNotFoundError):
        ours = _lock(descriptor) is not False
        return ours and os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _lock(descriptor: int) -> bool | None:
    """Lock a file for as long as it is open; None where the system cannot."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True
