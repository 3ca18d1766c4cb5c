"""A collection whose searches compare codes: chosen, remembered, changed, and taken along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pareja
from pareja.errors import CollectionError
from pareja.search.vectors.code_tables import CodeTables
from pareja.search.vectors.quantization import Quantization
from pareja.search.vectors.sqlite import SqliteVectors

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.fixture(autouse=True)
def _few_are_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        SqliteVectors.__init__, "__kwdefaults__", {"graph_from": 100, "codes_from": 3, "each": 1}
    )


def coded(shelf: pareja.Collection) -> list[tuple[str, int]]:
    with shelf._database.read() as connection:
        return connection.execute(
            "SELECT kind, sum(rows) FROM codebook JOIN code ON book = id GROUP BY id"
        ).fetchall()


def test_it_is_chosen_and_changed_without_embedding(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pareja.open(tmp_path / "c", create=True) as shelf:
        shelf.index(colour_folder, colours, regions=True)
        assert shelf.quantization == "float16"
        before = [(hit.picture.id, hit.score) for hit in shelf.search("red", colours, k=8)]
    monkeypatch.setattr(type(colours), "encode_pixels", pytest.fail)
    steps: tuple[Quantization, ...] = ("binary", "int8", "float16", "binary")
    for wanted in steps:
        pareja.open(tmp_path / "c", quantization=wanted).close()
        with pareja.open(tmp_path / "c") as shelf:
            assert shelf.quantization == wanted
            assert coded(shelf) == ([] if wanted == "float16" else [(wanted, 8), (wanted, 72)])
            found = [(hit.picture.id, hit.score) for hit in shelf.search("red", colours, k=8)]
            assert found == before
            assert shelf.verify().ok
    with pareja.open(tmp_path / "c") as shelf:
        shelf.export(tmp_path / "copy")
    with pareja.open(tmp_path / "copy") as copy:
        assert copy.quantization == "binary"
        assert coded(copy) == [("binary", 8), ("binary", 72)]
        assert [hit.picture.id for hit in copy.search("red", colours, k=8)] == [
            picture for picture, _ in before
        ]


def test_damaged_codes_are_named_and_made_anew(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    with pareja.open(tmp_path / "c", create=True, quantization="int8") as shelf:
        shelf.index(colour_folder, colours)
        assert coded(shelf) == [("int8", 8)]
        with shelf._database.write() as connection:
            connection.execute("UPDATE code SET scales = zeroblob(length(scales))")
        report = shelf.verify(repair=True)
        assert [problem[:18] for problem in report.problems] == ["the int8 codes of "]
        assert shelf.verify().ok


def test_what_is_no_quantization_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CollectionError, match="float16, int8 or binary, not 'int4'"):
        pareja.open(tmp_path / "c", create=True, quantization="int4")  # type: ignore[arg-type]
    assert not (tmp_path / "c").exists()
    pareja.open(tmp_path / "c", create=True, quantization="int8").close()
    monkeypatch.setattr(CodeTables, "complete", pytest.fail)
    pareja.open(tmp_path / "c", quantization="int8").close()
