from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Pareja

SMALL = {"side": 24, "patch": 8, "width": 32, "heads": 4, "image_blocks": 2, "dim": 16}


def test_the_report_of_a_new_encoder_in_both_languages(
    pareja: Pareja, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.report.drawing.PNG_DPI", 30)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(SMALL))
    out, report = tmp_path / "mine", tmp_path / "report"
    options = ["--epochs", "1", "--folds", "0", "--report", report, "--lang", "en", "--lang", "es"]
    run = pareja("tune", "shapes:30", "--from-scratch", plan, "-o", out, *options)
    assert run.status == 0, run.err
    assert str(report / "report.html") in run.out
    assert str(report / "memoria.html") in run.out
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "untrained, tuned with all weights on shapes:30" in page
    assert "pareja tune shapes:30 --from-scratch" in page
    assert json.loads((report / "tune.json").read_text())["folder"] == str(out)
    assert "library_name: transformers" in (out / "README.md").read_text()


@pytest.mark.parametrize("report", ["mine", "mine/report", "."])
def test_a_report_is_kept_apart_from_the_encoder(
    pareja: Pareja, tmp_path: Path, report: str
) -> None:
    out = tmp_path / "mine"
    run = pareja("tune", "shapes:30", "-m", "x", "-o", out, "--report", tmp_path / report)
    assert run.status == 2
    assert "must be folders apart" in run.err
    assert not out.exists()


def test_a_new_encoder_is_trained_whole(pareja: Pareja, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("{}")
    out = tmp_path / "mine"
    run = pareja("tune", "shapes:30", "--from-scratch", plan, "--method", "lora", "-o", out)
    assert run.status == 2
    assert "has no weights to adapt" in run.err
    assert not out.exists()
