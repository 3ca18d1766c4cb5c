"""A person's Markdown as a page and as PDF, in the look of the reports."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from PIL import Image

from pareja.datasets.images import decode_image
from pareja.errors import ImageError, OutputError
from pareja.report.drawing import FULL_WIDTH, PNG_DPI
from pareja.report.html import page_environment
from pareja.report.pdf import breakable, typeset
from pareja.report.prose import Node, Words, count_words, parse
from pareja.words.wording import Lang, Wording

# As wide as the text, at the density that figures are drawn with.
_MOST_PIXELS = 1700
_SUBTITLE = 150


@dataclass(frozen=True)
class _Picture:
    """A picture that the text names: its bytes, their kind, and its share of the text's width."""

    content: bytes
    kind: str
    share: float

    @property
    def uri(self) -> str:
        """An address that holds the picture itself."""
        media = "svg+xml" if self.kind == "svg" else self.kind
        return f"data:image/{media};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True, eq=False)
class Prose:
    """A text that was read, ready to be rendered.

    Parameters
    ----------
    source
        The file with the Markdown; pictures are beside it.
    lang
        The language of the text.
    title
        Its first heading.
    subtitle
        The line under that, where there is one that is short.
    blocks
        The rest.
    """

    source: Path
    lang: Lang
    title: str
    subtitle: Node
    blocks: tuple[Node, ...]

    @classmethod
    def read(cls, source: Path, text: str, lang: Lang) -> Prose:
        """Part a text into its title, the line under it and the rest."""
        blocks = list(parse(text))
        title = source.stem
        if blocks and blocks[0].kind == "heading" and blocks[0].with_["level"] == 1:
            title = blocks.pop(0).plain()
        subtitle = Node("paragraph")
        if blocks and blocks[0].kind == "paragraph" and len(blocks[0].plain()) <= _SUBTITLE:
            subtitle = blocks.pop(0)
        return cls(source, lang, title, subtitle, tuple(blocks))

    @cached_property
    def words(self) -> Words:
        """How many words it has."""
        return count_words((self.subtitle, *self.blocks))

    @cached_property
    def unwritten(self) -> tuple[Node, ...]:
        """The places that are still to be written in."""
        return tuple(
            node
            for block in (self.subtitle, *self.blocks)
            for node in block.walk()
            if node.kind in ("place", "gap")
        )

    @cached_property
    def pictures(self) -> Mapping[str, _Picture]:
        """Every picture that the text names, by the address that it names it with.

        Raises
        ------
        OutputError
            If one is not there, cannot be decoded, or is an address on the web.
        """
        found: dict[str, _Picture] = {}
        for block in (self.subtitle, *self.blocks):
            for node in block.walk():
                if node.kind == "picture" and node.with_["address"] not in found:
                    found[node.with_["address"]] = self._picture(node, block.line)
        return found

    def _picture(self, node: Node, line: int) -> _Picture:
        address = node.with_["address"]
        where = f"{self.source}:{line}"
        if "://" in address:
            raise OutputError(
                f"{where}: the picture {address} is on the web, and the document has to hold "
                "everything. Save it beside the text and name the file."
            )
        path = self.source.parent / unquote(address)
        if not path.is_file():
            raise OutputError(
                f"{where}: there is no picture {address!r} in {path.parent}. Mend the name, or "
                "remove the line."
            )
        try:
            return _read_picture(path)
        except ImageError as error:
            raise OutputError(f"{where}: the picture {address!r}: {error.reason}") from error

    def html(self) -> str:
        """Return the page, which holds its pictures and needs no other file."""
        return (
            page_environment()
            .get_template("prose.html.jinja")
            .render(
                prose=self,
                missing=Wording(self.lang).text("memoria.missing"),
                pictures={address: picture.uri for address, picture in self.pictures.items()},
            )
        )

    def pdf(self) -> bytes:
        """Return the document as PDF, tagged for screen readers."""
        names = {
            address: f"picture-{n}.{picture.kind}"
            for n, (address, picture) in enumerate(self.pictures.items())
        }

        def tree(node: Node) -> dict[str, object]:
            with_ = dict(node.with_)
            if node.kind == "picture":
                picture = self.pictures[node.with_["address"]]
                with_ |= {"file": names[node.with_["address"]], "share": picture.share}
            return {
                "kind": node.kind,
                "text": node.text,
                "with_": with_,
                "children": [tree(child) for child in node.children],
            }

        document = {
            "lang": self.lang,
            "title": self.title,
            "subtitle": self.subtitle.plain(),
            "subtitle_nodes": [tree(node) for node in self.subtitle.children],
            "missing": Wording(self.lang).text("memoria.missing"),
            "blocks": [tree(block) for block in self.blocks],
        }
        files = {names[address]: picture.content for address, picture in self.pictures.items()}
        files["document.json"] = json.dumps(breakable(document)).encode()
        return typeset("prose.typ", files)


def _read_picture(path: Path) -> _Picture:
    """Return a picture as a document holds it: a photograph is turned upright and made smaller."""
    content = path.read_bytes()
    if path.suffix.lower() == ".svg":
        return _Picture(content, "svg", 1.0)
    image = decode_image(path)
    if path.suffix.lower() == ".png" and max(image.size) <= _MOST_PIXELS:
        return _Picture(content, "png", _share(image.width))
    image.thumbnail((_MOST_PIXELS, _MOST_PIXELS), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=88, optimize=True)
    return _Picture(stream.getvalue(), "jpeg", _share(image.width))


def _share(width: int) -> float:
    """Return how much of the text's width a picture takes, at the density of the figures."""
    return min(1.0, width / PNG_DPI / FULL_WIDTH)
