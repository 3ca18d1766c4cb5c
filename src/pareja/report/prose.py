"""Markdown that a person writes, as a tree: what is shown of it, and how many words it has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from pareja.words.wording import Lang, Wording

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_LABEL = re.compile(r"(Tabla|Figura|Table|Figure)\s+\d+\.?", re.IGNORECASE)
_WORD = re.compile(r"\S*\w\S*")
_LANGS: tuple[Lang, ...] = ("es", "en")
# What Markdown calls a thing, and what it is called here.
_KINDS = {
    "bullet_list": "list",
    "ordered_list": "list",
    "list_item": "item",
    "blockquote": "quote",
    "em": "emphasis",
    "s": "struck",
    "hr": "rule",
    "tr": "row",
    "th": "cell",
    "td": "cell",
    "softbreak": "space",
    "hardbreak": "break",
}
_CODE = {"code_inline": "code", "code_block": "listing", "fence": "listing"}


@dataclass(frozen=True)
class Node:
    """A part of a text.

    Parameters
    ----------
    kind
        ``heading``, ``paragraph``, ``list``, ``item``, ``quote``, ``listing``, ``table``, ``row``,
        ``cell``, ``rule``, ``figure`` (pictures with a caption), ``tabled`` (a table with a
        caption), ``caption``, ``place`` (still to be written in); inside of these ``text``,
        ``strong``, ``emphasis``, ``struck``, ``code``, ``link``, ``picture``, ``space``,
        ``break``, ``gap`` (still to be filled in).
    children
        What it is made of.
    text
        Characters, of a leaf.
    line
        Where it begins in the source, from 1; 0 where that is unknown.
    with_
        ``level`` of a heading, ``ordered`` and ``start`` of a list, ``address`` of a link or
        picture, ``align`` of a cell, ``head`` of a row.
    """

    kind: str
    children: tuple[Node, ...] = ()
    text: str = ""
    line: int = 0
    with_: Mapping[str, Any] = field(default_factory=dict)

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def safe(self) -> bool:
        """Whether a link leads to a page: other addresses could run something."""
        return bool(re.match(r"https?://|mailto:", self.with_["address"], re.IGNORECASE))

    @property
    def blank(self) -> bool:
        """Whether a row has nothing in it: Markdown needs a head, and no reader an empty one."""
        return not any(cell.children for cell in self.children)

    def plain(self) -> str:
        """Return the text without its marks."""
        own = {"space": " ", "break": " "}.get(self.kind, self.text)
        return own + "".join(child.plain() for child in self.children)


@dataclass(frozen=True)
class Words:
    """How many words a text has, and where.

    Parameters
    ----------
    body
        Running text: paragraphs, lists and quotations. This is what a limit applies to.
    headings, tables, captions, code
        What does not count.
    """

    body: int
    headings: int
    tables: int
    captions: int
    code: int


def parse(text: str) -> tuple[Node, ...]:
    """Return the blocks of a text in Markdown (CommonMark, with tables).

    Comments vanish; a place that is still to be written in keeps the text of the comment before
    it. HTML is shown as the characters that it is made of, except for line breaks.
    """
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tree = SyntaxTreeNode(parser.parse(text.replace("\r\n", "\n")))
    return tuple(_grouped(list(_blocks(tree.children))))


def count_words(blocks: Sequence[Node]) -> Words:
    """Count the words of a text, as spaces part them; places that are unwritten have none."""
    found = dict.fromkeys(("body", "headings", "tables", "captions", "code"), 0)
    where = {
        "heading": "headings",
        "table": "tables",
        "caption": "captions",
        "listing": "code",
        "place": "",
        "gap": "",
        "picture": "",
    }

    def count(node: Node, into: str) -> None:
        into = where.get(node.kind, into)
        if not into:
            return
        inline = any(child.kind in _INLINE for child in node.children)
        if inline:
            shown = "".join(
                "" if where.get(child.kind, into) == "" else child.plain()
                for child in node.children
            )
            found[into] += len(_WORD.findall(shown))
            return
        if node.text:
            found[into] += len(_WORD.findall(node.text))
        for child in node.children:
            count(child, into)

    for block in blocks:
        count(block, "body")
    return Words(**found)


_INLINE = frozenset(
    {"text", "strong", "emphasis", "struck", "code", "link", "picture", "space", "break", "gap"}
)


def gaps() -> tuple[str, ...]:
    """Return what marks a place that is still to be written in, in each language."""
    return tuple(Wording(lang).text("memoria.gap") for lang in _LANGS)


def _blocks(nodes: Sequence[SyntaxTreeNode]) -> Iterator[Node]:
    comment = ""
    for node in nodes:
        if node.type == "html_block":
            comments = _COMMENT.findall(node.content)
            comment = " ".join(comments[-1].split()) if comments else ""
            left = _COMMENT.sub("", node.content).strip()
            if left:
                yield Node("paragraph", (Node("text", text=left),), line=_line(node))
            continue
        block = _block(node)
        if block.kind == "paragraph" and block.plain().strip() in gaps():
            block = Node("place", text=comment, line=block.line)
        comment = ""
        yield block


def _block(node: SyntaxTreeNode) -> Node:
    line = _line(node)
    if node.type in _CODE:
        return Node(_CODE[node.type], text=node.content.rstrip("\n"), line=line)
    kind = _KINDS.get(node.type, node.type)
    if kind in ("paragraph", "heading", "cell"):
        with_: dict[str, Any] = {}
        if kind == "heading":
            with_ = {"level": int(node.tag[1])}
        elif kind == "cell":
            style = str(node.attrs.get("style", ""))
            with_ = {"align": style.rpartition(":")[2] or "left"}
        inline = [leaf for child in node.children for leaf in _inline(child.children)]
        return Node(kind, tuple(_with_gaps(inline)), line=line, with_=with_)
    if kind == "table":
        rows = [
            Node(
                "row",
                tuple(_block(cell) for cell in row.children),
                with_={"head": part.type == "thead"},
            )
            for part in node.children
            for row in part.children
        ]
        return Node("table", tuple(rows), line=line)
    if kind == "list":
        with_ = {
            "ordered": node.type == "ordered_list",
            "start": int(node.attrs.get("start", 1)),
        }
        return Node("list", tuple(_block(item) for item in node.children), line=line, with_=with_)
    return Node(kind, tuple(_grouped(list(_blocks(node.children)))), line=line)


def _inline(nodes: Sequence[SyntaxTreeNode]) -> Iterator[Node]:
    for node in nodes:
        match node.type:
            case "text":
                yield Node("text", text=node.content)
            case "code_inline":
                yield Node("code", text=node.content)
            case "image":
                address = {"address": str(node.attrs["src"])}
                yield Node("picture", text=node.content, with_=address)
            case "link":
                address = {"address": str(node.attrs["href"])}
                yield Node("link", tuple(_inline(node.children)), with_=address)
            case "html_inline":
                if re.fullmatch(r"<br\s*/?>", node.content, re.IGNORECASE):
                    yield Node("break")
                elif not _COMMENT.fullmatch(node.content):
                    yield Node("text", text=node.content)
            case _:
                kind = _KINDS.get(node.type, node.type)
                yield Node(kind, tuple(_inline(node.children)))


def _with_gaps(nodes: Sequence[Node]) -> Iterator[Node]:
    """Part text where something is still to be filled in."""
    mark = re.compile("(" + "|".join(map(re.escape, gaps())) + ")")
    for node in nodes:
        if node.kind != "text":
            yield node
            continue
        for part in filter(None, mark.split(node.text)):
            yield Node("gap" if mark.fullmatch(part) else "text", text=part)


def _grouped(blocks: list[Node]) -> Iterator[Node]:
    """Put captions to what they belong to: below pictures, above tables."""
    place = 0
    while place < len(blocks):
        block = blocks[place]
        after = blocks[place + 1] if place + 1 < len(blocks) else Node("end")
        if _is_pictures(block) and _is_caption(after):
            yield Node("figure", (block, Node("caption", after.children)), line=block.line)
            place += 2
        elif _is_caption(block) and after.kind == "table":
            yield Node("tabled", (Node("caption", block.children), after), line=block.line)
            place += 2
        else:
            yield block
            place += 1


def _is_pictures(block: Node) -> bool:
    return (
        block.kind == "paragraph"
        and any(child.kind == "picture" for child in block.children)
        and all(child.kind in ("picture", "space", "break") for child in block.children)
    )


def _is_caption(block: Node) -> bool:
    if block.kind != "paragraph":
        return False
    first = next((child for child in block.children if child.plain().strip()), None)
    return (
        first is not None
        and first.kind == "strong"
        and _LABEL.fullmatch(first.plain().strip()) is not None
    )


def _line(node: SyntaxTreeNode) -> int:
    return node.map[0] + 1 if node.map else 0
