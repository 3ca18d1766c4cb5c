from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import altered, folder, write_json

from pareja.encoders import EncoderPair, list_models, load
from pareja.encoders.catalogue import find_card, suggestions
from pareja.errors import EncoderError, ModelUnavailableError, UnknownModelError

CARDS = list_models()


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_is_complete_and_says_where_its_numbers_are_from(card) -> None:  # type: ignore[no-untyped-def]
    assert re.fullmatch(r"[a-z0-9-]+", card.name)
    assert card.licence
    assert card.dim > 0
    assert (card.repository is None) == (card.loader == "embedded")
    assert card.revision is None or re.fullmatch(r"[0-9a-f]{40}", card.revision)
    assert (card.imagenet is None) == (card.imagenet_source is None)
    assert card.imagenet is None or 0 < card.imagenet < 100
    assert (card.side is None) == (card.kind == "text")
    assert (card.loss is None) == (card.kind != "dual")
    assert (card.languages is None) == (card.kind == "image")


def test_the_models_of_the_course_are_there() -> None:
    names = {card.name for card in CARDS}
    assert {"starter", "starter-unaligned", "resnet50", "distiluse"} <= names
    assert {"clip-vit-b32", "siglip2-b16"} <= names
    repositories = [card.repository for card in CARDS if card.repository]
    assert len(repositories) == len(set(repositories))


def test_near_names_are_suggested_best_first() -> None:
    assert suggestions("clip-vit-b-32")[0] == "clip-vit-b32"
    assert suggestions("SIGLIP2_B16")[0] == "siglip2-b16"
    assert suggestions("nothing like it") == []


@pytest.mark.parametrize("name", ["clip-vit-b", "", "cl ip", "starter+clip-vit-b"])
def test_an_unknown_name_is_one_clear_line(name: str) -> None:
    with pytest.raises(UnknownModelError, match="unknown model"):
        load(name)


def test_a_pair_that_is_not_here_names_both_halves_and_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailableError) as both:
        load("resnet50+distiluse")
    with pytest.raises(ModelUnavailableError) as last:
        load(f"{folder('resnet')}+distiluse")
    # One of them is wrong: that is said, and not what could be downloaded.
    with pytest.raises(UnknownModelError, match="distilus"):
        load("resnet50+distilus")
    assert str(both.value).startswith("resnet50 and distiluse are not on this machine. ")
    for half in ("resnet50", "distiluse"):
        card = find_card(half)
        assert card is not None
        assert f"{card.repository} on the Hugging Face hub" in str(both.value)
    assert str(both.value).endswith(": pareja models fetch resnet50+distiluse")
    assert str(last.value).startswith("distiluse is not on this machine. ")
    assert str(last.value).endswith(": pareja models fetch distiluse")


def test_the_unknown_half_of_a_pair_is_named() -> None:
    with pytest.raises(UnknownModelError) as caught:
        load(f"{folder('resnet')}+distilus")
    assert caught.value.name == "distilus"
    assert caught.value.suggestions[0] == "distiluse"


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_one_clear_line(name: str) -> None:
    with pytest.raises(EncoderError, match="no such folder"):
        load(name)


def test_a_pair_takes_each_half_from_its_own_model() -> None:
    name = f"{folder('resnet')}+{folder('sentence')}"
    pair = load(name, device="cpu", precision="float32")
    assert isinstance(pair, EncoderPair)
    assert (pair.name, pair.kind) == (name, "pair")
    assert (pair.image_dim, pair.text_dim) == (40, 24)
    assert pair.image_fingerprint != pair.text_fingerprint


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("sentence", "resnet", "embeds no pictures. Write the image encoder first"),
        ("resnet", "vit", "embeds no texts. Write the text encoder last"),
    ],
)
def test_a_pair_the_wrong_way_round_says_so(first: str, second: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        load(f"{folder(first)}+{folder(second)}", device="cpu")


def test_a_folder_with_a_plus_in_its_name_is_a_folder(tmp_path: Path) -> None:
    path = altered("resnet", tmp_path / "one+two")
    assert load(str(path), device="cpu").name == str(path)


def test_a_catalogue_model_that_is_not_here_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailableError, match="pareja models fetch siglip2-b16"):
        load("siglip2-b16")


def test_an_unknown_device_or_precision_is_one_clear_line() -> None:
    with pytest.raises(EncoderError, match="unknown device 'tpu'"):
        load(str(folder("clip")), device="tpu")
    with pytest.raises(EncoderError, match="unknown precision 'int4'"):
        load(str(folder("clip")), device="cpu", precision="int4")


def test_embedded_encoders_refuse_a_device_that_no_machine_has() -> None:
    with pytest.raises(EncoderError, match="unknown device 'tpu'"):
        load("starter", device="tpu")
    with pytest.raises(EncoderError, match="unknown precision 'int4'"):
        load("starter-unaligned", precision="int4")


@pytest.mark.parametrize(
    ("kind", "file", "content"),
    [
        ("clip", "config.json", []),
        (
            "clip",
            "config.json",
            {"model_type": "clip", "text_config": 5, "vision_config": {"image_size": 32}},
        ),
        ("clip", "preprocessor_config.json", None),
        (
            "clip",
            "preprocessor_config.json",
            {"image_processor_type": "CLIPImageProcessor", "crop_size": "large"},
        ),
        ("clip", "tokenizer_config.json", {"model_max_length": -1}),
        ("resnet", "config.json", {"model_type": "resnet", "hidden_sizes": []}),
        ("sentence", "modules.json", []),
        ("sentence", "modules.json", [{"path": ""}]),
        ("sentence", "2_Dense/config.json", {}),
    ],
)
def test_a_folder_whose_files_describe_nothing_is_one_clear_line(
    kind: str, file: str, content: object, tmp_path: Path
) -> None:
    path = altered(kind, tmp_path / "model")
    (path / file).write_text(json.dumps(content))
    with pytest.raises(EncoderError, match=r"do not describe an encoder.*model\)\.$") as caught:
        load(str(path), device="cpu")
    assert "\n" not in str(caught.value)


def test_pictures_that_would_be_prepared_otherwise_are_refused_with_the_folder(
    tmp_path: Path,
) -> None:
    path = altered("vit", tmp_path / "model")
    write_json(path / "preprocessor_config.json", do_resize=False)
    with pytest.raises(EncoderError, match=r"/model: .*do_resize = false.*model\)\.$"):
        load(str(path), device="cpu")


def test_prefixes_of_e5_are_in_its_card() -> None:
    card = find_card("e5-small")
    assert card is not None
    assert card.text_prefix == "query: "


def test_opening_a_model_imports_neither_torch_nor_transformers() -> None:
    # What a cold text query waits for; with a converted network it stays so to the end.
    script = (
        "import sys; from pareja.encoders import load; "
        f"load({str(folder('clip'))!r}, device='openvino', precision='float32'); "
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
