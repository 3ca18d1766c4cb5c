"""The sections of the report that hold the results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pareja.analysis.retrieval import DIRECTIONS
from pareja.analysis.verdicts import Outcome, by_interval, significant
from pareja.report.comparisons import comparison_section, pairs_section
from pareja.report.document import Block, Bullets, Note, Paragraph, Section, joined, plain
from pareja.report.findings import hits
from pareja.report.frame import Frame
from pareja.report.inside import inside_section
from pareja.report.languages import captions_section
from pareja.report.readings import Reading
from pareja.report.verdicts import found, geometry_tests, matches
from pareja.words.spans import Inline


def sections(frame: Frame) -> Iterator[Section]:
    """Yield the sections that this study has results for."""
    yield _similarity(frame)
    yield _distributions(frame)
    yield _retrieval(frame)
    if any(encoder.bridges for encoder in frame.result.encoders):
        yield _bridges(frame)
    yield _geometry(frame)
    if frame.duals:
        yield inside_section(frame)
    if any(encoder.categories for encoder in frame.result.encoders):
        yield _categories(frame)
    yield _map(frame)
    yield pairs_section(frame)
    if frame.result.comparisons:
        yield comparison_section(frame)
    if frame.result.others:
        yield captions_section(frame)


def _section(frame: Frame, key: str, blocks: list[Block], words_key: str | None = None) -> Section:
    """Return a section that opens with its title and its lead."""
    words_key = words_key or key
    return Section(
        key,
        frame.words.text(f"{words_key}.title"),
        (Paragraph(frame.words(f"{words_key}.lead")), *blocks),
    )


def _similarity(frame: Frame) -> Section:
    words = frame.words
    few = frame.few
    blocks: list[Block] = []
    for slot in range(len(frame.result.encoders)):
        shown = [reading for reading, _ in frame.matrices(slot)]
        counts = [words.amount(hits(reading.image_to_text)) for reading in shown]
        total = words.integer(shown[0].image_to_text.n_queries)
        if len(shown) == 1:
            caption = words(
                f"similarity.{'few' if few else 'many'}",
                name=shown[0].label,
                hits=counts[0],
                n=total,
            )
        else:
            caption = joined(
                (
                    words(
                        "similarity.pair",
                        naive=shown[0].label,
                        learnt=shown[1].label,
                        hits_naive=counts[0],
                        hits_learnt=counts[1],
                        n=total,
                    ),
                    words(f"similarity.pair_{'few' if few else 'many'}"),
                )
            )
        if frame.in_blocks:
            caption = joined((caption, words("similarity.blocks")))
        alts = [
            words.text(
                "similarity.alt",
                name=reading.label,
                hits=count,
                n=total,
                pictures=words.count("picture", len(frame.result.dataset)),
                captions=words.count("caption", len(frame.result.dataset.captions)),
            )
            for reading, count in zip(shown, counts, strict=True)
        ]
        blocks.append(frame.figure(frame.key("similarity", slot), caption, " ".join(alts)))
    return _section(frame, "similarity", blocks)


def _distributions(frame: Frame) -> Section:
    words = frame.words
    many = frame.histograms
    figure = frame.figure(
        "distributions",
        words(
            "distributions.figure",
            form=words.text(f"distributions.form_{'histogram' if many else 'points'}"),
        ),
        words.each(
            "distributions.alt",
            (
                {
                    "name": reading.label,
                    "matched": words.number(reading.matching.matched_mean),
                    "mismatched": words.number(reading.matching.mismatched_mean),
                }
                for reading in frame.shown
            ),
        ),
    )
    table = frame.table(
        ("reading", "matched", "mismatched", "difference", "auc", "p"),
        [
            (
                plain(reading.label),
                plain(words.number(reading.matching.matched_mean, 3)),
                plain(words.number(reading.matching.mismatched_mean, 3)),
                plain(words.interval(reading.matching.difference, 3)),
                plain(words.interval(reading.matching.auc)),
                plain(words.p_bare(reading.matching.test.p_value)),
            )
            for reading in frame.shown
        ],
        words("distributions.table"),
    )
    sentences = tuple(
        words(
            f"distributions.{matches(reading)}",
            name=reading.label,
            difference=words.interval(reading.matching.difference, 3),
            p=words.p(reading.matching.test.p_value),
        )
        for reading in frame.shown
    )
    return _section(frame, "distributions", [figure, Bullets(sentences), table])


def _retrieval(frame: Frame) -> Section:
    words = frame.words
    sentences = tuple(
        words(
            f"retrieval.{_beaten(reading)}",
            name=reading.label,
            i=words.interval(reading.image_to_text.recall[1]),
            t=words.interval(reading.text_to_image.recall[1]),
            p_i=words.p(reading.first_place["image_to_text"].p_value),
            p_t=words.p(reading.first_place["text_to_image"].p_value),
            chance=frame.chance(reading),
            chance_i=words.chance(reading.image_to_text.chance_recall[1]),
            chance_t=words.chance(reading.text_to_image.chance_recall[1]),
        )
        for reading in frame.shown
    )
    figure = frame.figure(
        "retrieval",
        words("retrieval.figure"),
        words.each(
            "retrieval.alt",
            (
                {
                    "name": reading.label,
                    "i": words.number(reading.image_to_text.recall[1].value),
                    "t": words.number(reading.text_to_image.recall[1].value),
                }
                for reading in frame.shown
            ),
        ),
    )
    blocks: list[Block] = [figure, Bullets(sentences)]
    for direction in DIRECTIONS:
        first = frame.shown[0].retrieval(direction)
        rows = []
        for reading in frame.shown:
            scores = reading.retrieval(direction)
            rows.append(
                (
                    plain(reading.label),
                    *(plain(words.interval(scores.recall[k])) for k in first.recall),
                    plain(words.interval(scores.mrr)),
                    plain(words.interval(scores.median_rank, 1)),
                )
            )
        rows.append(
            (
                words("retrieval.chance_row"),
                *(plain(words.chance(first.chance_recall[k])) for k in first.recall),
                plain(words.number(first.chance_mrr)),
                plain(words.number(first.chance_median_rank, 1)),
            )
        )
        caption = words(
            "retrieval.table",
            direction=words.text(f"direction_long.{direction}"),
            n=words.integer(first.n_queries),
            candidates=words.integer(first.n_candidates),
        )
        recalls = tuple(f"r_at_{k}" for k in first.recall)
        blocks.append(frame.table(("reading", *recalls, "mrr", "median_rank"), rows, caption))
    blocks.append(frame.student("retrieval", 2))
    return _section(frame, "retrieval", blocks)


def _beaten(reading: Reading) -> str:
    """Return in which directions R@1 is above chance."""
    above = found(reading)
    return "neither" if not above else "both" if len(above) == 2 else f"one_{above[0]}"


def _bridges(frame: Frame) -> Section:
    words = frame.words
    blocks: list[Block] = []
    for slot, encoder in enumerate(frame.result.encoders):
        across = [reading for reading in frame.every if reading.encoder is encoder]
        if not encoder.bridges:
            continue
        names = {reading: words.text(f"bridge.{reading.bridge}") for reading in across}
        sides: dict[Outcome, list[str]] = {"above": [], "below": [], "not_shown": []}
        for reading in across:
            p = words.p(reading.matching.test.p_value)
            sides[matches(reading)].append(f"{names[reading]} ({p})")
        drawn = (
            {"bridge": names[reading], "auc": words.interval(reading.matching.auc)}
            for reading in across
        )
        blocks += [
            frame.figure(
                frame.key("bridges", slot),
                words("bridges.figure", name=encoder.name),
                words.each("bridges.alt", drawn, name=encoder.name),
            ),
            Paragraph(
                joined(
                    [
                        words(f"bridges.{side}", list=words.listing(named))
                        for side, named in sides.items()
                        if named
                    ]
                )
            ),
            frame.table(
                ("bridge", "r1_image_to_text", "r1_text_to_image", "auc", "p"),
                [_bridge_row(frame, reading, names[reading]) for reading in across],
                words("bridges.table", name=encoder.name),
            ),
        ]
    n = words.integer(len(frame.result.dataset))
    blocks.append(Note(words("bridges.single", n=n)))
    return _section(frame, "bridges", blocks)


def _bridge_row(frame: Frame, reading: Reading, name: str) -> tuple[Inline, ...]:
    words = frame.words
    return (
        plain(name),
        plain(words.interval(reading.image_to_text.recall[1])),
        plain(words.interval(reading.text_to_image.recall[1])),
        plain(words.interval(reading.matching.auc)),
        plain(words.p_bare(reading.matching.test.p_value)),
    )


def _geometry(frame: Frame) -> Section:
    words = frame.words
    rows: list[tuple[Inline, ...]] = []
    sentences: list[Inline] = []
    for encoder in frame.result.encoders:
        said: dict[bool, list[str]] = {True: [], False: []}
        for name, test in geometry_tests(encoder).items():
            measure = words.text(f"geometry.{name}")
            said[significant(test.p_value)].append(
                words.text(
                    "geometry_section.value",
                    measure=measure,
                    value=words.number(test.statistic),
                    p=words.p(test.p_value),
                )
            )
            rows.append(
                (
                    plain(encoder.name),
                    plain(measure),
                    plain(words.number(test.statistic)),
                    plain(words.null(test)),
                    plain(words.p_bare(test.p_value)),
                )
            )
        verdict = "shown" if not said[False] else "shown_part" if said[True] else "none"
        sentences.append(
            words(
                f"geometry_section.{verdict}",
                name=encoder.name,
                list=words.listing(said[True]),
                rest=words.listing(said[False]),
            )
        )
    figure = frame.figure(
        "geometry",
        words("geometry_section.figure"),
        words.text(
            "geometry_section.alt",
            list=" ".join("".join(span.text for span in sentence) for sentence in sentences),
        ),
    )
    table = frame.table(
        ("encoder", "measure", "value", "null", "p"),
        rows,
        words("geometry_section.table"),
        align="llrrr",
    )
    blocks: list[Block] = [figure, Bullets(tuple(sentences)), table]
    return _section(frame, "geometry", blocks, "geometry_section")


def _categories(frame: Frame) -> Section:
    words = frame.words
    encoders = [encoder for encoder in frame.result.encoders if encoder.categories]
    drawn = (
        {
            "category": f"{encoder.name}, {scores.category}",
            "i": words.number(scores.image_to_text.value),
            "t": words.number(scores.text_to_image.value),
        }
        for encoder in encoders
        for scores in encoder.categories
    )
    alt = words.each("categories.alt", drawn)
    blocks: list[Block] = [frame.figure("categories", words("categories.figure"), alt)]
    blocks += [
        Paragraph(
            words(
                "categories.bridged",
                name=encoder.name,
                bridge=words.text(f"bridge.{encoder.bridge}"),
            )
        )
        for encoder in encoders
        if encoder.bridge
    ]
    for slot, encoder in enumerate(frame.result.encoders):
        if not encoder.categories or encoder.confusion is None:
            continue
        confusion = encoder.confusion
        right = {
            "i": words.amount(float(np.trace(confusion.image_to_text))),
            "n_i": words.integer(round(float(confusion.image_to_text.sum()))),
            "t": words.amount(float(np.trace(confusion.text_to_image))),
            "n_t": words.integer(round(float(confusion.text_to_image.sum()))),
            "share_i": words.interval(confusion.same["image_to_text"]),
            "share_t": words.interval(confusion.same["text_to_image"]),
            "chance_i": words.chance(confusion.chance["image_to_text"]),
            "chance_t": words.chance(confusion.chance["text_to_image"]),
        }
        sides = {by_interval(confusion.same[d], confusion.chance[d]) for d in DIRECTIONS}
        side = sides.pop() if len(sides) == 1 else "part"
        blocks += [
            frame.table(
                (
                    "category",
                    "pictures",
                    "r1_image_to_text",
                    "r1_text_to_image",
                    "matched",
                    "mismatched",
                ),
                [
                    (
                        plain(scores.category),
                        plain(words.integer(scores.n_images)),
                        plain(words.interval(scores.image_to_text)),
                        plain(words.interval(scores.text_to_image)),
                        plain(words.number(scores.matched_mean, 3)),
                        plain(words.number(scores.mismatched_mean, 3)),
                    )
                    for scores in encoder.categories
                ],
                words("categories.table", name=encoder.name),
            ),
            frame.figure(
                frame.key("confusion", slot),
                words("categories.confusion", name=encoder.name),
                words.text("categories.confusion_alt", name=encoder.name, **right),
            ),
            Paragraph(words(f"categories.same_{side}", name=encoder.name, **right)),
        ]
    return _section(frame, "categories", blocks)


def _map(frame: Frame) -> Section:
    words, dataset = frame.words, frame.result.dataset
    blocks: list[Block] = []
    for slot, encoder in enumerate(frame.result.encoders):
        i, t = (words.percent(share) for share in encoder.plane.explained)
        caption = joined(
            (
                words(f"map.{'few' if frame.few_on_map else 'many'}"),
                words(f"map.{'shared' if encoder.plane.shared else 'apart'}", i=i, t=t),
                *([frame.drawn] if frame.drawn else []),
            )
        )
        alt = words.text(
            "map.alt",
            name=encoder.name,
            pictures=words.count("picture", len(dataset)),
            captions=words.count("caption", len(dataset.captions)),
        )
        blocks.append(frame.figure(frame.key("map", slot), caption, alt))
    return _section(frame, "map", blocks)
