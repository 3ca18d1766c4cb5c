"""The ways of reading a study that the report shows side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pareja.analysis.alignment import BridgeName
from pareja.analysis.comparison import Comparison
from pareja.analysis.matching import MatchingScores
from pareja.analysis.retrieval import Direction, RetrievalScores
from pareja.analysis.significance import Floats, PermutationTest
from pareja.tasks.encoder_measures import EncoderResult
from pareja.tasks.study import StudyResult
from pareja.words.wording import Wording


@dataclass(frozen=True, eq=False)
class Reading:
    """A similarity matrix with its measures.

    Parameters
    ----------
    label
        What it is called in figures and tables.
    encoder, slot
        Whose it is, and that encoder's place in the study.
    bridge
        For a pair the way across its spaces; None for a dual encoder.
    similarity, image_to_text, text_to_image, matching, first_place
        The matrix, ``(n_images, n_captions)``, and what was measured of it; None for the matrix of
        a bridge that was too large to be kept.
    """

    label: str
    encoder: EncoderResult
    slot: int
    bridge: BridgeName | None
    similarity: Floats | None
    image_to_text: RetrievalScores
    text_to_image: RetrievalScores
    matching: MatchingScores
    first_place: Mapping[Direction, PermutationTest]

    def retrieval(self, direction: Direction) -> RetrievalScores:
        """Return the retrieval measures of one direction."""
        return self.image_to_text if direction == "image_to_text" else self.text_to_image


def readings(result: StudyResult, words: Wording, *, every: bool = False) -> list[Reading]:
    """Return the readings that are shown: one for a dual encoder, two for a pair.

    With ``every``, all the bridges of a pair.
    """
    found: list[Reading] = []
    for slot, encoder in enumerate(result.encoders):
        if encoder.kind == "dual":
            found.append(
                Reading(
                    encoder.name,
                    encoder,
                    slot,
                    None,
                    encoder.similarity,
                    encoder.image_to_text,
                    encoder.text_to_image,
                    encoder.matching,
                    encoder.first_place,
                )
            )
        found += [
            Reading(
                f"{encoder.name} · {words.text(f'bridge.{bridge.name}')}",
                encoder,
                slot,
                bridge.name,
                bridge.similarity,
                bridge.image_to_text,
                bridge.text_to_image,
                bridge.matching,
                bridge.first_place,
            )
            for bridge in encoder.bridges
            if every or bridge.name in ("random_projection", encoder.bridge)
        ]
    return found


def telling(shown: Sequence[Reading], encoder: EncoderResult) -> Reading:
    """Return the reading that stands for an encoder; for a pair, that of its compared bridge."""
    return next(r for r in shown if r.encoder is encoder and r.bridge == encoder.bridge)


def compared(
    comparison: Comparison, every: Sequence[Reading]
) -> tuple[Reading | None, Reading | None]:
    """Return the readings that a comparison was made from; None for an encoder not in the study."""
    own = {r.encoder.name: r for r in every if r.bridge == r.encoder.bridge}
    return own.get(comparison.a), own.get(comparison.b)


def caption_numbers(result: StudyResult) -> list[str]:
    """Return the number of each caption: its picture's, with a letter where it has several."""
    numbers: list[str] = []
    for i, record in enumerate(result.dataset):
        several = len(record.captions) > 1
        numbers += [f"{i + 1}{_letters(k) if several else ''}" for k in range(len(record.captions))]
    return numbers


def _letters(k: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    head, last = divmod(k, 26)
    return (_letters(head - 1) if head else "") + chr(ord("a") + last)


def category_order(result: StudyResult) -> list[int]:
    """Return the pictures' indices with those of a category together, otherwise as they come."""
    names = result.dataset.categories
    place = {name: k for k, name in enumerate(names)}
    records = result.dataset.records
    return sorted(
        range(len(records)), key=lambda i: place.get(records[i].category or "", len(names))
    )
