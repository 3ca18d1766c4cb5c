"""Image networks in int8: made, measured, found again by name, and never taken by default."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pareja
from pareja.checksums import MARKER
from pareja.cli import build_app
from pareja.encoders import DualEncoder, load
from pareja.encoders.catalogue import find_card
from pareja.encoders.int8 import in_int8
from pareja.encoders.loading import require_both, require_dual
from pareja.errors import (
    DatasetError,
    EncoderError,
    FingerprintMismatchError,
    ModelUnavailableError,
)
from pareja.tasks.quantising import Quantisation, quantise

PICTURES = "shapes:60:1"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache of int8")


@pytest.fixture(scope="module")
def made(cache: Path) -> Iterator[Quantisation]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield quantise("clip-shapes", PICTURES)


@pytest.fixture
def original(made: Quantisation, cache: Path, monkeypatch: pytest.MonkeyPatch) -> DualEncoder:
    """Return the encoder that was quantised, where its int8 network is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return require_dual(load("clip-shapes", device="openvino"))


def test_what_is_measured_is_what_the_two_networks_give(
    made: Quantisation, original: DualEncoder
) -> None:
    assert (made.model, made.name, made.sample, made.pictures) == (
        *("clip-shapes", "clip-shapes:int8"),
        *(30, 30),
    )
    dataset = pareja.load_dataset(PICTURES)
    order = np.random.default_rng(0).permutation(60)[30:]
    images = [pareja.decode_image(dataset.records[i].source) for i in order]
    quick = require_dual(load("clip-shapes:int8"))
    before, after = original.encode_images(images), quick.encode_images(images)
    cosines = (before * after).sum(axis=1)
    assert made.cosine_lowest == pytest.approx(cosines.min(), abs=1e-4)
    assert made.cosine_median == pytest.approx(np.median(cosines), abs=1e-4)
    assert 0.8 < made.cosine_lowest < 0.9999
    captions = [dataset.records[i].captions[0] for i in order]
    for side, encoder in enumerate((original, quick)):
        texts = encoder.encode_texts(captions)
        similarity = (before, after)[side] @ texts.T
        hits = np.mean(similarity.argmax(axis=1) == np.arange(30))
        assert made.recall["image_to_text"][side] == pytest.approx(hits, abs=0.07)
    found = made.agreement["image_to_text"].difference
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(np.subtract(*made.recall["image_to_text"]))
    assert 0.5 < made.shared <= 1
    assert made.megabytes_after < made.megabytes_before / 2


def test_nncf_was_imported_without_what_reports_its_use(made: Quantisation) -> None:
    assert not hasattr(sys.modules["nncf.telemetry.wrapper"], "Telemetry")


def test_the_space_is_another_and_texts_stay(original: DualEncoder, made: Quantisation) -> None:
    quick = require_dual(load("clip-shapes", precision="int8"))
    assert quick.name == made.name
    assert quick.image_fingerprint == quick.text_fingerprint != original.image_fingerprint
    texts = ["a red star", "una cruz verde"]
    np.testing.assert_array_equal(quick.encode_texts(texts), original.encode_texts(texts))
    embedded = pareja.embed(PICTURES, quick)
    with pytest.raises(FingerprintMismatchError):
        pareja.classify(embedded, ["star", "cross"], model=original)


def test_nothing_takes_it_by_default(original: DualEncoder) -> None:
    assert load("clip-shapes").image_fingerprint == original.image_fingerprint  # type: ignore[union-attr]


def test_of_a_pair_the_image_half_is_in_int8(original: DualEncoder) -> None:
    pair = require_both(load("clip-shapes:int8+clip-shapes"))
    assert pair.image_fingerprint == in_int8(original).image_fingerprint  # type: ignore[union-attr]
    assert pair.text_fingerprint == original.text_fingerprint
    again = load("clip-shapes+clip-shapes", precision="int8")
    assert again.name == pair.name == "clip-shapes:int8+clip-shapes"


def test_a_damaged_network_is_not_used(original: DualEncoder, made: Quantisation) -> None:
    quick = require_dual(load("clip-shapes:int8"))
    weights = made.folder / "network.bin"
    whole = weights.read_bytes()
    folder = {path.name: path.read_bytes() for path in made.folder.iterdir()}
    weights.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(ModelUnavailableError, match="damaged"):
        quick.encode_images([pareja.decode_image(pareja.load_dataset(PICTURES).records[0].source)])
    with pytest.raises(ModelUnavailableError, match="has no image network in int8"):
        load("clip-shapes:int8")
    made.folder.mkdir()
    for name, content in folder.items():
        (made.folder / name).write_bytes(content)
    assert (made.folder / MARKER).exists()


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("clip-shapes:int8", {"device": "cpu"}, "run through OpenVINO alone"),
        (
            "clip-shapes:int8",
            {"precision": "float32"},
            "computes in int8, and float32 is wanted here. Name the model without",
        ),
        ("starter:int8", {}, "has no image network that can be quantised"),
        ("minilm:int8", {}, "not on this machine|is not here|fetch"),
        ("siglip-shapes:int8", {}, "pareja models quantise siglip-shapes$"),
    ],
)
def test_what_cannot_be_had_says_why(name: str, options: dict[str, str], reason: str) -> None:
    with pytest.raises((EncoderError, ModelUnavailableError), match=reason):
        load(name, **options)


def test_too_few_pictures_are_refused_before_anything_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DatasetError, match=r"12 pictures of .* at least 20"):
        quantise("clip-shapes", "shapes:12:1")
    assert not list(tmp_path.rglob("*int8*"))


def test_one_that_is_quantised_is_not_quantised_again(original: DualEncoder) -> None:
    with pytest.raises(EncoderError, match="is in int8 already"):
        quantise(load("clip-shapes:int8"), PICTURES)


def test_the_card_is_that_of_the_model() -> None:
    assert find_card("clip-vit-b32:int8") == find_card("clip-vit-b32") is not None


def test_the_command_says_what_was_measured(
    made: Quantisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def given(model: str, dataset: str) -> Quantisation:
        asked.append((model, dataset))
        return made

    monkeypatch.setattr("pareja.tasks.quantising.quantise", given)
    said = CliRunner().invoke(
        build_app(), ["models", "quantise", "clip-shapes", "--dataset", PICTURES]
    )
    assert said.exit_code == 0
    assert asked == [("clip-shapes", PICTURES)]
    assert f"lowest {made.cosine_lowest:.4f}" in said.stdout
    assert "R@1 image to text: " in said.stdout
    assert said.stdout.endswith("Use it as -m clip-shapes:int8; nothing takes it by default.\n")
    as_json = CliRunner().invoke(build_app(), ["models", "quantise", "clip-shapes", "--json"])
    assert f'"folder": "{made.folder}"' in as_json.stdout
