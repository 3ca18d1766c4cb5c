"""Embedding very many pictures part by part, on one machine or on several that share a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pareja.decimals import counted
from pareja.embedding.partitions import Item, Partition, Plan, Sources, planned
from pareja.embedding.paths import without_captions
from pareja.embedding.pipeline import OnProgress, Reporter, stream_images
from pareja.embedding.shards import Shard, ShardFolder, ShardRows
from pareja.embedding.stages import ImageBatch, together_with
from pareja.encoders import AnyEncoder, require_images
from pareja.encoders.loading import require_fused
from pareja.encoders.protocols import Fingerprint, ImageEncoder
from pareja.errors import DatasetError


@dataclass(frozen=True)
class EmbeddedParts:
    """What a run did, and what the folder lacks after it.

    Parameters
    ----------
    folder
        Where the shards are.
    written, found
        How many partitions of this run's share it embedded, and how many were there before.
    missing
        Numbers of the partitions that have no shard yet, those of other shares too.
    pictures
        How many pictures this run embedded.
    skipped
        ``(name, reason)`` of the pictures that this run could not decode; their rows say it too.
    failed
        ``(partition, reason)`` of partitions that could not be read. The same run tries them again.
    fingerprint
        The space of the embeddings.
    seconds
        How long it took.
    alone
        How many of the pictures have no caption, where the others were embedded with theirs.
    """

    folder: Path
    written: int
    found: int
    missing: tuple[int, ...]
    pictures: int
    skipped: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]
    fingerprint: Fingerprint
    seconds: float
    alone: int = 0


@dataclass(frozen=True)
class Done:
    """What became of one partition.

    Parameters
    ----------
    number, name
        Which one.
    pictures
        How many of its pictures have an embedding.
    skipped
        ``(name, reason)`` of the others.
    failure
        Why there is no shard; None where there is one.
    alone
        How many of its pictures have no caption, where captions count.
    """

    number: int
    name: str
    pictures: int = 0
    skipped: tuple[tuple[str, str], ...] = ()
    failure: str | None = None
    alone: int = 0


@dataclass(frozen=True)
class Task:
    """One partition and the shard that it is embedded into; it can be pickled."""

    partition: Partition
    shard: Shard


@dataclass(frozen=True)
class Work:
    """What is to be done in one run.

    Parameters
    ----------
    plan
        All partitions.
    folder
        Where the shards go.
    tasks
        This run's share of the partitions, without those that have their shard.
    found
        How many of its share have one.
    space
        The space of the embeddings.
    """

    plan: Plan
    folder: ShardFolder
    tasks: tuple[Task, ...]
    found: int
    space: Fingerprint

    @classmethod
    def of(
        cls,
        plan: Plan,
        out: Path | str,
        part: tuple[int, int],
        model: str,
        space: Fingerprint,
        *,
        captions: bool = False,
    ) -> Work:
        """Find out what a share of a plan has still to do.

        Raises
        ------
        InputError
            If there is no such share.
        FingerprintMismatchError, OutputError
            If the folder holds shards of another space, or of other pictures, or the captions
            count in its shards alone, or in this run's.
        """
        folder = ShardFolder(out)
        share = [
            Task(partition, Shard.of_partition(partition, plan, model, space, captions=captions))
            for partition in plan.part(*part)
        ]
        if share:
            folder.refuse_others(share[0].shard)
        there = set(folder.names())
        tasks = tuple(task for task in share if task.shard.file_name not in there)
        return cls(plan, folder, tasks, len(share) - len(tasks), space)

    @property
    def pictures(self) -> int | None:
        """How many pictures the tasks have; None where shards of datasets are among them."""
        if self.plan.pictures is None:
            return None
        return sum(len(task.partition.listed) for task in self.tasks)

    def result(self, done: Sequence[Done], seconds: float) -> EmbeddedParts:
        """Sum up what became of the tasks.

        Raises
        ------
        DatasetError
            If the partitions that were embedded hold no picture.
        """
        written = [one for one in done if one.failure is None]
        skipped = tuple(pair for one in written for pair in one.skipped)
        pictures = sum(one.pictures for one in written)
        if written and not pictures and not skipped:
            raise DatasetError(
                f"{', '.join(self.plan.sources)}: there are no pictures of this `split` in "
                f"{counted(len(written), 'shard')}."
            )
        return EmbeddedParts(
            folder=self.folder.location,
            written=len(written),
            found=self.found,
            missing=self.folder.missing(len(self.plan.partitions)),
            pictures=pictures,
            skipped=skipped,
            failed=tuple((one.name, one.failure) for one in done if one.failure is not None),
            fingerprint=self.space,
            seconds=seconds,
            alone=sum(one.alone for one in written),
        )


def embed_partition(
    task: Task,
    encoder: ImageEncoder,
    folder: ShardFolder,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    on_batch: Callable[[ImageBatch], object] | None = None,
) -> Done:
    """Embed one partition and write its shard.

    Parameters
    ----------
    task
        What to embed.
    encoder
        What embeds it.
    folder
        Where the shard goes.
    batch_size
        Pictures that the encoder gets at once; 32 by default.
    workers
        Decoding threads; by default one a core.
    on_batch
        Called after each batch.

    Raises
    ------
    MachineError
        If memory, open files or a disk fail.
    OutputError
        If the shard cannot be written.
    """
    with ExitStack() as reading:
        try:
            items = reading.enter_context(task.partition.opened())
        except DatasetError as error:
            return Done(task.partition.number, task.partition.name, failure=str(error))
        texts = [together_with(item.record) for item in items] if task.shard.captions else None
        rows = _embedded(items, encoder, texts, batch_size, workers, on_batch)
    folder.write(task.shard, rows)
    skipped = [
        (str(item.record.source), error)
        for item, error in zip(items, rows.errors, strict=True)
        if error is not None
    ]
    without = zip(texts or (), rows.errors, strict=False)
    return Done(
        task.partition.number,
        task.partition.name,
        len(items) - len(skipped),
        tuple(skipped),
        alone=sum(not text and error is None for text, error in without),
    )


def _embedded(
    items: Sequence[Item],
    encoder: ImageEncoder,
    texts: Sequence[str] | None,
    batch_size: int | None,
    workers: int | None,
    on_batch: Callable[[ImageBatch], object] | None,
) -> ShardRows:
    """Embed pictures, perhaps each together with a text; return the rows of their shard."""
    vectors = np.zeros((len(items), encoder.image_dim), np.float32)
    digests: list[str | None] = [None] * len(items)
    errors: list[str | None] = [None] * len(items)
    start = 0
    for batch in stream_images(
        [item.record.source for item in items],
        encoder,
        batch_size=batch_size,
        workers=workers,
        captions=texts,
    ):
        stop = start + len(batch.indices) + len(batch.skipped)
        vectors[batch.indices] = batch.embeddings
        for index, digest in zip(batch.indices, batch.digests, strict=True):
            digests[index] = digest
        lost = sorted(set(range(start, stop)).difference(batch.indices.tolist()))
        for index, (_, reason) in zip(lost, batch.skipped, strict=True):
            errors[index] = reason
        start = stop
        if on_batch is not None:
            on_batch(batch)
    return ShardRows(items, digests, vectors, errors)


def require_captions(plan: Plan) -> None:
    """Refuse pictures none of which has a caption, as far as they are listed.

    Raises
    ------
    DatasetError
        If all are listed, and none has one.
    """
    listed = (item.record for partition in plan.partitions for item in partition.listed)
    if plan.pictures is not None and not any(map(together_with, listed)):
        raise without_captions(", ".join(plan.sources))


def embed_parts(
    sources: Sources,
    encoder: AnyEncoder,
    out: Path | str,
    *,
    part: tuple[int, int] = (1, 1),
    split: str | None = None,
    partition_size: int | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    captions: bool = False,
    progress: OnProgress | None = None,
) -> EmbeddedParts:
    """Embed pictures into a folder of shards, or one machine's share of them.

    Pictures are cut into partitions, the same way on every machine, and each partition becomes one
    Parquet file (`pareja.embedding.shards`) that appears when it is whole. Machines that share the
    folder, or whose folders are put together later, need nobody who leads them. A run that ended
    early goes on when it is repeated: partitions that have their shard are left as they are. What
    is in a file is looked at once: of a picture that was changed since, indexing says so.

    Parameters
    ----------
    sources
        Folders, pictures, patterns, and whatever else `pareja.load_dataset` reads.
    encoder
        What embeds them.
    out
        The folder.
    part
        ``(i, n)``: machine i of n, from 1; this run embeds every n-th partition.
    split
        Of each dataset only this part, as ``test``.
    partition_size
        Pictures of a partition; 2048 by default. Each file of a dataset of several WebDataset or
        Parquet shards is one partition, however many pictures it has.
    batch_size
        Pictures that the encoder gets at once; 32 by default.
    workers
        Decoding threads; by default one a core.
    captions
        Whether each picture and its captions become one vector, in the same space. A picture
        without a caption is embedded alone.
    progress
        Called after each batch, in the caller's thread.

    Raises
    ------
    InputError
        If there is no such part, or a source is at no place.
    DatasetError
        If there are no pictures at a place, or there is no such split; if captions are asked for
        and none of the pictures that are listed has one.
    EncoderError
        If the encoder embeds no pictures, or none with their captions.
    FingerprintMismatchError, OutputError
        If the folder holds shards of another encoder, or of other pictures, or with captions where
        they do not count now, or without.
    MachineError
        If memory, open files or a disk fail.
    MissingDependencyError
        If ``pyarrow`` is not installed.
    """
    start = time.perf_counter()
    images = require_images(encoder)
    if captions:
        require_fused(images)
    plan = planned(sources, split=split, partition_size=partition_size)
    if captions:
        require_captions(plan)
    work = Work.of(plan, out, part, images.name, images.image_fingerprint, captions=captions)
    report = Reporter(work.pictures, progress)
    done = [
        embed_partition(
            task, images, work.folder, batch_size=batch_size, workers=workers, on_batch=report
        )
        for task in work.tasks
    ]
    return work.result(done, time.perf_counter() - start)
