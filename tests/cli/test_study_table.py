from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import ColourEncoder
from tests.report.conftest import COLOURS, wall

from pareja.cli.study import print_study
from pareja.datasets import Dataset
from pareja.encoders import EncoderPair
from pareja.tasks.study import study


def test_a_pair_has_a_row_for_every_way_across(
    colours: ColourEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    records = tuple(wall(colour, n) for n, colour in enumerate(COLOURS))
    pair = EncoderPair("pictures+words", colours, colours)
    result = study(
        Dataset("walls", records, Path("walls")),
        [pair, colours],
        permutations=99,
        resamples=50,
        cache=False,
    )
    print_study(result)
    printed = capsys.readouterr().out
    table, _ = printed.split("rank correlation")
    first = [line.split()[0] for line in table.splitlines() if line.strip()]
    start = first.index("pictures+words")
    ways = [bridge.name for bridge in result.encoders[0].bridges]
    assert first[start : start + 7] == ["pictures+words", *ways, "colours"]
    assert "compared with other encoders by ridge" in table
    assert max(map(len, table.splitlines()[:-1])) <= 80
