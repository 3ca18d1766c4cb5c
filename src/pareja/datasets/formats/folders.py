"""Pictures that lie in a folder: which of its files belong to the dataset, and reading them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol
from unicodedata import normalize

from pareja.addresses import leads_out
from pareja.checksums import MARKER
from pareja.datasets.formats.places import without_by_products
from pareja.datasets.images import MAX_FILE_BYTES, read_file
from pareja.datasets.records import Source
from pareja.errors import DatasetError, ImageError
from pareja.names import printable
from pareja.shortages import naming_shortages

PICTURE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif"),
        *(".tiff", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jpx", ".jxl", ".ppm", ".pgm"),
        *(".pbm", ".pnm", ".tga", ".ico"),
    }
)
"""Endings, in lower case, of the files that count as pictures where no metadata names them."""

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


class Tree(Protocol):
    """Files under one root, in a folder or in an archive.

    Attributes
    ----------
    location
        The folder or the archive.
    names
        Its files, with forward slashes, sorted; without hidden ones.
    left_out
        Files that a system or a photo program made for itself, each with the folder that says so.
        They count only where metadata names them.
    refused
        Files that are there and must not be read, each with the reason as one clause.
    closed
        Folders that cannot be listed, each with the reason as one clause.
    """

    location: Path
    names: tuple[str, ...]
    left_out: Mapping[str, str]
    refused: Mapping[str, str]
    closed: Mapping[str, str]

    def read(self, name: str) -> bytes:
        """Return a file's bytes, or raise `DatasetError`."""
        ...

    def source(self, name: str) -> Source:
        """Return where a picture's bytes are."""
        ...


@dataclass(frozen=True)
class FileSource:
    """A picture in a file.

    Parameters
    ----------
    path
        The file.
    """

    path: Path

    def __str__(self) -> str:
        return printable(str(self.path))

    def read(self) -> bytes:
        """Return the file's bytes, or raise `ImageError`."""
        try:
            return read_file(self.path)
        except ImageError as error:
            raise ImageError(self, error.reason) from error


class FolderTree:
    """The files of a folder and of the folders in it.

    Hidden files, what macOS adds to archives (``__MACOSX``) and folders that pareja wrote a report
    into are left out, and so are bins and thumbnails (`without_by_products`). Links to folders are
    not followed. A link to a file is followed when the file lies in the same folder tree; one that
    leads out of it is refused, since a dataset from elsewhere could name any file that its reader
    may see.

    Parameters
    ----------
    location
        The folder.

    Raises
    ------
    DatasetError
        If the folder itself cannot be listed.
    MachineError
        If memory, open files or the disk fail.
    """

    def __init__(self, location: Path) -> None:
        self.location = location.absolute()
        refused: dict[str, str] = {}
        closed: dict[str, str] = {}
        self._paths: dict[str, Path] = {}
        for name, path, is_link in sorted(_files(self.location, closed)):
            while name in self._paths or name in refused:
                # Another file's name is written as this one's is shown.
                name = f"{without_ending(name)}%{ending(name)}"
            if is_link and leads_out(path, self.location):
                refused[name] = "is a link that leads out of the dataset"
            else:
                self._paths[name] = path
        self.names, self.left_out = sifted(sorted(self._paths))
        self.refused: Mapping[str, str] = refused
        self.closed: Mapping[str, str] = closed

    def read(self, name: str) -> bytes:
        """Return a file's bytes, or raise `DatasetError`."""
        path = self._paths[name]
        try:
            return path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error

    def path(self, name: str) -> Path:
        """Return where a file is on the disk, whose name there may be no text."""
        return self._paths[name]

    def source(self, name: str) -> FileSource:
        """Return where a picture's bytes are."""
        return FileSource(self._paths[name])


class NameIndex:
    """Finds files by the names that people write.

    macOS stores accented names decomposed; a name finds its file in either form, and a file of
    exactly that name first.

    Parameters
    ----------
    names
        The files that there are.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._by_form: dict[str, str] = {}
        for name in sorted(self._names):
            self._by_form.setdefault(normalize("NFC", name), name)

    def find(self, name: str) -> str | None:
        """Return the file of that name as it is spelled on disk, or None."""
        if name in self._names:
            return name
        return self._by_form.get(normalize("NFC", name))

    def find_below(self, folder: str, name: str) -> str | None:
        """Return the one picture below a folder that ends in a name, with or without its ending.

        Tables of labelling tools name pictures without their folder, or without their ending.
        """
        wanted = normalize("NFC", name)
        found = self._pictures.get(wanted) or self._pictures.get(PurePosixPath(wanted).name, ())
        prefix = f"{folder}/" if folder not in ("", ".") else ""
        inside = [other for other in found if other.startswith(prefix)] or found
        ending = [other for other in inside if f"/{normalize('NFC', other)}".endswith(f"/{wanted}")]
        chosen = ending or inside
        return chosen[0] if len(chosen) == 1 else None

    @cached_property
    def _pictures(self) -> Mapping[str, Sequence[str]]:
        """The pictures by their names without folder, with and without ending."""
        found: dict[str, list[str]] = {}
        for form, name in self._by_form.items():
            path = PurePosixPath(form)
            if is_picture(name):
                for key in {path.name, path.stem}:
                    found.setdefault(key, []).append(name)
        return found

    def resembling(self, name: str) -> str | None:
        """Return the one file that differs in case or folder only, or None."""
        for by_key, key in zip(self._folded, (name, PurePosixPath(name).name), strict=True):
            found = by_key.get(key.casefold(), ())
            if len(found) == 1:
                return found[0]
        return None

    @cached_property
    def _folded(self) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
        """The files by their names without regard to case, with and without folders."""
        whole: dict[str, list[str]] = {}
        base: dict[str, list[str]] = {}
        for form, name in self._by_form.items():
            whole.setdefault(form.casefold(), []).append(name)
            base.setdefault(PurePosixPath(form).name.casefold(), []).append(name)
        return whole, base


def sifted(names: Sequence[str]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the files that count, and those left out as `without_by_products` says."""
    left_out = without_by_products(names, filter(is_picture, names))
    return tuple(name for name in names if name not in left_out), left_out


def relative_name(name: str) -> str:
    r"""Return a file's name inside its dataset, with forward slashes and without detours.

    Parameters
    ----------
    name
        What the metadata or an archive gives.

    Raises
    ------
    ValueError
        If the name leads out of the dataset; the message is a clause.

    Examples
    --------
    >>> relative_name(r".\images\a.jpg")
    'images/a.jpg'
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        raise ValueError("is an absolute path; names are relative to the dataset's folder")
    if ".." in parts:
        raise ValueError("leads out of the dataset's folder")
    if not parts or "\0" in name:
        raise ValueError("is no file name")
    return "/".join(parts)


def is_picture(name: str) -> bool:
    """Return whether a file's ending is that of a picture."""
    return ending(name) in PICTURE_SUFFIXES


def ending(name: str) -> str:
    """Return a file's ending in lower case, with its dot; empty where it has none.

    Text alone, since a path costs microseconds and an archive has 100,000 of them.

    Examples
    --------
    >>> ending("a.b/C.JPG"), ending("a/.jpg"), ending("a.b/c")
    ('.jpg', '', '')
    """
    dot = name.rfind(".")
    base = name.rfind("/") + 1
    return name[dot:].lower() if base < dot < len(name) - 1 else ""


def without_ending(name: str) -> str:
    """Return a file's name, with its folder, without its ending.

    Examples
    --------
    >>> without_ending("a.b/C.tar.gz"), without_ending("a.b/c")
    ('a.b/C.tar', 'a.b/c')
    """
    found = ending(name)
    return name[: -len(found)] if found else name


def is_hidden(name: str) -> bool:
    """Return whether a file, or a folder that it lies in, is hidden or a by-product of macOS."""
    return not all(map(_is_visible, name.split("/")))


def describe_files(names: Iterable[str]) -> str:
    """Return what kinds of files there are, as in ``3 .csv, 1 .txt``.

    Examples
    --------
    >>> describe_files(["a.txt", "b/c.csv", "d.csv"])
    '2 .csv, 1 .txt'
    """
    counts = Counter(PurePosixPath(name).suffix.lower() or "without ending" for name in names)
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common(4)) or "no files"


def too_large(size: int) -> str:
    """Return the clause that says that a file is over the limit."""
    return f"has {size / 1e6:,.0f} MB, and {MAX_FILE_BYTES / 1e6:,.0f} MB is the most read at once"


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _files(root: Path, closed: dict[str, str]) -> Iterator[tuple[str, Path, bool]]:
    """Yield name and path of each file below a folder, and whether it is a link.

    The figures of a report that was written among the pictures are none of them. Folders that may
    not be listed go into `closed`, with the reason.
    """
    # A list of its own, since Python calls no function a thousand deep.
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            with naming_shortages(printable(str(folder))), os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            if not prefix:
                raise DatasetError(
                    f"{folder} cannot be listed: {error.strerror}. Check its permissions."
                ) from error
            closed[prefix.rstrip("/")] = f"cannot be listed: {error.strerror or error}"
            continue
        if prefix and any(entry.name == MARKER for entry in entries):
            continue
        for entry in entries:
            if not _is_visible(entry.name):
                continue
            name, path = prefix + printable(entry.name), Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                waiting.append((path, f"{name}/"))
            elif _is_file(entry, path):
                yield name, path, entry.is_symlink()


def _is_file(entry: os.DirEntry[str], path: Path) -> bool:
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    try:
        # of a link that leads to itself only Path says that it is no file; the rest costs no stat
        return path.is_file()
    except PermissionError:
        return False
