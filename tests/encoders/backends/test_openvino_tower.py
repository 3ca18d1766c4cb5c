from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pareja.checksums import MARKER
from pareja.encoders.backends.network import Network
from pareja.encoders.backends.openvino_tower import OpenVinoTower
from pareja.encoders.backends.torch_tower import TorchTower
from pareja.encoders.preprocessing import Preprocessing
from pareja.errors import EncoderError

SIDE = 16


def never() -> torch.nn.Module:
    raise AssertionError("a converted network must not be built again")


class Image(torch.nn.Module):
    """A tiny CLIP vision tower."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        torch.manual_seed(0)
        config = CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=4,
            projection_dim=24,
        )
        self.tower: Any = CLIPVisionModelWithProjection(config)
        self.train(False)

    def forward(self, pixel_values: torch.Tensor) -> Any:
        return self.tower(pixel_values=pixel_values).image_embeds


class Text(torch.nn.Module):
    """A tiny masked text tower with mean pooling."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=50,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=40,
        )
        self.tower: Any = BertModel(config)
        self.train(False)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        hidden = self.tower(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask[..., None].to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)


def image_network(build: Callable[[], torch.nn.Module] = Image) -> Network:
    preprocessing = Preprocessing(SIDE, "shortest", SIDE)
    return Network("tiny-image", "image", 24, ("pixel_values",), build, preprocessing)


def text_network(build: Callable[[], torch.nn.Module] = Text) -> Network:
    return Network("tiny-text", "text", 32, ("input_ids", "attention_mask"), build)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True, scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder in which each network is converted once for all tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def pixels(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def texts(lengths: list[int]) -> dict[str, np.ndarray[Any, np.dtype[np.int64]]]:
    random = np.random.default_rng(2)
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    return {
        "input_ids": random.integers(1, 50, mask.shape) * mask,
        "attention_mask": mask.astype(np.int64),
    }


def cosines(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / lengths)


def test_image_tower_equals_the_torch_tower() -> None:
    expected = TorchTower(image_network(), "cpu", "float32")(pixels=pixels(5))
    exact = OpenVinoTower(image_network(), "float32")(pixels=pixels(5))
    assert exact.dtype == np.float32
    assert exact.shape == (5, 24)
    np.testing.assert_allclose(exact, expected, atol=1e-5)
    fast = OpenVinoTower(image_network(), "bfloat16")(pixels=pixels(5))
    assert cosines(fast, expected).min() >= 0.999


def test_text_tower_equals_the_torch_tower_at_every_length() -> None:
    torch_tower = TorchTower(text_network(), "cpu", "float32")
    tower = OpenVinoTower(text_network(), "float32")
    for lengths in ([1], [3, 9, 6, 2], [40, 1]):
        np.testing.assert_allclose(
            tower(**texts(lengths)), torch_tower(**texts(lengths)), atol=1e-5
        )


def test_text_tower_of_one_length() -> None:
    network = replace(text_network(), key="padded", length=12)
    expected = TorchTower(network, "cpu", "float32")(**texts([12, 4]))
    np.testing.assert_allclose(
        OpenVinoTower(network, "float32")(**texts([12, 4])), expected, atol=1e-5
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_does_not_depend_on_its_batch(precision: Any) -> None:
    tower = OpenVinoTower(image_network(), precision)
    whole = tower(pixels=pixels(33))
    for index in (0, 7, 32):
        alone = tower(pixels=pixels(33)[index : index + 1])
        np.testing.assert_allclose(alone[0], whole[index], atol=1e-6 * np.abs(whole).max())


def test_results_are_not_overwritten_by_the_next_call() -> None:
    tower = OpenVinoTower(image_network(), "float32")
    first = tower(pixels=pixels(2))
    copy = first.copy()
    tower(pixels=255 - pixels(2))
    np.testing.assert_array_equal(first, copy)


def test_threads_may_call_at_once() -> None:
    tower = OpenVinoTower(image_network(), "float32")
    expected = tower(pixels=pixels(16))
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda i: tower(pixels=pixels(16)[i : i + 1])[0], range(16)))
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_the_network_is_converted_once_and_kept_in_half_the_space(cache: Path) -> None:
    first = OpenVinoTower(image_network(), "bfloat16")(pixels=pixels(2))
    second = OpenVinoTower(image_network(never), "bfloat16")(pixels=pixels(2))
    np.testing.assert_array_equal(first, second)
    with pytest.raises(AssertionError, match="built again"):
        OpenVinoTower(replace(image_network(never), key="other weights"), "bfloat16")
    (written,) = cache.rglob("network.bin")
    parameters = sum(parameter.numel() for parameter in Image().parameters())
    assert written.stat().st_size < 3 * parameters


def test_a_converted_network_needs_no_torch() -> None:
    expected = OpenVinoTower(text_network(), "float32")(**texts([4, 2]))
    script = """
import sys
import numpy as np
from pareja.encoders.backends.network import Network
from pareja.encoders.backends.openvino_tower import OpenVinoTower
network = Network("tiny-text", "text", 32, ("input_ids", "attention_mask"), lambda: 1 / 0)
ids, mask = np.array(eval(sys.argv[1]))
print(OpenVinoTower(network, "float32")(input_ids=ids, attention_mask=mask).tolist())
print(sorted({"torch", "transformers"} & set(sys.modules)))
"""
    arrays = texts([4, 2])
    rows = str([arrays["input_ids"].tolist(), arrays["attention_mask"].tolist()])
    run = subprocess.run(
        [sys.executable, "-c", script, rows], capture_output=True, text=True, check=True
    )
    values, modules = run.stdout.splitlines()
    assert modules == "[]"
    np.testing.assert_allclose(np.array(eval(values)), expected, atol=1e-6)  # noqa: S307


def test_a_cache_that_cannot_be_written_costs_the_conversion_only(cache: Path) -> None:
    (cache / "pareja").write_text("in the way")
    expected = TorchTower(image_network(), "cpu", "float32")(pixels=pixels(2))
    with pytest.warns(UserWarning, match="cannot be kept in .*pareja"):
        tower = OpenVinoTower(image_network(), "float32")
    np.testing.assert_allclose(tower(pixels=pixels(2)), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["network.bin", "network.xml", MARKER])
def test_a_damaged_conversion_is_made_again(cache: Path, name: str) -> None:
    expected = OpenVinoTower(image_network(), "float32")(pixels=pixels(2))
    (written,) = cache.rglob(name)
    damaged = bytearray(written.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    written.write_bytes(damaged)
    with pytest.raises(AssertionError, match="built again"):
        OpenVinoTower(image_network(never), "float32")
    again = OpenVinoTower(image_network(), "float32")(pixels=pixels(2))
    np.testing.assert_array_equal(again, expected)
    OpenVinoTower(image_network(never), "float32")
    assert not list(cache.rglob("*.part"))


class Forgetful(torch.nn.Module):
    """Takes the batch that it was traced with for the only one that there is."""

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        factor = 1.0 if int(pixel_values.shape[0]) == 2 else -1.0
        return factor * pixel_values.flatten(1)[:, :24]


def test_a_conversion_that_computes_something_else_is_refused(cache: Path) -> None:
    with pytest.raises(EncoderError, match="something else than torch"):
        OpenVinoTower(image_network(Forgetful), "float32")
    assert not list(cache.rglob("network.*"))
