from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.embedding.counting_encoder import CountingEncoder
from typer import Typer
from typer.testing import CliRunner

from pareja.cli.embed import embed


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


@pytest.fixture
def command(encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run the command with an encoder that takes no time to load."""
    monkeypatch.setattr("pareja.encoders.load", lambda name, **options: encoder)
    app = Typer()
    app.command()(embed)

    def run(*arguments: object, status: int = 0) -> str:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result.output

    return run
