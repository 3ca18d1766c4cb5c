from __future__ import annotations

from pareja.datasets.checks import CheckReport, Problem
from pareja.datasets.profiles import CODES
from pareja.words.checks import _spanish, problem_text, severity_text, summary_lines


def test_every_problem_is_said_in_spanish() -> None:
    words = _spanish()
    assert words["problem"].keys() == CODES.keys()
    assert set(words["detail"]) <= CODES.keys()
    for code, severity in CODES.items():
        problem = Problem(code, severity, "a.jpg", "What was found.")
        assert problem_text(problem, "en") == "What was found."
        told = problem_text(problem, "es")
        assert told.startswith(words["problem"][code])
        assert ("What was found." in told) == (code in words["detail"])
        assert severity_text(problem, "es") in ("error", "aviso", "nota")


def test_a_check_is_summed_up_in_both_languages() -> None:
    summary = {
        "dataset": "fotos",
        "profile": "course",
        "problems": {"error": 1, "warning": 2, "note": 0},
        "left_out": {"flagged": "needs an encoder"},
    }
    report = CheckReport((Problem("blurred", "error", "a.jpg", "x"),), summary)
    assert summary_lines(report, "en") == [
        "fotos does not pass the checks of profile 'course': 1 error, 2 warnings, 0 notes.",
        "left out: flagged: needs an encoder",
    ]
    assert summary_lines(report, "es") == [
        "fotos no cumple las reglas de course: 1 error, 2 avisos, 0 notas.",
        "sin comprobar: flagged",
    ]
