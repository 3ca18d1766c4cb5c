"""The pictures and captions whose first answer changed from wrong to right, or back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pareja.report.document import Block, Gallery, PictureCard, Subheading, strong
from pareja.report.frame import clipped
from pareja.report.pictures import Thumbnail, thumbnail
from pareja.tasks.tuning_measures import Change, Learned, Measure, Measured
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
            kind = _Kind(measured, measure, side, words, album, learned)
            queries = kind.queries()
            if len(queries):
                yield Subheading(
                    words.text(
                        f"tuned.{side}",
                        name=measured.name,
                        where=words.text(f"tuned.where_{measure}"),
                        n=words.integer(len(queries)),
                    )
                )
                card = kind.by_text if measure == "text_to_image" else kind.by_picture
                yield Gallery(tuple(card(int(query)) for query in queries[:MOST]))


@dataclass(frozen=True)
class _Kind:
    """Queries of one measure that were won, or lost."""

    measured: Measured
    measure: Measure
    side: Side
    words: Wording
    album: Album
    learned: Learned

    def queries(self) -> NDArray[np.intp]:
        gained = self.change.hits_after - self.change.hits_before
        # Ties share a hit among answers: half of one is neither right nor wrong.
        return np.flatnonzero(gained > 0.5 if self.side == "won" else gained < -0.5)

    @property
    def change(self) -> Change:
        return self.measured.changes[self.measure]

    def by_picture(self, query: int) -> PictureCard:
        """Return a picture with the text that came first before, and the one that does now."""
        words, change = self.words, self.change
        picture = int(change.pictures[query])
        record = self.measured.dataset.records[picture]
        lines: list[Inline] = []
        for time, first in (("before", change.first_before), ("after", change.first_after)):
            answer = clipped(self.measured.texts[int(first[query])], 160)
            lines.append(words(f"tuned.{time}_text", answer=answer))
        if self.measure == "accuracy":
            lines.append(words("tuned.own_label", label=getattr(record, self.learned)))
        else:
            lines = [*(strong(clipped(caption, 160)) for caption in record.captions), *lines]
        return PictureCard(
            self.album.place(self.measured, picture), self._alt(picture), tuple(lines)
        )

    def by_text(self, query: int) -> PictureCard:
        """Return a caption's own picture, and the wrong one that was or is put before it."""
        change = self.change
        picture = int(change.pictures[query])
        time = "before" if self.side == "won" else "after"
        rival = int(getattr(change, f"first_{time}")[query])
        answer = clipped(self.measured.dataset.records[rival].caption, 160)
        return PictureCard(
            self.album.place(self.measured, picture),
            self._alt(picture),
            (
                strong(clipped(self.measured.texts[query], 160)),
                self.words(f"tuned.{time}_picture", answer=answer),
            ),
            self.album.place(self.measured, rival),
            self._alt(rival),
        )

    def _alt(self, picture: int) -> str:
        record = self.measured.dataset.records[picture]
        caption = clipped(record.caption or record.file_name, 120)
        return self.words.text("tuned.picture_alt", caption=caption)
