from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.cli.conftest import Pareja

from pareja.cli.tune import paced
from pareja.embedding.pipeline import Progress

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
    assert re.search(r"(< 0\.001|\d\.\d{3}) +(better|worse|within chance)", run.out)
    assert str(report / "report.html") in run.out
    assert str(report / "informe.html") in run.out
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


def test_each_stage_of_training_has_one_bar_with_rate_loss_and_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 2.0, 4.0, 9.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    shown: list[tuple[str, float, float | None, str]] = []

    def show(title: str, progress: Progress | None, note: str = "", /) -> None:
        assert progress is not None
        shown.append((title, progress.rate, progress.seconds_left, note))

    progress = paced(show)
    # The first was done by a run that was stopped.
    for done, loss in ((10, 3.0), (11, 2.5), (12, 2.25)):
        progress("steps", done, 20, loss)
    progress("pictures", 1, 5, None)
    assert shown == [
        ("steps", 0.0, None, "loss 3.000"),
        ("steps", 0.5, 18.0, "loss 2.500"),
        ("steps", 0.5, 16.0, "loss 2.250"),
        ("pictures", 0.0, None, ""),
    ]
