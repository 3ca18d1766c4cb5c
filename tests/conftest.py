"""What tests of several layers share: an encoder that is small, honest and needs no weights."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

from pareja.datasets import Dataset, load_dataset
from pareja.encoders import Embeddings, Fingerprint, Pixels
from pareja.encoders.bases import ImageEncoderBase, TextEncoderBase

COLOURS = {
    "red": (220, 30, 30),
    "green": (20, 160, 40),
    "blue": (30, 60, 210),
    "yellow": (240, 220, 40),
    "white": (250, 250, 250),
    "black": (5, 5, 5),
    "pink": (250, 150, 190),
    "brown": (110, 60, 20),
}


# No test is timed: a busy machine must not fail one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@dataclass(frozen=True)
class ColourEncoder(ImageEncoderBase, TextEncoderBase):
    """Embeds a picture by its mean colour, and a text by the colours it names.

    It really does connect words and pictures, in a three-dimensional space, and is fast enough to
    run in every test.
    """

    name: str = "colours"
    kind: Literal["dual"] = "dual"
    loss: Literal["softmax", "sigmoid"] = "softmax"
    image_dim: int = 4
    text_dim: int = 4
    image_side: int = 8

    @property
    def image_fingerprint(self) -> Fingerprint:
        return Fingerprint(self.name, "1", "8x8", "mean")

    @property
    def text_fingerprint(self) -> Fingerprint:
        return self.image_fingerprint

    def prepare(self, image: Image.Image) -> Pixels:
        return np.asarray(image.resize((self.image_side, self.image_side)), dtype=np.uint8)

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        return self._unit(pixels.reshape(len(pixels), -1, 3).mean(axis=1))

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        return self._unit(np.array([self._colour(text) for text in texts]))

    def logits(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.asarray(20 * similarity, dtype=np.float32)

    @staticmethod
    def _colour(text: str) -> list[float]:
        named = [rgb for name, rgb in COLOURS.items() if name in text.lower()]
        if named:
            return [float(value) for value in np.mean(named, axis=0)]
        digest = hashlib.sha256(text.encode()).digest()
        return [float(byte) for byte in digest[:3]]

    @staticmethod
    def _unit(rgb: NDArray[np.floating]) -> Embeddings:
        centred = np.concatenate([rgb / 127.5 - 1, np.full((len(rgb), 1), 0.1)], axis=1)
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(unit, dtype=np.float32)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test in the same language, whatever that of the machine is."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test's embeddings out of the user's cache, and out of other tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("user-cache")))


@pytest.fixture
def colours() -> ColourEncoder:
    """An encoder that matches colours with their names."""
    return ColourEncoder()


@functools.cache  # compressing noise takes longer than most tests
def _walls() -> dict[str, bytes]:
    """Return a PNG for each colour."""
    noise = np.random.default_rng(0)
    walls = {}
    for name, rgb in COLOURS.items():
        pixels = np.clip(noise.normal(rgb, 6, (320, 400, 3)), 0, 255).astype(np.uint8)
        png = io.BytesIO()
        Image.fromarray(pixels).save(png, "PNG")
        walls[name] = png.getvalue()
    return walls


@pytest.fixture
def colour_folder(tmp_path: Path) -> Path:
    """An imagefolder of eight coloured pictures in two categories, captioned by their colour."""
    root = tmp_path / "colours"
    (root / "images").mkdir(parents=True)
    rows = ["file_name,caption,category,author,license"]
    for n, (name, png) in enumerate(_walls().items()):
        (root / "images" / f"{name}.png").write_bytes(png)
        category = "bright" if n % 2 else "dark"
        rows.append(f"images/{name}.png,A wall painted {name},{category},Ana,CC0-1.0")
    (root / "metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    return root


@pytest.fixture
def colour_dataset(colour_folder: Path) -> Dataset:
    """The pictures of `colour_folder`, loaded."""
    return load_dataset(colour_folder)


@pytest.fixture
def seal(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Take away the right to write into a folder, as its collection meets it, from root too."""
    allowed, connect = os.access, sqlite3.connect

    def seal(folder: Path) -> None:
        def access(path: Path | str, mode: int, **how: bool) -> bool:
            inside = Path(path).is_relative_to(folder)
            return not (inside and mode & os.W_OK) and allowed(path, mode, **how)

        def refuse_without_immutable(target: str, **options: object) -> sqlite3.Connection:
            # What SQLite says of a database with a log in a folder without permission to write.
            if str(folder) in target and "immutable" not in target:
                raise sqlite3.OperationalError("unable to open database file")
            return connect(target, **options)  # type: ignore[call-overload, no-any-return]

        monkeypatch.setattr(os, "access", access)
        monkeypatch.setattr(sqlite3, "connect", refuse_without_immutable)

    return seal


_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40" viewBox="0 0 60 40"></svg>'


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures blank: arranging and drawing them takes most of the time of a report."""
    from matplotlib.figure import Figure

    blank = io.BytesIO()
    Image.new("RGB", (60, 40), "white").save(blank, "PNG")

    def save(_: Figure, stream: Any, **how: object) -> None:
        stream.write(_SVG if how["format"] == "svg" else blank.getvalue())

    monkeypatch.setattr(Figure, "savefig", save)
    monkeypatch.setattr(Figure, "draw_without_rendering", lambda _: None)
