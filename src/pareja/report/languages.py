"""The section that sets one column of captions beside another, as two languages."""

from __future__ import annotations

from pareja.analysis.retrieval import DIRECTIONS
from pareja.analysis.verdicts import of_agreement
from pareja.report.document import Bullets, Paragraph, Section, plain
from pareja.report.frame import Frame
from pareja.tasks.encoder_measures import EncoderResult
from pareja.tasks.study import OtherCaptions
from pareja.words.spans import Inline


def captions_section(frame: Frame) -> Section:
    """Return each encoder with the texts of every column, and which of them it finds better."""
    words, result = frame.words, frame.result
    rows: list[tuple[Inline, ...]] = []
    for encoder in result.encoders:
        rows.append(_row(frame, encoder, result.captions, None))
        rows += [
            _row(frame, other.encoder, other.column, other)
            for other in result.others
            if other.encoder.name == encoder.name
        ]
    columns = ("encoder", "captions", "r1_image_to_text", "difference", "r1_text_to_image")
    table = frame.table(
        (*columns, "difference"),
        rows,
        words("captions.table", column=result.captions),
        align="llrrrr",
    )
    sentences = tuple(_sentence(frame, other) for other in result.others)
    return Section(
        "captions",
        words.text("captions.title"),
        (Paragraph(words("captions.lead")), Bullets(sentences), table),
    )


def _row(
    frame: Frame, encoder: EncoderResult, column: str, other: OtherCaptions | None
) -> tuple[Inline, ...]:
    words = frame.words
    cells: list[Inline] = []
    for direction, scores in zip(
        DIRECTIONS, (encoder.image_to_text, encoder.text_to_image), strict=True
    ):
        cells.append(plain(words.interval(scores.recall[1])))
        if other is None:
            cells.append(())
            continue
        agreement = other.comparison.agreement[direction]
        told = f"{words.interval(agreement.difference)}; {words.p(agreement.p_value)}"
        cells.append(plain(told))
    return (plain(encoder.name), plain(column), *cells)


def _sentence(frame: Frame, other: OtherCaptions) -> Inline:
    """Return which of two columns an encoder finds better, or that this is not shown."""
    words, own = frame.words, frame.result.captions
    sides = [of_agreement(other.comparison.agreement[direction]) for direction in DIRECTIONS]
    shown = {side for side in sides if side in ("above", "below")}
    names = {"name": other.encoder.name, "own": own, "other": other.column}
    if len(shown) != 1:
        return words(f"captions.{'opposed' if shown else 'neither'}", **names)
    better, worse = (own, other.column) if shown == {"above"} else (other.column, own)
    where = "both" if sides[0] == sides[1] else DIRECTIONS[sides.index(shown.pop())]
    return words(
        "captions.better",
        name=other.encoder.name,
        better=better,
        worse=worse,
        where=words.text(f"captions.where_{where}"),
    )
