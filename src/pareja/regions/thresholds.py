"""From which score on words are taken to be in a picture, and how often that is wrong.

A cosine says little by itself, because every model has its own scale. A threshold is therefore
measured: on pictures of which it is known what they show, with words for what is in them and words
for what is not. Those of the embedded models are in ``thresholds.toml``, written by
``benchmarks/locate.py``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from pareja.encoders.protocols import ImageEncoder


@dataclass(frozen=True)
class Threshold:
    """The score from which words count as being there.

    Parameters
    ----------
    score
        The threshold.
    missed
        Share of the words that are in a picture and below it, in [0, 1]; None if not measured.
    false
        Share of the words that are not in a picture and reach it, in [0, 1]; None if not measured.
    pictures
        On how many pictures that was measured; 0 if it was not.
    source
        Which pictures these were; empty if it was not measured.
    """

    score: float
    missed: float | None = None
    false: float | None = None
    pictures: int = 0
    source: str = ""

    @classmethod
    def given(cls, score: float) -> Threshold:
        """Return a threshold that somebody chose."""
        return cls(float(score))


@cache
def _table() -> dict[str, Any]:
    file = resources.files("pareja.regions").joinpath("thresholds.toml")
    return tomllib.loads(file.read_text("utf-8"))


def known_threshold(encoder: ImageEncoder) -> Threshold | None:
    """Return the threshold that was measured for an encoder; None where none was.

    It holds for the weights that it was measured with, and for no others.
    """
    entry = _table().get(encoder.name)
    if entry is None or entry["revision"] != encoder.image_fingerprint.revision:
        return None
    return Threshold(**{key: value for key, value in entry.items() if key != "revision"})
