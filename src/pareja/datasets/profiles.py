"""What a dataset is held to: the problems that there are, and how serious each is to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from pareja.errors import DatasetError

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The most serious first."""

CODES: Mapping[str, Severity] = MappingProxyType(
    {
        "no_pictures": "error",
        "picture_count": "warning",
        "category_count": "warning",
        "category_size": "warning",
        "category_missing": "note",
        "file_missing": "error",
        "file_unlisted": "warning",
        "row_wrong": "error",
        "captions_unread": "error",
        "file_unread": "warning",
        "folder_closed": "warning",
        "column_not_read": "note",
        "pictures_left_out": "note",
        "names_with_dots": "note",
        "encoding_guessed": "warning",
        "class_numbers": "warning",
        "caption_repeated": "note",
        "undecodable": "error",
        "resolution_low": "warning",
        "soft": "note",
        "blurred": "warning",
        "duplicate": "warning",
        "near_duplicate": "warning",
        "generated": "warning",
        "c2pa_unread": "note",
        "caption_missing": "warning",
        "caption_duplicate": "warning",
        "caption_short": "note",
        "caption_long": "warning",
        "caption_file_name": "warning",
        "caption_characters": "warning",
        "caption_whitespace": "note",
        "caption_language": "note",
        "captions_language": "note",
        "caption_mismatch": "warning",
        "author_missing": "warning",
        "license_missing": "warning",
        "license_restricted": "note",
        "source_missing": "note",
        "flagged": "warning",
    }
)
"""Every problem that there is, with its severity unless a profile has another."""


@dataclass(frozen=True)
class Profile:
    """What a dataset is held to.

    Parameters
    ----------
    name, purpose
        What it is called, and what it is for.
    pictures, categories, per_category
        Numbers that are asked for; None where any will do.
    min_side
        Shortest acceptable shorter side, in pixels.
    min_words
        Fewest words of a caption.
    max_characters
        Most characters of a caption.
    severities
        Severities that differ from `CODES`.
    """

    name: str
    purpose: str
    pictures: int | None = None
    categories: int | None = None
    per_category: int | None = None
    # Half the 224 pixels that most encoders look at: below it they are shown three interpolated
    # pixels for each true one.
    min_side: int = 112
    # One word is a label, which many pictures share.
    min_words: int = 2
    # SigLIP reads 64 tokens and CLIP 77, at about four characters each in English.
    max_characters: int = 250
    severities: Mapping[str, Severity] = field(default_factory=lambda: MappingProxyType({}))

    def severity(self, code: str) -> Severity:
        """Return how serious a problem is to this profile."""
        return self.severities.get(code, CODES[code])


_COURSE_ERRORS = (
    "picture_count category_count category_size category_missing file_unlisted resolution_low "
    "blurred duplicate near_duplicate generated caption_missing caption_duplicate "
    "captions_language author_missing license_missing"
)
# Judged from few words or from taste, so a person decides.
_COURSE_WARNINGS = "soft c2pa_unread caption_short caption_language source_missing"

_PROFILES = (
    Profile("general", "any collection of captioned pictures"),
    Profile(
        "course",
        "the practical: 20 pictures of one's own choice, 4 categories of 5",
        pictures=20,
        categories=4,
        per_category=5,
        # The input side of CLIP, SigLIP and ResNet-50: no encoder has to enlarge.
        min_side=224,
        # A sentence or a title says what is seen and which; two words are a label.
        min_words=3,
        severities=MappingProxyType(
            {
                **dict.fromkeys(_COURSE_ERRORS.split(), "error"),
                **dict.fromkeys(_COURSE_WARNINGS.split(), "warning"),
            }
        ),
    ),
)


def profiles() -> tuple[Profile, ...]:
    """Return the profiles that there are, the default first.

    Examples
    --------
    >>> [profile.name for profile in profiles()]
    ['general', 'course']
    """
    return _PROFILES


def find_profile(name: str) -> Profile:
    """Return the profile of that name.

    Raises
    ------
    DatasetError
        If there is none.
    """
    for profile in _PROFILES:
        if profile.name == name:
            return profile
    names = " and ".join(repr(profile.name) for profile in _PROFILES)
    raise DatasetError(f"unknown profile {name!r}. There are {names}.")
