"""Every public function with every kind of input: the right result, or one clear error line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import COLOURS, ColourEncoder

import pareja
from pareja.classifiers.zero_shot import zero_shot
from pareja.encoders import Fingerprint
from pareja.errors import FingerprintMismatchError, ImageError, InputError, LabelError

LABELS = ["red", "green", "blue"]
ELSEWHERE = Fingerprint("another", "1", "8x8", "mean")
FEW: dict[str, Any] = {"permutations": 99, "resamples": 50}


@pytest.fixture
def colour_folder(tmp_path: Path) -> Path:
    """The coloured pictures, small: they are read by every function in every form."""
    root = tmp_path / "colours"
    (root / "images").mkdir(parents=True)
    rows = ["file_name,caption,category"]
    for n, (name, rgb) in enumerate(COLOURS.items()):
        Image.new("RGB", (20, 16), rgb).save(root / "images" / f"{name}.png")
        rows.append(f"images/{name}.png,A wall painted {name},{'bright' if n % 2 else 'dark'}")
    (root / "metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    return root


def red(folder: Path) -> Path:
    return folder / "images" / "red.png"


ONE: dict[str, Callable[[Path], Any]] = {
    "path": red,
    "text": lambda folder: str(red(folder)),
    "bytes": lambda folder: red(folder).read_bytes(),
    "file": lambda folder: io.BytesIO(red(folder).read_bytes()),
    "image": lambda folder: Image.open(red(folder)),
    "pixels": lambda folder: np.asarray(Image.open(red(folder))),
    "record": lambda folder: pareja.load_dataset(folder).records[0],
}
MANY: dict[str, Callable[[Path], Any]] = {
    "folder": lambda folder: folder,
    "pattern": lambda folder: f"{folder}/**/*.png",
    "dataset": pareja.load_dataset,
    "records": lambda folder: pareja.load_dataset(folder).records,
    "generator": lambda folder: (record for record in pareja.load_dataset(folder)),
    "images": lambda folder: [
        Image.open(folder / record.file_name) for record in pareja.load_dataset(folder)
    ],
}
Job = Callable[[Any, ColourEncoder], Any]
ON_PICTURES: dict[str, Job] = {
    "embed": lambda given, model: pareja.embed(given, model).names,
    "classify": lambda given, model: pareja.classify(given, LABELS, model=model).dataset,
    "moderate": lambda given, model: pareja.moderate(given, model=model).dataset,
    "locate": lambda given, model: pareja.locate("red", given, model=model).pictures,
    "predict": lambda given, model: np.atleast_1d(zero_shot(LABELS, model).predict(given)),
    "predict_proba": lambda given, model: np.atleast_2d(
        zero_shot(LABELS, model).predict_proba(given)
    ),
}
WRONG: dict[str, Any] = {
    "none": None,
    "number": 3,
    "floats": np.zeros((4, 4, 3)),
    "bare vectors": np.ones((4, 4), np.float32),
    "mapping": {"a": 1},
    "numbers": [1, 2],
    "nothing": [],
    "nowhere": "nowhere",
}


@pytest.mark.parametrize("job", ON_PICTURES.values(), ids=ON_PICTURES)
@pytest.mark.parametrize("give", ONE.values(), ids=ONE)
def test_one_picture(
    job: Job, give: Callable[[Path], Any], colours: ColourEncoder, colour_folder: Path
) -> None:
    assert len(job(give(colour_folder), colours)) == 1


@pytest.mark.parametrize("job", ON_PICTURES.values(), ids=ON_PICTURES)
@pytest.mark.parametrize("give", MANY.values(), ids=MANY)
def test_many_pictures(
    job: Job, give: Callable[[Path], Any], colours: ColourEncoder, colour_folder: Path
) -> None:
    assert len(job(give(colour_folder), colours)) == len(COLOURS)


ON_DATASETS: dict[str, Job] = {
    "check": lambda given, model: pareja.check(given),
    "pack": lambda given, model: pareja.pack(given, "out.zip"),
    "study": lambda given, model: pareja.study(given, model, **FEW),
    "compare": lambda given, model: pareja.compare(given, model, resamples=50),
    "learn": lambda given, model: pareja.learn(given, "category", model=model),
    "fewshot": lambda given, model: pareja.fewshot(
        given, "category", model=model, shots=1, seeds=2, methods="prototype", resamples=50
    ),
}


@pytest.mark.parametrize("job", [*ON_PICTURES.values(), *ON_DATASETS.values()])
@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_a_wrong_input_is_one_line_that_names_it(
    job: Job, given: Any, colours: ColourEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pareja.ParejaError, match=r"pictures|data|paths|nowhere") as caught:
        job(given, colours)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.zip"))


@pytest.mark.parametrize("job", ON_DATASETS.values(), ids=ON_DATASETS)
@pytest.mark.parametrize("give", [str, Path, pareja.load_dataset, lambda f: [*MANY["records"](f)]])
def test_datasets(
    job: Job,
    give: Callable[[Path], Any],
    colours: ColourEncoder,
    colour_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert job(give(colour_folder), colours) is not None


def test_vectors_are_taken_for_pictures_and_only_in_their_space(
    colours: ColourEncoder, colour_folder: Path
) -> None:
    rows = pareja.embed(colour_folder, colours)
    strange = pareja.Embedded(rows.vectors, ELSEWHERE)
    for name, job in ON_PICTURES.items():
        if name == "locate":
            # Vectors of whole pictures hold no places.
            with pytest.raises(InputError, match="pictures is of type Embedded"):
                job(rows, colours)
            continue
        assert len(job(rows, colours)) == len(COLOURS)
        with pytest.raises(FingerprintMismatchError):
            job(strange, colours)
    probe = pareja.learn(rows, "category", model=colours)
    assert probe.predict(rows).tolist() == probe.predict(colour_folder).tolist()
    assert pareja.classify(rows, model=colours, truth="category").evaluation is not None
    for vectors in (strange, pareja.embed_texts("red", replace(colours, name="other"))):
        with pytest.raises(FingerprintMismatchError):
            probe.predict(vectors)
        with pytest.raises(FingerprintMismatchError):
            pareja.learn(vectors, "category", model=colours)
    known = probe.predict(rows.vectors, space=rows.space)
    assert known.tolist() == probe.predict(rows).tolist()
    with pytest.raises(FingerprintMismatchError):
        probe.predict(rows.vectors, space=ELSEWHERE)


def test_classifiers_share_a_protocol(
    colours: ColourEncoder, colour_folder: Path, tmp_path: Path
) -> None:
    learned = pareja.learn(colour_folder, "category", model=colours)
    words = zero_shot(LABELS, colours)
    for number, classifier in enumerate((learned, words)):
        path = classifier.save(tmp_path / f"{number}.safetensors")
        again = replace(pareja.load_classifier(path), model=colours)
        assert again.classes_.tolist() == classifier.classes_.tolist()
        for given in (colour_folder, red(colour_folder)):
            np.testing.assert_allclose(
                again.predict_proba(given), classifier.predict_proba(given), atol=1e-6
            )
        assert again.predict(red(colour_folder)) == classifier.predict(red(colour_folder))
    assert words.predict(red(colour_folder)) == "red"
    assert words.predict_proba(red(colour_folder)).shape == (3,)
    (colour_folder / "images" / "red.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"red\.png"):
        words.predict(colour_folder)
    with pytest.raises(LabelError, match="exactly one label"):
        zero_shot(LABELS, colours, unknown=0.5).save(tmp_path / "x.safetensors")


def test_a_label_for_each_picture(colours: ColourEncoder, colour_folder: Path) -> None:
    paths = [colour_folder / "images" / f"{name}.png" for name in ("red", "pink", "blue")]
    learned = pareja.learn(paths, ["warm", "warm", "cold"], model=colours)
    assert learned.predict(paths[2]) == "cold"
    with pytest.raises(InputError, match="2 labels for 3 pictures"):
        pareja.learn(paths, ["warm", "cold"], model=colours)
    with pytest.raises(InputError, match="truth is 'colour'"):
        pareja.learn(paths, "colour", model=colours)


def test_results_are_saved_as_the_commands_write_them(
    colours: ColourEncoder, colour_folder: Path, tmp_path: Path
) -> None:
    found = pareja.classify(colour_folder, LABELS, model=colours)
    table = found.save(tmp_path / "labels.csv").read_text("utf-8-sig")
    assert len(list(csv.DictReader(io.StringIO(table)))) == 8
    assert "<html" in found.save(tmp_path / "sorted.html", lang="es").read_text("utf-8")
    review = pareja.moderate(colour_folder, model=colours).save(tmp_path / "flags.json")
    assert json.loads(review.read_text())["images"] == 8
    report = pareja.check(colour_folder).save(tmp_path / "check.json")
    assert "problems" in json.loads(report.read_text())
    curves = ON_DATASETS["fewshot"](colour_folder, colours).save(tmp_path / "curves.json")
    assert json.loads(curves.read_text())["model"] == "colours"
    with pytest.raises(pareja.ParejaError, match="exists"):
        found.save(tmp_path / "labels.csv")
    with pytest.raises(pareja.ParejaError, match=r"\.csv, \.json or \.html"):
        found.save(tmp_path / "labels.txt")


@pytest.mark.usefixtures("blank_figures")
def test_the_front_door_as_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bundled = pareja.load_dataset("pareja20")
    Path("a.jpg").write_bytes(bundled.records[0].source.read())
    picture = pareja.decode_image(bundled.records[1].source)
    model = pareja.load("starter")
    assert model.encode_texts(["a cat"]).shape == (1, 512)  # type: ignore[union-attr]
    rows = pareja.embed(["a.jpg", picture, Path("a.jpg").read_bytes()], model)
    assert rows.vectors.shape == (3, 512)
    assert rows.skipped == ()
    data = pareja.load_dataset("pareja20")
    pareja.classify(data, ["cat", "dog"], model=model).save("sorted.html")
    probe = pareja.learn(data, truth="category", model=model)
    assert probe.predict("a.jpg") == "birds"
    pareja.compare(data, [model], resamples=50).save("out", langs=["en", "es"])
    pareja.study(data, ["starter", "starter-unaligned"], **FEW).save("report")
    written = {path.as_posix() for path in Path().rglob("*.html")}
    assert {"sorted.html", "out/report.html", "out/informe.html", "report/report.html"} <= written
