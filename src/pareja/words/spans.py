"""Stretches of text in one style: what sentences are made of before a renderer sets them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Style = Literal["plain", "strong", "emphasis", "code", "small"]


# Controls would make XML and Markdown invalid, and an override of the writing direction would turn
# round whatever follows it.
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def readable(text: str) -> str:
    r"""Return text without control characters, and with undecodable bytes of names replaced.

    Examples
    --------
    >>> readable("caf\udce9\x00.jpg")
    'caf?.jpg'
    """
    return _UNREADABLE.sub("", text).encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class Span:
    """A stretch of text in one style.

    Parameters
    ----------
    text
        Characters as they are meant to be read; each renderer escapes them.
    style
        How they are set.
    href
        Where a click leads; only ``http`` and ``https`` addresses are accepted.
    """

    text: str
    style: Style = "plain"
    href: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", readable(self.text))
        # A dataset's source_url is anybody's text: javascript: and data: must never be clickable.
        if self.href is not None and not re.match(r"https?://[^\s]+$", self.href, re.IGNORECASE):
            object.__setattr__(self, "href", None)


Inline: TypeAlias = tuple[Span, ...]
"""A sentence or a cell."""
