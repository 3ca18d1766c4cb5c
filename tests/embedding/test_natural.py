from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import ColourEncoder

from pareja.embedding import Embedded, EmbeddingCache, embed, embed_texts
from pareja.encoders import Fingerprint
from pareja.errors import (
    DatasetError,
    EncoderError,
    FingerprintMismatchError,
    ImageError,
    InputError,
    OutputError,
)

ELSEWHERE = Fingerprint("another", "1", "8x8", "mean")


def test_one_gives_a_vector_and_many_a_matrix(colours: ColourEncoder, colour_folder: Path) -> None:
    red = colour_folder / "images" / "red.png"
    one = embed(red, colours)
    many = embed([red, Image.open(red), red.read_bytes()], colours)
    assert one.vectors.shape == (4,)
    assert one.rows.shape == (1, 4)
    assert (one.one, many.one) == (True, False)
    assert (len(one), len(many)) == (1, 3)
    assert many.names == (str(red), "red.png", "picture-2")
    assert many.space == colours.image_fingerprint
    for row in many.vectors:
        np.testing.assert_array_equal(row, one.vectors)
    assert embed([red], colours).vectors.shape == (1, 4)
    assert embed_texts("red", colours).vectors.shape == (4,)
    assert embed_texts(["red", "a", "red"], colours).vectors.shape == (3, 4)


def test_what_cannot_be_read_is_named(
    colours: ColourEncoder, colour_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_text("no picture")
    found = embed([tmp_path / "bad.png", colour_folder, tmp_path / "gone.jpg"], colours)
    assert len(found) == 8
    assert found.indices.tolist() == list(range(1, 9))
    assert [Path(name).name for name, _ in found.skipped] == ["bad.png", "gone.jpg"]
    with pytest.raises(ImageError, match=r"bad\.png"):
        embed(tmp_path / "bad.png", colours)
    with pytest.raises(DatasetError, match=r"none of 1 picture could be decoded"):
        embed([tmp_path / "bad.png"], colours)


def test_the_cache_is_the_users_unless_another_is_named(
    colours: ColourEncoder,
    colour_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = tmp_path / "user.sqlite3"
    monkeypatch.setattr("pareja.embedding.cache.default_cache_path", lambda: own)
    embed(colour_folder, colours, cache=False)
    assert not own.exists()
    assert embed(colour_folder, colours).cached == 0
    assert embed(colour_folder, colours).cached == 8
    with EmbeddingCache(tmp_path / "other.sqlite3") as cache:
        assert embed(colour_folder, colours, cache=cache).cached == 0
        assert len(cache) == 8


def test_vectors_in_place_of_pictures(colours: ColourEncoder, colour_folder: Path) -> None:
    rows = embed(colour_folder, colours)
    assert embed(rows, colours) is rows
    bare = embed(3 * rows.vectors.astype(np.float64), colours, space=rows.space)
    np.testing.assert_allclose(bare.vectors, rows.vectors, atol=1e-6)
    with pytest.raises(InputError, match="pass space="):
        embed(rows.vectors, colours)
    with pytest.raises(InputError, match="is no array of floats"):
        embed(colour_folder, colours, space=rows.space)
    with pytest.raises(FingerprintMismatchError, match=r"are of another@.*colours makes those of"):
        embed(Embedded(rows.vectors, ELSEWHERE), colours)
    with pytest.raises(FingerprintMismatchError):
        embed(rows.vectors, colours, space=ELSEWHERE)
    with pytest.raises(FingerprintMismatchError):
        embed_texts(Embedded(rows.vectors, ELSEWHERE), colours)


def test_similarities_need_one_space(colours: ColourEncoder, colour_folder: Path) -> None:
    rows, words = embed(colour_folder, colours), embed_texts("red", colours)
    similarity = rows.similarity(words)
    assert similarity.shape == (8, 1)
    assert rows.names[int(similarity.argmax())] == "images/red.png"
    with pytest.raises(FingerprintMismatchError):
        rows.similarity(Embedded(words.vectors, ELSEWHERE))


@pytest.mark.parametrize("name", ["e.npz", "e.parquet"])
def test_what_is_saved_is_loaded(
    colours: ColourEncoder, colour_folder: Path, tmp_path: Path, name: str
) -> None:
    rows = embed(colour_folder, colours)
    assert rows.save(tmp_path / name) == tmp_path / name
    loaded = Embedded.load(tmp_path / name, colours.image_fingerprint)
    np.testing.assert_array_equal(loaded.vectors, rows.vectors)
    assert loaded.names == tuple(f"colours/{name}" for name in rows.names)
    assert loaded.digests == rows.digests
    assert embed(loaded, colours) is loaded
    with pytest.raises(OutputError, match="exists"):
        rows.save(tmp_path / name)
    with pytest.raises(OutputError, match=r"\.parquet or \.npz"):
        rows.save(tmp_path / "e.csv")
    with pytest.raises(FingerprintMismatchError):
        Embedded.load(tmp_path / name, ELSEWHERE)


def test_arrays_that_are_no_vectors() -> None:
    wrong: list[Any] = [np.zeros((2, 2), int), np.zeros((1, 2, 3)), np.zeros((2, 0)), "vectors"]
    for vectors in wrong:
        with pytest.raises(InputError, match="vectors is a"):
            Embedded(vectors, ELSEWHERE)
    with pytest.raises(InputError, match="space is of type str"):
        Embedded(np.ones((2, 3), np.float32), "clip")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="2 names for 3 vectors"):
        Embedded(np.ones((3, 3), np.float32), ELSEWHERE, ("a", "b"))
    with pytest.raises(InputError, match="NaN"):
        Embedded.of([[np.nan, 1.0]], ELSEWHERE)


def test_an_encoder_of_the_wrong_kind() -> None:
    class Words:
        name = "words"

        def encode_texts(self, texts: object) -> None: ...

    with pytest.raises(EncoderError, match="'words' embeds"):
        embed("pareja20", Words())  # type: ignore[arg-type]


def test_one_split_of_a_dataset(colours: ColourEncoder, tmp_path: Path) -> None:
    for split, colour in (("train", "red"), ("test", "blue")):
        (tmp_path / split).mkdir()
        Image.new("RGB", (40, 30), colour).save(tmp_path / split / f"{colour}.png")
    rows = embed(tmp_path, colours, split="test", cache=False)
    assert rows.names == ("test/blue.png",)
    with pytest.raises(InputError, match="pictures holds vectors, which have no splits"):
        embed(rows, colours, split="test")
    with pytest.raises(DatasetError, match="has no split 'val'"):
        embed(tmp_path, colours, split="val")


def test_a_cache_that_cannot_be_made_is_done_without(
    colours: ColourEncoder, colour_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be used: Not a directory"):
        assert len(embed(colour_folder, colours)) == 8
