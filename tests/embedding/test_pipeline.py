from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.embedding.counting_encoder import CountingEncoder

from pareja.datasets.formats.folders import FileSource
from pareja.datasets.records import Dataset, Record
from pareja.embedding.cache import EmbeddingCache, Stamp, Vector
from pareja.embedding.pipeline import (
    Progress,
    embed_dataset,
    embed_sources,
    stream_images,
    text_vectors,
)
from pareja.encoders.protocols import Embeddings, Fingerprint, Pixels
from pareja.errors import EncoderError, ImageError

Paint = Callable[..., list[Path]]


def direct(paths: list[Path], encoder: CountingEncoder) -> Embeddings:
    return encoder.encode_images([Image.open(path).convert("RGB") for path in paths])


@pytest.mark.parametrize("batch_size", [1, 7, 20, 64])
@pytest.mark.parametrize("workers", [1, 4])
def test_rows_are_in_the_order_of_the_input(
    paint: Paint, encoder: CountingEncoder, batch_size: int, workers: int
) -> None:
    paths = paint(20)
    expected = direct(paths, encoder)
    result = embed_sources(paths, encoder, batch_size=batch_size, workers=workers)
    np.testing.assert_array_equal(result.vectors, expected)
    assert result.indices.tolist() == list(range(20))
    assert result.skipped == ()
    assert result.space == encoder.image_fingerprint


def test_the_model_gets_whole_batches(paint: Paint, encoder: CountingEncoder) -> None:
    embed_sources(paint(20), encoder, batch_size=8)
    assert encoder.batches == [8, 8, 4]


def test_no_pictures(encoder: CountingEncoder) -> None:
    result = embed_sources([], encoder)
    assert result.vectors.shape == (0, 12)
    assert result.vectors.dtype == np.float32
    assert result.indices.shape == (0,)
    assert encoder.batches == []


def test_bad_files_are_skipped_with_their_reason(paint: Paint, encoder: CountingEncoder) -> None:
    paths = paint(9)
    paths[2].write_text("no picture")
    paths[5].unlink()
    for cache in (None, EmbeddingCache(paths[0].parent / "cache.sqlite3")):
        result = embed_sources(paths, encoder, batch_size=4, cache=cache)
        assert result.indices.tolist() == [0, 1, 3, 4, 6, 7, 8]
        assert [name for name, _ in result.skipped] == [str(paths[2]), str(paths[5])]
        assert result.skipped[1][1] == "does not exist"
        assert len(result.vectors) == 7
        if cache is not None:
            cache.close()


def test_only_bad_files(tmp_path: Path, encoder: CountingEncoder) -> None:
    result = embed_sources([tmp_path / "a", tmp_path / "b"], encoder)
    assert result.vectors.shape == (0, 12)
    assert len(result.skipped) == 2


def test_a_bad_file_stops_on_request(paint: Paint, encoder: CountingEncoder) -> None:
    paths = paint(9)
    paths[4].write_text("no picture")
    with pytest.raises(ImageError, match=r"0004\.png"):
        embed_sources(paths, encoder, on_error="raise")


@dataclass(frozen=True)
class Drawn:
    """A picture out of nowhere."""

    number: int
    content: bytes

    def read(self) -> bytes:
        return self.content


def test_endless_input_in_bounded_memory(paint: Paint, encoder: CountingEncoder) -> None:
    content = paint(1)[0].read_bytes()
    encoder = replace(encoder, image_side=100)
    read = 0

    def endless() -> Iterator[Drawn]:
        nonlocal read
        for number in count():
            read += 1
            yield Drawn(number, content)

    peaks = []
    stream = stream_images(endless(), encoder, batch_size=4, workers=2)
    tracemalloc.start()
    for _ in range(2):
        for _ in range(100):
            next(stream)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    stream.close()  # type: ignore[attr-defined]
    # 800 prepared pictures of 30 kB would be 24 MB.
    assert peaks[1] < 4e6
    assert peaks[1] < 1.2 * peaks[0]
    assert read < 850


def test_decoding_overlaps_the_model(paint: Paint, encoder: CountingEncoder) -> None:
    busy = threading.Event()
    overlapped = threading.Event()

    class Watching(CountingEncoder):
        def prepare(self, image: Image.Image) -> Pixels:
            if busy.is_set():
                overlapped.set()
            return super().prepare(image)

        def encode_pixels(self, pixels: Pixels) -> Embeddings:
            busy.set()
            overlapped.wait(0.2)
            busy.clear()
            return super().encode_pixels(pixels)

    embed_sources(paint(40), Watching(), batch_size=4)
    assert overlapped.is_set()


def test_progress(paint: Paint, encoder: CountingEncoder) -> None:
    paths = paint(10)
    paths[1].write_text("no picture")
    seen: list[Progress] = []
    embed_sources(paths, encoder, batch_size=4, progress=seen.append)
    assert [p.done for p in seen] == [5, 9, 10]
    assert {p.total for p in seen} == {10}
    assert [p.skipped for p in seen] == [1, 1, 1]
    assert all(p.rate > 0 for p in seen)
    assert seen[0].seconds_left == pytest.approx(5 / seen[0].rate)
    assert seen[-1].seconds_left == 0
    embed_sources(iter(paths), encoder, progress=seen.append)
    assert seen[-1].total is None
    assert seen[-1].seconds_left is None


def test_an_interruption_keeps_what_was_done(
    paint: Paint, encoder: CountingEncoder, tmp_path: Path
) -> None:
    paths = paint(20)
    threads = threading.active_count()

    def interrupt(progress: Progress) -> None:
        if progress.done == 12:
            raise KeyboardInterrupt

    with EmbeddingCache(tmp_path / "cache.sqlite3") as cache:
        with pytest.raises(KeyboardInterrupt):
            embed_sources(paths, encoder, batch_size=4, cache=cache, progress=interrupt)
        # The model may have been at the next batch by then.
        assert len(cache) == sum(encoder.batches) in (12, 16)
        assert threading.active_count() == threads
        result = embed_sources(paths, encoder, batch_size=4, cache=cache)
    assert encoder.batches == [4] * 5
    np.testing.assert_array_equal(result.vectors, direct(paths, encoder))


def test_an_error_of_the_encoder_reaches_the_caller(paint: Paint) -> None:
    class Broken(CountingEncoder):
        def prepare(self, image: Image.Image) -> Pixels:
            raise RuntimeError("broken")

    start = time.perf_counter()
    with pytest.raises(RuntimeError, match="broken"):
        embed_sources(paint(9), Broken())
    assert time.perf_counter() - start < 5


def test_resumed_batches_are_those_of_an_uninterrupted_run(
    paint: Paint, encoder: CountingEncoder, tmp_path: Path
) -> None:
    paths = paint(80)
    with EmbeddingCache(tmp_path / "cache.sqlite3") as cache:
        embed_sources(paths[:62], encoder, batch_size=2, cache=cache)
        encoder.batches.clear()
        embed_sources(paths, encoder, batch_size=2, cache=cache)
    assert encoder.batches == [2] * 9


def test_texts_come_back_in_order_and_are_embedded_once(encoder: CountingEncoder) -> None:
    texts = ["a long text", "b", "", "b", "cc", "\ud800 ñ"]
    result = text_vectors(texts, encoder, batch_size=2)
    assert [len(batch) for batch in encoder.text_batches] == [2, 2, 1]
    lengths = [len(text) for batch in encoder.text_batches for text in batch]
    assert lengths == sorted(lengths)
    np.testing.assert_array_equal(result, encoder.encode_texts(texts))
    assert text_vectors([], encoder).shape == (0, 12)


def test_texts_are_cached_apart_from_pictures(encoder: CountingEncoder, tmp_path: Path) -> None:
    with EmbeddingCache(tmp_path / "cache.sqlite3") as cache:
        first = text_vectors(["one", "two"], encoder, cache=cache)
        encoder.text_batches.clear()
        again = text_vectors(["two", "three", "one"], encoder, cache=cache)
    assert encoder.text_batches == [["three"]]
    np.testing.assert_array_equal(again[[2, 0]], first)


def test_a_dataset_without_the_pictures_that_do_not_decode(
    paint: Paint, encoder: CountingEncoder, tmp_path: Path
) -> None:
    paths = paint(3)
    paths[1].write_text("no picture")
    captions = [("one", "uno"), ("two",), ("three",)]
    records = [
        Record(path.name, FileSource(path), words)
        for path, words in zip(paths, captions, strict=True)
    ]
    dataset = Dataset("three", tuple(records), tmp_path)
    seen: list[Progress] = []
    with EmbeddingCache(tmp_path / "cache.sqlite3") as cache:
        result = embed_dataset(dataset, encoder, cache=cache, progress=seen.append)
        encoder.batches.clear()
        encoder.text_batches.clear()
        embed_dataset(dataset, encoder, cache=cache)
    assert not encoder.batches
    assert not encoder.text_batches
    assert [record.file_name for record in result.dataset] == ["0000.png", "0002.png"]
    np.testing.assert_array_equal(result.images, direct([paths[0], paths[2]], encoder))
    np.testing.assert_array_equal(result.captions, encoder.encode_texts(["one", "uno", "three"]))
    assert [name for name, _ in result.skipped] == [str(paths[1])]
    assert result.seconds > 0
    assert seen[-1].done == 3


def test_the_model_is_at_the_next_batch_while_the_caller_has_one(paint: Paint) -> None:
    second = threading.Event()

    class Telling(CountingEncoder):
        def _embed_pixels(self, pixels: Pixels) -> Embeddings:
            if self.batches:
                second.set()
            return super()._embed_pixels(pixels)

    batches = stream_images(paint(8), Telling(), batch_size=4)
    next(batches)
    assert second.wait(timeout=30)
    assert len(list(batches)) == 1


def test_a_copy_in_the_next_batch_is_embedded_once_though_nothing_is_kept_yet(
    paint: Paint, encoder: CountingEncoder
) -> None:
    """A collection keeps a batch when it gets it, and the model may be at the next one by then."""

    class Late:
        def known_digest(self, stamp: Stamp) -> str | None:
            return None

        def find(self, fingerprint: Fingerprint, digests: Sequence[str]) -> dict[str, Vector]:
            return {}

        def store(self, *_: object) -> None:
            pass

    first, second, third = paint(3)
    paths = [first, second, first, third]
    batches = list(stream_images(paths, encoder, batch_size=2, cache=Late()))
    assert encoder.batches == [2, 1]
    rows = np.concatenate([batch.embeddings for batch in batches])
    np.testing.assert_array_equal(rows, direct(paths, encoder))


def test_what_the_model_gave_before_it_failed_reaches_the_caller(paint: Paint) -> None:
    class Failing(CountingEncoder):
        def _embed_pixels(self, pixels: Pixels) -> Embeddings:
            if len(self.batches) == 1:
                raise EncoderError("the network cannot be loaded")
            return super()._embed_pixels(pixels)

    batches = stream_images(paint(12), Failing(), batch_size=4)
    assert len(next(batches).indices) == 4
    with pytest.raises(EncoderError, match="cannot be loaded"):
        next(batches)
