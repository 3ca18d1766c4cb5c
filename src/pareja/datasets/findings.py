"""Turning what was seen in a dataset into findings, each with a sentence on what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pareja.datasets.captions import (
    mismatches,
    normalised,
    odd_characters,
    repeats_file_name,
    word_count,
)
from pareja.datasets.duplicates import HASH_BITS, near_duplicates
from pareja.datasets.inspection import Inspection
from pareja.datasets.language import common_foreign_language, foreign_language
from pareja.datasets.profiles import Profile
from pareja.datasets.records import Dataset, Record
from pareja.datasets.sharpness import BLURRED, SOFT
from pareja.errors import DatasetError

# Licences that forbid passing the picture on, or passing on a smaller copy of it (ND).
_RESTRICTED = re.compile(
    r"all rights reserved|derechos reservados|©|\bcopyrighted\b|\bND\b|no[- ]?deriv", re.IGNORECASE
)


@dataclass(frozen=True)
class Finding:
    """A problem before a profile has judged it.

    Parameters
    ----------
    code
        One of `pareja.datasets.profiles.CODES`.
    index
        The record; -1 for the dataset as a whole.
    message
        What is wrong, what was found and what to do.
    path
        The file that is meant where there is no record of it.
    values
        What was found, by name, for the sentences of other languages: ``case`` is the sentence
        that fits, where a code has several.
    """

    code: str
    index: int
    message: str
    path: str = ""
    values: Mapping[str, str | int | float] = field(default_factory=dict)


def count(number: int, noun: str) -> str:
    """Name a number of things."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def in_pictures(inspections: Sequence[Inspection], profile: Profile) -> Iterator[Finding]:
    """Report pictures that cannot be read, are small, blurred, or seem generated."""
    for index, inspection in enumerate(inspections):
        for sign in inspection.signs:
            if sign.kind == "generated":
                yield Finding(
                    "generated",
                    index,
                    f"The picture seems to be generated: {sign.evidence}. Use a photograph, or "
                    "another picture made by a person.",
                )
            else:
                yield Finding(
                    "c2pa_unread", index, f"{sign.evidence[0].upper()}{sign.evidence[1:]}."
                )
        appearance = inspection.appearance
        if appearance is None:
            yield Finding(
                "undecodable",
                index,
                f"The picture cannot be used: {inspection.reason}. Export it again as JPEG or PNG.",
            )
            continue
        width, height = appearance.size
        if min(width, height) < profile.min_side:
            yield Finding(
                "resolution_low",
                index,
                f"The picture has {width} x {height} pixels; its shorter side should have at least "
                f"{profile.min_side}. Use a larger original; enlarging this one adds nothing.",
                values={"width": width, "height": height, "wanted": profile.min_side},
            )
        if appearance.sharpness is not None and appearance.sharpness < SOFT:
            blurred = appearance.sharpness < BLURRED
            yield Finding(
                "blurred" if blurred else "soft",
                index,
                f"The picture {'is blurred' if blurred else 'looks soft'} (sharpness "
                f"{appearance.sharpness:.0f}; sharp pictures have {SOFT:.0f} or more). "
                f"{'Use a sharp one' if blurred else 'Look at it, and use a sharper one'}.",
            )


def in_duplicates(
    records: Sequence[Record], inspections: Sequence[Inspection]
) -> Iterator[Finding]:
    """Report pictures that are there twice; later ones name the earlier."""
    first: dict[bytes, int] = {}
    originals = []
    for index, inspection in enumerate(inspections):
        if inspection.digest is None:
            continue
        earlier = first.setdefault(inspection.digest, index)
        if earlier == index:
            originals.append(index)
            continue
        yield Finding(
            "duplicate",
            index,
            f"The file is the same as {records[earlier].file_name!r}. Remove one of them.",
            values={"other": records[earlier].file_name},
        )
    seen = [
        (index, appearance.looks)
        for index in originals
        if (appearance := inspections[index].appearance) is not None
        and appearance.looks is not None
    ]
    for earlier, later, bits in near_duplicates([looks for _, looks in seen]):
        other = records[seen[earlier][0]].file_name
        yield Finding(
            "near_duplicate",
            seen[later][0],
            f"The picture looks the same as {other!r} ({bits} of {HASH_BITS} bits of their hashes "
            "differ). Keep the better one.",
            values={"other": other, "bits": bits, "all_bits": HASH_BITS},
        )


def in_captions(records: Sequence[Record], profile: Profile) -> Iterator[Finding]:
    """Report captions that are missing, repeated, or odd in their letters or length."""
    yield from _missing(records, "caption", "caption_missing", "Write what the picture shows")
    first: dict[str, int] = {}
    for index, record in enumerate(records):
        for caption in filter(str.strip, record.captions):
            quoted = _quote(caption)
            for code, message, values in _caption_problems(caption, quoted, record, profile):
                said = f"{at(record.where)}{message}"
                yield Finding(code, index, said, values={"caption": quoted, **values})
            earlier = first.setdefault(normalised(caption), index)
            if earlier != index:
                yield Finding(
                    "caption_duplicate",
                    index,
                    f"{at(record.where)}the caption {quoted} is also that of "
                    f"{records[earlier].file_name!r}. Say what sets the two pictures apart.",
                    values={"caption": quoted, "other": records[earlier].file_name},
                )


def _caption_problems(
    caption: str, quoted: str, record: Record, profile: Profile
) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    if repeats_file_name(caption, record.file_name):
        yield (
            "caption_file_name",
            f"the caption {quoted} only repeats the file's name. Write what the picture shows.",
            {},
        )
    words = word_count(caption)
    if words < profile.min_words:
        yield (
            "caption_short",
            f"the caption {quoted} has {count(words, 'word')}; {profile.min_words} or more tell "
            "pictures apart. Say what is seen, where, and what it does.",
            {"words": words, "wanted": profile.min_words},
        )
    if len(caption) > profile.max_characters:
        yield (
            "caption_long",
            f"the caption has {len(caption)} characters; encoders cut captions off after about "
            f"{profile.max_characters}. Shorten it, or put what matters first.",
            {"characters": len(caption), "wanted": profile.max_characters},
        )
    odd = odd_characters(caption)
    if odd is not None:
        yield (
            "caption_characters",
            f"the caption {quoted} has {odd}. Type it again, and save the metadata as UTF-8.",
            {},
        )
    if caption != " ".join(caption.split()):
        yield (
            "caption_whitespace",
            f"the caption {quoted} has stray spaces or line breaks. Remove them.",
            {},
        )


def in_languages(dataset: Dataset) -> Iterator[Finding]:
    """Report captions that are not in English, together and one by one."""
    common = common_foreign_language(dataset.captions)
    if common is not None:
        yield Finding(
            "captions_language",
            -1,
            f"The captions seem not to be in English; most seem to be in {common}. Encoders learn "
            "mostly from English: write them in English, and put Spanish ones into 'caption_es'.",
        )
    for index, record in enumerate(dataset):
        for caption in record.captions:
            language = foreign_language(caption)
            if language is not None:
                quoted = _quote(caption)
                yield Finding(
                    "caption_language",
                    index,
                    f"{at(record.where)}the caption {quoted} seems to be in {language}. Write it "
                    "in English, unless it is a name.",
                    values={"caption": quoted},
                )


def in_provenance(records: Sequence[Record]) -> Iterator[Finding]:
    """Report pictures without category, author, licence or source."""
    yield from _missing(records, "category", "category_missing", "Name the group it belongs to")
    yield from _missing(records, "author", "author_missing", "Name who made the picture")
    yield from _missing(
        records, "license", "license_missing", "Name the licence that allows its use"
    )
    yield from _missing(
        records, "source_url", "source_missing", "Give the address of the page it comes from"
    )
    for index, record in enumerate(records):
        if record.license and _RESTRICTED.search(record.license):
            yield Finding(
                "license_restricted",
                index,
                f"{at(record.where)}the licence {record.license!r} may not allow passing the "
                "picture on. Ask its author, or use one under a free licence.",
                values={"license": record.license},
            )


def _missing(records: Sequence[Record], column: str, code: str, advice: str) -> Iterator[Finding]:
    """Report the records that lack something, in one line where all do."""
    lacking = [i for i, record in enumerate(records) if not (getattr(record, column) or "").strip()]
    if len(lacking) == len(records) > 1:
        yield Finding(
            code,
            -1,
            f"None of the pictures has the column {column!r}. {advice}, for each.",
            values={"case": "all", "column": column},
        )
        return
    for index in lacking:
        yield Finding(
            code,
            index,
            f"{at(records[index].where)}the column {column!r} is empty. {advice}.",
            values={"column": column},
        )


def in_similarity(dataset: Dataset, similarity: NDArray[np.floating] | None) -> Iterator[Finding]:
    """Report captions that fit another picture better than their own."""
    if similarity is None:
        return
    if similarity.shape != (len(dataset), len(dataset.captions)):
        raise DatasetError(
            f"similarity has the shape {similarity.shape} and the dataset {len(dataset)} pictures "
            f"with {len(dataset.captions)} captions. Pass one row a picture, one column a caption."
        )
    for found in mismatches(similarity, dataset.owner, dataset.captions):
        own, other = dataset.records[found.own], dataset.records[found.other]
        advice = (
            "The two captions may be swapped"
            if found.swapped
            else "Check that it describes the right picture"
        )
        quoted = _quote(dataset.captions[found.caption])
        yield Finding(
            "caption_mismatch",
            found.own,
            f"{at(own.where)}the caption {quoted} fits {other.file_name!r} better (similarity "
            f"{found.other_score:.3f}) than its own picture ({found.own_score:.3f}). {advice}.",
            values={
                **({"case": "swapped"} if found.swapped else {}),
                "caption": quoted,
                "other": other.file_name,
                "other_score": float(found.other_score),
                "own_score": float(found.own_score),
            },
        )


def in_flags(
    records: Sequence[Record], flagged: Sequence[tuple[int, str, float]] | None
) -> Iterator[Finding]:
    """Report pictures that moderation has flagged."""
    for index, reason, score in flagged or ():
        if not 0 <= index < len(records):
            raise DatasetError(
                f"a flag is on picture {index}, and the dataset has {len(records)} pictures. "
                "Moderate the same dataset that is checked."
            )
        yield Finding(
            "flagged",
            index,
            f"Moderation flags the picture: {reason} (score {score:.2f}). It is often wrong: look "
            "at the picture and decide.",
            values={"reason": reason, "score": float(score)},
        )


def at(where: str) -> str:
    """Return the start of a message about a place in the metadata."""
    return f"{where}: " if where else ""


def _quote(caption: str) -> str:
    text = caption if len(caption) <= 60 else f"{caption[:57]}..."
    return repr(text)
