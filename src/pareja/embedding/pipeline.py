"""From files to embeddings: decoding threads on one side, the model on the other."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pareja.datasets.images import decode_image
from pareja.datasets.records import Dataset, Source
from pareja.encoders.protocols import (
    Embeddings,
    Encoder,
    Fingerprint,
    ImageEncoder,
    Pixels,
    TextEncoder,
)
from pareja.errors import ImageError

DEFAULT_BATCH = 32

OnError = Literal["skip", "raise"]


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Parameters
    ----------
    done
        Pictures behind us: embedded, found in the cache or skipped.
    total
        Pictures in all; None where the input does not tell.
    skipped
        How many of ``done`` could not be decoded.
    rate
        Pictures a second since the start.
    seconds_left
        Expected time to the end at that rate; None where ``total`` is.
    """

    done: int
    total: int | None
    skipped: int
    rate: float
    seconds_left: float | None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class ImageBatch:
    """A stretch of the input, embedded.

    Parameters
    ----------
    indices
        Positions in the input of the pictures that decoded, rising, ``(m,)``.
    embeddings
        Their embeddings, ``(m, dim)``.
    skipped
        ``(name, reason)`` of the pictures of this stretch that did not decode.
    """

    indices: NDArray[np.intp]
    embeddings: Embeddings
    skipped: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ImageEmbeddings:
    """The embeddings of a finite set of pictures.

    Parameters
    ----------
    embeddings
        One row for each picture that decoded, in the order of the input, ``(n, dim)``.
    indices
        Positions of those pictures in the input, rising, ``(n,)``.
    skipped
        ``(name, reason)`` of the others.
    fingerprint
        The space that the embeddings lie in.
    """

    embeddings: Embeddings
    indices: NDArray[np.intp]
    skipped: tuple[tuple[str, str], ...]
    fingerprint: Fingerprint


@dataclass(frozen=True)
class DatasetEmbeddings:
    """A dataset's pictures and captions, embedded by one encoder.

    Parameters
    ----------
    images
        ``(n_images, image_dim)``, in the order of ``dataset.records``.
    captions
        ``(n_captions, text_dim)``, in the order of ``dataset.captions``.
    dataset
        The dataset without the pictures that did not decode.
    skipped
        ``(name, reason)`` of those pictures.
    seconds
        How long it took.
    """

    images: Embeddings
    captions: Embeddings
    dataset: Dataset
    skipped: tuple[tuple[str, str], ...]
    seconds: float


@dataclass(frozen=True)
class _Prepared:
    """One picture on its way to the model: its pixels, or why there are none."""

    index: int
    pixels: Pixels | None = None
    error: ImageError | None = None


def available_cores() -> int:
    """Return how many cores this process may use (a container or ``taskset`` may allow few)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def stream_images(
    sources: Iterable[Source | Path],
    encoder: ImageEncoder,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    on_error: OnError = "skip",
    progress: OnProgress | None = None,
) -> Iterator[ImageBatch]:
    """Embed any number of pictures in bounded memory, batch by batch.

    Threads decode and resize ahead of the model; no more than about two batches of pictures are
    held at once, so the input may be endless.

    Parameters
    ----------
    sources
        Files, or the sources of a dataset's records. Read lazily.
    encoder
        What embeds them.
    batch_size
        Pictures that the model gets at once; 32 by default.
    workers
        Decoding threads; by default one a core.
    on_error
        ``"skip"`` reports a picture that does not decode and goes on, ``"raise"`` stops.
    progress
        Called after each batch, in the caller's thread.

    Yields
    ------
    ImageBatch
        In the order of the input.

    Raises
    ------
    ImageError
        For the first picture that does not decode, with ``on_error="raise"``.
    """
    size = batch_size or DEFAULT_BATCH
    threads = workers or available_cores()
    total = len(sources) if isinstance(sources, Sized) else None
    numbered = iter(enumerate(sources))
    report = _Reporter(total, progress)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="pareja-decode")
    in_flight: deque[Future[_Prepared]] = deque()

    def submit(count: int) -> None:
        for index, source in islice(numbered, count):
            in_flight.append(pool.submit(_prepare, index, source, encoder))

    try:
        submit(2 * size + threads)
        while in_flight:
            batch: list[_Prepared] = []
            while in_flight and len(batch) < size:
                batch.append(in_flight.popleft().result())
                submit(1)
            yield report(_encode(batch, encoder, on_error))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def embed_images(
    sources: Iterable[Source | Path],
    encoder: ImageEncoder,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    on_error: OnError = "skip",
    progress: OnProgress | None = None,
) -> ImageEmbeddings:
    """Embed pictures, decoding them in parallel while the model runs.

    Takes the parameters of `stream_images`, raises what it raises, and returns everything at
    once.
    """
    batches = list(
        stream_images(
            sources,
            encoder,
            batch_size=batch_size,
            workers=workers,
            on_error=on_error,
            progress=progress,
        )
    )
    empty = np.empty((0, encoder.image_dim), np.float32)
    return ImageEmbeddings(
        embeddings=np.concatenate([empty, *(batch.embeddings for batch in batches)]),
        indices=np.concatenate([np.empty(0, np.intp), *(batch.indices for batch in batches)]),
        skipped=tuple(pair for batch in batches for pair in batch.skipped),
        fingerprint=encoder.image_fingerprint,
    )


def embed_texts(
    texts: Sequence[str], encoder: TextEncoder, *, batch_size: int | None = None
) -> Embeddings:
    """Embed texts, ``(n, text_dim)``, each distinct text once and in batches of similar length.

    A batch is padded to its longest text, so sorting by length is what keeps the model from
    computing on padding.
    """
    size = batch_size or DEFAULT_BATCH
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    row = {text: i for i, text in enumerate(distinct)}
    batches = [
        encoder.encode_texts(distinct[start : start + size])
        for start in range(0, len(distinct), size)
    ]
    embeddings = np.concatenate([np.empty((0, encoder.text_dim), np.float32), *batches])
    return embeddings[[row[text] for text in texts]]


def embed_dataset(
    dataset: Dataset,
    encoder: Encoder,
    *,
    progress: OnProgress | None = None,
) -> DatasetEmbeddings:
    """Embed the pictures and the captions of a dataset, leaving out pictures that do not decode.

    Parameters
    ----------
    dataset
        What to embed.
    encoder
        A dual encoder, or a pair of encoders.
    progress
        Called after each batch of pictures.
    """
    start = time.perf_counter()
    images = embed_images([record.source for record in dataset], encoder, progress=progress)
    kept = replace(dataset, records=tuple(dataset.records[i] for i in images.indices))
    captions = embed_texts(kept.captions, encoder)
    return DatasetEmbeddings(
        images=images.embeddings,
        captions=captions,
        dataset=kept,
        skipped=images.skipped,
        seconds=time.perf_counter() - start,
    )


def _prepare(index: int, source: Source | Path, encoder: ImageEncoder) -> _Prepared:
    """Decode and resize one picture; runs in a decoding thread."""
    try:
        image = decode_image(source, network_side=encoder.image_side)
    except ImageError as error:
        return _Prepared(index, error=error)
    return _Prepared(index, pixels=encoder.prepare(image))


def _encode(batch: Sequence[_Prepared], encoder: ImageEncoder, on_error: OnError) -> ImageBatch:
    """Run the model on the pictures of a batch that decoded."""
    failures = [item.error for item in batch if item.error is not None]
    if failures and on_error == "raise":
        raise failures[0]
    pixels = [item.pixels for item in batch if item.pixels is not None]
    return ImageBatch(
        indices=np.array([item.index for item in batch if item.pixels is not None], np.intp),
        embeddings=encoder.encode_pixels(np.stack(pixels))
        if pixels
        else np.empty((0, encoder.image_dim), np.float32),
        skipped=tuple((error.path, error.reason) for error in failures),
    )


class _Reporter:
    """Counts what has been done and tells the caller."""

    def __init__(self, total: int | None, progress: OnProgress | None) -> None:
        self._total = total
        self._progress = progress
        self._done = self._skipped = 0
        self._start = time.perf_counter()

    def __call__(self, batch: ImageBatch) -> ImageBatch:
        self._done += len(batch.indices) + len(batch.skipped)
        self._skipped += len(batch.skipped)
        if self._progress is not None:
            rate = self._done / max(time.perf_counter() - self._start, 1e-9)
            left = None if self._total is None else (self._total - self._done) / max(rate, 1e-9)
            self._progress(Progress(self._done, self._total, self._skipped, rate, left))
        return batch
