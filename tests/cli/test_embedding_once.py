from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_models import folder

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja
    from tests.conftest import ColourEncoder

QUICK = ("--permutations", "99", "--resamples", "100")


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch, colours: ColourEncoder) -> Counter[str]:
    """How many pictures and texts the encoder of every command was given."""
    counts: Counter[str] = Counter()
    kind = type(colours)
    encode_pixels, encode_texts = kind.encode_pixels, kind.encode_texts

    def count_pixels(self: ColourEncoder, pixels: Any) -> Any:
        counts["pictures"] += len(pixels)
        return encode_pixels(self, pixels)

    def count_texts(self: ColourEncoder, texts: Any) -> Any:
        counts["texts"] += len(texts)
        return encode_texts(self, texts)

    monkeypatch.setattr(kind, "encode_pixels", count_pixels)
    monkeypatch.setattr(kind, "encode_texts", count_texts)
    monkeypatch.setattr("pareja.encoders.load", lambda name, **_: colours)
    return counts


@pytest.mark.parametrize("command", ["study", "check"])
def test_a_second_run_embeds_nothing(
    pareja: Pareja, colour_folder: Path, embedded: Counter[str], command: str
) -> None:
    arguments = [command, colour_folder, "-m", "colours", "--json"]
    arguments += QUICK if command == "study" else []
    first = pareja(*arguments)
    assert embedded["pictures"] == 8
    assert embedded["texts"] >= 8
    embedded.clear()
    second = pareja(*arguments)
    assert embedded == Counter()
    assert without_times(second.out) == without_times(first.out)
    fresh = pareja(*arguments, "--no-cache")
    assert embedded["pictures"] == 8
    assert without_times(fresh.out) == without_times(first.out)


def test_a_study_goes_on_with_what_a_check_embedded(
    pareja: Pareja, colour_folder: Path, embedded: Counter[str]
) -> None:
    pareja("check", colour_folder, "-m", "colours")
    embedded.clear()
    assert pareja("study", colour_folder, "-m", "colours", *QUICK).status == 0
    assert embedded["pictures"] == 0
    # The captions are known too, and what they are put into to compare prompts is not.
    assert embedded["texts"] == 3 * 8


@pytest.mark.filterwarnings("default:the embedding cache")
def test_a_check_without_a_model_opens_no_cache(
    pareja: Pareja, colour_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert pareja("check", colour_folder).err == ""
    run = pareja("check", colour_folder, "-m", "starter")
    assert run.out
    assert run.err.count("\n") == 1
    assert "Nothing is looked up or kept now" in run.err


def test_a_network_gives_the_same_study_with_and_without_the_cache(
    pareja: Pareja, colour_folder: Path
) -> None:
    arguments = ["study", colour_folder, "-m", folder("clip"), "--device", "cpu", "--json", *QUICK]
    runs = [pareja(*arguments, *more) for more in (["--no-cache"], [], [])]
    assert {run.status for run in runs} == {0}
    first, second, third = (without_times(run.out) for run in runs)
    assert first == second == third
    scores = next(iter(first["encoders"].values()))
    assert np.isfinite(scores["auc"])


def test_speed_is_measured_on_pictures_that_are_embedded_anew(
    pareja: Pareja, colour_folder: Path, embedded: Counter[str]
) -> None:
    (colour_folder / "images" / "pink.png").write_bytes(b"nothing")
    arguments = ["compare", colour_folder, "--truth", "category", "-m", "colours", "--json"]
    # Seven for the results, two for the network to be loaded, and seven by the clock.
    for pictures in (7 + 2 + 7, 2 + 7):
        embedded.clear()
        run = pareja(*arguments)
        assert "pink.png" in run.err
        assert embedded["pictures"] == pictures
        assert json.loads(run.out)["models"]["colours"]["cost"]["timed"] == 7


def without_times(printed: str) -> dict[str, Any]:
    """Return a document without what differs from run to run."""
    document: dict[str, Any] = json.loads(printed)
    document.pop("command", None)
    for encoder in document.get("encoders", {}).values():
        encoder.pop("seconds")
    return document
