from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest
from PIL import Image

import pareja as library
from pareja.cli import console
from pareja.cli.check import ProfileName
from pareja.datasets import load_dataset
from pareja.datasets.profiles import profiles
from pareja.encoders.backends import network

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja
    from tests.conftest import ColourEncoder


def test_version_and_help(pareja: Pareja) -> None:
    assert pareja("--version").out.startswith("pareja ")
    helped = pareja("--help")
    assert helped.status == 0
    assert all(name in helped.out for name in ("demo", "check", "pack", "study"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["check"],
        ["check", ""],
        ["check", "pareja20", "-m", ""],
        ["check", "pareja20", "--profile", "nope"],
        ["check", "pareja20", "--device", "nope"],
        ["classify", "", "--labels", "a,b"],
        ["classify", "pareja20", "--labels", "a,b", "--shots", ""],
        ["pack", "pareja20", "-o", "handin"],
        ["study", "x", "--seed", "-1"],
    ],
)
def test_wrong_use_exits_with_2(pareja: Pareja, arguments: list[str]) -> None:
    run = pareja(*arguments)
    assert run.status == 2
    assert run.out == ""


def test_the_demo_writes_its_reports(
    pareja: Pareja, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colours: ColourEncoder
) -> None:
    quick = partial(library.study, models=[colours], permutations=99, resamples=100)
    monkeypatch.setattr(library, "study", quick)
    monkeypatch.setattr("pareja.encoders.load", lambda *_, **__: colours)
    run = pareja("demo")
    assert (run.status, run.err) == (0, "")
    assert "colours" in run.out
    for report in ("report.html", "informe.html"):
        assert str(tmp_path / "pareja-demo" / report) in run.out
        assert "colours" in (tmp_path / "pareja-demo" / report).read_text()


def test_check_passes_the_bundled_dataset(pareja_process: Pareja) -> None:
    run = pareja_process("check", "pareja20", "--profile", "course", "--json")
    assert run.status == 0
    assert run.err == ""
    report = json.loads(run.out)
    assert report["ok"] is True
    assert report["problems"] == []
    assert report["summary"]["pictures"] == 20


def test_check_names_every_problem_at_once(pareja: Pareja, colour_folder: Path) -> None:
    (colour_folder / "images" / "red.png").write_text("not a picture")
    (colour_folder / "images" / "extra.png").write_bytes(
        (colour_folder / "images" / "blue.png").read_bytes()
    )
    (colour_folder / "images" / "green.png").unlink()
    run = pareja("check", colour_folder, "--profile", "course", "--json")
    assert run.status == 1
    problems = json.loads(run.out)["problems"]
    assert {"severity", "code", "path", "message"} == set(problems[0])
    by_path = {(problem["code"], problem["path"]) for problem in problems}
    assert ("undecodable", "images/red.png") in by_path
    assert any(path == "images/green.png" for _, path in by_path)
    assert any(path == "images/extra.png" for _, path in by_path)
    printed = pareja("check", colour_folder, "--profile", "course")
    assert printed.status == 1
    assert all(problem["message"] in printed.out for problem in problems)
    assert "does not pass" in printed.out


def test_pack_writes_a_zip_that_reads_back(pareja: Pareja, colour_folder: Path) -> None:
    run = pareja("pack", colour_folder, "-o", "handin.zip")
    assert run.status == 0, run.err
    packed = load_dataset("handin.zip")
    assert packed.captions == load_dataset(colour_folder).captions
    again = pareja("pack", colour_folder, "-o", "handin.zip")
    assert again.status == 1
    assert "--force" in again.err
    assert pareja("pack", colour_folder, "-o", "handin.zip", "--force").status == 0


def test_pack_refuses_a_dataset_with_errors(pareja: Pareja, colour_folder: Path) -> None:
    (colour_folder / "images" / "red.png").write_text("not a picture")
    run = pareja("pack", colour_folder, "-o", "handin.zip")
    assert run.status == 1
    assert "images/red.png" in run.out
    assert json.loads(pareja("pack", colour_folder, "--json").out)["ok"] is False
    assert not list(Path().glob("*.zip"))


def test_pack_never_replaces_what_it_packs(pareja: Pareja, colour_folder: Path) -> None:
    assert pareja("pack", colour_folder, "-o", "own.zip").status == 0
    before = Path("own.zip").read_bytes()
    run = pareja("pack", "own.zip", "--force")
    assert run.status == 1
    assert "only read" in run.err
    assert Path("own.zip").read_bytes() == before


def test_names_are_printed_as_they_are(pareja: Pareja, colour_folder: Path) -> None:
    odd = colour_folder.rename(colour_folder.with_name("my [red] :dog: pictures"))
    assert "my [red] :dog: pictures passes" in pareja("check", odd).out


def test_the_profiles_are_those_there_are() -> None:
    assert get_args(ProfileName) == tuple(profile.name for profile in profiles())


def test_the_devices_are_those_there_are() -> None:
    assert get_args(console.Device) == get_args(network.Device)


def empty_folder(folder: Path) -> str:
    (folder / "empty").mkdir()
    return "empty"


def text_as_jpg(folder: Path) -> str:
    (folder / "texts").mkdir()
    (folder / "texts" / "a.jpg").write_text("hello")
    (folder / "texts" / "metadata.csv").write_text("file_name,caption\na.jpg,A letter\n")
    return "texts"


def row_without_file(folder: Path) -> str:
    (folder / "rows").mkdir()
    (folder / "rows" / "metadata.csv").write_text("file_name,caption\ngone.jpg,A ghost\n")
    return "rows"


def climbing_zip(folder: Path) -> str:
    with zipfile.ZipFile(folder / "climb.zip", "w") as archive:
        archive.writestr("../outside.jpg", b"x")
    return "climb.zip"


def zip_bomb(folder: Path) -> str:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images/a.png", bytes(200_000_000))
    return "bomb.zip"


def one_picture(folder: Path) -> str:
    (folder / "one").mkdir()
    Image.new("RGB", (300, 300), "red").save(folder / "one" / "a.png")
    (folder / "one" / "metadata.csv").write_text("file_name,caption\na.png,A red wall\n")
    return "one"


def no_captions(folder: Path) -> str:
    (folder / "plain").mkdir()
    for name in "ab":
        Image.new("RGB", (300, 300), "red").save(folder / "plain" / f"{name}.png")
    return "plain"


MakeInput = Callable[[Path], str]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: "nowhere", "nowhere"),
        (empty_folder, "empty"),
        (text_as_jpg, "at least 5 pictures"),
        (row_without_file, "gone.jpg"),
        (climbing_zip, "../outside.jpg"),
        (zip_bomb, "bomb.zip"),
        (one_picture, "at least 5 pictures"),
        (no_captions, "at least 5 pictures"),
    ],
)
def test_bad_input_to_study_is_one_clear_line(
    pareja: Pareja, tmp_path: Path, make: MakeInput, says: str
) -> None:
    before = make(tmp_path)
    files = sorted(tmp_path.rglob("*"))
    run = pareja("study", before)
    assert run.status == 1
    assert run.out == ""
    assert says in run.err
    assert run.err.startswith("pareja: ")
    assert run.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == files


def test_an_unknown_model_suggests_names(pareja: Pareja) -> None:
    run = pareja("study", "pareja20", "-m", "startr")
    assert run.status == 1
    assert "'starter'" in run.err


def test_the_table_of_a_study_fits_80_columns(pareja: Pareja) -> None:
    run = pareja("study", "pareja20", "-o", "out", "--resamples", "100")
    assert run.status == 0
    assert any(line.startswith("starter-unaligned ") for line in run.out.splitlines())
    assert "< 0.001" in run.out


def test_study_keeps_an_earlier_result(pareja: Pareja, colour_folder: Path) -> None:
    quick = ["-m", "starter", "--permutations", "99", "--resamples", "100"]
    first = pareja("study", colour_folder, *quick, "-o", "result")
    assert first.status == 0, first.err
    report = Path("result/report.html")
    assert report.stat().st_size > 10_000
    second = pareja("study", colour_folder, *quick, "-o", "result")
    assert second.status == 1
    assert "--force" in second.err
    kept = shutil.copy(report, "kept.html")
    assert pareja("study", colour_folder, *quick, "-o", "result", "--force").status == 0
    assert Path(kept).read_bytes() == report.read_bytes()


def test_a_result_that_cannot_be_written_leaves_nothing(
    pareja: Pareja, colour_folder: Path
) -> None:
    Path("file").write_text("in the way")
    quick = ["-m", "starter", "--permutations", "99", "--resamples", "100"]
    run = pareja("study", colour_folder, *quick, "-o", "file/result")
    assert run.status == 1
    assert "file" in run.err
    assert run.err.count("\n") == 1
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["colours", "file"]
