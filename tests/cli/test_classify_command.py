from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja
    from tests.conftest import ColourEncoder


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, colours: ColourEncoder) -> None:
    monkeypatch.setattr("pareja.encoders.load", lambda name, **_: colours)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def told(colour_folder: Path) -> Path:
    """The folder of colours, with a label for each picture."""
    metadata = colour_folder / "metadata.csv"
    head, *rows = metadata.read_text().splitlines()
    rows = [f"{row},{re.findall(r'/(.*)[.]png', row)[0]}" for row in rows]
    metadata.write_text("\n".join([f"{head},label", *rows]))
    return colour_folder


def test_json_has_the_agreed_shape(pareja: Pareja, told: Path) -> None:
    run = pareja("classify", told, "--labels", "red,green,blue", "--json")
    assert (run.status, run.err) == (0, "")
    result = json.loads(run.out)
    assert result["labels"] == ["red", "green", "blue"]
    first = result["images"][0]
    assert (first["path"], first["label"]) == ("images/red.png", "red")
    assert sum(first["scores"].values()) == pytest.approx(1)
    assert result["evaluation"] is None


def test_a_file_alone_is_enough(pareja: Pareja, told: Path) -> None:
    run = pareja("classify", told / "images" / "blue.png", "--labels", "red,blue")
    assert run.status == 0
    assert re.match(r"blue +[01]\.\d\d  .*blue\.png\n$", run.out)


def test_the_truth_is_measured_beside_chance(pareja: Pareja, told: Path) -> None:
    run = pareja("classify", told, "--truth", "label", "--no-cache")
    assert run.status == 0
    assert "top-1 accuracy" in run.out
    assert "1.00 [0.68, 1.00]" in run.out
    assert "0.13" in run.out


def test_labels_without_pictures_are_named_in_one_line(pareja: Pareja, told: Path) -> None:
    run = pareja("classify", told, "--labels", "red,green,violet", "--truth", "label")
    assert run.status == 0
    assert run.err == (
        "pareja: warning: no picture has the label violet: its recall cannot be measured\n"
    )
    assert "none of these: 6 pictures have another label" in " ".join(run.out.split())


def test_a_threshold_is_found_on_other_pictures(pareja: Pareja, told: Path) -> None:
    options = ("--labels", "red,green,blue", "--json")
    always = json.loads(pareja("classify", told, *options).out)
    found = json.loads(pareja("classify", told, "--unknown-from", told, *options).out)
    assert always["threshold"] is None
    assert 0 < found["threshold"] < 1
    labels = {image["label"] for image in found["images"]}
    assert None in labels
    assert len(labels) > 1


def test_held_out_pictures_may_have_categories_where_the_others_have_nothing(
    pareja: Pareja, told: Path, tmp_path: Path
) -> None:
    apart = shutil.copytree(told, tmp_path / "apart")
    table = apart / "metadata.csv"
    header, *rows = table.read_text().splitlines()
    names = header.replace("category", "kind").replace("label", "category")
    table.write_text("\n".join([names, *rows]))
    untold = shutil.copytree(told / "images", tmp_path / "untold")
    run = pareja("classify", untold, "--labels", "red,green", "--unknown-from", apart, "--json")
    assert run.status == 0, run.err
    assert 0 < json.loads(run.out)["threshold"] < 1


def test_the_number_beside_none_of_these_is_what_the_threshold_is_about(
    pareja: Pareja, told: Path
) -> None:
    options = ("classify", told, "--labels", "red", "--unknown")
    found = json.loads(pareja(*options, "--json").out)["images"]
    lines = pareja(*options).out.splitlines()
    assert len(lines) == len(found) > 1
    for line, image in zip(lines, found, strict=True):
        assert line.split("  ")[-2].strip() == f"{image['certainty']:.2f}"
        assert line.startswith("red " if image["label"] else "none of these ")


@pytest.mark.parametrize("learned", [["--classifier", "kinds.safetensors"], ["--shots", "told"]])
@pytest.mark.parametrize(
    "given",
    [["--labels", "a,b"], ["--template", "bare"], ["--unknown"], ["--multi-label"]],
    ids=lambda given: given[0],
)
def test_what_was_learned_takes_nothing_that_it_would_ignore(
    pareja: Pareja, told: Path, learned: list[str], given: list[str]
) -> None:
    run = pareja("classify", told, *learned, *given)
    assert run.status == 2
    assert learned[0] in run.err
    assert given[0] in run.err


@pytest.mark.parametrize("words", [True, False])
def test_examples_stand_in_for_words(
    pareja: Pareja,
    told: Path,
    tmp_path: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
    words: bool,
) -> None:
    class Seeing:
        """The encoder without its words."""

        def __getattr__(self, name: str) -> object:
            if name in {"kind", "encode_texts"}:
                raise AttributeError(name)
            return getattr(colours, name)

    monkeypatch.setattr("pareja.encoders.load", lambda *_, **__: colours if words else Seeing())
    new = tmp_path / "new"
    new.mkdir()
    for name in ("red", "blue"):
        shutil.copy(told / "images" / f"{name}.png", new / f"seen-{name}.png")
    run = pareja("classify", new, "--shots", told, "--json")
    assert run.status == 0, run.err
    found = {image["path"]: image["label"] for image in json.loads(run.out)["images"]}
    assert {Path(path).stem: label for path, label in found.items()} == {
        "seen-red": "red",
        "seen-blue": "blue",
    }


def test_examples_of_one_label_that_can_be_read_are_refused(pareja: Pareja, told: Path) -> None:
    for picture in (told / "images").glob("*.png"):
        if picture.stem != "red":
            picture.write_bytes(b"no picture")
    run = pareja("classify", told / "images" / "red.png", "--shots", told)
    assert run.status == 1
    assert "Add examples of a second label" in run.err


def test_examples_and_a_classifier_exclude_each_other(pareja: Pareja, told: Path) -> None:
    run = pareja("classify", told, "--shots", told, "--classifier", "kinds.safetensors")
    assert run.status == 2
    assert "give one of them" in run.err


def test_a_label_of_wide_characters_keeps_the_columns(pareja: Pareja, told: Path) -> None:
    from rich.cells import cell_len

    long = "x" * 200
    lines = pareja(
        "classify", told, "--labels", f"赤い写真赤い写真赤い写真,red,{long}"
    ).out.splitlines()
    starts = {
        cell_len(line[: re.search(r" +[01]\.\d\d  ", line).end()])  # type: ignore[union-attr]
        for line in lines
        if long not in line
    }
    assert len({line.split()[0] for line in lines}) > 1
    assert len(starts) == 1
    assert max(starts) < 60


@pytest.mark.parametrize("suffix", [".csv", ".json", ".html"])
@pytest.mark.parametrize("command", ["classify", "moderate"])
def test_results_are_written_and_nothing_is_replaced(
    pareja: Pareja, told: Path, tmp_path: Path, suffix: str, command: str
) -> None:
    labels = ["--labels", "red,blue"] if command == "classify" else ["--threshold", "0"]
    before = {path: path.read_bytes() for path in told.rglob("*") if path.is_file()}
    out = tmp_path / f"out{suffix}"
    run = pareja(command, told, *labels, "-o", out)
    assert run.status == 0
    assert "red.png" in out.read_text(encoding="utf-8-sig")
    again = pareja(command, told, *labels, "-o", out)
    assert again.status == 1
    assert "--force" in again.err
    assert pareja(command, told, *labels, "-o", out, "--force").status == 0
    assert {path: path.read_bytes() for path in told.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", ["classify", "moderate"])
def test_the_pictures_own_files_are_never_replaced(
    pareja: Pareja, told: Path, command: str
) -> None:
    labels = ["--labels", "red,blue"] if command == "classify" else []
    run = pareja(command, told, *labels, "-o", told / "metadata.csv", "--force")
    assert run.status == 1
    assert "only read" in run.err
    other = shutil.copy(told / "images" / "red.png", told.with_name("other.png"))
    several = pareja(command, told, other, *labels, "-o", told / "metadata.csv", "--force")
    assert several.status == 1
    assert "only read" in several.err
    assert "file_name" in (told / "metadata.csv").read_text()


@pytest.mark.parametrize("command", ["classify", "moderate"])
def test_a_place_that_is_taken_is_told_before_the_work(
    pareja: Pareja, told: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("pareja.encoders.load", pytest.fail)
    taken = told.with_name("taken.csv")
    taken.write_text("mine")
    labels = ["--labels", "red,blue"] if command == "classify" else []
    run = pareja(command, told, *labels, "-o", taken)
    assert run.status == 1
    assert "taken.csv exists" in run.err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "no labels"),
        (["--labels", ","], 1, "no labels"),
        (["--labels", "red"], 1, "the only label"),
        (["--labels", "red,Red"], 1, "given twice"),
        (["--labels", "a,b", "--template", "a photo"], 1, "has no {}"),
        (["--labels", "a,b", "--truth", "label"], 1, "no picture has one of the labels"),
        (["--labels", "a,b", "--multi-label", "--unknown"], 1, "told already"),
        (["--labels", "a,b", "-o", "x.txt"], 2, "end its name in"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    pareja: Pareja, told: Path, arguments: list[str], status: int, message: str
) -> None:
    run = pareja("classify", told, *arguments)
    assert run.status == status
    assert run.out == ""
    assert message in run.err
    assert run.err.count("\n") == 1


def test_moderation_says_that_a_person_decides(pareja: Pareja, told: Path) -> None:
    run = pareja("moderate", told, "--threshold", "0.9")
    assert run.status == 0
    assert "a person decides" in " ".join(run.out.split())
    listed = json.loads(pareja("moderate", told, "--threshold", "0", "--json").out)
    assert len(listed["flagged"]) == 8
    assert "was not approved" in listed["notice"]


def test_models_and_prompts_are_compared(pareja: Pareja, told: Path, tmp_path: Path) -> None:
    run = pareja("compare", told, "--price", "0.1", "-o", tmp_path / "out")
    assert run.status == 0
    said = " ".join(run.out.split())
    assert "colours · photo minus colours · bare: 0.00 [-0.30, 0.30], p = 1.000" in said
    assert (tmp_path / "out" / "report.pdf").read_bytes().startswith(b"%PDF")
    saved = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert saved["settings"]["price"] == 0.1
    again = pareja("compare", told, "-o", tmp_path / "out")
    assert again.status == 1
    assert "--force" in again.err


def test_what_is_not_compared_is_said_with_what_to_do(pareja: Pareja, told: Path) -> None:
    some = pareja("compare", told, "--labels", "red,green,violet")
    assert (some.status, some.err.splitlines()) == (
        0,
        [
            "pareja: warning: colours: 6 of 8 pictures left out, whose label is missing or not "
            "among the choices. Name it in --labels, or leave --labels out.",
            "pareja: warning: colours: no picture has the label violet, so nothing tells whether "
            "it would be found. Leave it out of --labels, or add pictures of it.",
        ],
    )
    metadata = told / "metadata.csv"
    metadata.write_text(metadata.read_text().removesuffix("brown"))
    unlabelled = pareja("compare", told, "--json")
    assert unlabelled.err == (
        "pareja: warning: colours: 1 of 8 pictures left out, for want of a label. Fill the column "
        "'label' of its metadata to compare on all.\n"
    )
    assert json.loads(unlabelled.out)["left_out"] == 1
    none = pareja("compare", told, "--labels", "cat,dog")
    assert (none.status, none.out, none.err.count("\n")) == (1, "", 1)
    assert "the dataset's own are red, green" in none.err
    single = pareja("compare", told, "--labels", "red")
    assert (single.status, single.err.count("\n")) == (1, 1)
    assert "'pareja classify --unknown'" in single.err


def test_a_comparison_needs_two_things(pareja: Pareja, told: Path) -> None:
    run = pareja("compare", told, "--template", "photo")
    assert (run.status, run.out) == (1, "")
    assert "nothing to compare" in run.err
    assert run.err.count("\n") == 1
