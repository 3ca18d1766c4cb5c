from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.embedding.counting_encoder import CountingEncoder


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
def paint(tmp_path: Path) -> Callable[..., list[Path]]:
    """Make a folder of pictures that all differ."""

    def make(count: int, folder: str = "pictures") -> list[Path]:
        random = np.random.default_rng(count)
        (tmp_path / folder).mkdir()
        paths = [tmp_path / folder / f"{index:04}.png" for index in range(count)]
        for path in paths:
            Image.fromarray(random.integers(0, 256, (2, 2, 3), np.uint8)).save(path)
        return paths

    return make
