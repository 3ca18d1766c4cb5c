from __future__ import annotations

import numpy as np
import pytest
import torch

from pareja.encoders.backends.network import Network
from pareja.encoders.backends.torch_tower import TorchTower
from pareja.encoders.preprocessing import Preprocessing


class Flatten(torch.nn.Module):
    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return pixel_values.flatten(1)


class Difference(torch.nn.Module):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return (input_ids - 10 * attention_mask).float()


SEEN = Preprocessing(4, "squash", 4, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


def test_pixels_are_normalised_as_the_preprocessing_says() -> None:
    network = Network("k", "image", 48, ("pixel_values",), Flatten, SEEN)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    result = TorchTower(network, "cpu", "float32")(pixels=pixels)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.reshape(3, 3, 4, 4), SEEN.normalise(pixels), atol=2e-6)


def test_inputs_are_given_in_the_order_of_the_network() -> None:
    network = Network("k", "text", 2, ("input_ids", "attention_mask"), Difference)
    tower = TorchTower(network, "cpu", "float32")
    ids, mask = np.array([[5, 6]]), np.array([[1, 0]])
    np.testing.assert_array_equal(tower(attention_mask=mask, input_ids=ids), [[-5, 6]])


def test_results_are_new_memory_in_float32_whatever_the_precision() -> None:
    network = Network("k", "image", 48, ("pixel_values",), Flatten, SEEN)
    tower = TorchTower(network, "cpu", "bfloat16")
    assert (tower.device, tower.precision) == ("cpu", "bfloat16")
    pixels = np.full((1, 4, 4, 3), 200, np.uint8)
    first = tower(pixels=pixels)
    kept = first.copy()
    tower(pixels=np.zeros_like(pixels))
    np.testing.assert_array_equal(first, kept)
    assert first.dtype == np.float32
    assert first == pytest.approx(SEEN.normalise(pixels).reshape(1, -1), abs=0.02)
