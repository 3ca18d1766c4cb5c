"""Pages that show pictures with what they were taken for: sorted into labels, or to be reviewed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pareja.classifiers.classification import PRESENT
from pareja.datasets.records import Dataset
from pareja.report.html import data_uri, page_environment
from pareja.report.pictures import thumbnails
from pareja.tasks.evaluation import distinct
from pareja.tasks.labelling import Labelled
from pareja.tasks.moderation import Review
from pareja.words.wording import Lang, Wording


def render_contact_sheet(labelled: Labelled, lang: Lang) -> str:
    """Return a page with the pictures sorted into their labels.

    Parameters
    ----------
    labelled
        The pictures and what they were taken for.
    lang
        The language of everything but labels and file names.
    """
    words, result = Wording(lang), labelled.result
    pictures = thumbnails(labelled.dataset)
    by_label: dict[str | None, list[int]] = {label: [] for label in (*result.labels, None)}
    for image in range(len(result)):
        for label in result.assigned(image) or (None,):
            by_label[label].append(image)

    def card(image: int, label: str | None) -> dict[str, Any]:
        scores = result.scores(image, None if result.multi_label else 2)
        others = [f"{other} {words.number(p)}" for other, p in scores.items() if other != label][
            : 2 if label is None else 1
        ]
        if label is not None:
            score: float | None = scores[label]
        else:
            score = None if result.threshold is None else float(result.certainty[image])
        truth = labelled.truth[image] if labelled.truth is not None else None
        wrong = truth is not None and not _fits(label, truth, labelled)
        return {
            "src": data_uri(pictures[image]),
            "size": pictures[image].image.size,
            "path": labelled.dataset.records[image].file_name,
            "score": "" if score is None else words.number(score),
            "second": " · ".join(others),
            "wrong": wrong,
            "truth": truth and words.text("sheet.wrong" if wrong else "sheet.truth", truth=truth),
        }

    groups = []
    for label, images in by_label.items():
        sure = (
            result.certainty
            if label is None
            else result.probabilities[:, result.labels.index(label)]
        )
        ordered = sorted(images, key=lambda image: -sure[image])
        if ordered:
            groups.append(
                {
                    "name": words.text("sheet.none") if label is None else label,
                    "count": words.count("picture", len(ordered)),
                    "cards": [card(image, label) for image in ordered],
                }
            )
    return render_page(
        "contact_sheet.html.jinja",
        words,
        "sheet",
        labelled.skipped,
        lines=_legend(labelled, words),
        groups=groups,
        subtitle=words.text(
            "sheet.subtitle",
            dataset=labelled.dataset.name,
            pictures=words.count("picture", len(result)),
            labels=words.integer(len(result.labels)),
            model=labelled.model,
        ),
    )


def _legend(labelled: Labelled, words: Wording) -> list[str]:
    """Return how the page is sorted, and what its numbers mean."""
    result = labelled.result
    lead = "lead_multi" if result.multi_label else "lead"
    meaning = labelled.activation if not result.multi_label else "sigmoid"
    lines = [
        words.text(f"sheet.{lead}", present=words.number(PRESENT)),
        words.text(f"sheet.{meaning}"),
    ]
    if result.threshold is not None:
        lines.append(words.text("sheet.unknown", threshold=words.number(result.threshold)))
    if labelled.templates:
        lines.append(words.text("sheet.prompts", templates=" · ".join(labelled.templates)))
    return lines


def _fits(label: str | None, truth: str, labelled: Labelled) -> bool:
    """Return whether a label is right; None is right where no label is the true one."""
    names = distinct([truth], several=labelled.result.multi_label)
    true = {name.casefold() for name in names}
    if label is None:
        return true.isdisjoint(name.casefold() for name in labelled.result.labels)
    return label.casefold() in true


def render_review(review: Review, lang: Lang) -> str:
    """Return a page with the flagged pictures, blurred until one is clicked or focused.

    Parameters
    ----------
    review
        What was flagged.
    lang
        The language of everything but file names.
    """
    words = Wording(lang)
    flagged = review.flagged
    pictures = thumbnails(
        Dataset(
            review.dataset.name,
            tuple(review.dataset.records[item.image] for item in flagged),
            review.dataset.location,
        )
    )
    cards = []
    for item, picture in zip(flagged, pictures, strict=True):
        path = review.dataset.records[item.image].file_name
        cards.append(
            {
                "src": data_uri(picture),
                "size": picture.image.size,
                "path": path,
                "alt": words.text("review.alt", path=path),
                "lines": [
                    words.text(
                        "review.flag", flag=flag_name(words, name), score=words.number(score)
                    )
                    for name, score in review.ranked(item.image)[:2]
                ],
            }
        )
    lines = [
        words.text("review.lead", threshold=words.number(review.threshold)),
        words.text("review.misses"),
    ]
    if review.model == "starter":
        lines.append(words.text("review.starter"))
    return render_page(
        "review.html.jinja",
        words,
        "review",
        review.skipped,
        lines=lines,
        cards=cards,
        aid=words.text("review.aid"),
        reveal=words.text("review.reveal"),
        nothing=words.text("review.nothing"),
        subtitle=words.text(
            "review.subtitle",
            dataset=review.dataset.name,
            flagged=words.integer(len(flagged)),
            pictures=words.count("picture", len(review.dataset)),
            model=review.model,
        ),
    )


def flag_name(words: Wording, name: str) -> str:
    """Return what a flag is called; one of the user's own prompts keeps its name."""
    try:
        return words.text(f"flag.{name}")
    except KeyError:
        return name


def render_page(
    template: str,
    words: Wording,
    page: str,
    skipped: Sequence[tuple[str, str]],
    **values: Any,
) -> str:
    """Return a page of pictures that needs nothing else.

    Parameters
    ----------
    template
        Its template.
    words
        The language.
    page
        The table of words that its title is in.
    skipped
        ``(name, reason)`` of the pictures that are not on it.
    **values
        What else the template shows.
    """
    return (
        page_environment()
        .get_template(template)
        .render(
            lang=words.lang,
            title=words.text(f"{page}.title"),
            footer=words.text("sheet.footer"),
            skipped=skipped,
            skipped_title=words.text("sheet.skipped"),
            **values,
        )
        .lstrip()
    )
