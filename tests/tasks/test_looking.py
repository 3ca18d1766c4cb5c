from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.conftest import COLOURS, ColourEncoder

from pareja.datasets import Dataset, Record
from pareja.datasets.formats.folders import FileSource
from pareja.encoders import EncoderPair
from pareja.regions.crops import CropRegions
from pareja.report import write_report
from pareja.tasks.looking import by_match, ends, look_at_captions, nearest_own
from pareja.tasks.study import study
from pareja.tasks.study_export import study_to_json


@dataclass(frozen=True)
class MappedColours(ColourEncoder):
    """Colours whose places are told by crops, as if they were its own."""

    name: str = "mapped"

    @property
    def regions(self) -> CropRegions:
        return CropRegions(self)


@pytest.fixture
def squares(tmp_path: Path) -> Dataset:
    """White pictures, each with a square of one colour at the lower right."""
    records = []
    for name in ("red", "green", "blue", "yellow", "black"):
        image = Image.new("RGB", (120, 60), "white")
        ImageDraw.Draw(image).rectangle((90, 40, 119, 59), fill=COLOURS[name])
        path = tmp_path / f"{name}.png"
        image.save(path)
        records.append(Record(path.name, FileSource(path), (f"a {name} wall",)))
    return Dataset("squares", tuple(records), str(tmp_path))


def test_pictures_are_ordered_by_rank_and_then_by_similarity() -> None:
    owner = np.array([0, 0, 1, 2])
    similarity = np.array([[0.1, 0.5, 0.2, 0.2], [0.0, 0.0, 0.9, 0.0], [0.6, 0.0, 0.0, 0.3]])
    assert nearest_own(owner, similarity, 0) == 1
    assert by_match(owner, similarity, [1, 1, 2]) == [1, 0, 2]
    assert ends([1, 0, 2]) == ([1], [2])


def test_a_caption_is_seen_where_its_colour_is(squares: Dataset) -> None:
    result = study(squares, MappedColours(), maps=True, permutations=99, resamples=100, cache=False)
    (encoder,) = result.encoders
    assert len(encoder.looks) == 4
    for look in encoder.looks:
        (place,) = look.located.places
        assert place.words == squares.captions[look.caption]
        assert place.here is None
        assert place.point[0] > 90
        assert place.point[1] > 40
    told = study_to_json(result)["encoders"]["mapped"]["maps"]
    assert [entry["path"] for entry in told] == [
        squares.records[look.picture].file_name for look in encoder.looks
    ]


def test_only_encoders_with_maps_of_their_own_are_asked(
    squares: Dataset, colours: ColourEncoder
) -> None:
    similarity, ranks = np.eye(5), np.ones(5)
    assert look_at_captions(colours, squares, similarity, ranks) == ()
    pair = EncoderPair("pictures+words", colours, colours)
    assert look_at_captions(pair, squares, similarity, ranks) == ()


def test_a_report_shows_maps_behind_the_pairs_and_tells_them(
    squares: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.report.write.draw_figures", lambda *_: {})
    monkeypatch.setattr("pareja.report.write.write_draft", lambda *_: {})
    result = study(squares, MappedColours(), maps=True, permutations=99, resamples=100, cache=False)
    without = replace(result, encoders=(replace(result.encoders[0], looks=()),))
    pages = []
    for shown, folder in ((result, tmp_path / "with"), (without, tmp_path / "without")):
        folder.mkdir()
        write_report(shown, folder, lang="en", formats=("md",))
        pages.append((folder / "report.md").read_text())
    assert "Where mapped sees the caption" in pages[0]
    assert "Where mapped sees the caption" not in pages[1]
    assert "bottom right, " in pages[0]
    pictures = tmp_path / "with" / "figures" / "pictures"
    assert len(list(pictures.glob("*.jpg"))) == len(squares) + 4
    assert "figures/pictures/009.jpg" in pages[0]
