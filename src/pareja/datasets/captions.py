"""What may be wrong with a caption, from its letters and from how an encoder scores it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pareja.errors import DatasetError

MISMATCH_MARGIN = 2.5
"""How much better another picture must fit a caption than its own, in standard deviations."""

MISMATCH_OWN = 1.0
"""Above this many standard deviations a caption fits its own picture, whatever others score."""

MISMATCH_MIN_PICTURES = 5
"""Below this many pictures the spread of the scores is not known well enough to compare them."""

_PICTURE_SUFFIX = re.compile(
    r"\.(?:jpe?g|png|webp|gif|bmp|tiff?|heic|heif|avif|jp2)$", re.IGNORECASE
)
# UTF-8 read as Latin-1 or Windows-1252: "Ã©" for "é", "â€™" for an apostrophe.
_MOJIBAKE = re.compile("[ÃÂ][\u0080-\u00bf]|â€|\ufffd")


@dataclass(frozen=True)
class Mismatch:
    """A caption that fits another picture better than its own.

    Parameters
    ----------
    caption, own, other
        Column of the caption, row of its picture, row of the picture that it fits best.
    own_score, other_score
        Their similarities.
    swapped
        Whether a caption of the other picture fits this one in turn.
    """

    caption: int
    own: int
    other: int
    own_score: float
    other_score: float
    swapped: bool


def normalised(caption: str) -> str:
    """Return a caption as it counts for comparison: case, spacing and Unicode form set aside.

    Examples
    --------
    >>> normalised(" A  Dog ") == normalised("a dog")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", caption).casefold().split())


def word_count(caption: str) -> int:
    """Count the words of a caption; a character of Chinese or Japanese counts as one.

    Examples
    --------
    >>> word_count("Claw-hammer, 2004-03-02 (cropped)"), word_count("一只猫")
    (3, 3)
    """
    # These scripts put no spaces between words, so one sentence would count as one word.
    spaced = re.sub("([\u3040-\u30ff\u3400-\u9fff])", r" \1 ", caption)
    return sum(any(letter.isalpha() for letter in part) for part in re.split(r"[\s/_–—-]+", spaced))


def repeats_file_name(caption: str, file_name: str) -> bool:
    """Tell whether a caption is no more than the name of a file.

    Underscores count as they are: a file named after its caption is good practice.

    Examples
    --------
    >>> repeats_file_name("IMG_2041", "images/IMG_2041.jpg")
    True
    >>> repeats_file_name("Two jaguars", "images/two_jaguars.jpg")
    False
    """
    text = normalised(caption)
    name = PurePosixPath(file_name)
    if _PICTURE_SUFFIX.search(text) and " " not in text:
        return True
    return text in {normalised(name.name), normalised(name.stem)}


def odd_characters(caption: str) -> str | None:
    """Name characters in a caption that a broken encoding or a control code left; None without.

    Examples
    --------
    >>> odd_characters("CafÃ© in Paris")
    'text in a wrong encoding (‘Ã©’)'
    """
    found = _MOJIBAKE.search(caption)
    if found is not None:
        return f"text in a wrong encoding (‘{found[0]}’)"
    for letter in caption:
        kind = unicodedata.category(letter)
        # Zero-width joiners and their like belong to scripts and emoji.
        if kind == "Cc" and not letter.isspace():
            return f"a control character (U+{ord(letter):04X})"
        if kind in {"Co", "Cs", "Cn"}:
            return f"a character that has no meaning (U+{ord(letter):04X})"
    return None


def mismatches(
    similarity: NDArray[np.floating], owner: NDArray[np.intp], captions: Sequence[str]
) -> tuple[Mismatch, ...]:
    """Find captions that seem to belong to another picture.

    Encoders prefer a wrong picture for many good captions, so being beaten is not enough. Row and
    column means are taken off first, because some pictures and captions score high with everything.
    What is left is divided by its standard deviation over the pairs that do not belong together.
    A caption counts if another picture then beats its own by at least `MISMATCH_MARGIN` and its own
    scores below `MISMATCH_OWN`: not much better than a picture drawn at random, which scores 0.

    With the embedded encoder (``benchmarks/caption_mismatch.py``) no good caption of ``pareja20``
    is flagged and 2.8 % of those in sets of 20 from ``commons200`` are, 4.9 % in sets of 100; after
    two captions are swapped, the swap is noticed in 63 to 66 % of the draws. The limits were chosen
    on the same pictures. Better encoders should do better.

    Parameters
    ----------
    similarity
        ``(n_images, n_captions)``. A picture or caption that could not be embedded is a row or
        column of NaN; it takes no part.
    owner
        For each caption the row of its picture, ``(n_captions,)``.
    captions
        The captions, ``(n_captions,)``: a picture that has the same caption is no better picture.

    Returns
    -------
    tuple of Mismatch
        In order of the captions; empty below `MISMATCH_MIN_PICTURES` pictures, where the spread is
        not known well enough.

    Raises
    ------
    DatasetError
        If `similarity` is not finite elsewhere.
    """
    known = np.isfinite(similarity)
    rows, columns = known.any(axis=1).nonzero()[0], known.any(axis=0).nonzero()[0]
    if not known[np.ix_(rows, columns)].all():
        raise DatasetError("similarity has values that are not finite. Embed the dataset again.")
    if len(rows) < MISMATCH_MIN_PICTURES or not len(columns):
        return ()
    found = _mismatches(
        np.asarray(similarity[np.ix_(rows, columns)], dtype=np.float64),
        np.searchsorted(rows, owner[columns]),
        [captions[column] for column in columns],
    )
    return tuple(
        replace(
            mismatch,
            caption=int(columns[mismatch.caption]),
            own=int(rows[mismatch.own]),
            other=int(rows[mismatch.other]),
        )
        for mismatch in found
    )


def _mismatches(
    scores: NDArray[np.float64], owner: NDArray[np.intp], captions: Sequence[str]
) -> tuple[Mismatch, ...]:
    """Apply the rule of `mismatches` to finite scores."""
    n_captions = len(captions)
    centred = scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean()
    columns = np.arange(n_captions)
    keys = np.array([normalised(caption) for caption in captions])
    belongs = np.zeros(scores.shape, dtype=bool)
    for column in columns:
        belongs[owner[keys == keys[column]], column] = True
    spread = centred[~belongs].std() if not belongs.all() else 0.0
    # Scores that are all the same leave rounding errors, which must not be compared.
    if spread <= 1e-9 * max(float(np.abs(scores).max()), 1e-300):
        return ()
    centred /= spread
    best = np.where(belongs, -np.inf, centred).argmax(0)
    own = centred[owner, columns]
    lead = centred[best, columns] - own
    suspects = [
        column
        for column in columns
        if not belongs[best[column], column]
        and lead[column] >= MISMATCH_MARGIN
        and own[column] < MISMATCH_OWN
    ]
    pairs = {(int(owner[column]), int(best[column])) for column in suspects}
    return tuple(
        Mismatch(
            caption=int(column),
            own=(row := int(owner[column])),
            other=(other := int(best[column])),
            own_score=float(scores[row, column]),
            other_score=float(scores[other, column]),
            swapped=(other, row) in pairs,
        )
        for column in suspects
    )
