"""Embedding very many pictures on the machines of a Ray cluster, partition by partition."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pareja.arrays import limit_cores
from pareja.embedding.partitions import Sources, planned
from pareja.embedding.parts import (
    Done,
    EmbeddedParts,
    Task,
    Work,
    embed_partition,
    require_captions,
)
from pareja.embedding.pipeline import OnProgress, Reporter
from pareja.embedding.ray_cluster import connected, share_of
from pareja.embedding.shards import ShardFolder
from pareja.encoders import load, require_images
from pareja.encoders.checkpoint import folder_named
from pareja.encoders.loading import require_fused
from pareja.encoders.protocols import Fingerprint, ImageEncoder
from pareja.errors import ClusterError, MachineError, ParejaError
from pareja.files import local_path

_TRIES = 4
"""How often a partition is begun; each time but the first, since its worker or machine died."""

_NO_MODULE = re.compile(r"No module named '([^']+)'")

_PATIENCE = 10
"""Seconds until a shard that another machine has written must be seen here."""

_AHEAD = 16
"""Partitions that wait in Ray beside two for each worker, so that no worker waits."""


@dataclass(frozen=True)
class Setup:
    """What every worker needs to know; it can be pickled.

    Parameters
    ----------
    model
        The name of the encoder, or the absolute path of its folder.
    device
        What it runs on; None for the best that the worker has.
    cores
        How many cores the worker uses.
    out
        Where the shards go.
    batch_size
        Pictures that the encoder gets at once.
    captions
        Whether each picture and its captions become one vector.
    pareja
        The version of the program that leads.
    """

    model: str
    device: str | None
    cores: int
    out: str
    batch_size: int | None
    captions: bool
    pareja: str


def embed_on_cluster(
    sources: Sources,
    model: str | os.PathLike[str],
    out: Path | str,
    *,
    address: str | None = None,
    cores: int | None = None,
    split: str | None = None,
    partition_size: int | None = None,
    batch_size: int | None = None,
    captions: bool = False,
    device: str | None = None,
    progress: OnProgress | None = None,
) -> EmbeddedParts:
    """Embed pictures into a folder of shards, on all machines of a Ray cluster.

    Partitions and shards are those of `embed_parts`, and so is what goes on when a run is repeated.
    A partition whose worker or machine died is done again, by whichever worker is free next.

    Parameters
    ----------
    sources
        Folders, pictures, patterns, and whatever else `pareja.load_dataset` reads, below paths that
        all machines of the cluster have.
    model
        The name of an encoder, or a folder with one; each worker loads it.
    out
        The folder, which all machines have.
    address
        Where the cluster's head is, as ``"10.0.0.1:6379"``; by default what the environment has as
        ``RAY_ADDRESS``, else this machine is a cluster of its own for as long as it takes.
    cores
        Cores of a worker. By default 4, or all of the smallest machine; where there are GPUs, as
        many as a machine has for each of its own.
    split
        Of each dataset only this part, as ``test``.
    partition_size
        Pictures of a partition that is no file; 2048 by default.
    batch_size
        Pictures that the encoder gets at once; 32 by default.
    captions
        Whether each picture and its captions become one vector, as in `embed_parts`.
    device
        What the encoder runs on; by default the best that a worker has. A worker has one GPU, where
        the cluster has some and this is None or ``"cuda"``.
    progress
        Called after each partition, in the caller's thread.

    Raises
    ------
    ClusterError
        If there is no such cluster, or its machines differ in what they have installed or share.
    InputError
        If no machine has so many cores, or a source is at no place.
    DatasetError
        If there are no pictures at a place, or there is no such split; if captions are asked for
        and none of the pictures that are listed has one.
    EncoderError
        If a worker cannot load the encoder, or it embeds no pictures, or none with their captions.
    FingerprintMismatchError, OutputError
        If the folder holds shards of another encoder, or of other pictures; if it cannot be
        written.
    MissingDependencyError
        If ``ray`` or ``pyarrow`` is not installed.
    """
    start = time.perf_counter()
    folder = ShardFolder(local_path(out).expanduser().absolute())
    plan = planned(sources, split=split, partition_size=partition_size)
    if captions:
        require_captions(plan)
    with connected(address) as ray:
        folder.make()
        share = share_of(ray.nodes(), cores, device)
        setup = Setup(
            model=str(folder_named(os.fspath(model)) or model),
            device=device,
            cores=int(share["num_cpus"]),
            out=str(folder),
            batch_size=batch_size,
            captions=captions,
            pareja=version("pareja"),
        )
        # Tasks, and not actors or Ray Data, whose pools are made of them: a task of a machine that
        # died runs anywhere else, at once. What was given to an actor waits until there is room for
        # that actor, and on what is left of the cluster there is none before another one ends.
        # The model stays loaded all the same, since Ray keeps a worker for tasks of one kind;
        # max_calls=0 says that this holds for those with a GPU, too.
        options = {**share, "max_retries": _TRIES - 1, "max_calls": 0}
        name, space = _answer(ray, ray.remote(**options)(described).remote(setup))
        work = Work.of(plan, out, (1, 1), name, space, captions=captions)
        done = _led(ray, ray.remote(**options)(embedded), work, setup, progress)
    return work.result(done, time.perf_counter() - start)


def described(setup: Setup) -> tuple[str, Fingerprint] | ParejaError:
    """Return the name of the encoder and its space; runs on a worker.

    An error is returned: what is raised there would arrive with the worker's whole traceback.
    """
    try:
        encoder = _encoder(setup)
    except ParejaError as error:
        return error
    return encoder.name, encoder.image_fingerprint


def embedded(task: Task, setup: Setup) -> Done | ParejaError:
    """Embed a partition; runs on a worker."""
    try:
        encoder = _encoder(setup)
        if encoder.image_fingerprint != task.shard.space:
            raise ClusterError(
                f"{setup.model} has the space {encoder.image_fingerprint} on {_machine()}, and "
                f"{task.shard.space} on another machine. Install the same packages and model files "
                "on all of them."
            )
        _require_folders(task)
        return embed_partition(
            task,
            encoder,
            ShardFolder(setup.out),
            batch_size=setup.batch_size,
            workers=setup.cores,
        )
    except MachineError as error:
        # One machine of many: the others go on.
        return Done(task.partition.number, task.partition.name, failure=f"{_machine()}: {error}")
    except ParejaError as error:
        return error


@lru_cache(maxsize=1)
def _encoder(setup: Setup) -> ImageEncoder:
    """Load the encoder, once for each worker."""
    if version("pareja") != setup.pareja:
        raise ClusterError(
            f"{_machine()} has pareja {version('pareja')}, and this one {setup.pareja}. Install "
            "the same on all machines."
        )
    if not Path(setup.out).is_dir():
        raise ClusterError(
            f"{_machine()} does not see the folder {setup.out}. Name one that all machines share."
        )
    limit_cores(setup.cores)
    encoder = require_images(load(setup.model, device=setup.device))
    if setup.captions:
        require_fused(encoder)
    return encoder


def _require_folders(task: Task) -> None:
    """Refuse pictures in files or archives of a folder that this machine does not have.

    Each of them would get a row that says that it does not exist.
    """
    sources = (item.record.source for item in task.partition.listed)
    files = (getattr(each, "path", getattr(each, "archive", None)) for each in sources)
    for folder in {file.parent for file in files if isinstance(file, Path)}:
        if not folder.is_dir():
            raise ClusterError(
                f"{_machine()} does not see the folder {folder}. Name sources that all machines "
                "share."
            )


def _machine() -> str:
    import ray

    return f"the machine {ray.util.get_node_ip_address()}"


def _led(ray: Any, embed: Any, work: Work, setup: Setup, progress: OnProgress | None) -> list[Done]:
    """Hand all tasks to workers; return what became of them, in order."""
    report = Reporter(work.pictures, progress)
    waiting = iter(work.tasks)
    running: dict[Any, Task] = {}
    done: list[Done] = []
    while True:
        room = _AHEAD + 2 * int(ray.cluster_resources().get("CPU", 0)) // setup.cores
        while len(running) < room and (task := next(waiting, None)):
            running[embed.remote(task, setup)] = task
        if not running:
            return sorted(done, key=lambda one: one.number)
        finished, _ = ray.wait(list(running))
        for reference in finished:
            done.append(_done(ray, reference, running.pop(reference), work))
            report.count(done[-1].pictures + len(done[-1].skipped), len(done[-1].skipped))


def _done(ray: Any, reference: Any, task: Task, work: Work) -> Done:
    """Return what became of a task."""
    try:
        done: Done = _answer(ray, reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        return Done(
            task.partition.number,
            task.partition.name,
            failure=f"its worker died {_TRIES} times, the last time so: {reason}",
        )
    if done.failure is None and not _appears(work.folder.location / task.shard.file_name):
        raise ClusterError(
            f"a worker wrote {task.shard.file_name}, and it is not in {work.folder} here. Name a "
            "folder that all machines of the cluster share."
        )
    return done


def _appears(path: Path) -> bool:
    """Whether a file is there, or is soon: a disk on the network may show it later."""
    for _ in range(_PATIENCE):
        if path.is_file():
            return True
        time.sleep(1)
    return path.is_file()


def _answer(ray: Any, reference: Any) -> Any:
    """Return what a worker returned; raise the error that it returned."""
    try:
        answer = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        lacking = _NO_MODULE.search(str(error))
        if lacking is None:
            raise
        raise ClusterError(
            f"a machine of the cluster has no package {lacking[1]!r}. Install the same packages on "
            "all of them."
        ) from error
    if isinstance(answer, ParejaError):
        raise answer
    return answer
