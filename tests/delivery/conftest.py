"""A study and its dataset, small enough for every test of what is handed in."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import pareja
from pareja.encoders import EncoderPair

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

    from pareja.tasks.study import StudyResult

COLOURS = ("red", "green", "blue", "yellow", "white", "black", "pink", "brown")


@pytest.fixture(autouse=True)
def _blank(blank_figures: None) -> None:
    """Draw nothing in any of these tests."""


@pytest.fixture(scope="session")
def walls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of eight painted walls with captions in two languages."""
    folder = tmp_path_factory.mktemp("data") / "walls"
    (folder / "images").mkdir(parents=True)
    rows = [["file_name", "caption", "caption_es", "category", "author", "license"]]
    for n, colour in enumerate(COLOURS):
        name = f"images/{colour}.png"
        Image.new("RGB", (48, 32), colour).save(folder / name)
        category = ("dark", "bright")[n % 2]
        rows.append(
            [name, f"A wall painted {colour}", f"Una pared ({n})", category, "Ana Pérez", "CC0-1.0"]
        )
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return folder


_STUDIES: list[StudyResult] = []


@pytest.fixture
def result(walls: Path, colours: ColourEncoder) -> StudyResult:
    """Return a study of a pair and a dual encoder, made once for all tests."""
    if not _STUDIES:
        _STUDIES.append(
            pareja.study(
                walls,
                [EncoderPair("pictures+words", colours, colours), replace(colours, name="colours")],
                permutations=99,
                resamples=100,
                cache=False,
                command=f"pareja study {walls}",
            )
        )
    return _STUDIES[0]


_SAVED: list[Path] = []


@pytest.fixture
def saved(result: StudyResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of that study, with a report in Spanish."""
    if not _SAVED:
        _SAVED.append(result.save(tmp_path_factory.mktemp("study") / "estudio", langs="es"))
    return _SAVED[0]
