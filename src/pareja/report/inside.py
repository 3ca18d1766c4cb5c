"""The section on what only one space for both modalities has: a gap, probabilities, a wording."""

from __future__ import annotations

from collections.abc import Iterator

from pareja.analysis.modality import DualScores, PromptScores
from pareja.analysis.retrieval import DIRECTIONS, Direction
from pareja.analysis.verdicts import calibrated, mean_confidence, significant
from pareja.report.document import (
    Block,
    Bullets,
    FigureBlock,
    Paragraph,
    Section,
    Subheading,
    Table,
    plain,
)
from pareja.report.frame import Frame
from pareja.report.verdicts import moved_by
from pareja.words.spans import Inline


def inside_section(frame: Frame) -> Section:
    """Return the modality gap, calibration and prompt sensitivity of every dual encoder."""
    words, duals = frame.words, frame.duals
    blocks: list[Block] = [
        Paragraph(words("inside.lead")),
        _table(frame),
        Subheading(words.text("inside.gap")),
        Paragraph(words("inside.gap_lead")),
        Bullets(tuple(_gap(frame, name, dual) for _, name, dual in duals)),
        Subheading(words.text("inside.calibration")),
        _reliability(frame),
        Bullets(tuple(_calibration(frame, name, dual) for _, name, dual in duals)),
        Subheading(words.text("inside.prompts")),
        _prompts(frame),
        Bullets(tuple(_wording(frame, name, dual) for _, name, dual in duals)),
    ]
    return Section("inside", words.text("inside.title"), tuple(blocks))


def _table(frame: Frame) -> Table:
    words = frame.words
    rows: list[tuple[Inline, ...]] = [
        (
            plain(name),
            plain(words.number(dual.gap.statistic)),
            plain(words.null(dual.gap)),
            plain(words.p_bare(dual.gap.p_value)),
            plain(words.interval(dual.ece)),
            plain(words.number(dual.honest_ece)),
        )
        for _, name, dual in frame.duals
    ]
    columns = ("encoder", "gap", "null", "p", "ece", "honest")
    return frame.table(columns, rows, words("inside.table"))


def _gap(frame: Frame, name: str, dual: DualScores) -> Inline:
    words, gap = frame.words, dual.gap
    return words(
        f"inside.gap_{'shown' if significant(gap.p_value) else 'chance'}",
        name=name,
        gap=words.number(gap.statistic),
        null=words.number(gap.null_mean),
        p=words.p(gap.p_value),
    )


def _reliability(frame: Frame) -> FigureBlock:
    words = frame.words
    shown = (
        {"name": name, "ece": words.interval(dual.ece), "honest": words.number(dual.honest_ece)}
        for _, name, dual in frame.duals
    )
    alt = words.each("inside.reliability_alt", shown)
    return frame.figure("reliability", words("inside.reliability"), alt)


def _calibration(frame: Frame, name: str, dual: DualScores) -> Inline:
    words = frame.words
    confidence, accuracy = mean_confidence(dual.reliability)
    return words(
        f"inside.calibration_{calibrated(dual.ece, dual.reliability)}",
        name=name,
        ece=words.interval(dual.ece),
        honest=words.number(dual.honest_ece),
        confidence=words.number(confidence),
        accuracy=words.number(accuracy),
    )


def template_label(frame: Frame, template: str) -> str:
    """Return a template as it is shown, an ellipsis in the place of the caption."""
    if template == "{}":
        return frame.words.text("inside.bare")
    return template.replace("{}", "…")


def _prompts(frame: Frame) -> FigureBlock:
    words = frame.words
    shown = (
        {
            "name": name,
            "template": template_label(frame, scores.template),
            "i": words.number(scores.recall["image_to_text"].value),
            "t": words.number(scores.recall["text_to_image"].value),
        }
        for _, name, dual in frame.duals
        for scores in dual.prompts
    )
    alt = words.each("inside.prompts_alt", shown)
    return frame.figure("prompts", words("inside.prompts_figure"), alt)


def _wording(frame: Frame, name: str, dual: DualScores) -> Inline:
    words = frame.words
    moved = list(_moved(frame, dual))
    return words(
        f"inside.prompts_{'moved' if moved else 'steady'}",
        name=name,
        i=_range(frame, dual.prompts, "image_to_text"),
        t=_range(frame, dual.prompts, "text_to_image"),
        list="; ".join(moved),
    )


def _moved(frame: Frame, dual: DualScores) -> Iterator[str]:
    """Yield every template whose R@1 leaves that of the bare caption, with its direction."""
    words = frame.words
    for direction in DIRECTIONS:
        for scores in moved_by(dual, direction):
            yield words.text(
                "inside.moved_item",
                template=template_label(frame, scores.template),
                direction=words.text(f"direction.{direction}"),
                recall=words.interval(scores.recall[direction]),
                bare=words.interval(dual.prompts[0].recall[direction]),
            )


def _range(frame: Frame, prompts: tuple[PromptScores, ...], direction: Direction) -> str:
    """Return the lowest and the highest R@1 over the templates, once where they are the same."""
    values = [scores.recall[direction].value for scores in prompts]
    ends = (frame.words.number(min(values)), frame.words.number(max(values)))
    return "–".join(dict.fromkeys(ends))
