"""A picture and its captions as one vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from tests.conftest import ColourEncoder
from tests.fused_colours import FusedColours

import pareja
from pareja.arrays import unit
from pareja.embedding import embed_parts
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.paths import embed_paths
from pareja.errors import DatasetError, EncoderError, InputError, OutputError


@pytest.fixture
def captioned(tmp_path: Path) -> Path:
    """A dataset of two red pictures, the second with another caption, and one without any."""
    folder = tmp_path / "captioned"
    (folder / "images").mkdir(parents=True)
    for name in ("a", "b", "c"):
        Image.new("RGB", (16, 16), "red").save(folder / "images" / f"{name}.png")
    (folder / "metadata.csv").write_text(
        "file_name,caption\nimages/a.png,blue\nimages/b.png,green\nimages/c.png,\n"
    )
    return folder


def test_each_picture_and_its_caption_become_one_vector(captioned: Path) -> None:
    encoder = FusedColours()
    rows = pareja.embed(captioned, encoder, captions=True, cache=False)
    alone = pareja.embed(captioned, encoder, cache=False)
    assert encoder.asked == [("blue", False), ("green", False)]
    said = encoder.encode_texts(["blue", "green"])
    np.testing.assert_allclose(rows.vectors[:2], unit(2 * alone.vectors[:2] + said), atol=1e-6)
    np.testing.assert_allclose(rows.vectors[2], alone.vectors[2], atol=1e-6)
    assert rows.space == alone.space


def test_the_same_picture_with_another_caption_is_another_vector_in_the_cache(
    captioned: Path, tmp_path: Path
) -> None:
    encoder = FusedColours()
    with EmbeddingCache(tmp_path / "cache.sqlite3") as cache:
        alone = pareja.embed(captioned, encoder, cache=cache)
        first = pareja.embed(captioned, encoder, captions=True, cache=cache)
        again = pareja.embed(captioned, encoder, captions=True, cache=cache)
        assert (first.cached, again.cached) == (1, 3)
        assert len(encoder.asked) == 2
        np.testing.assert_array_equal(first.vectors, again.vectors)
        np.testing.assert_array_equal(
            alone.vectors, pareja.embed(captioned, encoder, cache=cache).vectors
        )
    assert not np.allclose(first.vectors[0], first.vectors[1], atol=1e-3)


def test_a_file_says_with_which_captions(captioned: Path, tmp_path: Path) -> None:
    result = embed_paths(captioned, FusedColours(), tmp_path / "rows.parquet", captions=True)
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert table["caption"].to_pylist() == ["blue", "green", ""]
    assert (result.pictures, result.alone) == (3, 1)


def test_shards_have_the_same_vectors_and_a_collection_takes_them(
    captioned: Path, tmp_path: Path
) -> None:
    encoder = FusedColours()
    for name, colour in (("a", "pink"), ("b", "brown")):
        Image.new("RGB", (16, 16), colour).save(captioned / "images" / f"{name}.png")
    out = tmp_path / "shards"
    parts = embed_parts(captioned, encoder, out, captions=True, partition_size=2)
    assert (parts.written, parts.pictures, parts.alone) == (2, 3, 1)
    whole = pareja.embed(captioned, encoder, captions=True, cache=False)
    with pareja.open(tmp_path / "index", create=True) as shelf:
        assert shelf.index(captioned, encoder, embedded=out).added == 3
        _, vectors = shelf.embeddings(encoder)
    np.testing.assert_allclose(vectors, whole.vectors, atol=1e-3)
    assert embed_parts(captioned, encoder, out, captions=True, partition_size=2).found == 2
    with pytest.raises(OutputError, match="of pictures with their captions, and this run embeds t"):
        embed_parts(captioned, encoder, out, partition_size=2)
    with pytest.raises(EncoderError, match="makes no vector of a picture and a text"):
        embed_parts(captioned, ColourEncoder(), tmp_path / "none", captions=True)
    (captioned / "metadata.csv").unlink()
    with pytest.raises(DatasetError, match="has no captions that its pictures could be embed"):
        embed_parts(captioned, encoder, tmp_path / "none", captions=True)
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_is_refused(captioned: Path, colours: FusedColours, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="'colours' makes no vector of a picture and a text tog"):
        pareja.embed(captioned, colours, captions=True, cache=False)
    (captioned / "metadata.csv").unlink()
    encoder = FusedColours()
    for _ in range(2):
        with pytest.raises(DatasetError, match="has no captions that its pictures could be embed"):
            embed_paths(captioned, encoder, tmp_path / "rows.npz", captions=True)
    vectors = pareja.embed(captioned, encoder, cache=False)
    with pytest.raises(InputError, match="captions is on, and pictures holds vectors"):
        pareja.embed(vectors, encoder, captions=True)
