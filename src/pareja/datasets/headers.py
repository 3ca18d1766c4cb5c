"""Headers: which reader a picture needs, and what it says of itself before it is decoded."""

from __future__ import annotations

import importlib
import io
import os
import re
import struct
import zlib
from typing import Any, BinaryIO

from PIL import IcoImagePlugin, Image, ImageFile

from pareja.datasets.signatures import HEAD_BYTES, picture_format, why_no_picture

# Pillow's classes are called directly: Image.open warns above half the limit of Pillow, has no
# limit per call, and asks every plugin that anybody has registered.
_READERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIC": ("pillow_heif", "HeifImageFile"),
    "JPEG 2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "QOI": ("PIL.QoiImagePlugin", "QoiImageFile"),
}


_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">", b"II\0*": "<", b"MM*\0": ">"}
# the kinds of whole numbers in EXIF, as struct knows them
_INTEGERS = {3: "H", 4: "I", 8: "h", 9: "i"}
_XMP_ORIENTATION = re.compile(r'tiff:Orientation(?:="|>)([0-9])')
_LATE_TEXT_BYTES = 2**20


class RefusedError(Exception):
    """A picture is refused; the text is the reason, as one clause."""


def open_picture(file: BinaryIO, max_pixels: int) -> Image.Image:
    """Read a picture's header and refuse it if it is none, cannot be read, or is too large.

    Parameters
    ----------
    file
        A seekable file that stands at its start.
    max_pixels
        Largest width times height.

    Returns
    -------
    PIL.Image.Image
        With size and ``info``, its pixels not loaded yet.

    Raises
    ------
    RefusedError
        With the reason. Readers raise whatever they like besides.
    """
    head = file.read(HEAD_BYTES)
    if not head:
        raise RefusedError("is empty")
    kind = picture_format(head)
    if kind is None:
        raise RefusedError(why_no_picture(head))
    file.seek(0)
    if kind == "ICO":
        return _open_ico(file, max_pixels)
    module, reader = _READERS[kind]
    try:
        image: ImageFile.ImageFile = getattr(importlib.import_module(module), reader)(file)
    except ImportError:
        raise RefusedError(
            "is HEIC, for which pillow-heif is needed: pip install 'pareja[heif]'"
        ) from None
    _check_pixels(image.size, max_pixels)
    if kind == "PNG":
        _mend_transparency(image)
    return image


def _check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise RefusedError(
            f"is {width} x {height} pixels, more than the limit of {in_words(max_pixels)}; "
            "scale it down"
        )


def _open_ico(file: BinaryIO, max_pixels: int) -> Image.Image:
    """Open the largest picture of an icon file.

    Pillow decodes it before anybody can ask for its size.
    """
    icon = IcoImagePlugin.IcoFile(file)
    largest = icon.entry[0]
    file.seek(largest.offset)
    head = file.read(12)
    if head.startswith(b"\x89PNG"):
        file.seek(largest.offset)
        return open_picture(io.BytesIO(file.read(largest.size)), max_pixels)
    # A bitmap's height is that of the picture and of its mask, one above the other.
    width, height = struct.unpack_from("<ii", head, 4)
    if (width, height) != (largest.width, 2 * largest.height):
        raise RefusedError(
            f"is damaged: an icon of {largest.width} x {largest.height} pixels holds a bitmap "
            "of another size"
        )
    _check_pixels(largest.dim, max_pixels)
    return icon.frame(0)


def _mend_transparency(image: ImageFile.ImageFile) -> None:
    """Scale a PNG's transparent colour to 8 bits, as Pillow scales the samples but not it."""
    transparent = image.info.get("transparency")
    samples = image.tile[0].args if image.tile else None
    if isinstance(transparent, int) and samples in ("L;2", "L;4"):
        image.info["transparency"] = transparent * (85 if samples == "L;2" else 17)
    elif isinstance(transparent, tuple) and samples == "RGB;16B":
        image.info["transparency"] = tuple(part >> 8 for part in transparent)


def orientation_of(image: Image.Image) -> int:
    """Tell how a picture is still to be turned.

    Where Pillow would find the tag, it is found here: in EXIF with its header none, once or twice,
    in a PNG's raw profile, and in XMP where EXIF has no such tag. It is looked up here, as Pillow's
    parser reads all tags, warns, and fails for broken ones.

    Parameters
    ----------
    image
        A picture whose ``info`` may hold EXIF.

    Returns
    -------
    int
        EXIF orientation, 1 to 8; 1 where there is none, where the metadata are broken, and for
        TIFF, which Pillow turns itself.
    """
    if image.format == "TIFF":
        return 1
    exif = image.info.get("exif")
    if exif is None:
        exif = _raw_profile(image.info.get("Raw profile type exif"))
    found = _in_exif(exif) if isinstance(exif, bytes) else None
    if found is None:
        found = _in_xmp(image.info.get("XML:com.adobe.xmp") or image.info.get("xmp"))
    return found if found is not None and 1 <= found <= 8 else 1


def _in_exif(exif: bytes) -> int | None:
    """Return the value of the tag; None if there is none."""
    exif = exif.removeprefix(_EXIF).removeprefix(_EXIF)
    order = _BYTE_ORDERS.get(exif[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(entries):
            place = start + 2 + 12 * entry
            tag, kind = struct.unpack_from(f"{order}HH", exif, place)
            if tag == _ORIENTATION:
                letter = _INTEGERS.get(kind)
                return struct.unpack_from(order + letter, exif, place + 8)[0] if letter else 1
    except struct.error:
        pass
    return None


def _raw_profile(profile: object) -> bytes | None:
    """Return the EXIF that ImageMagick writes into a PNG's text, in hexadecimal digits."""
    if not isinstance(profile, str):
        return None
    try:
        return bytes.fromhex("".join(profile.split("\n")[3:]))
    except ValueError:
        return None


def _in_xmp(xmp: object) -> int | None:
    """Return the value of the tag as XMP has it; None if there is none."""
    if isinstance(xmp, bytes):
        xmp = xmp.decode("latin-1")
    found = _XMP_ORIENTATION.search(xmp) if isinstance(xmp, str) else None
    return int(found[1]) if found else None


def late_metadata(file: BinaryIO) -> dict[str | tuple[int, int], Any]:
    """Find what stands after a PNG's pixels, where a reader of the header has stopped.

    Parameters
    ----------
    file
        The PNG file, seekable.

    Returns
    -------
    dict
        What Pillow would add to ``info`` with the pixels, as far as it may say an orientation.
    """
    found: dict[str | tuple[int, int], Any] = {}
    file.seek(8)
    while len(start := file.read(8)) == 8:
        length = int.from_bytes(start[:4])
        if start[4:] == b"eXIf":
            found.setdefault("exif", file.read(length))
            file.seek(4, os.SEEK_CUR)
        elif start[4:] in (b"tEXt", b"zTXt", b"iTXt") and length <= _LATE_TEXT_BYTES:
            found |= _png_text(start[4:], file.read(length))
            file.seek(4, os.SEEK_CUR)
        else:
            file.seek(length + 4, os.SEEK_CUR)
    return found


def _png_text(kind: bytes, content: bytes) -> dict[str | tuple[int, int], Any]:
    """Return a text chunk, if it is one that may say an orientation."""
    key, _, text = content.partition(b"\0")
    if key not in (b"Raw profile type exif", b"XML:com.adobe.xmp"):
        return {}
    compressed = kind == b"zTXt"
    text = text[1:] if compressed else text
    if kind == b"iTXt":
        compressed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
    try:
        if compressed:
            text = zlib.decompressobj().decompress(text, _LATE_TEXT_BYTES)
    except zlib.error:
        return {}
    return {key.decode(): text.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")}


def in_words(pixels: int) -> str:
    """Write a number of pixels the way people say it.

    Examples
    --------
    >>> in_words(178_000_000), in_words(640)
    ('178 million', '640')
    """
    return f"{pixels / 1e6:.4g} million" if pixels >= 10**6 else str(pixels)
