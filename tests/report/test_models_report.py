from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pareja.datasets import Dataset
from pareja.report.models import write_model_report
from pareja.tasks.compare import compare
from pareja.words.wording import Lang

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.mark.parametrize("lang", ["en", "es"])
def test_a_report_in_every_form(
    colour_dataset: Dataset, colours: ColourEncoder, tmp_path: Path, lang: Lang
) -> None:
    models = [colours, replace(colours, name="sigmoids", loss="sigmoid")]
    templates = {"photo": ["a photo of a {}"], "bare": ["{}"]}
    comparison = compare(
        colour_dataset, models, templates=templates, truth="category", price=0.05, resamples=100
    )
    written = write_model_report(comparison, tmp_path, lang=lang, command="pareja compare x")
    stem = "informe" if lang == "es" else "report"
    assert {f"{stem}.html", f"{stem}.md", f"{stem}.pdf"} <= set(written)
    page = (tmp_path / f"{stem}.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    assert ("Softmax y sigmoide" if lang == "es" else "Softmax and sigmoid") in text
    assert "sigmoids" in text
    assert "pareja compare x" in text
    assert not re.search(r"\{\w+\}", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    label = "Tabla" if lang == "es" else "Table"
    numbers = [int(n) for n in re.findall(rf"<b>{label} (\d+)\.</b>", page)]
    assert numbers == list(range(1, len(numbers) + 1))
    # Equal logits: the two models are right on the same pictures, which no test may call real.
    assert "p = 1" in text.replace("\N{NO-BREAK SPACE}", " ")


def test_one_model_has_no_disputes(
    colour_dataset: Dataset, colours: ColourEncoder, tmp_path: Path
) -> None:
    templates = {"photo": ["a photo of a {}"], "bare": ["{}"]}
    comparison = compare(
        colour_dataset, [colours], templates=templates, truth="category", resamples=50
    )
    write_model_report(comparison, tmp_path, lang="en", formats=["md"])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Only one model was measured" in text
    assert "Where they disagree" not in text
