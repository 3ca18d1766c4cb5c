"""The report of a study as one document: which sections it has, and what opens and closes it."""

from __future__ import annotations

import math
from collections import Counter

from pareja.analysis.retrieval import DIRECTIONS
from pareja.analysis.verdicts import ALPHA, corrected, expected_by_chance, smallest_p
from pareja.report import results
from pareja.report.document import (
    Block,
    Bullets,
    Document,
    Formula,
    Gallery,
    Listing,
    Note,
    Paragraph,
    PictureCard,
    Section,
    joined,
    plain,
)
from pareja.report.findings import findings
from pareja.report.frame import Frame, clipped, why_left_out
from pareja.report.verdicts import p_values
from pareja.words.spans import Inline, Span

# Below this many pictures the report speaks of a small sample.
_SMALL = 100


def build_document(frame: Frame) -> Document:
    """Put a study into words."""
    words, result = frame.words, frame.result
    dataset = result.dataset
    sections = (
        _summary(frame),
        _dataset(frame),
        _method(frame),
        *results.sections(frame),
        Section(
            "conclusions",
            words.text("conclusions.title"),
            (Paragraph(words("conclusions.lead")), frame.student("conclusions", 3)),
        ),
        _limits(frame),
        _reproduce(frame),
    )
    return Document(
        lang=words.lang,
        title=words.text("document.title"),
        subtitle=words.text(
            "document.subtitle",
            dataset=dataset.name,
            pictures=words.count("picture", len(dataset)),
            captions=words.count("caption", len(dataset.captions)),
            encoders=words.count("encoder", len(result.encoders)),
        ),
        contents=words.text("document.contents"),
        hint=words.text("document.hint"),
        footer=words.text("document.footer", version=result.versions.get("pareja", "")),
        sections=sections,
    )


def _summary(frame: Frame) -> Section:
    words = frame.words
    rows: list[tuple[Inline, ...]] = [
        (
            plain(reading.label),
            plain(words.interval(reading.image_to_text.recall[1])),
            plain(words.interval(reading.text_to_image.recall[1])),
            plain(words.interval(reading.matching.auc)),
            plain(words.p_bare(reading.matching.test.p_value)),
        )
        for reading in frame.shown
    ]
    first = frame.shown[0]
    chances = [first.retrieval(direction).chance_recall[1] for direction in DIRECTIONS]
    rows.append(
        (
            (Span(words.text("summary.table_chance"), "emphasis"),),
            *(plain(words.chance(chance)) for chance in chances),
            plain(words.number(0.5)),
            (),
        )
    )
    table = frame.table(
        ("reading", "r1_image_to_text", "r1_text_to_image", "auc", "p"),
        rows,
        words("summary.table", half=words.number(0.5)),
    )
    return Section(
        "summary",
        words.text("summary.title"),
        (
            Paragraph(words("summary.lead")),
            Bullets(tuple(findings(frame)), ordered=True),
            table,
        ),
    )


def _dataset(frame: Frame) -> Section:
    words, result = frame.words, frame.result
    dataset = result.dataset
    blocks: list[Block] = [Paragraph(about(frame))]
    unattributed = sum(not (record.author and record.license) for record in dataset)
    if unattributed:
        blocks.append(
            Note(words("dataset.unattributed", pictures=words.count("picture", unattributed)))
        )
    if len(frame.some) < len(dataset):
        shown, total = words.integer(len(frame.some)), words.count("picture", len(dataset))
        blocks.append(Paragraph(words("dataset.some", shown=shown, pictures=total)))
    blocks.append(Gallery(tuple(_card(frame, int(i)) for i in frame.some)))
    if result.skipped:
        count = words.count("picture", len(result.skipped))
        blocks += [
            Paragraph(words("dataset.skipped", pictures=count)),
            frame.table(
                ("file", "reason"),
                [
                    (
                        (Span(name, "code"),),
                        plain(clipped(why_left_out(result, reason, words))),
                    )
                    for name, reason in result.skipped
                ],
                words("dataset.skipped_table"),
                align="ll",
            ),
        ]
    blocks.append(frame.student("dataset", 2))
    return Section("dataset", words.text("dataset.title"), tuple(blocks))


def about(frame: Frame, credits_key: str = "dataset.credits") -> Inline:
    """Return what is said of the dataset in general; the key says where its credits are."""
    words, dataset = frame.words, frame.result.dataset
    categories = dataset.categories
    counts = Counter(record.category for record in dataset)
    parts = [
        words(
            "dataset.intro",
            dataset=dataset.name,
            pictures=words.count("picture", len(dataset)),
            captions=words.count("caption", len(dataset.captions)),
        )
    ]
    if categories:
        listed = [f"{clipped(name, 60)} ({words.integer(counts[name])})" for name in categories]
        parts.append(
            words(
                "dataset.categories",
                categories=words.count("category", len(categories)),
                list=words.listing(listed),
            )
        )
        if counts[None]:
            parts.append(words("dataset.uneven"))
    else:
        parts.append(words("dataset.no_categories"))
    if any(len(record.captions) > 1 for record in dataset):
        parts.append(words("dataset.several"))
    licences = Counter(record.license for record in dataset if record.license)
    if licences:
        listed = [
            words.text("dataset.licence_count", licence=clipped(licence, 60), n=words.integer(n))
            for licence, n in licences.most_common()
        ]
        parts.append(
            words("dataset.licences", list=words.listing(listed), credits=words.text(credits_key))
        )
    return joined(parts)


def _card(frame: Frame, picture: int) -> PictureCard:
    """Return a picture of the dataset with its captions, category and attribution."""
    words, record = frame.words, frame.result.dataset.records[picture]
    lines: list[Inline] = []
    for number, caption in frame.captions_of(picture):
        lines.append((Span(number, "strong"), Span(f" {caption}")))
    if frame.words.lang == "es" and record.caption_es:
        lines.append((Span(clipped(record.caption_es), "emphasis"),))
    if record.category:
        lines.append(plain(clipped(record.category, 60)))
    credit = " · ".join(
        [clipped(record.author or words.text("dataset.author_unknown"), 120)]
        + ([clipped(record.license, 60)] if record.license else [])
    )
    lines.append(
        (
            Span(credit, "small"),
            *(
                (
                    Span(" · ", "small"),
                    Span(words.text("dataset.source"), "small", record.source_url),
                )
                if record.source_url
                else ()
            ),
        )
    )
    return PictureCard(picture, frame.alt(picture), tuple(lines))


def _method(frame: Frame) -> Section:
    words, result = frame.words, frame.result
    encoders = frame.table(
        ("encoder", "kind", "image_dim", "text_dim"),
        [
            (
                plain(encoder.name),
                plain(words.text(f"kind.{encoder.kind}")),
                plain(words.integer(encoder.image_dim)),
                plain(words.integer(encoder.text_dim)),
            )
            for encoder in result.encoders
        ],
        words("method.table"),
        align="llrr",
    )
    pairs = [encoder.name for encoder in result.encoders if encoder.kind == "pair"]
    geometry = result.encoders[0].geometry
    blocks: list[Block] = [
        Paragraph(words("method.embedding")),
        encoders,
        *_formulas(frame, "cosine"),
        *([*_formulas(frame, "conse")] if frame.has_starter else []),
        *_formulas(frame, "recall", "mrr", "auc"),
        Paragraph(
            words(
                "method.numbers",
                resamples=words.integer(result.resamples),
                permutations=words.integer(result.permutations),
                alpha=words.number(ALPHA),
            )
        ),
        *_formulas(
            frame,
            "permutation",
            "bootstrap",
            "score_interval",
            z=words.number(1.96),
        ),
    ]
    if pairs:
        blocks += [
            Paragraph(words("method.pair_intro", names=words.listing(pairs))),
            *_formulas(frame, "random_projection", "ridge", "cca", "procrustes", "relative"),
        ]
    blocks += [
        Paragraph(words("method.geometry_intro")),
        *_formulas(
            frame,
            "rsa",
            "cka",
            "mutual_knn",
            k=words.integer(geometry.k),
            chance=words.number(geometry.mutual_knn.null_mean),
        ),
    ]
    if frame.duals:
        bins = words.integer(len(frame.duals[0][2].reliability.count))
        blocks += [
            Paragraph(words("method.inside_intro")),
            *_formulas(frame, "gap", "ece", bins=bins),
        ]
    if result.comparisons:
        blocks += [
            Paragraph(words("method.compare_intro")),
            *_formulas(frame, "spearman", "mcnemar"),
        ]
    return Section("method", words.text("method.title"), tuple(blocks))


def _formulas(frame: Frame, *keys: str, **values: str) -> list[Formula]:
    words = frame.words
    return [
        Formula(key, words.text(f"formula.{key}"), words(f"explained.{key}", **values))
        for key in keys
    ]


def _limits(frame: Frame) -> Section:
    words, result = frame.words, frame.result
    count = len(result.dataset)
    estimates = [
        reading.retrieval(direction).recall[1]
        for reading in frame.every
        for direction in DIRECTIONS
    ]
    width = max(estimate.high - estimate.low for estimate in estimates)
    tests = p_values(result)
    threshold, passed = corrected(tests)
    items = [
        words(
            "limits.small" if count < _SMALL else "limits.size",
            n=words.integer(count),
            step=words.number(1 / count, 3),
            width=words.number(width),
        )
    ]
    items += [
        words(
            "limits.many_tests",
            tests=words.count("test", len(tests)),
            expected=words.number(expected_by_chance(len(tests)), 1),
            alpha=words.number(ALPHA),
            threshold=words.number(threshold, 4),
            passed=words.integer(passed),
        ),
        words(
            "limits.floor" if frame.fewest_pairings < result.permutations else "limits.floor_plain",
            permutations=words.integer(result.permutations),
            smallest=_smallest_p(frame, result.permutations),
            fewest=words.integer(frame.fewest_pairings),
            smallest_refit=_smallest_p(frame, frame.fewest_pairings),
        ),
        words("limits.sample"),
    ]
    if len(result.dataset.captions) > count:
        items.append(words("limits.several"))
    if any(encoder.kind == "pair" for encoder in result.encoders):
        items.append(words("limits.pair"))
    if frame.has_starter:
        items.append(words("limits.conse"))
    if result.skipped:
        items.append(words("limits.skipped", pictures=words.count("picture", len(result.skipped))))
    blocks: list[Block] = [Paragraph(words("limits.lead")), Bullets(tuple(items))]
    if frame.has_starter and result.dataset.name == "commons200":
        blocks.insert(1, Note(words("limits.tuned")))
    return Section("limits", words.text("limits.title"), tuple(blocks))


def _smallest_p(frame: Frame, permutations: int) -> str:
    """Return the smallest p that a permutation test can give, with the decimals that it needs."""
    smallest = smallest_p(permutations)
    return frame.words.number(smallest, max(3, math.ceil(-math.log10(smallest))))


def _reproduce(frame: Frame) -> Section:
    words, result = frame.words, frame.result
    spaces: list[tuple[Inline, ...]] = []
    for encoder in result.encoders:
        prints = {"image": encoder.image_fingerprint, "text": encoder.text_fingerprint}
        if encoder.image_fingerprint == encoder.text_fingerprint:
            prints = {"both": encoder.image_fingerprint}
        spaces += [
            (
                plain(encoder.name),
                plain(words.text(f"reproduce.space_{space}")),
                plain(f"{fingerprint.model} · {fingerprint.revision}"),
                (Span(fingerprint.digest, "code"),),
            )
            for space, fingerprint in prints.items()
        ]
    settings = {
        "seed": result.seed,
        "permutations": result.permutations,
        "resamples": result.resamples,
    }
    return Section(
        "reproduce",
        words.text("reproduce.title"),
        (
            Paragraph(words("reproduce.lead")),
            Listing(result.command) if result.command else Paragraph(words("reproduce.no_command")),
            frame.table(
                ("setting", "value"),
                [
                    (plain(words.text(f"reproduce.{key}")), plain(words.integer(value)))
                    for key, value in settings.items()
                ],
                words("reproduce.settings"),
            ),
            frame.table(
                ("encoder", "space", "model", "fingerprint"),
                spaces,
                words("reproduce.fingerprints"),
                align="llll",
            ),
            frame.table(
                ("package", "version"),
                [(plain(name), plain(version)) for name, version in result.versions.items()],
                words("reproduce.versions"),
                align="ll",
            ),
        ),
    )
