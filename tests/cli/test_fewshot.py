from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from PIL import Image

from pareja.analysis.repeated import RepeatedAccuracy
from pareja.analysis.significance import Estimate
from pareja.classifiers.few_shot import Method
from pareja.classifiers.learned import load_classifier
from pareja.cli.fewshot import Way, print_curves
from pareja.tasks.learning_curves import LearningCurves, LearningPoint

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja
    from tests.conftest import ColourEncoder


@pytest.fixture
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colours: ColourEncoder) -> Path:
    """Folders of red, green and blue pictures, five each, and one owl; seen by their colour."""
    generator = np.random.default_rng(0)
    for n, name in enumerate(("red", "green", "blue", "owl")):
        (tmp_path / "kinds" / name).mkdir(parents=True)
        for i in range(1 if name == "owl" else 5):
            rgb = np.clip(generator.normal(np.eye(4)[n, :3] * 160 + 40, 30), 0, 255)
            colour = tuple(int(v) for v in rgb)
            Image.new("RGB", (12, 12), colour).save(tmp_path / "kinds" / name / f"{i}.png")
    monkeypatch.setattr("pareja.encoders.load", lambda name, **_: colours)
    return tmp_path / "kinds"


QUICK = ("--no-cache", "--truth", "category", "--seeds", "2")


def test_the_ways_are_the_methods() -> None:
    assert tuple(way.value for way in Way) == get_args(Method)


def test_curves_as_a_table_and_as_json(pareja: Pareja, kinds: Path) -> None:
    printed = pareja("fewshot", kinds, *QUICK, "--method", "knn", "--method", "prototype")
    assert printed.status == 0, printed.err
    for word in ("zero-shot", "knn", "prototype", "4 shots", "left out", "owl (1)"):
        assert word in printed.out
    run = pareja("fewshot", kinds, *QUICK, "--shots", "1,2", "--json")
    found = json.loads(run.out)
    assert set(found["curves"]) == set(get_args(Method))
    assert found["labels"] == ["blue", "green", "red"]
    assert found["left_out"] == [{"label": "owl", "images": 1}]
    assert found["shots"] == [1, 2]
    assert found["classifier"] is None
    (first, second) = found["curves"]["knn"]
    assert second["shots"] == 2
    assert 0 <= first["balanced_accuracy"]["value"] <= 1
    assert len(first["balanced_accuracy"]["ci"]) == len(first["settings"]) == 2
    assert found["zero_shot"]["accuracy"]["value"] > 0.5


def test_the_gain_that_decides_stands_below_the_accuracy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def scores(gain: Estimate | None) -> RepeatedAccuracy:
        return RepeatedAccuracy(Estimate(0.6, 0.5, 0.7), Estimate(0.5, 0.4, 0.6), gain)

    gains = (
        Estimate(0.1, 0.01, 0.2),
        Estimate(-0.1, -0.2, -0.01),
        Estimate(-0.001, -0.2, 0.2),
    )
    curves = LearningCurves(
        labels=("a", "b"),
        shots=(1, 2, 4),
        seeds=3,
        n_images=20,
        n_tests=4,
        zero_shot=scores(None),
        points=tuple(
            LearningPoint("knn", shots, scores(gain), ())
            for shots, gain in zip((1, 2, 4), gains, strict=True)
        ),
    )
    none_left_out: Any = SimpleNamespace(left_out=())
    print_curves(curves, none_left_out)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    (second,) = (line for line in lines if "*" in line and "zero-shot" not in line)
    assert re.findall(r"\S+ \[.*?\][*°]?", second) == [
        "0.10 [0.01, 0.20]*",
        "-0.10 [-0.20, -0.01]°",
        "0.00 [-0.20, 0.20]",
    ]


def test_a_saved_classifier(pareja: Pareja, kinds: Path, colours: ColourEncoder) -> None:
    command = ("fewshot", kinds, *QUICK, "--method", "tip-adapter", "--save", "c.safetensors")
    run = pareja(*command)
    assert run.status == 0, run.err
    told = run.err.splitlines()
    assert "15 pictures" in told[0]
    assert told[0].endswith("use it with: pareja classify PICTURES --classifier c.safetensors")
    assert told[1:] == [
        "and where colours indexed the pictures, with: "
        "pareja search QUERY --classifier c.safetensors --shows blue",
        "or: pareja serve --classifier c.safetensors",
    ]
    classifier = load_classifier("c.safetensors", colours.image_fingerprint)
    assert classifier.labels == ("blue", "green", "red")
    again = pareja(*command)
    assert again.status == 1
    assert "--force" in again.err
    assert pareja(*command, "--force").status == 0


def test_classify_by_what_was_learned(pareja: Pareja, kinds: Path) -> None:
    saved = ("--method", "linear-probe", "--save", "c.safetensors")
    assert pareja("fewshot", kinds, *QUICK, *saved).status == 0
    classify = ("classify", kinds, "--no-cache", "--classifier", "c.safetensors")
    run = pareja(*classify, "--truth", "category", "--json")
    assert run.status == 0, run.err
    found = json.loads(run.out)
    assert found["labels"] == ["blue", "green", "red"]
    assert found["templates"] == []
    assert found["evaluation"]["top1"]["value"] > 0.9
    assert sum(found["images"][0]["scores"].values()) == pytest.approx(1)
    refused = pareja(*classify, "--labels", "red,blue")
    assert refused.status == 2
    assert "leave out --labels" in refused.err


def test_a_classifier_of_another_space_is_refused(
    pareja: Pareja, kinds: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = ("--method", "knn", "--save", "c.safetensors")
    assert pareja("fewshot", kinds, *QUICK, *saved).status == 0
    other = replace(colours, name="other")
    monkeypatch.setattr(
        "pareja.encoders.load", lambda given, **_: other if given == "other" else given
    )
    run = pareja("classify", kinds, "--no-cache", "--classifier", "c.safetensors", "-m", "other")
    assert run.status == 1
    assert run.out == ""
    assert "reads embeddings of colours@" in run.err
    assert run.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("--shots", "5"), 1, "more shots than pictures: 5 shots"),
        (("--shots", "0"), 2, "from 1 on"),
        (("--shots", "two"), 2, "from 1 on"),
        (("--labels", "red,zebra"), 1, "no picture has the label 'zebra'"),
        (("--labels", "red"), 1, "only label"),
        (("--template", "a photo"), 1, "{}"),
        (("--save", "c.safetensors"), 2, "name one --method"),
        (("--truth", "label"), 1, "no picture has a label"),
    ],
)
def test_bad_input_is_one_clear_line(
    pareja: Pareja, kinds: Path, options: tuple[str, ...], status: int, says: str
) -> None:
    run = pareja("fewshot", kinds, *QUICK, *options)
    assert run.status == status
    assert run.out == ""
    assert says in run.err
    assert run.err.count("\n") == 1
    assert not Path("c.safetensors").exists()
