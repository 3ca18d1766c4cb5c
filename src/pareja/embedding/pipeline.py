"""From files to embeddings: decoding threads on one side, the model on the other."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from pareja.arrays import available_cores
from pareja.datasets.records import Dataset, Source
from pareja.embedding.cache import Memory, Vector, text_digest
from pareja.embedding.embedded import Embedded
from pareja.embedding.stages import (
    ImageBatch,
    ImageStages,
    Notice,
    OnError,
    Prepared,
    in_parts_that_fit,
    stacked,
)
from pareja.encoders.protocols import (
    Embeddings,
    Encoder,
    ImageEncoder,
    TextEncoder,
)
from pareja.shortages import shortage_of

DEFAULT_BATCH = 32
"""Pictures or texts that a model gets at once unless told otherwise."""

_STRETCH, _LONGEST = 8, 64


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
    stage
        What is done with the pictures, where a run does several things one after the other.
    """

    done: int
    total: int | None
    skipped: int
    rate: float
    seconds_left: float | None
    stage: str = ""


OnProgress = Callable[[Progress], None]


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


def stream_images(
    sources: Iterable[Source | Path],
    encoder: ImageEncoder,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    cache: Memory | None = None,
    on_error: OnError = "skip",
    progress: OnProgress | None = None,
    notice: Notice | None = None,
    captions: Sequence[str] | None = None,
) -> Iterator[ImageBatch]:
    """Embed any number of pictures in bounded memory, batch by batch.

    Threads decode and resize ahead of the model, and the model is at the next batch while the
    caller has one. No more than about four batches of pictures are held at once, so the input may
    be endless.

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
    cache
        Embeddings of earlier runs; new ones are stored in it batch by batch, before they are
        yielded.
    on_error
        ``"skip"`` reports a picture that does not decode and goes on, ``"raise"`` stops.
    progress
        Called after each batch, in the caller's thread.
    notice
        Returns what is to be kept of each picture that is decoded, besides its embedding; runs in
        a decoding thread.
    captions
        What each picture is embedded together with, as one vector; an empty one leaves it alone.

    Yields
    ------
    ImageBatch
        In the order of the input.

    Raises
    ------
    ImageError
        For the first picture that does not decode, with ``on_error="raise"``.
    EncoderError
        If there are captions, and the encoder makes no vector of a picture and a text together.
    MachineError
        If memory, open files or a disk fail, for one picture alone too.
    OutputError
        If the cache cannot be read or written.
    """
    size = batch_size or DEFAULT_BATCH
    threads = workers or available_cores()
    total = len(sources) if isinstance(sources, Sized) else None
    numbered = iter(enumerate(sources))
    stages = ImageStages(encoder, cache, on_error, notice, captions)
    report = Reporter(total, progress)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="pareja-decode")
    model = ThreadPoolExecutor(1, thread_name_prefix="pareja-encode")
    encoding: Future[ImageBatch] | None = None
    in_flight: deque[tuple[int, Source | Path, Future[Prepared]]] = deque()
    ahead = 2 * size + threads

    def refill() -> None:
        for index, source in islice(numbered, max(ahead - len(in_flight), 0)):
            in_flight.append((index, source, _started(pool, stages, index, source)))

    def next_one() -> Prepared:
        nonlocal ahead
        index, source, future = in_flight.popleft()
        prepared = future.result()
        if prepared.shortage is not None:
            # Again, with nobody else at work, and fewer at a time from now on.
            wait(future for _, _, future in in_flight)
            ahead = max(ahead // 2, 1)
            prepared = stages.prepare(index, source)
        if prepared.shortage is not None:
            raise prepared.shortage
        return prepared

    try:
        refill()
        while in_flight:
            batch: list[Prepared] = []
            to_encode = 0
            # The model gets whole batches, however many cached pictures lie before and between:
            # a run that goes on after an interruption makes the same batches again, and so the
            # same rounding. Only very many cached pictures end a batch early.
            while in_flight and to_encode < size:
                if len(batch) >= (_LONGEST if to_encode else _STRETCH) * size:
                    break
                batch.append(next_one())
                to_encode += batch[-1].pixels is not None
                refill()
            before, encoding = encoding, model.submit(stages.encode, batch)
            if before is not None:
                yield report(before.result())
        if encoding is not None:
            yield report(encoding.result())
    finally:
        for each in (pool, model):
            each.shutdown(wait=True, cancel_futures=True)


def embed_sources(
    sources: Iterable[Source | Path],
    encoder: ImageEncoder,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    cache: Memory | None = None,
    on_error: OnError = "skip",
    progress: OnProgress | None = None,
    captions: Sequence[str] | None = None,
) -> Embedded:
    """Embed pictures whose place is known, decoding them in parallel while the model runs.

    Parameters
    ----------
    sources
        Files, or the sources of a dataset's records.
    encoder
        What embeds them.
    batch_size
        Pictures that the model gets at once; 32 by default.
    workers
        Decoding threads; by default one a core.
    cache
        Embeddings of earlier runs; new ones are stored in it batch by batch.
    on_error
        ``"skip"`` leaves out and names a picture that does not decode, ``"raise"`` stops.
    progress
        Called after each batch, in the caller's thread.
    captions
        What each picture is embedded together with, as one vector; an empty one leaves it alone.

    Returns
    -------
    Embedded
        ``(n, dim)`` vectors; none where no picture decodes.

    Raises
    ------
    ImageError
        For the first picture that does not decode, with ``on_error="raise"``.
    EncoderError
        If there are captions, and the encoder makes no vector of a picture and a text together.
    MachineError
        If memory, open files or a disk fail, for one picture alone too.
    OutputError
        If the cache cannot be read or written.
    """
    batches = list(
        stream_images(
            sources,
            encoder,
            batch_size=batch_size,
            workers=workers,
            cache=cache,
            on_error=on_error,
            progress=progress,
            captions=captions,
        )
    )
    empty = np.empty((0, encoder.image_dim), np.float32)
    return Embedded(
        vectors=np.concatenate([empty, *(batch.embeddings for batch in batches)]),
        space=encoder.image_fingerprint,
        names=tuple(name for batch in batches for name in batch.names),
        skipped=tuple(pair for batch in batches for pair in batch.skipped),
        indices=np.concatenate([np.empty(0, np.intp), *(batch.indices for batch in batches)]),
        digests=tuple(digest for batch in batches for digest in batch.digests),
        cached=sum(batch.cached for batch in batches),
    )


def text_vectors(
    texts: Sequence[str],
    encoder: TextEncoder,
    *,
    batch_size: int | None = None,
    cache: Memory | None = None,
) -> Embeddings:
    """Embed texts, ``(n, text_dim)``, each distinct text once and in batches of similar length.

    A batch is padded to its longest text, so sorting by length is what keeps the model from
    computing on padding.

    Parameters
    ----------
    texts
        Any texts, repeated or not.
    encoder
        What embeds them.
    batch_size
        Texts that the model gets at once; 32 by default.
    cache
        Embeddings of earlier runs; new ones are stored in it batch by batch.

    Raises
    ------
    OutputError
        If the cache cannot be read or written.
    """
    size = batch_size or DEFAULT_BATCH
    fingerprint = encoder.text_fingerprint
    digests = {text: text_digest(text) for text in texts}
    vectors: dict[str, Vector] = {}
    if cache is not None:
        vectors.update(cache.find(fingerprint, list(digests.values())))
    missing = [text for text, digest in digests.items() if digest not in vectors]
    missing.sort(key=lambda text: (len(text), text))
    for start in range(0, len(missing), size):
        batch = missing[start : start + size]
        encoded = in_parts_that_fit(encoder.encode_texts, batch)
        fresh = dict(zip(map(digests.__getitem__, batch), encoded, strict=True))
        if cache is not None:
            cache.store(fingerprint, fresh)
        vectors.update(fresh)
    return stacked([vectors[digests[text]] for text in texts], encoder.text_dim)


def embed_dataset(
    dataset: Dataset,
    encoder: Encoder,
    *,
    batch_size: int | None = None,
    cache: Memory | None = None,
    progress: OnProgress | None = None,
) -> DatasetEmbeddings:
    """Embed the pictures and the captions of a dataset, leaving out pictures that do not decode.

    Parameters
    ----------
    dataset
        What to embed.
    encoder
        A dual encoder, or a pair of encoders.
    batch_size
        Pictures that it gets at once; 32 by default.
    cache
        Embeddings of earlier runs.
    progress
        Called after each batch of pictures.

    Raises
    ------
    OutputError
        If the cache cannot be read or written.
    """
    start = time.perf_counter()
    sources = [record.source for record in dataset]
    images = embed_sources(sources, encoder, batch_size=batch_size, cache=cache, progress=progress)
    kept = replace(dataset, records=tuple(dataset.records[i] for i in images.indices))
    captions = text_vectors(kept.captions, encoder, cache=cache)
    return DatasetEmbeddings(
        images=images.vectors,
        captions=captions,
        dataset=kept,
        skipped=images.skipped,
        seconds=time.perf_counter() - start,
    )


def _started(
    pool: ThreadPoolExecutor, stages: ImageStages, index: int, source: Source | Path
) -> Future[Prepared]:
    """Prepare a picture in another thread, or in this one where there can be no more of them."""
    try:
        return pool.submit(stages.prepare, index, source)
    except RuntimeError as error:
        if shortage_of(error) is None:
            raise
        done: Future[Prepared] = Future()
        done.set_result(stages.prepare(index, source))
        return done


class Reporter:
    """Counts what has been done and tells the caller.

    Parameters
    ----------
    total
        Pictures in all; None where nobody knows.
    progress
        Called after each batch.
    """

    def __init__(self, total: int | None, progress: OnProgress | None) -> None:
        self._total = total
        self._progress = progress
        self._done = self._skipped = 0
        self._start = time.perf_counter()

    def __call__(self, batch: ImageBatch) -> ImageBatch:
        """Count a batch, and return it."""
        self.count(len(batch.indices) + len(batch.skipped), len(batch.skipped))
        return batch

    def count(self, done: int, skipped: int = 0) -> None:
        """Count pictures, of which some could not be decoded."""
        self._done += done
        self._skipped += skipped
        if self._progress is not None:
            rate = self._done / max(time.perf_counter() - self._start, 1e-9)
            left = None if self._total is None else (self._total - self._done) / max(rate, 1e-9)
            self._progress(Progress(self._done, self._total, self._skipped, rate, left))


def at_stage(stage: str, progress: OnProgress | None) -> OnProgress | None:
    """Return what tells of progress at one stage of several."""
    if progress is None:
        return None
    return lambda state: progress(replace(state, stage=stage))
