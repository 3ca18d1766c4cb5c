"""The sections that look at single pairs, and at two encoders side by side."""

from __future__ import annotations

import numpy as np

from pareja.analysis.comparison import Comparison
from pareja.analysis.retrieval import DIRECTIONS
from pareja.report.document import (
    Block,
    Gallery,
    Paragraph,
    PictureCard,
    Section,
    Subheading,
    joined,
    plain,
)
from pareja.report.findings import compare_sentence
from pareja.report.frame import Frame, clipped
from pareja.report.located import told_places
from pareja.report.readings import Reading, telling
from pareja.report.verdicts import correlation_key
from pareja.tasks.encoder_measures import EncoderResult
from pareja.tasks.looking import by_match, ends, nearest_own
from pareja.words.spans import Inline, Span

_SHOWN_DISAGREEMENTS = 6
# More tables of differences than this would bury the ones that matter.
_SHOWN_COMPARISONS = 3


def pairs_section(frame: Frame) -> Section:
    """Return the pictures that matched best and worst under each encoder."""
    words = frame.words
    blocks: list[Block] = [Paragraph(words("pairs.lead"))]
    for encoder in frame.result.encoders:
        reading = telling(frame.shown, encoder)
        ordered = by_match(
            frame.result.dataset.owner, encoder.similarity, reading.image_to_text.ranks
        )
        parts = dict(zip(("best", "worst"), ends(ordered), strict=True))
        if reading.bridge:
            bridge = words.text(f"bridge.{reading.bridge}")
            blocks.append(Paragraph(words("pairs.reading", name=encoder.name, bridge=bridge)))
        for part, pictures in parts.items():
            blocks += [
                Subheading(words.text(f"pairs.{part}", name=reading.label)),
                Gallery(tuple(_match_card(frame, reading, i) for i in pictures)),
            ]
        blocks += _looks(frame, encoder)
    blocks.append(frame.student("pairs", 2))
    return Section("pairs", words.text("pairs.title"), tuple(blocks))


def _looks(frame: Frame, encoder: EncoderResult) -> list[Block]:
    """Return where an encoder sees the captions of its best and worst pairs, if that is known."""
    if not encoder.looks:
        return []
    words = frame.words
    cards = []
    for look in encoder.looks:
        told = told_places(look.located, look.located.places[0], words)
        alt = words.text(
            "locate.alt",
            words=clipped(look.located.places[0].words, 120),
            path=frame.alt(look.picture),
            where="; ".join(told),
        )
        number = frame.caption_numbers[look.caption]
        caption = clipped(look.located.places[0].words)
        lines: list[Inline] = [(Span(number, "strong"), Span(f" {caption}"))]
        cards.append(PictureCard(frame.map_number(look), alt, (*lines, *map(plain, told))))
    return [
        Subheading(words.text("pairs.maps", name=encoder.name)),
        Paragraph(words("pairs.maps_lead")),
        Gallery(tuple(cards)),
    ]


def _match_card(frame: Frame, reading: Reading, picture: int) -> PictureCard:
    """Return a picture with its own caption, and the caption that the encoder puts before it."""
    words, dataset = frame.words, frame.result.dataset
    numbers = frame.caption_numbers
    own = nearest_own(dataset.owner, reading.encoder.similarity, picture)
    row = reading.encoder.similarity[picture]
    lines: list[Inline] = [
        (Span(numbers[own], "strong"), Span(f" {clipped(dataset.captions[own])}")),
        words(
            "pairs.own",
            similarity=words.number(row[own]),
            rank=words.amount(float(reading.image_to_text.ranks[picture])),
            n=words.integer(len(row)),
        ),
    ]
    nearest = int(np.argmax(row))
    if row[nearest] <= row[own]:
        return PictureCard(picture, frame.alt(picture), (*lines, words("pairs.first")))
    rival = int(dataset.owner[nearest])
    lines.append(
        words(
            "pairs.rather",
            number=numbers[nearest],
            caption=clipped(dataset.captions[nearest], 120),
            similarity=words.number(row[nearest]),
        )
    )
    return PictureCard(picture, frame.alt(picture), tuple(lines), rival, frame.alt(rival))


def comparison_section(frame: Frame) -> Section:
    """Return every two encoders beside each other."""
    words, comparisons = frame.words, frame.result.comparisons
    blocks: list[Block] = [Paragraph(words("comparison.lead"))]
    blocks += [
        Paragraph(words("compare.bridged", name=name, bridge=bridge))
        for name, bridge in frame.bridged.items()
    ]
    for comparison in comparisons:
        blocks.append(
            Paragraph(
                joined(
                    (
                        compare_sentence(frame, comparison),
                        words(
                            f"compare.{correlation_key(comparison)}",
                            a=comparison.a,
                            b=comparison.b,
                            rho=words.interval(comparison.matched_spearman),
                            p=words.p(comparison.matched_p),
                        ),
                        words(
                            "comparison.matrix",
                            rho=words.interval(comparison.matrix_spearman),
                            p=words.p(comparison.matrix_p),
                        ),
                    )
                )
            )
        )
    shown = (
        {
            "a": comparison.a,
            "b": comparison.b,
            "rho": words.interval(comparison.matched_spearman),
        }
        for comparison in comparisons
    )
    blocks += [
        frame.figure(
            "comparison",
            joined(
                [
                    words(f"comparison.figure{'' if frame.few_in_scatter else '_many'}"),
                    *([frame.drawn] if frame.drawn else []),
                ]
            ),
            words.each("comparison.alt", shown),
        ),
        Paragraph(words("comparison.scale")),
        _agreement_table(frame),
        _correlation_table(frame),
    ]
    for comparison in comparisons[:_SHOWN_COMPARISONS]:
        blocks += _details(frame, comparison)
    blocks.append(frame.student("comparison", 2))
    return Section("comparison", words.text("comparison.title"), tuple(blocks))


def _agreement_table(frame: Frame) -> Block:
    words = frame.words
    rows: list[tuple[Inline, ...]] = []
    for comparison in frame.result.comparisons:
        for direction in DIRECTIONS:
            agreement = comparison.agreement[direction]
            counts = (agreement.both, agreement.only_a, agreement.only_b, agreement.neither)
            rows.append(
                (
                    plain(f"{comparison.a} / {comparison.b}"),
                    plain(words.text(f"direction.{direction}")),
                    *(plain(words.amount(count)) for count in counts),
                    plain(words.interval(agreement.difference)),
                    plain(words.p_bare(agreement.p_value)),
                )
            )
    hits = ("both", "only_a", "only_b", "neither")
    columns = ("a_b", "direction", *hits, "difference", "mcnemar")
    return frame.table(columns, rows, words("comparison.agreement"), align="llrrrrrr")


def _correlation_table(frame: Frame) -> Block:
    words = frame.words
    rows: list[tuple[Inline, ...]] = [
        (
            plain(f"{comparison.a} / {comparison.b}"),
            plain(words.interval(comparison.matched_spearman)),
            plain(words.p_bare(comparison.matched_p)),
            plain(words.interval(comparison.matrix_spearman)),
            plain(words.p_bare(comparison.matrix_p)),
        )
        for comparison in frame.result.comparisons
    ]
    columns = ("a_b", "matched_rho", "p", "matrix_rho", "p")
    return frame.table(columns, rows, words("comparison.correlations"))


def _details(frame: Frame, comparison: Comparison) -> list[Block]:
    """Return what sets two encoders apart, by category and by picture."""
    words = frame.words
    names = {"a": comparison.a, "b": comparison.b}
    blocks: list[Block] = []
    if comparison.category_differences:
        rows = [
            (plain(category), plain(words.interval(difference)))
            for category, difference in comparison.category_differences.items()
        ]
        caption = words("comparison.differences", **names)
        blocks.append(frame.table(("category", "difference"), rows, caption))
    if comparison.disagreements:
        cards = tuple(
            PictureCard(
                item.image,
                frame.alt(item.image),
                (
                    *(
                        (Span(number, "strong"), Span(f" {caption}"))
                        for number, caption in frame.captions_of(item.image)
                    ),
                    words(
                        "comparison.ranks",
                        rank_a=words.amount(item.rank_a),
                        rank_b=words.amount(item.rank_b),
                        **names,
                    ),
                ),
            )
            for item in comparison.disagreements[:_SHOWN_DISAGREEMENTS]
        )
        blocks += [
            Subheading(words.text("comparison.disagreements", **names)),
            Gallery(cards),
        ]
    return blocks
