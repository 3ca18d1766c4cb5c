from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_models import altered, folder, write_json

from pareja.encoders import EncoderPair, load, require_both, require_dual, require_images
from pareja.encoders.catalogue import find_card
from pareja.errors import EncoderError, ModelUnavailableError, UnknownModelError


@pytest.mark.parametrize("name", ["x" * 300, "a+" + "b" * 300, "~nobody-of-this-name", "a\0b"])
def test_a_name_that_no_folder_can_have_is_one_line(name: str) -> None:
    with pytest.raises(EncoderError):
        load(name)


def test_an_encoder_is_returned_as_it_is() -> None:
    encoder = load(folder("clip"), device="cpu", precision="float32")
    assert load(encoder, device="openvino") is encoder


def test_a_folder_may_be_a_path(tmp_path: Path) -> None:
    assert load(folder("clip")).name == str(folder("clip"))
    with pytest.raises(EncoderError, match="clip-vit-b32: no such folder"):
        load(tmp_path / "clip-vit-b32")


@pytest.mark.parametrize("given", [None, 5, ["starter"], b"starter", EncoderPair])
def test_what_is_no_encoder_is_a_type_error_that_says_what_is(given: Any) -> None:
    with pytest.raises(TypeError, match=f"{type(given).__name__} is no encoder: .*Give a model's"):
        load(given)


@pytest.mark.parametrize(
    ("kind", "images", "both", "dual"),
    [
        ("clip", True, True, True),
        ("resnet", True, "only pictures, .*'NAME\\+distiluse'", "only pictures"),
        ("sentence", "only texts, .*'resnet50\\+NAME'", "only texts, .*'resnet50\\+NAME'", "texts"),
    ],
)
def test_what_an_encoder_must_embed(
    kind: str, images: bool | str, both: bool | str, dual: bool | str
) -> None:
    encoder = load(folder(kind), device="cpu")
    needs: list[tuple[Any, bool | str]]
    needs = [(require_images, images), (require_both, both), (require_dual, dual)]
    for require, answer in needs:
        if isinstance(answer, str):
            with pytest.raises(EncoderError, match=answer.replace("NAME", encoder.name)):
                require(encoder)
        else:
            assert require(encoder) is encoder


def test_a_pair_is_no_dual_encoder() -> None:
    pair = load("starter-unaligned")
    assert require_both(pair) is pair
    with pytest.raises(EncoderError, match="'starter-unaligned' is a pair of networks that share"):
        require_dual(pair)


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


def test_a_folder_that_is_renamed_keeps_its_space(tmp_path: Path) -> None:
    first = load(altered("clip", tmp_path / "one"), device="cpu")
    second = load((tmp_path / "one").rename(tmp_path / "two"), device="cpu")
    assert require_dual(first).image_fingerprint == require_dual(second).image_fingerprint
    write_json(tmp_path / "two/preprocessor_config.json", image_mean=[0.5, 0.5, 0.5])
    third = load(tmp_path / "two", device="cpu")
    assert require_dual(third).image_fingerprint != require_dual(second).image_fingerprint


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
