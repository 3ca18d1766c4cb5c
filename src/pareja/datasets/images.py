"""Decoding: from the bytes of any picture file to RGB pixels, or to one error that says why not.

Everything that reads pictures reads them here, since a picture must look the same to a check, to
an encoder and on a page.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from PIL import Image

from pareja.datasets.headers import (
    RefusedError,
    in_words,
    late_metadata,
    open_picture,
    orientation_of,
)
from pareja.datasets.records import Source
from pareja.datasets.rgb import to_rgb
from pareja.datasets.signatures import is_cut_off
from pareja.errors import ImageError
from pareja.names import printable
from pareja.shortages import has_memory, naming_shortages

DEFAULT_MAX_PIXELS = 178_000_000
"""Largest picture that is decoded unless told otherwise; as RGB it takes 534 MB."""

MAX_FILE_BYTES = 512 * 2**20
"""Largest file that is read."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_READING_REASONS = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "does not exist",
    errno.EISDIR: "is a folder",
    errno.EACCES: "may not be read: permission denied",
    errno.EPERM: "may not be read: permission denied",
    errno.ELOOP: "is a symbolic link that leads back to itself",
}
# Two threads that load one lazily opened image would read its file from each other's place.
_LOADING = threading.Lock()
_ANY_SIZE = 1 << 62
# The coefficients of a progressive JPEG, and the picture.
_BYTES_PER_PIXEL = 10
_INTERNAL_ERRORS = (LookupError, TypeError, AttributeError, ArithmeticError, struct.error)


def decode_image(
    source: Source | str | Path | bytes | BinaryIO,
    *,
    network_side: int | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    name: str | None = None,
) -> Image.Image:
    """Decode one picture to upright sRGB on white.

    Applies EXIF orientation, lays transparency on white, converts palettes, greys, CMYK, LAB and
    YCbCr, wide gamuts (through the embedded ICC profile), 16-bit and float samples (by the rule of
    `pareja.datasets.rgb.to_rgb`). Takes the first frame of animations, the first page of TIFF
    and the largest picture of an ICO. Reads JPEG (MPO included), PNG, WebP, GIF, TIFF, AVIF, HEIC
    (with ``pillow-heif``), JPEG 2000, BMP, ICO, PPM and QOI, by content and never by file name.

    May be called from any number of threads; nothing that other threads see is changed.

    Parameters
    ----------
    source
        Where the picture is. A file object is read from where it stands.
    network_side
        Side in pixels of the square that an encoder will look at. A JPEG is then decoded at a half,
        a quarter or an eighth of its size, as long as its shorter side keeps at least twice this.
    max_pixels
        Largest width times height; a larger picture is refused before its pixels are allocated.
    name
        What errors call the picture, where the source does not say it well.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, detached from its file and without metadata.

    Raises
    ------
    ImageError
        If the picture cannot be had, is none, is damaged or too large.
    MachineError
        If memory, open files or the disk fail. Never anything else.
    """
    label = _label(source) if name is None else name
    with _explaining(label):
        file = io.BytesIO(_read(source))
    with _explaining(label, file):
        image = open_picture(file, max_pixels)
        if network_side is not None and image.format == "JPEG":
            # A square, so that the shorter side counts whichever way the picture is turned.
            # Pillow's draft divides by it, and keeps the mode where none is asked for.
            image.draft(None, (2 * max(network_side, 1),) * 2)
        return _upright(image)


def as_png(image: Image.Image, name: str) -> bytes:
    """Encode an image that Pillow has opened or made, as `decode_image` would have shown it.

    Parameters
    ----------
    image
        In any mode. It is not changed.
    name
        What errors call it.

    Returns
    -------
    bytes
        A PNG: RGB, upright, without metadata.

    Raises
    ------
    ImageError
        If its file is damaged, or has gone since it was opened.
    """
    encoded = io.BytesIO()
    with _explaining(name):
        if image.width * image.height > DEFAULT_MAX_PIXELS:
            raise RefusedError(
                f"has {in_words(image.width * image.height)} pixels, more than the limit of "
                f"{in_words(DEFAULT_MAX_PIXELS)}; scale it down"
            )
        with _LOADING:
            rgb = _upright(image)
        rgb.save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def _upright(image: Image.Image) -> Image.Image:
    """Return an opened image in RGB, turned as its EXIF orientation says."""
    image.load()
    turn = _TURNS.get(orientation_of(image))
    rgb = to_rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


def image_size(
    source: Source | str | Path | bytes | BinaryIO,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    name: str | None = None,
) -> tuple[int, int]:
    """Read a picture's size from its header, decoding no pixels.

    Of a path only the header is read (WebP, AVIF and HEIC are read whole); other sources give all
    their bytes.

    Parameters
    ----------
    source
        Where the picture is. A file object is read from where it stands.
    max_pixels
        Largest width times height that is accepted.
    name
        What errors call the picture, where the source does not say it well.

    Returns
    -------
    tuple of int
        Width and height in pixels, after orientation: the size that `decode_image` returns.

    Raises
    ------
    ImageError
        If the header cannot be read or announces more than `max_pixels`.
    MachineError
        If memory, open files or the disk fail. Never anything else.
    """
    label = _label(source) if name is None else name
    with _explaining(label):
        file = (
            _open_file(source)
            if isinstance(source, str | os.PathLike)
            else io.BytesIO(_read(source))
        )
    with file, _explaining(label, file):
        image = open_picture(file, max_pixels)
        width, height = image.size
        if image.format == "PNG":
            # what stands before the pixels counts first, as it does to Pillow
            image.info |= {**late_metadata(file), **image.info}
        return (width, height) if orientation_of(image) < 5 else (height, width)


class _Quiet:
    """Silence warnings in the threads that are inside this context, and in no other.

    Pillow warns about metadata that it skips, and such a warning is no answer to a caller of the
    library. ``warnings.catch_warnings`` swaps the filters of the whole process, so that two threads
    could leave them swapped. A filter's message pattern is anything with a ``match``; this one
    matches in a thread that decodes.
    """

    def __init__(self) -> None:
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._filter = ("ignore", self, Warning, None, 0)

    def match(self, _message: str) -> bool:
        return getattr(self._thread, "decodes", False)

    def __enter__(self) -> None:
        filters = cast(list[Any], warnings.filters)
        with self._lock:
            if filters[:1] != [self._filter]:
                filters[:] = [self._filter, *(f for f in filters if f is not self._filter)]
        self._thread.decodes = True

    def __exit__(self, *_: object) -> None:
        self._thread.decodes = False


_QUIET = _Quiet()


@contextmanager
def _explaining(label: str, file: BinaryIO | None = None) -> Iterator[None]:
    """Turn whatever goes wrong inside into an `ImageError`."""
    try:
        with _QUIET:
            yield
    except ImageError:
        raise
    except Exception as error:
        with naming_shortages(label):
            if file is not None and not isinstance(error, RefusedError):
                _require_memory(file)
            raise ImageError(label, _reason(error, file)) from error


def _require_memory(file: BinaryIO) -> None:
    """Raise `MemoryError` unless there is room to decode a file, which some readers call broken."""
    file.seek(0)
    pixels = 0
    with suppress(Exception):
        width, height = open_picture(file, _ANY_SIZE).size
        pixels = width * height
    if pixels <= DEFAULT_MAX_PIXELS and not has_memory(_BYTES_PER_PIXEL * pixels):
        raise MemoryError


def _reason(error: Exception, file: BinaryIO | None) -> str:
    """Say in one clause what an exception means for the user."""
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return (
            "has more pixels than Pillow reads in this format "
            f"({in_words(2 * (Image.MAX_IMAGE_PIXELS or 0))}); scale it down"
        )
    text = re.sub(r"\s+", " ", str(error)).strip(" .")[:120] or type(error).__name__
    if file is None:
        number = error.errno if isinstance(error, OSError) else None
        return _READING_REASONS.get(number or 0) or f"cannot be read: {text}"
    if isinstance(error, EOFError) or "truncated" in text.lower() or _is_cut_off(file):
        return "ends early: the file is truncated"
    if "not identified by this driver" in text:
        return "is damaged: its header announces no pixels, or pixels of an unknown kind"
    # Pillow rewraps these; their text speaks of Python, not of the picture.
    if isinstance(error.__cause__ or error, _INTERNAL_ERRORS):
        return "is damaged: its structure makes no sense"
    return f"is damaged: {text}"


def _is_cut_off(file: BinaryIO) -> bool:
    file.seek(0)
    return is_cut_off(file.read(MAX_FILE_BYTES))


def _label(source: object) -> str:
    if isinstance(source, bytes | bytearray | memoryview):
        return f"<{len(source)} bytes>"
    if hasattr(source, "readable"):
        return printable(str(getattr(source, "name", "<stream>")))
    return printable(str(source))


def read_file(path: str | Path) -> bytes:
    """Read a picture file whole, if it is a regular file of at most `MAX_FILE_BYTES`.

    Parameters
    ----------
    path
        The file. Pipes and devices are refused and never opened, since they may block or act.

    Returns
    -------
    bytes
        Its content, at least one byte.

    Raises
    ------
    ImageError
        If it cannot be read, is empty or too large.
    """
    with _explaining(printable(str(path))):
        return _read(path)


def _read(source: Source | str | Path | bytes | BinaryIO) -> bytes:
    encoded: object
    if isinstance(source, str | os.PathLike):
        with _open_file(source) as file:
            encoded = file.read(MAX_FILE_BYTES + 1)
    elif hasattr(source, "readable"):
        encoded = cast(BinaryIO, source).read(MAX_FILE_BYTES + 1)
    elif hasattr(source, "read"):
        encoded = source.read()
    else:
        encoded = source
    if not isinstance(encoded, bytes | bytearray | memoryview):
        raise RefusedError(
            f"gives {type(encoded).__name__} instead of bytes: open it in binary mode"
        )
    if not encoded:
        raise RefusedError("is empty")
    _check_length(len(encoded))
    return bytes(encoded)


def _open_file(path: str | Path) -> BinaryIO:
    """Open a regular file; whatever else has a path is refused unopened."""
    _check_regular(Path(path).stat())

    def opener(name: str, flags: int) -> int:
        # Between the two checks a pipe may have taken the file's place; opening one waits.
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    file = open(path, "rb", opener=opener)  # noqa: SIM115  handed to the caller
    try:
        _check_regular(os.fstat(file.fileno()))
    except RefusedError:
        file.close()
        raise
    return file


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise RefusedError("is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError("is no regular file but a pipe, socket or device")
    _check_length(status.st_size)


def _check_length(length: int) -> None:
    if length > MAX_FILE_BYTES:
        raise RefusedError(
            f"has {length / 2**20:.0f} MiB, more than the limit of {MAX_FILE_BYTES / 2**20:.0f} MiB"
        )
