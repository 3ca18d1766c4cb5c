"""What a check has found, in the language of who reads it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from pareja.datasets.checks import CheckReport, Problem
from pareja.words.wording import Lang, Wording


@cache
def _spanish() -> Mapping[str, Any]:
    text = (resources.files("pareja.words") / "check_es.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def problem_text(problem: Problem, lang: Lang) -> str:
    """Return what is wrong, what was found and what to do.

    In Spanish, what another program or a format says follows in its own words.
    """
    if lang == "en":
        return problem.message
    words = _spanish()
    wording = Wording(lang)
    values = {
        name: wording.number(value, 3) if isinstance(value, float) else value
        for name, value in problem.values.items()
    }
    cases = words["case"].get(problem.code, {})
    template = cases.get(values.get("case")) or words["problem"][problem.code]
    said = str(template).format_map(values)
    return f"{said} ({problem.message})" if problem.code in words["detail"] else said


def severity_text(problem: Problem, lang: Lang) -> str:
    """Return how serious a problem is, in one word."""
    return problem.severity if lang == "en" else str(_spanish()["check"][problem.severity])


def summary_lines(report: CheckReport, lang: Lang) -> list[str]:
    """Return one line that sums a check up, and one for each check that was not made."""
    summary = report.summary
    numbers: Mapping[str, int] = summary["problems"]
    if lang == "en":
        counts = ", ".join(
            f"{number} {severity}{'' if number == 1 else 's'}"
            for severity, number in numbers.items()
        )
        verdict = "passes" if report.ok else "does not pass"
        told = f"the checks of profile {summary['profile']!r}: {counts}."
        left_out = [f"left out: {code}: {why}" for code, why in summary["left_out"].items()]
        return [f"{summary['dataset']} {verdict} {told}", *left_out]
    words = _spanish()
    counts = ", ".join(
        words["count"][severity]["one" if number == 1 else "other"].format(n=number)
        for severity, number in numbers.items()
    )
    template = str(words["check"]["passes" if report.ok else "fails"])
    told = template.format(dataset=summary["dataset"], profile=summary["profile"], counts=counts)
    left_out = [
        words["check"]["left_out"].format(code=code, why=words["why"][why])
        for code, why in summary["left_out"].items()
    ]
    return [told, *left_out]
