"""A study small enough for every test, of pictures that need no files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pareja.datasets import Dataset, Record
from pareja.encoders import Encoder, EncoderPair
from pareja.report import write_report
from pareja.tasks.study import StudyResult
from pareja.tasks.study import study as run_study
from pareja.words.wording import Lang

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

LANGS: tuple[Lang, ...] = ("en", "es")
COLOURS = ("red", "green", "blue", "yellow", "white", "black", "pink", "brown")


@dataclass(frozen=True)
class Painted:
    """A picture of one colour, kept in memory."""

    colour: str

    def read(self) -> bytes:
        stream = io.BytesIO()
        Image.new("RGB", (48, 32), self.colour).save(stream, "PNG")
        return stream.getvalue()


def wall(colour: str, n: int) -> Record:
    """Return a captioned picture with everything a report shows of it."""
    return Record(
        file_name=f"images/{colour}.png",
        source=Painted(colour),
        captions=(f"A wall painted {colour}",),
        category=("dark", "bright")[n % 2],
        caption_es=f"Una pared ({n})",
        author="Ana Pérez",
        license="CC-BY-4.0",
        source_url=f"https://example.org/{colour}",
    )


Study = Callable[..., StudyResult]


@pytest.fixture(scope="session", autouse=True)
def coarse_drawings() -> Iterator[None]:
    """Draw with few dots an inch: half of the time of these tests would go into pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pareja.report.drawing.PNG_DPI", 30)
        yield


_STUDIES: dict[str, StudyResult] = {}


@pytest.fixture
def study(colours: ColourEncoder) -> Study:
    """Run a study; ``kinds`` names its encoders and ``change`` edits each record.

    The same study is run once for all tests: results do not change.
    """

    def run(
        kinds: Sequence[str] = ("pair", "dual"),
        change: Callable[[Record, int], Record] = lambda record, n: record,
    ) -> StudyResult:
        built: dict[str, Encoder] = {
            "pair": EncoderPair("pictures+words", colours, colours),
            "dual": colours,
            "other": replace(colours, name="other/colours"),
        }
        records = tuple(change(wall(colour, n), n) for n, colour in enumerate(COLOURS))
        key = repr((kinds, records))
        if key not in _STUDIES:
            _STUDIES[key] = run_study(
                Dataset("walls", records, Path("walls")),
                [built[kind] for kind in kinds],
                permutations=99,
                resamples=100,
                command="pareja study walls --seed 0",
            )
        return _STUDIES[key]

    return run


_WRITTEN: dict[str, Path] = {}


@pytest.fixture
def written(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the reports of one study in both languages, in one folder, by name."""
    if not _WRITTEN:
        folder = tmp_path_factory.mktemp("reports")
        for lang in LANGS:
            _WRITTEN.update(write_report(study(), folder, lang=lang))
    return _WRITTEN
