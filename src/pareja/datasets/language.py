"""Whether captions are in English, judged without taking names for foreign words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lingua import LanguageDetector

POOL_SIZE = 10
"""Smallest number of captions whose common language is judged."""

POOL_MOST = 1000
"""Largest number of captions whose common language is judged; of more, an even sample is taken.

The standard error of their mean confidence is below 0.02 then, whatever the captions are.
"""

POOL_ENGLISH = 0.13
"""Captions are not English together where their mean confidence in English is below this.

``benchmarks/caption_language.py`` draws 2000 sets from the bundled titles: of sets of 20 Spanish
titles all lie below, of sets of 20 Commons titles (a seventh of them foreign) none; for sets of 10
the rates are 99.6 % and 0.3 %.
"""

# Languages of the Latin alphabet that the detector tells apart. All of lingua's 75 take ten
# seconds to load and share the confidence in a caption of four words out among too many.
_LANGUAGES = (
    "ENGLISH",
    "SPANISH",
    "FRENCH",
    "GERMAN",
    "ITALIAN",
    "PORTUGUESE",
    "DUTCH",
    "CATALAN",
    "POLISH",
)

_FUNCTION_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "English": "the of and with at from by is are its in on near under over during between "
        "his her their to an",
        "Spanish": "un una el los las en del y con sobre al por para su sus se que es está",
        "French": "un une le les dans sur avec et aux au est",
        "German": "ein eine einer einem einen der die das den dem des im am auf und mit von zu zum "
        "zur bei vor ist",
        "Italian": "un una il lo gli nel nella sul sulla con e del della dei delle su è",
        "Portuguese": "um uma o os as no na em com do da dos das e sobre ao",
        "Dutch": "een het van op met en bij naar zijn",
    }.items()
}
# Small words inside names: "Château de Chambord", "Vincent van Gogh".
_NAME_PARTICLES = frozenset(
    {"al", "da", "de", "del", "della", "den", "der", "des", "di", "du", "el", "et", "la", "le"}
    | {"les", "saint", "san", "st", "sur", "und", "van", "von", "y"}
)

# Chosen together by benchmarks/caption_language.py so that names pass; see `foreign_language`.
_MIN_CONFIDENCE = 0.5
_MIN_RATIO = 5.0
_MIN_RATIO_OF_NAMES = 100.0
_MIN_RATIO_OF_SENTENCES = 1.5

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def foreign_language(caption: str) -> str | None:
    """Name the language of a caption that is clearly not English.

    Titles of three words are too short for any detector, and most are names, which belong to no
    language. So this speaks up only on two or more function words of another language, on
    another script, or where the detector is sure and no single word is English by itself.
    Captions made of capitalised words only, which names are, need twenty times as much certainty.

    Measured by ``benchmarks/caption_language.py``: of 262 English titles and names of the bundled
    datasets 2 are flagged (a Latin name of an animal, and one with an Italian photographer); of 30
    foreign titles there, mostly of one or two words, 11 (precision 0.85, recall 0.37); of 77
    Spanish names of pictures 12; of 14 foreign sentences of 2 to 8 words all. The limits were
    chosen on the same texts, so expect a little less of others.

    Parameters
    ----------
    caption
        One caption.

    Returns
    -------
    str or None
        The language in English, as ``"Spanish"``, or the script, as ``"Cyrillic script"``; None
        where it is English or cannot be told.

    Examples
    --------
    >>> foreign_language("Un gato negro duerme en el sofá")
    'Spanish'
    >>> foreign_language("Taj Mahal, Agra, India") is None
    True
    """
    words = _words(caption)
    script = _foreign_script("".join(words))
    if script is not None:
        return script
    if len(words) < 2:
        return None
    lowered = [word.lower() for word in words]
    hits = {
        language: sum(word in function_words for word in lowered)
        for language, function_words in _FUNCTION_WORDS.items()
    }
    english = hits.pop("English")
    foreign = max(hits.values())
    if english and english >= foreign:
        return None
    language, confidence, in_english = _judge(" ".join(words))
    if language == "English":
        return None
    if foreign >= 2:
        return language if confidence > _MIN_RATIO_OF_SENTENCES * in_english else None
    is_name = all(word[0].isupper() or word.lower() in _NAME_PARTICLES for word in words)
    ratio = _MIN_RATIO_OF_NAMES if is_name else _MIN_RATIO
    if confidence < _MIN_CONFIDENCE or confidence < ratio * in_english:
        return None
    if any(len(word) > 3 and _judge(word)[0] == "English" for word in words):
        return None
    return language


def common_foreign_language(captions: Sequence[str]) -> str | None:
    """Name the language of a set of captions that is not English as a whole.

    Many short captions together say what none says by itself: the mean confidence in English
    is compared with `POOL_ENGLISH`. Of a larger set, `POOL_MOST` captions are judged.

    Parameters
    ----------
    captions
        The captions; those without a word do not count.

    Returns
    -------
    str or None
        The commonest other language or script; None where the captions are English, or where there
        are fewer than `POOL_SIZE`.
    """
    spoken = [words for words in map(_words, captions) if words]
    if len(spoken) < POOL_SIZE:
        return None
    spread = np.linspace(0, len(spoken) - 1, min(len(spoken), POOL_MOST)).astype(int)
    spoken = [spoken[index] for index in spread]
    votes: Counter[str] = Counter()
    total = 0.0
    for words in spoken:
        script = _foreign_script("".join(words))
        if script is not None:
            votes[script] += 1
            continue
        language, _, in_english = _judge(" ".join(words))
        votes[language] += 1
        total += in_english
    if total / len(spoken) >= POOL_ENGLISH:
        return None
    del votes["English"]
    return votes.most_common(1)[0][0]


def _words(caption: str) -> list[str]:
    """Return what may be words: no numbers, file names, abbreviations or remarks in brackets."""
    text = re.sub(r"\([^)]*\)", " ", caption)
    parts = [part for part in text.split() if not any(letter.isdigit() for letter in part)]
    words = _WORD.findall(" ".join(parts))
    if all(word.isupper() for word in words):
        return [word.lower() for word in words]
    return [word for word in words if len(word) == 1 or not word.isupper()]


def _foreign_script(letters: str) -> str | None:
    """Name the script of most of the letters, unless it is Latin."""
    scripts = Counter(unicodedata.name(letter, "UNKNOWN").split()[0] for letter in letters)
    if not scripts or scripts["LATIN"] * 2 >= scripts.total():
        return None
    del scripts["LATIN"]
    return f"{scripts.most_common(1)[0][0].capitalize()} script"


@lru_cache(maxsize=1)
def _detector() -> LanguageDetector:
    from lingua import Language, LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_languages(
        *(getattr(Language, name) for name in _LANGUAGES)
    ).build()


@lru_cache(maxsize=4096)
def _judge(text: str) -> tuple[str, float, float]:
    """Return the likeliest language, the confidence in it, and the confidence in English."""
    values = _detector().compute_language_confidence_values(text)
    in_english = next(v.value for v in values if v.language.name == "ENGLISH")
    return values[0].language.name.capitalize(), values[0].value, in_english
