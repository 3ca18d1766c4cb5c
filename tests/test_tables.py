from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.conftest import ColourEncoder

import pareja
from pareja.datasets import load_dataset
from pareja.tables import as_text, as_written, table
from pareja.tasks.labelling_export import labelled_to_csv
from pareja.tasks.study_export import write_csv

FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "'=1+1", "''-x", "=", "\t=1"]


@given(st.text() | st.sampled_from(FORMULAS))
def test_every_text_comes_back(text: str) -> None:
    assert as_written(as_text(text)) == text
    assert as_text(text)[:1] not in ("=", "@", "\t", "\r")


def test_numbers_stay_numbers_and_texts_stay_texts() -> None:
    written = table([["name", *FORMULAS], ["x", -0.5, "+3", "1e-05", "-2.5e+10", "a - b"]])
    header, row = csv.reader(written.removeprefix("\ufeff").splitlines())
    assert all(cell[0] == "'" for cell in header[1:])
    assert row == ["x", "-0.5", "+3", "1e-05", "-2.5e+10", "a - b"]


@pytest.mark.parametrize("formula", ["=1+1", "@here", "-dash", "'=x"])
def test_captions_and_labels_of_exports(
    tmp_path: Path, colours: ColourEncoder, formula: str
) -> None:
    for number in range(5):
        Image.new("RGB", (40, 40), (50 * number, 9, 9)).save(tmp_path / f"={number}.png")
    rows = "".join(f"={n}.png,{formula}{n},{formula}\n" for n in range(5))
    (tmp_path / "metadata.csv").write_text(f"file_name,caption,label\n{rows}", encoding="utf-8")
    read = load_dataset(tmp_path)
    assert [record.file_name for record in read] == [f"={n}.png" for n in range(5)]
    out = tmp_path / "out"
    out.mkdir()
    study = pareja.study(read, [colours], resamples=20, permutations=20)
    pairs = write_csv(study, out)["pairs"].read_text("utf-8-sig")
    labels = labelled_to_csv(pareja.classify(read, [formula, "red"], model=colours))
    for written in (pairs, labels):
        for cells in csv.reader(written.splitlines()):
            assert not [cell for cell in cells if cell[:1] in ("=", "@", "+")]
    (out / "metadata.csv").write_text(pairs.replace("similarity", "s"), encoding="utf-8")
    for number in range(5):
        (tmp_path / f"={number}.png").rename(out / f"={number}.png")
    assert [r.caption for r in load_dataset(out)] == [as_written(r.caption) for r in read]
