from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pareja.datasets import Dataset, load_dataset
from pareja.datasets.checks import CheckReport, Problem, check_dataset
from pareja.datasets.profiles import CODES
from pareja.words.checks import _spanish, problem_text, severity_text, summary_lines


def test_every_problem_is_said_in_spanish() -> None:
    words = _spanish()
    assert words["problem"].keys() == CODES.keys()
    assert set(words["detail"]) | words["case"].keys() <= CODES.keys()
    for severity in CODES.values():
        assert severity_text(Problem("blurred", severity, "", ""), "es") in (
            "error",
            "aviso",
            "nota",
        )


def test_what_another_program_says_follows_in_its_own_words() -> None:
    problem = Problem("undecodable", "error", "a.jpg", "The file is cut off.")
    assert problem_text(problem, "en") == "The file is cut off."
    assert problem_text(problem, "es").endswith("como JPEG o PNG. (The file is cut off.)")


def folder(path: Path, names: Sequence[str], pictures: Sequence[str]) -> Dataset:
    path.mkdir()
    for name in pictures:
        Image.new("RGB", (8, 8)).save(path / name)
    rows = [f"{name},A wall painted {n} times" for n, name in enumerate(names)]
    text = "\n".join(["file_name,caption", *rows])
    (path / "metadata.csv").write_text(text, encoding="utf-8")
    return load_dataset(path, on_missing="keep")


def test_a_case_has_a_sentence_of_its_own(tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(6)]
    swapped = np.eye(6)
    swapped[[0, 1]] = swapped[[1, 0]]
    reports = (
        check_dataset(folder(tmp_path / "alone", ["a.png"], ["a.png"])),
        check_dataset(folder(tmp_path / "several", names, names), similarity=swapped),
        check_dataset(folder(tmp_path / "misspelt", ["elice.png"], ["helice.png"])),
    )
    said = {problem_text(problem, "es") for report in reports for problem in report.problems}
    for start in (
        "Hay una sola imagen",
        "La imagen no existe, y ninguna fila nombra helice.png. ¿Es esa?",
        "Ninguna imagen tiene la columna 'author'.",
        "La columna 'author' está vacía.",
        "La descripción 'A wall painted 0 times' encaja mejor con 1.png (similitud 1,000) que",
    ):
        assert [text for text in said if text.startswith(start)], start
    assert [text for text in said if text.endswith("Puede que estén intercambiadas.")]


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
        "sin comprobar: flagged: hace falta un codificador, como -m starter",
    ]


def test_why_a_check_was_not_made_is_said_in_spanish(tmp_path: Path) -> None:
    alone = folder(tmp_path / "alone", ["a.png"], ["a.png"])
    reports = check_dataset(alone), check_dataset(alone, similarity=np.eye(1), flagged=())
    assert [summary_lines(report, "es")[1] for report in reports] == [
        "sin comprobar: caption_mismatch: hace falta un codificador, como -m starter",
        "sin comprobar: caption_mismatch: hacen falta 5 imágenes o más",
    ]
