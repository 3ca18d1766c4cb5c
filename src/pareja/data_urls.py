"""Pictures that are written out as text: ``data:image/png;base64,...``."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from pareja.errors import ImageError

_HEAD = re.compile(
    r'\s*data:(?P<type>[\w.+-]+/[\w.+*-]+)?(?P<parameters>(?:;(?:[^";,]|"[^"]*")*)*),',
    re.IGNORECASE,
)
_OPAQUE = {"", "application/octet-stream", "binary/octet-stream"}
_BASE64 = re.compile(r"[\w+/\s-]+=*\s*", re.ASCII)
_SPACES = re.compile(rb"\s+")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def is_data_url(text: str) -> bool:
    """Tell whether a text is the address of what it holds, and no words.

    Examples
    --------
    >>> is_data_url("data:image/png;base64,iVBORw0KGgo="), is_data_url("data: the new oil, again")
    (True, False)
    """
    head = _HEAD.match(text)
    return head is not None and bool(head["type"] or head["parameters"])


def read_inline(text: str, name: str) -> bytes:
    """Return the file that a data URL holds, or base64 without the head of one.

    Parameters
    ----------
    text
        What a client sent in place of a picture.
    name
        What an error calls it.

    Raises
    ------
    ImageError
        If it is neither; an address of the web is not visited.
    """
    if _HEAD.match(text) is None and _BASE64.fullmatch(text):
        return _unpacked(text.encode(), name)
    return read_data_url(text, name)


def read_data_url(url: str, name: str) -> bytes:
    """Return the file that a data URL holds (RFC 2397; decoded as the WHATWG Fetch Standard does).

    Base64 may be broken into lines, lack its padding, use the URL-safe alphabet, or be
    percent-encoded. The type may have parameters, in quotes or not. It may also be missing or
    ``application/octet-stream``, since clients send formats that they do not know that way.

    Parameters
    ----------
    url
        The whole URL.
    name
        What an error calls it.

    Raises
    ------
    ImageError
        If it is no data URL, announces something else than a picture, or is not valid base64.
    """
    head = _HEAD.match(url)
    if head is None:
        address = "an address that is not visited" if "://" in url[:20] else "no data URL"
        raise ImageError(
            name, f"is {address}. Send the picture itself, as in data:image/png;base64,..."
        )
    kind = (head["type"] or "").lower()
    if not kind.startswith("image/") and kind not in _OPAQUE:
        raise ImageError(name, f"is a data URL of {kind[:40]}, not of a picture")
    content = unquote_to_bytes(url[head.end() :])
    if head["parameters"].rpartition(";")[2].strip().lower() != "base64":
        return content
    return _unpacked(content, name)


def _unpacked(content: bytes, name: str) -> bytes:
    packed = _SPACES.sub(b"", content).translate(_URL_SAFE).rstrip(b"=")
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(name, "is not valid base64") from error
