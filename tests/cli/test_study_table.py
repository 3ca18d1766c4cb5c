from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import ColourEncoder
from tests.report.conftest import COLOURS, wall

from pareja.cli.console import system_language
from pareja.cli.study import print_study
from pareja.datasets import Dataset
from pareja.encoders import EncoderPair
from pareja.tasks.study import StudyResult, study


@pytest.fixture(scope="module")
def result() -> StudyResult:
    colours = ColourEncoder()
    records = tuple(wall(colour, n) for n, colour in enumerate(COLOURS))
    return study(
        Dataset("walls", records, Path("walls")),
        [EncoderPair("pictures+words", colours, colours), colours],
        permutations=99,
        resamples=50,
        cache=False,
    )


def test_a_pair_has_a_row_for_every_way_across(
    result: StudyResult, capsys: pytest.CaptureFixture[str]
) -> None:
    print_study(result)
    printed = capsys.readouterr().out
    table, _ = printed.split("rank correlation")
    first = [line.split()[0] for line in table.splitlines() if line.strip()]
    start = first.index("pictures+words")
    ways = [bridge.name for bridge in result.encoders[0].bridges]
    assert first[start : start + 7] == ["pictures+words", *ways, "colours"]
    assert "compared with other encoders by ridge" in table
    assert max(map(len, table.splitlines()[:-1])) <= 80


def test_it_is_said_in_the_language_of_the_report(
    result: StudyResult, capsys: pytest.CaptureFixture[str]
) -> None:
    print_study(result, "es")
    printed = capsys.readouterr().out
    assert "walls: 8 imágenes, 8 descripciones" in printed
    assert "pictures+words y colours: correlación de rangos de las parejas correctas" in printed
    luck = next(line for line in printed.splitlines() if line.startswith("azar"))
    assert luck.split()[1:] == ["0,13", "0,63", "0,13", "0,63", "0,50"]
    assert max(map(len, printed.splitlines()[:-1])) <= 80


@pytest.mark.parametrize(
    ("settings", "language"),
    [
        ({"LANG": "es_ES.UTF-8"}, "es"),
        ({"LANG": "es_MX.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "es_ES"}, "es"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_of_the_system_is_that_of_its_messages(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], language: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, locale in settings.items():
        monkeypatch.setenv(name, locale)
    assert system_language() == language
