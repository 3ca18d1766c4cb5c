"""Datasets in a zip, read in place: nothing is extracted, and nothing in it is trusted."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from pareja.datasets.formats.folders import (
    is_hidden,
    relative_name,
    sifted,
    too_large,
)
from pareja.datasets.images import MAX_FILE_BYTES
from pareja.errors import DatasetError, ImageError
from pareja.shortages import naming_shortages

TOTAL_BYTES_LIMIT = 64 * 2**30
"""Largest sum, in bytes, of what the files in an archive unpack to."""

RATIO_LIMIT = 100
"""How many times its packed size an archive may unpack to, above `RATIO_FREE_BYTES`.

Pictures are compressed already, and texts shrink about tenfold; deflate can do 1032.
"""

RATIO_FREE_BYTES = 64 * 2**20
"""Unpacked size, in bytes, up to which the ratio does not matter."""

_UTF8_NAME = 0x800
_ENCRYPTED = 0x1

# zipfile counts the readers of a file without a lock, and closes it when it has counted none
_counting = Lock()


@dataclass(frozen=True)
class ZipSource:
    """A picture in a zip.

    Parameters
    ----------
    archive
        The zip.
    name
        The member, as `ZipTree` names it.
    """

    archive: Path
    name: str

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def read(self) -> bytes:
        """Return the member's bytes, or raise `ImageError`."""
        with naming_shortages(self):
            return self._read()

    def _read(self) -> bytes:
        try:
            archive, members = open_archive(self.archive)
            member = members[self.name]
            with _counting:
                stream = archive.open(member)
            try:
                # The size that the archive states is checked, and may be a lie: this bounds what
                # is unpacked as well, which read() without a size does not. A size or content
                # that is not as stated fails the checksum.
                return stream.read(member.file_size + 1)
            finally:
                with _counting:
                    stream.close()
        except KeyError as error:
            raise ImageError(self, "is no longer in the archive") from error
        except DatasetError as error:
            raise ImageError(self, str(error)) from error
        except (BadZipFile, zlib.error, EOFError, struct.error, OSError, RuntimeError) as error:
            raise ImageError(self, f"is damaged in the archive: {error}") from error


class ZipTree:
    """The files of a zip.

    Where all of them lie in one folder, as when a folder was zipped from outside, that folder is
    the root.

    Parameters
    ----------
    location
        The zip.

    Raises
    ------
    DatasetError
        If it is no zip, is damaged or encrypted, or is built to do harm: names that lead out of it,
        two files of one name, sizes far beyond what pictures have.
    """

    def __init__(self, location: Path) -> None:
        self.location = location.absolute()
        self.refused: Mapping[str, str] = MappingProxyType({})
        self.closed: Mapping[str, str] = MappingProxyType({})
        _, members = open_archive(self.location)
        visible = sorted(name for name in members if not is_hidden(name))
        folders = {name.partition("/")[0] if "/" in name else "" for name in visible}
        self._root = f"{folders.pop()}/" if len(folders) == 1 and "" not in folders else ""
        self.names, self.left_out = sifted([name.removeprefix(self._root) for name in visible])

    def read(self, name: str) -> bytes:
        """Return a file's bytes, or raise `DatasetError`."""
        return self.source(name).read()

    def source(self, name: str) -> ZipSource:
        """Return where a picture's bytes are."""
        return ZipSource(self.location, self._root + name)


def open_archive(path: Path) -> tuple[ZipFile, Mapping[str, ZipInfo]]:
    """Open a zip whose members can be read safely; later calls share the open file.

    Parameters
    ----------
    path
        The zip.

    Returns
    -------
    tuple
        The open archive, which several threads may read from, and its files by name.

    Raises
    ------
    DatasetError
        If it is no zip, is damaged or encrypted, or is built to do harm: names that lead out of it,
        two files of one name, sizes far beyond what pictures have.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error
    # A forked process shares the position in the file with its parent, so each opens its own.
    return _open_archive(path, status.st_mtime_ns, status.st_size, os.getpid())


@lru_cache(maxsize=4)
def _open_archive(
    path: Path, modified_ns: int, size: int, process: int
) -> tuple[ZipFile, Mapping[str, ZipInfo]]:
    try:
        archive = ZipFile(path)
    except (BadZipFile, struct.error, OSError, NotImplementedError, ValueError) as error:
        raise DatasetError(
            f"{path} is no zip, or a damaged one: {error}. Make or download it again."
        ) from error
    try:
        return archive, _checked_members(path, archive.infolist(), size)
    except BaseException:
        archive.close()
        raise


def _checked_members(path: Path, infos: list[ZipInfo], size: int) -> Mapping[str, ZipInfo]:
    """Return the files by name, or raise `DatasetError` for the first that may not be read."""
    members: dict[str, ZipInfo] = {}
    for info in infos:
        shown = f"{path}: member {info.filename!r}"
        try:
            name = relative_name(_member_name(info))
        except ValueError as error:
            raise DatasetError(f"{shown} {error}. Nothing was read from the archive.") from error
        if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
            continue
        if info.flag_bits & _ENCRYPTED:
            raise DatasetError(f"{shown} is encrypted. Make the zip without a password.")
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            # zipfile does not bound what the other methods unpack to
            raise DatasetError(f"{shown} is packed by a rare method. Make the zip with deflate.")
        if info.file_size > MAX_FILE_BYTES:
            raise DatasetError(f"{shown} {too_large(info.file_size)}.")
        if name in members:
            raise DatasetError(f"{shown} is there twice. Rename one of the two.")
        members[name] = info
    packed = sum(info.compress_size for info in members.values())
    total = sum(info.file_size for info in members.values())
    if packed > size:
        raise DatasetError(f"{path} is a zip bomb: its members overlap. Nothing was read from it.")
    if total > TOTAL_BYTES_LIMIT or total > max(RATIO_FREE_BYTES, RATIO_LIMIT * packed):
        raise DatasetError(
            f"{path} looks like a zip bomb: {packed:,} bytes unpack to {total:,}. "
            "Nothing was read from it."
        )
    return members


def _member_name(info: ZipInfo) -> str:
    """Return a member's name; macOS writes UTF-8 without the flag that says so."""
    if info.flag_bits & _UTF8_NAME:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename
