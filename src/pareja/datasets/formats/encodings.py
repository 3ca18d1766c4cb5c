"""Text files that people made with whatever they had: which encoding they are in."""

from __future__ import annotations

import re

_BYTE_ORDER_MARKS = (
    # UTF-32 first: its little-endian mark starts with that of UTF-16
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
_GUESSES = ("cp1252", "mac_roman", "cp850")
"""Single-byte encodings that spreadsheets write: on Windows, on a Mac, for MS-DOS."""

_LETTERS_OF_NAMES = "áéíóúüñçàèìòùâêîôûäëïöãõåæøßÁÉÍÓÚÜÑÇÀÈÌÒÙÂÊÎÔÛÄËÏÖÃÕÅÆØœŒ"
_PUNCTUATION = "¿¡«»‘’“”–—…€°ºª·©®™£§"
_INSIDE_WORD = re.compile(r"(?<=[^\W\d_])([^\w\s'’.·-])(?=[^\W\d_])|(?<=[a-zà-ÿ])[A-ZÀ-Þ]")


def decode_text(content: bytes) -> str:
    """Decode a text file that people made with whatever they had.

    UTF-8, UTF-16 and UTF-32 are recognised by their byte order mark, and UTF-8 also without one.
    Anything else is in an encoding with one byte for a character, which has to be guessed:
    Windows-1252, the superset of Latin-1 that spreadsheets write, unless Mac Roman or code page
    850 give the text clearly more plausible letters.

    Parameters
    ----------
    content
        The bytes.

    Raises
    ------
    UnicodeDecodeError
        If the bytes contradict their byte order mark.

    Examples
    --------
    >>> decode_text("Zürich – Café".encode("cp1252"))
    'Zürich – Café'
    >>> decode_text("Un niño en el jardín".encode("mac_roman"))
    'Un niño en el jardín'
    """
    return guessed_text(content)[0]


def guessed_text(content: bytes) -> tuple[str, str | None]:
    """Decode a text file, and name its encoding where that is a guess that may be wrong.

    Returns
    -------
    tuple
        The text, and None where the encoding is sure or the text holds no odd letter in it.

    Raises
    ------
    UnicodeDecodeError
        If the bytes contradict their byte order mark.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding), None
    try:
        return content.decode("utf-8"), None
    except UnicodeDecodeError:
        pass
    # cp1252 leaves five bytes undefined, which latin-1 takes
    texts = {"cp1252": _decoded(content, "cp1252") or content.decode("latin-1")}
    for encoding in _GUESSES[1:]:
        text = _decoded(content, encoding)
        if text is not None:
            texts[encoding] = text
    oddity = {encoding: _oddity(text) for encoding, text in texts.items()}
    best = min(oddity, key=lambda encoding: oddity[encoding])
    # Windows-1252 is by far the most common, so another must be clearly better.
    chosen = best if oddity[best] < oddity["cp1252"] else "cp1252"
    return texts[chosen], None if chosen == "cp1252" and not oddity["cp1252"] else chosen


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _oddity(text: str) -> int:
    """Count what nobody writes: signs inside words, and letters of no common language."""
    inside = len(_INSIDE_WORD.findall(text))
    strange = sum(
        1
        for letter in text
        if ord(letter) > 127 and letter not in _LETTERS_OF_NAMES and letter not in _PUNCTUATION
    )
    return 2 * inside + strange
