from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    """Return a class of two deliveries that lack nearly everything."""
    group = tmp_path / "clase"
    for name in ("ana", "luis"):
        (group / name / "memoria").mkdir(parents=True)
        (group / name / "README.md").write_text("Nothing yet.")
        (group / name / "Makefile").write_text("run:\n\ttrue\n")
    (group / "ana" / "memoria" / "memoria.md").write_text("palabra " * 600)
    return group


def test_a_check_says_what_is_missing_and_exits_with_1(pareja: Pareja, poor: Path) -> None:
    run = pareja("deliver", "--check", poor / "ana")
    assert run.status == 1
    assert run.err == ""
    assert "NO CUMPLE      Falta el conjunto de datos" in run.out
    assert "cumple         600 palabras, entre 500 y 3000." in run.out
    assert "No se acepta todavía: 11 puntos sin cumplir." in run.out
    english = pareja("deliver", "--check", poor / "ana", "--lang", "en")
    assert "Not accepted yet: 11 criteria are not met." in english.out


def test_a_class_is_a_table_and_a_list(pareja: Pareja, poor: Path) -> None:
    table = pareja("deliver", "--check", poor).out
    lines = [line for line in table.splitlines() if line.startswith(("ana", "luis"))]
    assert [line.split()[0] for line in lines] == ["ana", "luis"]
    assert "600" in lines[0]
    assert "conjunto" in lines[0]
    run = pareja("deliver", "--check", poor, "--json")
    assert run.status == 1
    told = json.loads(run.out)
    assert [one["name"] for one in told] == ["ana", "luis"]
    assert [one["words"] for one in told] == [600, None]
    assert told[0]["parts"]["memoria"] == {"weight": 25, "met": 2, "of": 4}


@pytest.mark.parametrize(
    "arguments", [["pareja20"], ["pareja20", "--run"], ["x", "--deadline", "2026-10-31"]]
)
def test_wrong_use_is_a_usage_error(pareja: Pareja, arguments: list[str]) -> None:
    run = pareja("deliver", *arguments)
    assert run.status == 2
    assert "--" in run.err
