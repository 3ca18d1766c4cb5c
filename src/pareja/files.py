"""Writing results so that a run that fails leaves nothing half-written, and nothing of yours gone.

Everything is written beside its destination, without a name or under a hidden one, and renamed at
the end. A rename within one file system happens entirely or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedRandom, BufferedReader
from pathlib import Path

from pareja.addresses import is_url
from pareja.checksums import MARKER, checksum_lines, contents, holds, read_marker, write_marker
from pareja.errors import OutputError, some_of
from pareja.staging import (
    give_name,
    locked,
    locked_file,
    locked_folder,
    remove_abandoned,
    staging_path,
    unnamed_file,
)

DESKTOP_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file browsers leave behind in folders that they show."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def local_path(path: Path | str) -> Path:
    """Return a path to write to.

    Raises
    ------
    OutputError
        If it is the URL of other storage, which would become a folder of that name.
    """
    if is_url(path):
        raise OutputError(
            f"{path} is on other storage, and results are written to a disk of this machine. Name "
            "a folder or file here, and copy it there afterwards."
        )
    return Path(path)


def atomic_write(path: Path | str, content: bytes | str, *, force: bool = False) -> Path:
    """Write a whole file, or leave everything as it was.

    Parameters
    ----------
    path
        The file. Folders above it are made when they are missing.
    content
        Its bytes, or text that is written as UTF-8 with its line ends as they are.
    force
        Replace a file that exists.

    Returns
    -------
    Path
        Absolute path of the file.

    Raises
    ------
    OutputError
        If the file exists and `force` is off, or it cannot be written.
    """
    with staged_file(path, force=force) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
    return Path(path).resolve()


@contextmanager
def staged_file(path: Path | str, *, force: bool = False) -> Iterator[BufferedRandom]:
    """Open a file to write that appears under its name once the block has ended well.

    Parameters
    ----------
    path
        The file. Folders above it are made when they are missing.
    force
        Replace a file that exists.

    Yields
    ------
    io.BufferedRandom
        The stream to write to; it can be read and rewound too.

    Raises
    ------
    OutputError
        If the file exists and `force` is off, or it cannot be written. Other errors of the block
        pass through; in every case what existed before stays as it was.
    """
    target = local_path(path).resolve()

    def refuse_occupied() -> None:
        if target.is_dir():
            raise OutputError(f"{path} is a folder. Name a file inside it.")
        if target.exists() and not force:
            raise OutputError(
                f"{path} exists. Pass `force=True` to replace it, or choose another name."
            )

    with _explained(path):
        refuse_occupied()
        remove_abandoned(target)
        stream = unnamed_file(target) or locked_file(target)
    has_name = isinstance(stream.name, str)
    staging = Path(stream.name) if has_name else staging_path(target)
    try:
        # Closing writes what is not written yet, and may find the disk full once more.
        with _explained(path, staging), stream:
            yield stream
            with _explained(path):
                stream.flush()
                os.fsync(stream.fileno())
                refuse_occupied()
                target.parent.mkdir(parents=True, exist_ok=True)
                if has_name:
                    close_to_rename(stream)
                else:
                    give_name(stream, staging)
                staging.replace(target)
    finally:
        with suppress(OSError):
            staging.unlink(missing_ok=True)


@contextmanager
def scratch_file(path: Path | str) -> Iterator[BufferedRandom]:
    """Open a hidden file beside a path that is gone when the block ends, unless it was renamed.

    What runs to the same path left that were killed is deleted.

    Parameters
    ----------
    path
        A path on the file system that the file is to be on.

    Yields
    ------
    io.BufferedRandom
        The stream to write to; its ``name`` is the file's.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    target = Path(path).resolve()
    with _explained(path):
        remove_abandoned(target)
        stream = locked_file(target)
    staging = Path(stream.name)
    try:
        with _explained(path, staging), stream:
            yield stream
    finally:
        with suppress(OSError):
            staging.unlink(missing_ok=True)


@contextmanager
def staged_directory(out: Path | str, *, force: bool = False) -> Iterator[Path]:
    """Fill a folder that appears under its name once the block has ended well.

    A folder that exists and is not empty is replaced only with `force`, and only if it holds
    nothing but what an earlier run wrote: every file must be in the list that the run left there
    (`MARKER`) and still have the bytes that it had. A note that was added, or a report that was
    edited, is the user's work: the folder is then refused, before any work and again before it is
    replaced. Once it is there, what runs to the same place left beside it that were killed is
    deleted.

    Parameters
    ----------
    out
        The folder. Folders above it are made when they are missing.
    force
        Replace the output of an earlier run.

    Yields
    ------
    Path
        An empty folder on the same file system to write into.

    Raises
    ------
    OutputError
        If `out` may not be replaced, or it cannot be written. Other errors of the block pass
        through; in every case what existed before stays as it was.
    """
    target = local_path(out).resolve()
    with _explained(out):
        _refuse_foreign_content(target, out, force)
    with ExitStack() as ends:
        with _explained(out):
            staging = ends.enter_context(locked_folder(target))
        ends.callback(shutil.rmtree, staging, ignore_errors=True)
        with _explained(out, staging):
            yield staging
        with _explained(out):
            write_marker(staging)
            _refuse_foreign_content(target, out, force)
            _swap(staging, target)
    # Not before: a run that was killed in the middle of that may have left the only copy of an
    # earlier result.
    remove_abandoned(target)


def add_to_directory(folder: Path | str, name: str, content: str) -> Path:
    """Write one more file into a folder that `staged_directory` has made, as a part of it.

    Parameters
    ----------
    folder
        The folder.
    name
        Of the file; one that exists is replaced.
    content
        Its text, written as UTF-8.

    Returns
    -------
    Path
        Absolute path of the file.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    marker = Path(folder) / MARKER
    with _explained(folder):
        digests = read_marker(marker) | {name: hashlib.sha256(content.encode()).hexdigest()}
    # Before the file: a list with one name too many still lets the folder be replaced.
    atomic_write(marker, checksum_lines(digests), force=True)
    return atomic_write(Path(folder) / name, content, force=True)


def replace_own(
    folder: Path | str, files: Mapping[str, bytes], *, keep: Container[str] = ()
) -> list[Path]:
    """Write files into a folder that may hold other things, which all stay as they are.

    A file that exists is replaced if an earlier call wrote it, and nobody has changed it since.

    Parameters
    ----------
    folder
        Where they go; made if it is not there.
    files
        Their contents by name, with forward slashes.
    keep
        Names of files that are left as they are where somebody has changed them.

    Returns
    -------
    list of Path
        Absolute paths of those that were written, in order.

    Raises
    ------
    OutputError
        If another one exists that is not such, before any is written; or if they cannot be written.
    """
    target = Path(folder)
    marker = target / MARKER
    with _explained(folder):
        written = read_marker(marker) if marker.exists() else {}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        changed = {
            name
            for name, digest in digests.items()
            if (target / name).exists() and not holds(target / name, written.get(name, digest))
        }
        for name in digests:
            if name in changed and name not in keep:
                raise OutputError(
                    f"{target / name} was not written here, or was changed since. Move it away: a "
                    "new one is made in its place."
                )
    mine = {name: content for name, content in files.items() if name not in changed}
    paths = [atomic_write(target / name, content, force=True) for name, content in mine.items()]
    listed = written | {name: digests[name] for name in mine}
    atomic_write(marker, checksum_lines(listed), force=True)
    return paths


def open_regular(path: Path | str) -> BufferedReader:
    """Open a file to read; what is none is refused, for a pipe would make its reader wait.

    Raises
    ------
    OSError
        If it is no regular file, or cannot be opened.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise OSError(errno.EINVAL, "it is no regular file")
    return Path(path).open("rb")


def close_to_rename(stream: BufferedRandom) -> None:
    """Close a file where its system renames none that is open; elsewhere its lock stays."""
    if os.name == "nt":
        stream.close()


def _swap(staging: Path, target: Path) -> None:
    """Put the staged folder in the place of the target."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(target)
        return
    old = staging_path(target)
    with locked(target):
        target.rename(old)
        try:
            staging.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _refuse_foreign_content(target: Path, out: Path | str, force: bool) -> None:
    """Raise if putting another folder in the target's place would lose something."""
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(f"{out} is a file. Choose another name for the folder.")
    if target == Path.cwd() or target.is_mount():
        raise OutputError(
            f"{out} is {'a mounted folder' if target.is_mount() else 'the current folder'}, which "
            f"cannot be replaced as a whole. Name a new folder inside it, as in {Path(out, 'out')}."
        )
    found = [name for name in contents(target) if Path(name).name not in DESKTOP_FILES]
    if not found:
        return
    if not force:
        raise OutputError(
            f"{out} exists and is not empty. Pass `force=True` to replace what an earlier run "
            "wrote there, or choose another folder."
        )
    if MARKER not in found:
        raise OutputError(
            f"{out} was not written by pareja, so `force=True` does not replace it. "
            "Choose another folder."
        )
    written = read_marker(target / MARKER)
    foreign = [
        name
        for name in found
        if name != MARKER and (name not in written or not holds(target / name, written[name]))
    ]
    if foreign:
        raise OutputError(
            f"{out} holds files that were added or edited since pareja wrote it: "
            f"{some_of(foreign)}. Move them away, or choose another folder."
        )


@contextmanager
def _explained(out: Path | str, staging: Path | None = None) -> Iterator[None]:
    """Turn failures of writing into one line.

    Inside the caller's block, which reads other files too, only those that concern `staging`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            advice = "Free some space, or choose a place on another disk."
        elif staging is None or (
            error.filename is not None and staging.name in str(error.filename)
        ):
            advice = "Choose a place that you may write to."
        else:
            raise
        reason = error.strerror or str(error)
        raise OutputError(f"{out} cannot be written: {reason}. {advice}") from error
