"""A page that shows where in pictures words are."""

from __future__ import annotations

from pareja.report.contact_sheet import render_page
from pareja.report.html import data_uri
from pareja.report.overlay import in_words, warmed
from pareja.tasks.locating import Located, LocatedPicture
from pareja.tasks.locating_looks import Place
from pareja.words.wording import Lang, Wording

# As with thumbnails, a page of hundreds of pictures stays below a few megabytes.
_SIDES = ((40, 480), (200, 320), (10**9, 200))


def render_located(located: Located, lang: Lang) -> str:
    """Return a page with every picture under the map of each of the words.

    Parameters
    ----------
    located
        The pictures and where the words are.
    lang
        The language of everything but words and file names.
    """
    words = Wording(lang)
    total = len(located.pictures) * len(located.words)
    side = next(side for most, side in _SIDES if total <= most)
    groups = [
        {
            "name": text,
            "cards": [
                _card(picture, picture.places[number], side, words)
                for picture in sorted(
                    located.pictures, key=lambda picture: -picture.places[number].score
                )
            ],
        }
        for number, text in enumerate(located.words)
    ]
    return render_page(
        "located.html.jinja",
        words,
        "locate",
        located.skipped,
        lines=[words.text("locate.lead"), words.text("locate.score"), legend(located, words)],
        groups=groups,
        subtitle=words.text(
            "locate.subtitle",
            dataset=located.name,
            pictures=words.count("picture", len(located.pictures)),
            model=located.model,
        ),
    )


def legend(located: Located, words: Wording) -> str:
    """Return what is said about the threshold: its error rates, or that there is none."""
    limit = located.threshold
    if limit is None:
        return words.text("locate.uncalibrated", model=located.model)
    if limit.missed is None or limit.false is None:
        return words.text("locate.given", score=words.number(limit.score))
    return words.text(
        "locate.calibrated",
        score=words.number(limit.score),
        missed=words.percent(limit.missed),
        false=words.percent(limit.false),
        pictures=words.count("picture", limit.pictures),
        source=limit.source,
    )


def told_places(picture: LocatedPicture, place: Place, words: Wording) -> list[str]:
    """Return where some words are in a picture, for those who do not see it: a line a box."""
    if place.here is False:
        return [words.text("locate.not_here")]
    size = picture.width, picture.height
    told = [in_words(box, size, words) for box in place.boxes]
    return told or [words.text("locate.nowhere")]


def _card(picture: LocatedPicture, place: Place, side: int, words: Wording) -> dict[str, object]:
    drawn = warmed(picture, place, side)
    path = picture.record.file_name
    told = told_places(picture, place, words)
    return {
        "src": data_uri(drawn),
        "size": drawn.image.size,
        "path": path,
        "alt": words.text("locate.alt", words=place.words, path=path, where="; ".join(told)),
        "score": words.number(place.score),
        "lines": told,
    }
