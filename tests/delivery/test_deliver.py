from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import nbformat
import pytest

import pareja
from pareja.delivery.checking import PARTS, check_deliveries
from pareja.encoders import EncoderPair
from pareja.words.wording import load_words

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

GIT = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.org"]


@pytest.fixture
def document(saved: Path, tmp_path: Path) -> Path:
    """Return the folder of a document that has been written."""
    folder = tmp_path / "memoria"
    source = pareja.memoria(saved, folder).source
    written = source.read_text(encoding="utf-8").replace("[por escribir]", "palabra " * 80)
    source.write_text(written, encoding="utf-8")
    return folder


@pytest.fixture
def delivery(walls: Path, saved: Path, document: Path, tmp_path: Path) -> Path:
    """Return the folder of a delivery that a professor accepts."""
    return pareja.deliver(walls, saved, document, tmp_path / "entrega", profile="general").path


def unmet(path: Path, **options: Any) -> dict[str, str]:
    """Return what is found of the criteria that are not met, by part and code."""
    review = pareja.check_delivery(path, profile="general", **options)
    # The table of a class says what is not met by these.
    assert {f"delivery.lacks.{c.code}" for c in review.criteria} <= load_words("es").keys()
    return {f"{c.part}/{c.code}": c.found for c in review.criteria if c.ok is False}


def test_a_delivery_has_all_its_parts_and_passes(delivery: Path) -> None:
    names = {path.relative_to(delivery).as_posix() for path in delivery.rglob("*")}
    assert names >= {
        "dataset.zip",
        "tarea2.py",
        "tarea3.py",
        "cuaderno.ipynb",
        "README.md",
        "Makefile",
        "Dockerfile",
        "memoria/memoria.md",
        "memoria/memoria.pdf",
        "anexo/informe.html",
        "study.json",
    }
    assert unmet(delivery) == {}
    review = pareja.check_delivery(delivery, profile="general")
    assert review.ok
    assert sum(review.weights.values()) == 100
    told = review.to_json()
    assert json.loads(json.dumps(told)) == told
    assert all(told["parts"][part]["met"] == told["parts"][part]["of"] > 0 for part in PARTS)
    # No repository: nothing is said against it unless there is a deadline.
    assert [c.code for c in review.criteria if c.ok is None] == ["git"]
    made = (delivery / "Makefile").read_text(encoding="utf-8")
    assert f"PAREJA ?= pareja[models]=={pareja_version()}" in made


def pareja_version() -> str:
    from importlib.metadata import version

    return version("pareja")


def test_the_code_of_a_delivery_runs_and_gives_the_numbers_of_the_study(
    delivery: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    built = {
        "pictures+words": EncoderPair("pictures+words", colours, colours),
        "colours": replace(colours, name="colours"),
    }
    monkeypatch.chdir(delivery)
    # A container mounts this folder, which nothing can replace then.
    Path("salida").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "salida")
    monkeypatch.setattr(pareja, "load", built.__getitem__, raising=False)
    monkeypatch.setattr("pareja.tasks.study.loaded", lambda model, device: built[model])
    for name in ("tarea2.py", "tarea3.py"):
        exec(compile(Path(name).read_text(encoding="utf-8"), name, "exec"), {})  # noqa: S102
    said = capsys.readouterr().out
    assert "pictures+words · ridge: R@1" in said
    assert "correlación de rangos" in said
    before, after = (
        json.loads(path.read_text(encoding="utf-8"))["encoders"]["colours"]["image_to_text"]
        for path in (Path("study.json"), Path("salida/informe/study.json"))
    )
    assert before == after


@pytest.mark.parametrize("lang", ["es", "en"])
def test_the_notebook_holds_the_code_of_the_scripts(
    walls: Path, saved: Path, document: Path, tmp_path: Path, lang: Any
) -> None:
    folder = pareja.deliver(
        walls, saved, document, tmp_path / "d", lang=lang, profile="general"
    ).path
    path = next(folder.glob("*.ipynb"))
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    scripts = "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    assert ast.dump(ast.parse(code)) == ast.dump(ast.parse(scripts))
    assert "{{" not in "".join(p.read_text("utf-8") for p in folder.glob("*[!fp]") if p.is_file())


def test_what_was_changed_by_hand_stays(
    delivery: Path, walls: Path, saved: Path, document: Path
) -> None:
    (delivery / "tarea2.py").write_text("print('mine')\n")
    (delivery / "notas.txt").write_text("mine")
    made = pareja.deliver(walls, saved, document, delivery, profile="general")
    assert made.kept == ("tarea2.py",)
    assert (delivery / "tarea2.py").read_text() == "print('mine')\n"
    assert (delivery / "notas.txt").read_text() == "mine"
    (delivery / "dataset.zip").write_bytes(b"another")
    with pytest.raises(pareja.ParejaError, match=r"dataset\.zip was not written here"):
        pareja.deliver(walls, saved, document, delivery, profile="general")


def test_a_document_of_another_run_of_the_study_is_named(
    walls: Path, saved: Path, document: Path, tmp_path: Path
) -> None:
    made = pareja.deliver(walls, saved, document, tmp_path / "entrega", profile="general")
    assert not made.stale
    source = document / "memoria.md"
    other = re.sub(r"pareja: \w+", "pareja: 0123456789abcdef", source.read_text("utf-8"))
    source.write_text(other, encoding="utf-8")
    made = pareja.deliver(walls, saved, document, tmp_path / "entrega", profile="general")
    assert made.stale
    source.write_text("# A document that pareja did not begin\n", encoding="utf-8")
    made = pareja.deliver(walls, saved, document, tmp_path / "entrega", profile="general")
    assert not made.stale


def test_a_zip_is_a_delivery_too(walls: Path, saved: Path, document: Path, tmp_path: Path) -> None:
    target = tmp_path / "ana ruiz.zip"
    for force in (False, True):
        pareja.deliver(walls, saved, document, target, profile="general", force=force)
    with ZipFile(target) as archive:
        assert "ana-ruiz/README.md" in archive.namelist()
    assert unmet(target) == {}


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def _remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("break_it", "criterion", "said"),
    [
        (_remove("dataset.zip"), "dataset/dataset", "missing"),
        (_remove("tarea2.py"), "pre_clip/script", "task 2"),
        (_write("tarea3.py", "if:"), "clip/script", "no valid Python"),
        (_remove("study.json"), "clip/numbers", "missing"),
        (_write("study.json", "{"), "pre_clip/numbers", "cannot be read"),
        (_write("memoria/memoria.md", "# Mine\n\nShort.\n"), "memoria/length", "1 word;"),
        (_write("memoria/memoria.md", "word " * 3001), "memoria/length", "at most 3000"),
        (_write("memoria/memoria.md", "[por escribir]"), "memoria/unwritten", "in: 1."),
        (_write("memoria/memoria.md", "![x](no.png)"), "memoria/figures", "no.png"),
        (_remove("memoria/memoria.pdf"), "memoria/memoria", "Only memoria/memoria.md"),
        (_write("README.md", "Run it."), "reproducible/readme", "only 2 words"),
        (_write("Dockerfile", "RUN true"), "reproducible/dockerfile", "FROM"),
        (_remove("Makefile"), "reproducible/makefile", "missing"),
        (_write("cuaderno.ipynb", "{}"), "reproducible/notebook", "cannot be run"),
    ],
)
def test_each_fault_is_found(
    delivery: Path, break_it: Callable[[Path], object], criterion: str, said: str
) -> None:
    break_it(delivery)
    found = unmet(delivery)
    assert said in found[criterion]


def test_the_rules_of_the_course_are_those_of_the_practical(delivery: Path) -> None:
    review = pareja.check_delivery(delivery, lang="es")
    counts = next(c for c in review.criteria if c.code == "counts")
    assert counts.ok is False
    assert "No son 20 imágenes en 4 categorías de 5: 8 imágenes, 2 categorías" in counts.found
    assert len(counts.details) >= 3


def test_commits_after_the_deadline_and_what_is_not_committed_are_named(delivery: Path) -> None:
    assert "no git repository" in unmet(delivery, deadline="2026-10-31T23:59")["reproducible/git"]

    def git(*arguments: str, when: str = "2026-10-30T10:00:00+00:00") -> None:
        dated = {**os.environ, "GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when}
        subprocess.run([*GIT, *arguments], cwd=delivery, env=dated, check=True)

    git("init", "-q")
    (delivery / ".gitignore").write_text("*.zip\n")
    git("add", "-A")
    git("commit", "-qm", "First")
    found = unmet(delivery, deadline="2026-10-31T23:59")
    assert list(found) == ["reproducible/committed"]
    assert "left out by .gitignore: dataset.zip" in found["reproducible/committed"]
    (delivery / ".gitignore").write_text("salida/\n")
    git("add", "-A")
    git("commit", "-qm", "One more thing", when="2026-11-02T09:00:00+00:00")
    found = unmet(delivery, deadline="2026-10-31T23:59")
    assert list(found) == ["reproducible/deadline"]
    assert unmet(delivery, deadline="2026-11-02T12:00+00:00") == {}
    (delivery / "tarea2.py").write_text("print(2)\n")
    assert "Not in the last commit: tarea2.py" in unmet(delivery)["reproducible/committed"]
    with pytest.raises(pareja.ParejaError, match="2026-10-31T23:59"):
        unmet(delivery, deadline="tomorrow")


def test_a_delivery_is_run_from_a_fresh_copy(
    delivery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.delivery.running.find_spec", lambda name: None)
    (delivery / "tarea2.py").write_text("open('here', 'w').write('x')\n")
    study = json.loads((delivery / "study.json").read_text(encoding="utf-8"))
    for encoder in study["encoders"].values():
        encoder["image_to_text"]["R@1"] = 2.0
    code = "import json, pathlib\npathlib.Path('salida').mkdir()\n"
    code += f"pathlib.Path('salida/study.json').write_text({json.dumps(json.dumps(study))})\n"
    (delivery / "tarea3.py").write_text(code)
    found = unmet(delivery, run=True)
    assert list(found) == ["reproducible/numbers"]
    assert not (delivery / "here").exists()
    (delivery / "tarea3.py").write_text("print('no report')\n")
    assert unmet(delivery, run=True) == {}
    review = pareja.check_delivery(delivery, profile="general", run=True)
    (numbers,) = (c for c in review.part("reproducible") if c.code == "numbers")
    assert (numbers.ok, numbers.details) == (None, ())
    (delivery / "tarea3.py").write_text("raise SystemExit('no network here')\n")
    review = pareja.check_delivery(delivery, profile="general", run=True)
    ran = {c.found: c for c in review.criteria if c.code == "run"}
    assert ran["tarea3.py fails from a fresh copy."].details == ("no network here",)
    assert ran["tarea2.py runs from a fresh copy."].ok


def test_a_class_is_checked_one_line_a_student(delivery: Path, tmp_path: Path) -> None:
    group = tmp_path / "clase"
    shutil.copytree(delivery, group / "ana")
    shutil.copytree(delivery, group / "luis")
    (group / "luis" / "Makefile").unlink()
    (group / "eva.zip").write_bytes(b"no zip")
    reviews = check_deliveries(group, profile="general")
    assert [(review.name, review.ok) for review in reviews] == [
        ("ana", True),
        ("eva.zip", False),
        ("luis", False),
    ]
    (tmp_path / "nobody").mkdir()
    with pytest.raises(pareja.ParejaError, match="holds no delivery"):
        check_deliveries(tmp_path / "nobody")


def test_what_is_missing_is_asked_for(walls: Path, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(pareja.ParejaError, match=r"no memoria\.md"):
        pareja.deliver(walls, saved, tmp_path / "memoria", tmp_path / "out")
    with pytest.raises(pareja.ParejaError, match=r"no study\.json"):
        pareja.deliver(walls, tmp_path, tmp_path / "memoria", tmp_path / "out")
    with pytest.raises(pareja.ParejaError, match="a study of 8 pictures"):
        pareja.deliver("pareja20", saved, tmp_path / "memoria", tmp_path / "out")
    with pytest.raises(pareja.ParejaError, match="has weights for dataset"):
        pareja.check_delivery(tmp_path, weights={"dataset": 100})
