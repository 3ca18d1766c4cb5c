"""A file that is searched where it lies, and then in memory, where nobody can change it."""

from __future__ import annotations

import hashlib
import mmap
import os
import weakref
from pathlib import Path

import numpy as np

READ_AHEAD = 1 << 32
"""How many bytes of a file are brought into memory at most before a search asks for them."""
_PIECE = 1 << 26

Content = mmap.mmap | memoryview


class MappedFile:
    """The bytes of a file: mapped into memory, until it was read into it.

    A mapping answers at once, and reading it ends the process where another program has cut the
    file short meanwhile. Who searches more than once reads it all, by `load`.

    Parameters
    ----------
    path
        A file that is not empty.

    Attributes
    ----------
    content
        The bytes.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is empty.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._descriptor)
        self.content: Content = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        self._is_damaged = False

    @property
    def is_whole(self) -> bool:
        """Whether it may be read: a mapped file still has all its bytes."""
        if isinstance(self.content, memoryview):
            return True
        return not self._is_damaged and os.fstat(self._descriptor).st_size >= len(self.content)

    def load(self, digest: str) -> None:
        """Read the file into memory; `content` is there from now on.

        A file that is not what was written is not whole any more. One that is larger than
        `READ_AHEAD`, or than what is free, stays mapped.

        Parameters
        ----------
        digest
            SHA-256 of what was written, hexadecimal.
        """
        if isinstance(self.content, memoryview) or len(self.content) > READ_AHEAD:
            return
        try:
            content = np.empty(len(self.content), np.uint8).data
        except MemoryError:
            return
        found, filled = hashlib.sha256(), 0
        with open(self._descriptor, "rb", buffering=0, closefd=False) as file:
            file.seek(0)
            while filled < len(content) and (
                read := file.readinto(content[filled : filled + _PIECE])
            ):
                found.update(content[filled : filled + read])
                filled += read
        if found.hexdigest() != digest:
            self._is_damaged = True
            return
        self._lay_out(content)
        self.content = content

    def _lay_out(self, content: Content) -> None:
        """Find everything in the bytes that were read, before they are searched."""
