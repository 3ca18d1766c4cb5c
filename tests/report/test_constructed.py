"""Studies whose right sentences are known beforehand, from the pictures to the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import ColourEncoder
from tests.report.conftest import COLOURS, wall
from tests.report.test_verdicts import texts

from pareja.datasets import Dataset
from pareja.encoders import Embeddings
from pareja.tasks.study import StudyResult, study
from pareja.words.wording import Lang


@dataclass(frozen=True)
class Opposite(ColourEncoder):
    """Takes every colour for its opposite: always wrong."""

    name: str = "opposite"

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        return self._unit(255 - np.array([self._colour(text) for text in texts]))


@dataclass(frozen=True)
class Flat(ColourEncoder):
    """Takes all captions for the same: nothing but ties."""

    name: str = "flat"

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        return self._unit(np.full((len(texts), 3), 200.0))


def run(*encoders: ColourEncoder, colours: Sequence[str] = COLOURS, times: int = 1) -> StudyResult:
    """Study one-coloured pictures; each has its caption in so many words."""
    ends = ("", " all over", " at noon")[:times]
    records = [
        replace(wall(colour, n), captions=tuple(f"A wall painted {colour}{end}" for end in ends))
        for n, colour in enumerate(colours)
    ]
    dataset = Dataset("walls", tuple(records), Path("walls"))
    return study(dataset, encoders, permutations=999, resamples=200, cache=False)


@pytest.mark.parametrize(
    ("lang", "summary", "pairs"),
    [
        ("en", "matches pictures and words better than chance", "matched pairs are closer"),
        ("es", "palabras mejor que el azar", "las parejas correctas están más cerca"),
    ],
)
@pytest.mark.parametrize("n", [5, 8])
def test_always_right(n: int, lang: Lang, summary: str, pairs: str) -> None:
    result = run(ColourEncoder(), colours=COLOURS[:n])
    assert summary in texts(result, lang, "summary")
    assert pairs in texts(result, lang, "distributions")


@pytest.mark.parametrize(
    ("lang", "summary", "pairs", "hint"),
    [
        ("en", "does worse than chance", "below chance", "Captions that were swapped"),
        ("es", "queda por debajo del azar", "por debajo del azar", "están intercambiadas"),
    ],
)
def test_always_wrong(lang: Lang, summary: str, pairs: str, hint: str) -> None:
    result = run(Opposite())
    assert summary in texts(result, lang, "summary")
    assert pairs in texts(result, lang, "distributions")
    assert hint in texts(result, lang, "distributions")
    assert result.encoders[0].matching.difference.high < -0.5


@pytest.mark.parametrize("lang", ["en", "es"])
def test_ties_show_nothing(lang: Lang) -> None:
    result = run(Flat())
    chance = {"en": "within chance", "es": "con el azar"}[lang]
    found = {"en": "finds no more than chance would", "es": "no acierta más que el azar"}[lang]
    assert found in texts(result, lang, "summary")
    for section in ("distributions", "retrieval"):
        assert chance in texts(result, lang, section)


@pytest.mark.parametrize(
    ("lang", "sentence"),
    [("en", "colours finds more right answers than"), ("es", "colours acierta más que opposite")],
)
@pytest.mark.parametrize("times", [1, 3])
def test_right_against_wrong(times: int, lang: Lang, sentence: str) -> None:
    result = run(Opposite(), ColourEncoder(), times=times)
    assert sentence in texts(result, lang, "summary")
    assert sentence in texts(result, lang, "comparison")
