"""How names of files and texts of others are shown: as text that can always be encoded and read."""

from __future__ import annotations

import re

# What a terminal takes for a command, a line break, or a reason to change the order of letters.
_COMMANDS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_NAMES = re.compile(f"[{_COMMANDS}]")
_IN_TEXTS = re.compile(rf"(?![\t\n])[{_COMMANDS}]")


def printable(name: str) -> str:
    r"""Return a file name as text: bytes that are no UTF-8, and control characters, as ``%E9``.

    Different names stay different, unless one of them holds such a code already.

    Examples
    --------
    >>> printable("caf\udce9.png"), printable("a\x1b[31m\n.png")
    ('caf%E9.png', 'a%1B[31m%0A.png')
    """
    return _IN_NAMES.sub(_percent, name)


def harmless(text: str) -> str:
    r"""Return a text that does nothing to a terminal but appear there, line breaks and tabs apart.

    Examples
    --------
    >>> harmless("red \x1b[31m\n")
    'red \\x1b[31m\n'
    """
    return _IN_TEXTS.sub(lambda found: ascii(found[0])[1:-1], text)


def _percent(found: re.Match[str]) -> str:
    # A lone surrogate that stands for no byte is none of the disk's.
    try:
        encoded = found[0].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        encoded = found[0].encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in encoded)
