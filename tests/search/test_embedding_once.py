"""Whatever embedded a picture first, nothing embeds it again, and each file is read once."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from tests.embedding.counting_encoder import CountingEncoder

import pareja
from pareja.datasets import image_size
from pareja.embedding.cache import EmbeddingCache

Reads = Counter[str]


@pytest.fixture(autouse=True)
def _old_files_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pareja.embedding.cache._SETTLED_NS", -1)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, colour_folder: Path) -> Reads:
    """How often each picture file has been opened, for its header or for all of it."""
    counts: Reads = Counter()
    opener = os.open

    def count(path: str, *rest: int, **options: int | None) -> int:
        if str(path).endswith(".png"):
            counts[Path(path).name] += 1
        return opener(path, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", count)
    return counts


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


def test_indexing_reads_each_file_once(
    tmp_path: Path, colour_folder: Path, encoder: CountingEncoder, reads: Reads
) -> None:
    with pareja.open(tmp_path / "index", create=True) as shelf:
        assert shelf.index(colour_folder, encoder).added == 8
        assert sorted(reads.values()) == [1] * 8
        assert sum(encoder.batches) == 8
        for picture in shelf.pictures():
            assert (picture.width, picture.height) == image_size(picture.path)


def test_what_was_embedded_is_indexed_without_the_model(
    tmp_path: Path, colour_folder: Path, encoder: CountingEncoder, reads: Reads
) -> None:
    embedded = pareja.embed(colour_folder, encoder)
    reads.clear()
    encoder.batches.clear()
    with pareja.open(tmp_path / "index", create=True) as shelf:
        assert shelf.index(colour_folder, encoder).added == 8
        assert encoder.batches == []
        # The header says how large a picture is; a small version, whether others look the same.
        assert sorted(reads.values()) == [2] * 8
        assert {(picture.width, picture.height) for picture in shelf.pictures()} == {(400, 320)}
        order = {digest: row for row, digest in enumerate(embedded.digests)}
        _, rows = shelf.embeddings(encoder)
        expected = embedded.vectors[[order[picture.digest] for picture in shelf.pictures()]]
        assert abs(rows - expected).max() < 1e-3


def test_what_was_indexed_is_embedded_without_the_model(
    tmp_path: Path, colour_folder: Path, encoder: CountingEncoder, reads: Reads
) -> None:
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(colour_folder, encoder)
    encoder.batches.clear()
    with EmbeddingCache() as cache:
        found = pareja.embed(colour_folder, encoder, cache=cache)
    assert (found.cached, encoder.batches) == (8, [])


def test_a_second_collection_embeds_nothing_not_even_words(
    tmp_path: Path, colour_folder: Path, encoder: CountingEncoder
) -> None:
    moved = Path(shutil.copytree(colour_folder, tmp_path / "moved"))
    for place, folder in (("one", colour_folder), ("two", moved)):
        with pareja.open(tmp_path / place, create=True) as shelf:
            assert shelf.index(folder, encoder).added == 8
    assert sum(encoder.batches) == 8
    texts = [text for batch in encoder.text_batches for text in batch]
    assert len(texts) == len(set(texts))


def test_no_cache_is_a_choice_and_so_is_another_one(
    tmp_path: Path, colour_folder: Path, encoder: CountingEncoder
) -> None:
    with EmbeddingCache(tmp_path / "own.sqlite3") as own:
        for place, cache in (("one", False), ("two", own), ("three", own)):
            with pareja.open(tmp_path / place, create=True) as shelf:
                shelf.index(colour_folder, encoder, cache=cache)
    assert sum(encoder.batches) == 16
