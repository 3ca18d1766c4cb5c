"""The report as Markdown, as GitHub, Jupyter and pandoc read it."""

from __future__ import annotations

import re

from pareja.report.document import (
    Block,
    Bullets,
    Document,
    FigureBlock,
    Formula,
    Gallery,
    Listing,
    Note,
    Paragraph,
    PictureCard,
    StudentPlace,
    Subheading,
    Table,
)
from pareja.report.formulas import load_formulas
from pareja.words.spans import Inline, Span

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&#])")
# At the start of a line these would begin a list, draw a rule or underline a heading.
_LEADING = re.compile(r"^(\s*)(?:(\d+)(?=[.)](?:\s|$))|(?=[-+=](?:[-+=\s]|$)))")
_RULE = {"l": ":--", "c": ":-:", "r": "--:"}


def render_markdown(document: Document, folder: str) -> str:
    """Return the document as Markdown; figures and pictures are files in ``folder`` beside it."""
    parts = [f"# {escaped(document.title)}", f"*{escaped(document.subtitle)}*"]
    parts.append(f"**{escaped(document.contents)}**")
    parts.append(
        "\n".join(
            f"{i}. [{escaped(section.title)}](#{section.key})"
            for i, section in enumerate(document.sections, start=1)
        )
    )
    for section in document.sections:
        # Anchors that renderers make from titles differ; one of our own is the same everywhere.
        parts.append(f'<a id="{section.key}"></a>\n\n## {escaped(section.title)}')
        parts += [block_markdown(block, folder) for block in section.blocks]
    parts += ["---", escaped(document.footer)]
    return "\n\n".join(parts) + "\n"


def block_markdown(block: Block, folder: str) -> str:
    """Return one block as Markdown; its pictures and figures are files in ``folder``."""
    match block:
        case Paragraph():
            return _line(block.text)
        case Bullets():
            marks = (f"{i}." if block.ordered else "-" for i in range(1, len(block.items) + 1))
            return "\n".join(
                f"{mark} {_line(item)}" for mark, item in zip(marks, block.items, strict=True)
            )
        case Subheading():
            return f"### {escaped(block.text)}"
        case Note():
            return f"> **!** {_line(block.text)}"
        case Listing():
            fence = "`" * max(3, 1 + _longest_run(block.text, "`"))
            return f"{fence}sh\n{block.text}\n{fence}"
        case Table():
            return f"**{escaped(block.label)}.** {_line(block.caption)}\n\n{_table(block)}"
        case FigureBlock():
            image = f"![{escaped(block.alt)}]({folder}/{block.name}.png)"
            return f"{image}\n\n**{escaped(block.label)}.** {_line(block.caption)}"
        case Formula():
            formula = load_formulas()[block.key].latex
            return f"**{escaped(block.title)}**\n\n$$\n{formula}\n$$\n\n{_line(block.text)}"
        case Gallery():
            rows = [f"| {_picture(card, folder)} | {_card(card)} |" for card in block.cards]
            return "\n".join(["| | |", "|:--|:--|", *rows])
        case StudentPlace():
            questions = [f"> - {_line(question)}" for question in block.questions]
            return "\n".join(
                [f"> **{escaped(block.title)}**", ">", *questions, ">", "> …", ">", ">"]
            )


def _table(table: Table) -> str:
    head = " | ".join(_line(cell) for cell in table.head)
    rule = "|".join(_RULE[letter] for letter in table.align)
    rows = [" | ".join(_line(cell) for cell in row) for row in table.rows]
    return "\n".join([f"| {head} |", f"|{rule}|", *(f"| {row} |" for row in rows)])


def _picture(card: PictureCard, folder: str) -> str:
    return f"![{escaped(card.alt)}]({folder}/pictures/{card.picture + 1:03}.jpg)"


def _card(card: PictureCard) -> str:
    return "<br>".join(_line(line) for line in card.lines)


def _line(spans: Inline) -> str:
    """Return spans as one line that starts no list and no heading."""
    return _LEADING.sub(r"\1\2\\", "".join(_span(span) for span in spans))


def _span(span: Span) -> str:
    if span.style == "code":
        # Inside a table a bar ends the cell, even in code.
        text = " ".join(span.text.split()).replace("|", "\N{BROKEN BAR}")
        fence = "`" * (1 + _longest_run(text, "`"))
        edge = " " if text.startswith("`") or text.endswith("`") else ""
        return f"{fence}{edge}{text}{edge}{fence}"
    text = escaped(span.text)
    if span.href:
        address = "".join(_PERCENT.get(c, c) for c in span.href)
        return f"[{text}](<{address}>)"
    mark = {"strong": "**", "emphasis": "*"}.get(span.style, "")
    inner = text.strip(" ")
    if not mark or not inner:
        return text
    # A mark only opens before a letter and closes after one.
    before = text[: len(text) - len(text.lstrip(" "))]
    after = text[len(text.rstrip(" ")) :]
    return f"{before}{mark}{inner}{mark}{after}"


_PERCENT = {c: f"%{ord(c):02X}" for c in "<>\\|`"}


def escaped(text: str) -> str:
    """Return text on one line, with everything that Markdown or HTML would act on disarmed."""
    return _SPECIAL.sub(r"\\\1", re.sub(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*", " ", text))


def _longest_run(text: str, letter: str) -> int:
    return max((len(run) for run in re.findall(re.escape(letter) + "+", text)), default=0)
