"""What every section needs at hand while the report is put together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

import numpy as np

from pareja.analysis.modality import DualScores
from pareja.analysis.retrieval import DIRECTIONS
from pareja.analysis.significance import Floats, Indices
from pareja.arrays import evenly
from pareja.report.document import StudentPlace
from pareja.report.numbered import Numbered
from pareja.report.readings import Reading, caption_numbers, compared, readings
from pareja.tasks.looking import Look
from pareja.tasks.study import StudyResult, without_text
from pareja.words.spans import Inline
from pareja.words.wording import Lang, Wording

FEW_CELLS = 40
MOST_CELLS = 100
FEW_ON_MAP = 30
FEW_IN_SCATTER = 60
MANY_POINTS = 1_500
"""Above this a cloud of points says less than its histogram, and weighs more."""

MOST_PICTURES = 400
"""Of more pictures than this a report shows some, spread evenly over the dataset."""
SOME_PICTURES = 12
MOST_POINTS = 2_000
"""A figure of points shows at most about so many pictures or captions, spread evenly."""

_KEY_LENGTH = 40


def clipped(text: str, length: int = 300) -> str:
    """Return text on one line, cut where it is longer than a report has room for."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def why_left_out(result: StudyResult, reason: str, words: Wording) -> str:
    """Return why a picture is not in a study, in a language; what a decoder says stays as it is."""
    for column in (result.captions, *(other.column for other in result.others)):
        if reason == without_text(column):
            key = "no_caption" if column == "caption" else "no_text"
            return words.text(f"dataset.{key}", column=column)
    return reason


@dataclass(frozen=True)
class Frame(Numbered):
    """A study, its language, its readings, and the numbering of figures and tables.

    Parameters
    ----------
    result, words
        The study and the language.
    shown, every
        The readings that are shown in full, and all of them.
    """

    result: StudyResult
    words: Wording
    shown: tuple[Reading, ...]
    every: tuple[Reading, ...]
    _tables: Iterator[int] = field(default_factory=lambda: count(1))
    _figures: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    def of(cls, result: StudyResult, lang: Lang) -> Frame:
        """Return the frame of a study in a language."""
        words = Wording(lang)
        shown, every = readings(result, words), readings(result, words, every=True)
        return cls(result, words, tuple(shown), tuple(every))

    def student(self, key: str, questions: int) -> StudentPlace:
        """Return the marked place of a section with its guiding questions."""
        return StudentPlace(
            key,
            self.words.text("student.title"),
            tuple(self.words(f"student.{key}_{k + 1}") for k in range(questions)),
        )

    def captions_of(self, picture: int) -> list[tuple[str, str]]:
        """Return number and text of each caption of a picture."""
        dataset = self.result.dataset
        return [
            (self.caption_numbers[j], clipped(dataset.captions[j]))
            for j in np.flatnonzero(dataset.owner == picture)
        ]

    @cached_property
    def looks(self) -> list[Look]:
        """Where each encoder sees the captions of its best and worst pairs, encoder by encoder."""
        return [look for encoder in self.result.encoders for look in encoder.looks]

    def map_number(self, look: Look) -> int:
        """Return the number of a look's map among the report's pictures, after the dataset's."""
        return len(self.result.dataset) + self.looks.index(look)

    def alt(self, picture: int) -> str:
        """Return the text that stands for a picture where it cannot be seen."""
        caption = clipped(self.result.dataset.records[picture].caption, 120)
        return self.words.text("dataset.picture_alt", number=picture + 1, caption=caption)

    def chance(self, reading: Reading) -> str:
        """Return R@1 under chance in both directions, once where it is the same."""
        return self.words.once(
            *(
                self.words.chance(reading.retrieval(direction).chance_recall[1])
                for direction in DIRECTIONS
            )
        )

    def key(self, kind: str, slot: int) -> str:
        """Return the name of an encoder's figure: of its file, its anchor and its ids.

        Names of encoders may be paths, with characters and lengths that a file name cannot have:
        they are reduced and cut. The slot keeps two names apart that become the same.
        """
        name = re.sub(r"[^a-z0-9]+", "-", self.result.encoders[slot].name.lower())
        return f"{kind}-{slot + 1}-{name[-_KEY_LENGTH:].strip('-')}".strip("-")

    def matrices(self, slot: int) -> list[tuple[Reading, Floats]]:
        """Return the shown readings of an encoder whose similarity is there, with it."""
        return [
            (reading, reading.similarity)
            for reading in self.shown
            if reading.slot == slot and reading.similarity is not None
        ]

    @cached_property
    def duals(self) -> list[tuple[int, str, DualScores]]:
        """Place, name and measures of each encoder that has one space for both modalities."""
        return [
            (slot, encoder.name, encoder.dual)
            for slot, encoder in enumerate(self.result.encoders)
            if encoder.dual is not None
        ]

    @cached_property
    def caption_numbers(self) -> list[str]:
        """The number of each caption."""
        return caption_numbers(self.result)

    @property
    def few(self) -> bool:
        """Whether cells of a similarity matrix are large enough to be marked one by one."""
        return max(len(self.result.dataset), len(self.result.dataset.captions)) <= FEW_CELLS

    @property
    def in_blocks(self) -> bool:
        """Whether cells of a similarity matrix would be too small to be seen."""
        return max(len(self.result.dataset), len(self.result.dataset.captions)) > MOST_CELLS

    @property
    def some(self) -> Indices:
        """The pictures that stand for the dataset: all of them, or some of very many."""
        total = len(self.result.dataset)
        return evenly(total, total if total <= MOST_PICTURES else SOME_PICTURES)

    @property
    def drawn_captions(self) -> Indices:
        """The captions that figures of points show: all of them, or some of very many."""
        return evenly(len(self.result.dataset.captions), MOST_POINTS)

    @property
    def drawn(self) -> Inline:
        """What the legend of a figure of points says of captions that it leaves out; or nothing."""
        shown, total = len(self.drawn_captions), len(self.result.dataset.captions)
        if shown == total:
            return ()
        words = self.words
        return words("map.some", shown=words.integer(shown), captions=words.count("caption", total))

    @property
    def few_on_map(self) -> bool:
        """Whether a map has room for the pictures themselves."""
        return max(len(self.result.dataset), len(self.result.dataset.captions)) <= FEW_ON_MAP

    @property
    def few_in_scatter(self) -> bool:
        """Whether the points of a comparison have room for their numbers."""
        return len(self.result.dataset.captions) <= FEW_IN_SCATTER

    @property
    def histograms(self) -> bool:
        """Whether some cloud of points is so large that a histogram stands for it."""
        return any(len(reading.matching.mismatched) > MANY_POINTS for reading in self.shown)

    @property
    def fewest_pairings(self) -> int:
        """How many random pairings the smallest of the permutation tests had."""
        return min(reading.matching.test.permutations for reading in self.every)

    @property
    def has_starter(self) -> bool:
        """Whether the embedded dual encoder takes part."""
        return any(encoder.name == "starter" for encoder in self.result.encoders)

    @property
    def bridged(self) -> dict[str, str]:
        """How each encoder pair that takes part in a comparison is compared: its bridge's name."""
        found: dict[str, str] = {}
        for comparison in self.result.comparisons:
            for reading in compared(comparison, self.every):
                if reading is not None and reading.bridge is not None:
                    found[reading.encoder.name] = self.words.text(f"bridge.{reading.bridge}")
        return found
