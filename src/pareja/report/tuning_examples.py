"""The pictures and captions whose first answer changed from wrong to right, or back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from pareja.report.document import Block, Gallery, PictureCard, Subheading, strong
from pareja.report.frame import clipped
from pareja.report.pictures import Thumbnail, thumbnail
from pareja.tasks.tuning_measures import Learned, Measure, Measured
from pareja.words.spans import Inline
from pareja.words.wording import Wording

MOST = 6
"""How many examples of each kind are shown."""

_SIDE = 240

Side = Literal["won", "lost"]


class Album:
    """The pictures that a report shows, numbered as they come, each once."""

    def __init__(self) -> None:
        self._thumbnails: dict[tuple[int, int], Thumbnail] = {}

    def place(self, measured: Measured, picture: int) -> int:
        """Return the number of a picture in the report."""
        key = (id(measured), picture)
        if key not in self._thumbnails:
            record = measured.dataset.records[picture]
            self._thumbnails[key] = thumbnail(record.source, _SIDE)
        return list(self._thumbnails).index(key)

    def thumbnails(self) -> tuple[Thumbnail, ...]:
        """Return small copies of the pictures, by their numbers."""
        return tuple(self._thumbnails.values())


def examples(
    measured: Measured, words: Wording, album: Album, learned: Learned, sides: tuple[Side, ...]
) -> Iterator[Block]:
    """Yield galleries of what changed sides, for each measure the won ones and then the lost ones.

    Parameters
    ----------
    measured
        Before and after.
    words
        The language.
    album
        Gets the pictures.
    learned
        What a picture's right answer is.
    sides
        Which of the two are shown.
    """
    for measure in measured.changes:
        for side in sides:
            queries = _changed(measured, measure, side)
            if len(queries):
                heading = words.text(
                    f"tuned.{side}",
                    name=measured.name,
                    where=words.text(f"tuned.where_{measure}"),
                    n=words.integer(len(queries)),
                )
                card = _by_text if measure == "text_to_image" else _by_picture
                cards = [
                    card(measured, measure, int(query), side, words, album, learned)
                    for query in queries[:MOST]
                ]
                yield Subheading(heading)
                yield Gallery(tuple(cards))


def _changed(measured: Measured, measure: Measure, side: Side) -> np.ndarray:
    change = measured.changes[measure]
    gained = change.hits_after - change.hits_before
    # Ties share a hit among answers: half of one is neither right nor wrong.
    return np.flatnonzero(gained > 0.5 if side == "won" else gained < -0.5)


def _alt(measured: Measured, picture: int, words: Wording) -> str:
    record = measured.dataset.records[picture]
    return words.text("tuned.picture_alt", caption=clipped(record.caption or record.file_name, 120))


def _by_picture(
    measured: Measured,
    measure: Measure,
    query: int,
    side: Side,
    words: Wording,
    album: Album,
    learned: Learned,
) -> PictureCard:
    """Return a picture with the text that came first before, and the one that comes first now."""
    change = measured.changes[measure]
    picture = int(change.pictures[query])
    lines: list[Inline] = []
    for time, first in (("before", change.first_before), ("after", change.first_after)):
        answer = clipped(measured.texts[int(first[query])], 160)
        lines.append(words(f"tuned.{time}_text", answer=answer))
    if measure == "accuracy":
        right = getattr(measured.dataset.records[picture], learned)
        lines.append(words("tuned.own_label", label=right))
    else:
        own = measured.dataset.records[picture].captions
        lines = [*(strong(clipped(caption, 160)) for caption in own), *lines]
    number = album.place(measured, picture)
    return PictureCard(number, _alt(measured, picture, words), tuple(lines))


def _by_text(
    measured: Measured,
    measure: Measure,
    query: int,
    side: Side,
    words: Wording,
    album: Album,
    learned: Learned,
) -> PictureCard:
    """Return a caption's own picture, and the wrong one that was or is put before it."""
    change = measured.changes[measure]
    picture = int(change.pictures[query])
    time = "before" if side == "won" else "after"
    rival = int(getattr(change, f"first_{time}")[query])
    answer = clipped(measured.dataset.records[rival].caption, 160)
    lines = (
        strong(clipped(measured.texts[query], 160)),
        words(f"tuned.{time}_picture", answer=answer),
    )
    return PictureCard(
        album.place(measured, picture),
        _alt(measured, picture, words),
        lines,
        album.place(measured, rival),
        _alt(measured, rival, words),
    )
