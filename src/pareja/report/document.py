"""The report as one document, before it becomes HTML, Markdown or PDF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pareja.words.spans import Inline, Span, readable
from pareja.words.wording import Lang


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: Inline


@dataclass(frozen=True)
class Bullets:
    """A list; ``ordered`` where the items are counted."""

    items: tuple[Inline, ...]
    ordered: bool = False


@dataclass(frozen=True)
class Subheading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows under a head.

    Parameters
    ----------
    head, rows
        Cells; every row is as long as the head.
    align
        One of ``l``, ``c``, ``r`` for each column.
    label, caption
        "Table 3" and what it shows.
    """

    head: tuple[Inline, ...]
    rows: tuple[tuple[Inline, ...], ...]
    align: str
    label: str
    caption: Inline


@dataclass(frozen=True)
class FigureBlock:
    """A drawing that `figures` made under this name."""

    name: str
    label: str
    caption: Inline
    alt: str


@dataclass(frozen=True)
class Formula:
    """A displayed formula from ``formulas.toml`` with the sentence that explains its letters."""

    key: str
    title: str
    text: Inline


@dataclass(frozen=True)
class PictureCard:
    """A picture with the lines of text under it, and perhaps the picture it was taken for.

    Parameters
    ----------
    picture, alt
        Its place in the dataset, and the text that stands for it where it cannot be seen.
    lines
        What is said of it.
    rival, rival_alt
        Another picture to show beside the last line, smaller.
    """

    picture: int
    alt: str
    lines: tuple[Inline, ...]
    rival: int | None = None
    rival_alt: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side, each with its text."""

    cards: tuple[PictureCard, ...]


@dataclass(frozen=True)
class Note:
    """Something the reader must not miss."""

    text: Inline


@dataclass(frozen=True)
class Listing:
    """Text to be typed or compared letter by letter."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", readable(self.text))


@dataclass(frozen=True)
class StudentPlace:
    """A marked place for an analysis of the reader's own, with questions that lead to it.

    Parameters
    ----------
    key
        What its text is kept under; the same in every language.
    title, questions
        What is shown above it.
    """

    key: str
    title: str
    questions: tuple[Inline, ...]


Block: TypeAlias = (
    Paragraph
    | Bullets
    | Subheading
    | Table
    | FigureBlock
    | Formula
    | Gallery
    | Note
    | Listing
    | StudentPlace
)


@dataclass(frozen=True)
class Section:
    """A part of the report; ``key`` is its anchor, the same in every language."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """The whole report.

    Parameters
    ----------
    lang
        ``es`` or ``en``.
    title, subtitle
        What it is about.
    contents
        The heading of the table of contents.
    hint
        What a student place says where one can write into it.
    footer
        The last line.
    sections
        Its parts, in order.
    """

    lang: Lang
    title: str
    subtitle: str
    contents: str
    hint: str
    footer: str
    sections: tuple[Section, ...]

    def blocks(self) -> Iterator[Block]:
        """Yield every block, in order."""
        for section in self.sections:
            yield from section.blocks

    def pictures(self) -> tuple[int, ...]:
        """Return the places in the dataset of all pictures that are shown, rising."""
        shown: set[int] = set()
        for block in self.blocks():
            if isinstance(block, Gallery):
                for card in block.cards:
                    shown |= {card.picture} if card.rival is None else {card.picture, card.rival}
        return tuple(sorted(shown))


def plain(text: object) -> Inline:
    """Return text in one plain span; empty text gives no span."""
    return (Span(str(text)),) if str(text) else ()


def strong(text: object) -> Inline:
    """Return text in one strong span."""
    return (Span(str(text), "strong"),)


def joined(parts: Sequence[Inline], separator: str = " ") -> Inline:
    """Return several stretches of text as one, leaving out the empty ones."""
    filled = [part for part in parts if part]
    return tuple(
        span for i, part in enumerate(filled) for span in ((Span(separator), *part) if i else part)
    )
