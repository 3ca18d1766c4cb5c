"""The draft of a student's own document: what a study gives it, and places for her text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pareja.report.content import about
from pareja.report.document import (
    Block,
    Bullets,
    Document,
    FigureBlock,
    Gallery,
    Listing,
    Paragraph,
    Table,
    plain,
)
from pareja.report.drawing import Drawing
from pareja.report.figures import save_drawings
from pareja.report.frame import Frame, clipped
from pareja.report.gallery import draw_gallery
from pareja.report.markdown import block_markdown, escaped
from pareja.report.pictures import Thumbnail

DRAFTS = {"en": "draft.md", "es": "borrador.md"}
"""The name of the draft in a study's folder, by its language."""

_LABELLED = (Table, FigureBlock)
# A document of at most 3000 words has no room for more.
_CARDS = 4


def write_draft(
    document: Document, frame: Frame, pictures: Sequence[Thumbnail], out: Path, folder: str
) -> dict[str, Path]:
    """Write the draft beside the report that it takes its tables and figures from.

    Parameters
    ----------
    document, frame
        The report, and what it was put together with.
    pictures
        Thumbnails, in the dataset's order.
    out, folder
        The study's folder, and the name of the folder of figures in it.

    Returns
    -------
    dict
        The path of each file that was written, by its name relative to ``out``.
    """
    written: dict[str, Path] = {}
    drawing: Drawing | None = None
    if frame.few:
        drawing = draw_gallery(frame, pictures)
        saved = save_drawings({drawing.name: drawing}, out / folder)
        written |= {f"{folder}/{name}": path for name, path in saved.items()}
    name = DRAFTS[document.lang]
    written[name] = out / name
    written[name].write_text(
        render_draft(document, frame, folder, drawing), encoding="utf-8", newline="\n"
    )
    return written


def render_draft(
    document: Document, frame: Frame, folder: str, drawing: Drawing | None = None
) -> str:
    """Return the draft as Markdown: the outline of the practical, with what the study gives it."""
    words = frame.words
    gap = words.text("memoria.gap")
    counts = {Table: 0, FigureBlock: 0}

    def shown(block: Block) -> str:
        """Return a block as Markdown, tables and figures counted anew."""
        if isinstance(block, _LABELLED):
            counts[type(block)] += 1
            kind = "table" if isinstance(block, Table) else "figure"
            label = words.text(f"document.{kind}", n=counts[type(block)])
            block = _relabelled(block, label)
        return block_markdown(block, folder)

    dataset = frame.result.dataset
    parts = [
        f"# {escaped(words.text('memoria.title', dataset=dataset.name))}",
        words.text("memoria.author", gap=gap),
        f"<!-- {words.text('memoria.instructions', gap=gap)} -->",
    ]
    for key, blocks in _outline(document, frame, drawing):
        parts.append(f"## {escaped(words.text(f'memoria.{key}'))}")
        parts += [shown(block) for block in blocks]
        if key != "reproduce":
            # Two hyphens in a row would end the comment.
            hint = words.text(f"memoria.place_{key}").replace("--", "–")
            parts.append(f"<!-- {hint} -->\n\n{gap}")
    return "\n\n".join(parts) + "\n"


def _relabelled(block: Table | FigureBlock, label: str) -> Block:
    if isinstance(block, Table):
        return Table(block.head, block.rows, block.align, label, block.caption)
    return FigureBlock(block.name, label, block.caption, block.alt)


def _outline(
    document: Document, frame: Frame, drawing: Drawing | None
) -> Iterator[tuple[str, list[Block]]]:
    """Yield each section of the practical with the blocks that the study has for it."""
    words, encoders = frame.words, frame.result.encoders
    report = {section.key: section.blocks for section in document.sections}
    slots = {
        kind: [slot for slot, encoder in enumerate(encoders) if encoder.kind == kind]
        for kind in ("pair", "dual")
    }

    def of(key: str, *kinds: type[Block]) -> list[Block]:
        return [block for block in report.get(key, ()) if isinstance(block, kinds)]

    def matrices(kind: str) -> list[Block]:
        return [of("similarity", FigureBlock)[slot] for slot in slots[kind]]

    def said(key: str, places: Sequence[int]) -> list[Block]:
        (bullets,) = of(key, Bullets)
        assert isinstance(bullets, Bullets)  # noqa: S101  `of` has just selected them
        items = tuple(bullets.items[place] for place in places)
        return [Bullets(items)] if items else []

    yield "dataset", [Paragraph(about(frame, "memoria.credits")), *_pictures(frame, drawing)]
    if slots["pair"]:
        yield (
            "pre_clip",
            [
                *matrices("pair"),
                *of("bridges", Paragraph, Table),
                *said("geometry", slots["pair"]),
            ],
        )
    else:
        yield "pre_clip", []
    duals = [place for place, reading in enumerate(frame.shown) if reading.bridge is None]
    yield "clip", [*matrices("dual"), *said("retrieval", duals), *of("categories", FigureBlock)[:1]]
    compared: list[Block] = []
    if "comparison" in report:
        compared = [
            *of("comparison", Paragraph)[1:],
            *of("comparison", FigureBlock),
            *of("comparison", Table)[:1],
            *_first_cards(of("comparison", Gallery)),
        ]
    languages = of("captions", Bullets, Table)
    yield (
        "comparison",
        [*of("summary", Table), *of("retrieval", FigureBlock), *compared, *languages],
    )
    yield "conclusions", []
    command = [Listing(frame.result.command)] if frame.result.command else []
    versions = ", ".join(f"{name} {number}" for name, number in frame.result.versions.items())
    yield (
        "reproduce",
        [
            Paragraph(
                words(
                    "memoria.reproduced",
                    seed=frame.result.seed,
                    permutations=words.integer(frame.result.permutations),
                    resamples=words.integer(frame.result.resamples),
                )
            ),
            *command,
            Paragraph(words("memoria.versions", versions=versions)),
        ],
    )


def _pictures(frame: Frame, drawing: Drawing | None) -> list[Block]:
    """Return the pictures on one sheet, and their captions by number."""
    words, dataset = frame.words, frame.result.dataset
    if drawing is None:
        return []
    rows = [
        (plain(number), plain(caption), plain(clipped(record.category or "", 60)))
        for picture, record in enumerate(dataset)
        for number, caption in frame.captions_of(picture)
    ]
    alt = words.text("memoria.pictures_alt", pictures=words.count("picture", len(dataset)))
    return [
        FigureBlock(drawing.name, "", words("memoria.pictures"), alt),
        frame.table(
            ("number", "caption", "category"), rows, words("memoria.captions"), align="rll"
        ),
    ]


def _first_cards(galleries: Sequence[Block]) -> list[Block]:
    return [
        Gallery(gallery.cards[:_CARDS]) for gallery in galleries[:1] if isinstance(gallery, Gallery)
    ]
