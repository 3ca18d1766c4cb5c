"""What a file is, told from its bytes: a file's name is no evidence."""

from __future__ import annotations

import codecs
import re

HEAD_BYTES = 4096
"""How much of a file's beginning the functions here look at."""

# Only formats whose readers neither run programs (EPS calls Ghostscript) nor guess (TGA has no
# signature, so that anything could be one).
_PICTURES = (
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("WebP", rb"RIFF.{4}WEBP"),
    ("GIF", rb"GIF8[79]a"),
    ("TIFF", rb"II[*+]\0|MM\0[*+]"),
    ("AVIF", rb".{4}ftyp(?:avif|avis)"),
    ("HEIC", rb".{4}ftyp(?:hei[cxms]|hev[cxms])"),
    ("JPEG 2000", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
    ("BMP", rb"BM.{12}[\x0c-\x7f]\0\0\0"),
    ("ICO", rb"\0\0\x01\0"),
    ("PPM", rb"P[1-6Ff]\s"),
    ("QOI", rb"qoif"),
)
_OTHERS = (
    ("not a picture: it is a web page, as of a download that was refused",
     rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body)"),
    ("is an SVG drawing, which has no pixels: export it as PNG",
     rb"\s*(?:<\?xml.*?\?>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype svg|svg)"),
    ("is a PDF document: export its page as PNG", rb"%PDF-"),
    ("is PostScript, a program that is never run here: export it as PNG",
     rb"%!PS|\xc5\xd0\xd3\xc6"),
    ("is a Photoshop document: export it as PNG or JPEG", rb"8BPS"),
    ("is JPEG XL, which cannot be read yet: convert it to JPEG or PNG",
     rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    ("not a picture: it is a pointer of Git LFS; fetch the file with: git lfs pull",
     rb"version https://git-lfs"),
    ("not a picture: it is a zip archive", rb"PK\x03\x04"),
    ("not a picture: it is a video", rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI "),
    ("holds zero bytes only: it was never written to the end", rb"\0+\Z"),
)  # fmt: skip
_PICTURE_PATTERNS = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in _PICTURES]
_OTHER_PATTERNS = [
    (clause, re.compile(pattern, re.DOTALL | re.IGNORECASE)) for clause, pattern in _OTHERS
]


def picture_format(head: bytes) -> str | None:
    """Return the format of a picture, or None for a format that cannot be read.

    Parameters
    ----------
    head
        The file's first `HEAD_BYTES` bytes.

    Examples
    --------
    >>> picture_format(b"GIF89a..."), picture_format(b"%PDF-1.7")
    ('GIF', None)
    """
    if head[4:8] == b"ftyp":
        return _container_format(head)
    return next((name for name, pattern in _PICTURE_PATTERNS if pattern.match(head)), None)


def _container_format(head: bytes) -> str | None:
    """Return the format of a file in the container that HEIC, AVIF and videos share.

    The major brand may be one of the container or of a profile (``mif1``, ``miaf``, ``MA1B``); what
    is in the file then stands among the compatible brands (ISO/IEC 14496-12, section 4.3).
    """
    length = int.from_bytes(head[:4])
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head)), 4))]
    for name, pattern in _PICTURE_PATTERNS:
        if name in ("AVIF", "HEIC") and any(pattern.match(b"    ftyp" + b) for b in brands):
            return name
    # a profile of HEIC or of still pictures alone; a video has none of them
    return "HEIC" if {b"mif1", b"msf1"}.intersection(brands) else None


def why_no_picture(head: bytes) -> str:
    """Say in one clause what a file is that `picture_format` does not know.

    Parameters
    ----------
    head
        The file's first `HEAD_BYTES` bytes.

    Examples
    --------
    >>> why_no_picture(b"%PDF-1.7")
    'is a PDF document: export its page as PNG'
    """
    text = head.removeprefix(codecs.BOM_UTF8)
    for clause, pattern in _OTHER_PATTERNS:
        if pattern.match(text):
            return clause
    if _is_text(head):
        return "not a picture: it is text"
    names = ", ".join(name for name, _ in _PICTURES)
    return f"not a picture of a format that can be read ({names})"


def _is_text(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        # Incremental, since the head may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def is_cut_off(encoded: bytes) -> bool:
    """Tell whether a picture's own bookkeeping says that it ends before its end.

    Parameters
    ----------
    encoded
        The whole file.

    Returns
    -------
    bool
        False also for formats that keep no such books.
    """
    match picture_format(encoded[:HEAD_BYTES]):
        case "JPEG":
            return b"\xff\xd9" not in encoded
        case "PNG":
            return b"IEND" not in encoded
        case "GIF":
            return not encoded.rstrip(b"\0").endswith(b";")
        case "WebP":
            return int.from_bytes(encoded[4:8], "little") + 8 > len(encoded)
        case "BMP":
            return int.from_bytes(encoded[2:6], "little") > len(encoded)
        case "AVIF" | "HEIC" | "JPEG 2000" if not encoded.startswith(b"\xff\x4f"):
            return _boxes_are_cut_off(encoded)
    return False


def _boxes_are_cut_off(encoded: bytes) -> bool:
    """Walk the boxes of an ISO base media file (ISO/IEC 14496-12, section 4.2)."""
    start = 0
    while start < len(encoded):
        size = int.from_bytes(encoded[start : start + 4])
        if size == 1:
            size = int.from_bytes(encoded[start + 8 : start + 16])
        if size < 8:
            return False
        start += size
    return start > len(encoded)
