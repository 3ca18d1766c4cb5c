"""Checksums of files: lists of them in folders, and what does not agree with its list."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

MARKER = ".pareja-output"
"""Name of the list, in ``sha256sum`` format, of what `staged_directory` wrote into a folder."""


def checksum_lines(digests: Mapping[str, str]) -> str:
    r"""Return checksums in the format that ``sha256sum --check`` reads, sorted by name.

    Parameters
    ----------
    digests
        Hexadecimal SHA-256 of each file, by its name. Names hold no line breaks.

    Examples
    --------
    >>> checksum_lines({"b.txt": "22", "a.txt": "11"})
    '11  a.txt\n22  b.txt\n'
    """
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def write_marker(folder: Path) -> None:
    """Write the list of checksums of all that is in a folder."""
    lines = checksum_lines({name: file_digest(folder / name) for name in contents(folder)})
    (folder / MARKER).write_text(lines, encoding="utf-8")


def wrong_files(folder: Path, *, unread: Collection[str] = ()) -> list[str]:
    """Return what is not as it was written in a folder with a list of checksums (`MARKER`).

    Files that are missing, and those that were added, count too. Those of `unread` only need to be
    there.

    Raises
    ------
    OSError
        If there is no such list, or a file cannot be read.
    """
    written = read_marker(folder / MARKER)
    found = {name for name in contents(folder) if name != MARKER}
    return sorted(
        name
        for name in found | written.keys()
        if name not in written
        or name not in found
        or not (name in unread or holds(folder / name, written[name]))
    )


def read_marker(marker: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that the marker lists."""
    lines = marker.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def contents(folder: Path) -> list[str]:
    """Return the names, relative to the folder, of all that is in it but plain folders."""
    names: list[str] = []
    for parent, folders, files in os.walk(folder, followlinks=False, onerror=_raise):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        names += [Path(parent, name).relative_to(folder).as_posix() for name in files + links]
    return sorted(names)


def holds(path: Path, digest: str) -> bool:
    """Return whether a path is that of a file, and no link, with this SHA-256."""
    return path.is_file() and not path.is_symlink() and file_digest(path) == digest


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a whole file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _raise(error: OSError) -> None:
    raise error
