from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja
    from tests.conftest import ColourEncoder

COMMANDS = {
    "study": ("--permutations", "99", "--resamples", "100", "--json"),
    "check": (),
    "compare": ("--truth", "category"),
    "classify": ("--labels", "red,green"),
    "fewshot": ("--truth", "category", "--shots", "1", "--method", "knn", "--seeds", "2"),
    "moderate": (),
    "embed": ("-o", "out.npz"),
    "index": ("--index", "collection"),
}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch, colours: ColourEncoder) -> list[int]:
    """How many pictures the encoder of every command got at once."""
    sizes: list[int] = []
    kind = type(colours)
    encode_pixels = kind.encode_pixels

    def count(self: ColourEncoder, pixels: Any) -> Any:
        sizes.append(len(pixels))
        return encode_pixels(self, pixels)

    monkeypatch.setattr(kind, "encode_pixels", count)
    monkeypatch.setattr("pareja.encoders.load", lambda name, **_: colours)
    return sizes


@pytest.mark.parametrize(("command", "options"), COMMANDS.items(), ids=COMMANDS)
def test_the_encoder_gets_so_many_pictures_at_once(
    pareja: Pareja,
    colour_folder: Path,
    batches: list[int],
    command: str,
    options: tuple[str, ...],
) -> None:
    run = pareja(command, colour_folder, "-m", "colours", *options, "--batch-size", "3")
    assert run.err == "" or "pareja: " not in run.err
    assert sum(batches) >= 8
    assert max(batches) == 3


def test_other_pictures_to_learn_from_come_in_the_same_batches(
    pareja: Pareja, colour_folder: Path, batches: list[int]
) -> None:
    options = (*COMMANDS["fewshot"], "--features", "colours", "--no-cache")
    assert pareja("fewshot", colour_folder, *options, "--batch-size", "5").status == 0
    assert batches == [5, 3, 5, 3]


def test_held_out_pictures_come_in_the_same_batches(
    pareja: Pareja, colour_folder: Path, batches: list[int]
) -> None:
    table = colour_folder / "metadata.csv"
    table.write_text(table.read_text().replace("category", "label", 1))
    run = pareja(
        *("classify", colour_folder, "--labels", "dark", "--no-cache"),
        *("--unknown-from", colour_folder, "--batch-size", "5"),
    )
    assert (run.status, batches) == (0, [5, 3, 5, 3]), run.err


@pytest.mark.parametrize("command", COMMANDS)
def test_less_than_one_at_once_is_refused(pareja: Pareja, command: str) -> None:
    run = pareja(command, "pareja20", *COMMANDS[command], "--batch-size", "0")
    assert run.status == 2
    assert "--batch-size" in run.err
