"""Large arrays while an encoder is trained: in memory, or in a file beyond a size."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pareja.errors import EncoderError, OutputError
from pareja.shortages import has_memory

KEPT_IN_MEMORY = 2 * 2**30
"""Bytes of one array that are kept in memory; a larger one is a file that nobody else sees."""


def room_for(what: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array to be filled, whose file, where it has one, is gone when the array is.

    Parameters
    ----------
    what
        What it is for, in words, for the message.
    shape, dtype
        Of the array.

    Raises
    ------
    OutputError
        If it must be a file and the folder for temporary files has not that much space.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= KEPT_IN_MEMORY:
        return np.empty(shape, dtype)
    # Checked first: a mapped file that finds no space ends the process without a message.
    advice = "set the environment variable TMPDIR to another folder, or train on fewer pictures"
    require_space(Path(tempfile.gettempdir()), what, size, advice)
    with tempfile.TemporaryFile(prefix="pareja-tune-") as file:
        # The mapping holds the file, which has no name any more, open by itself.
        return np.memmap(file, dtype, "w+", shape=shape)


def require_memory(size: int) -> None:
    """Raise `EncoderError` unless the machine has so many bytes of memory for a training.

    That is the least that it needs: pictures, and what a network computes of a batch, come on top.
    """
    if not has_memory(size):
        raise EncoderError(
            f"this training needs at least {size / 1e6:,.1f} MB more memory than the machine has "
            "free. Close other programs, train adapters of the last blocks alone (`method='lora'`, "
            "`blocks=2`), or take a smaller model."
        )


def require_space(folder: Path, what: str, size: int, advice: str) -> None:
    """Raise `OutputError` unless a folder has space for what is to be written there.

    Parameters
    ----------
    folder
        Which; it exists.
    what
        What needs the space, in words, several of it.
    size
        How many bytes.
    advice
        What to do, besides making space.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OutputError(
            f"{folder}: {what} need {size / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free there. "
            f"Free some, {advice}."
        )
