"""``pareja embed``: pictures to a file of embeddings."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.console import (
    BatchSizeOption,
    CacheOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    ModelOption,
    SplitOption,
    opened_cache,
    print_json,
    progress_bars,
    stderr,
    stdout,
)
from pareja.decimals import counted

if TYPE_CHECKING:
    from pareja.embedding.parts import EmbeddedParts


def embed(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS", help="Pictures, folders, patterns such as 'a/**/*.jpg', datasets."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="The .parquet or .npz file to write; with --part or --cluster, the folder.",
        ),
    ],
    part: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Be machine I of N: embed every N-th partition into a folder of shards, which "
            "'pareja index --embedded' takes. 1/1 does all of them.",
            show_default=False,
        ),
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="Embed all partitions on the machines of a Ray cluster, which share the folders.",
        ),
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The cluster's head.  [default: RAY_ADDRESS, or else this machine alone]",
            show_default=False,
        ),
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cores of each of the cluster's workers.  [default: 4; with GPUs, the cores "
            "that there are for each]",
            show_default=False,
        ),
    ] = None,
    partition_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Pictures of a partition, for --part and --cluster.  [default: 2048; a file of "
            "several WebDataset or Parquet shards is one]",
            show_default=False,
        ),
    ] = None,
    split: SplitOption = None,
    model: ModelOption = "starter",
    captions: Annotated[
        bool,
        typer.Option(
            "--captions",
            help="Make one vector of each picture and its captions, with a model that can, as "
            "embeddinggemma-2. Words find it as they find pictures.",
        ),
    ] = False,
    device: DeviceOption = None,
    batch_size: BatchSizeOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Decoding threads.  [default: one a core]")
    ] = None,
    cache: CacheOption = True,
    cache_file: Annotated[
        Path | None,
        typer.Option(help="Where they are kept.  [default: in the user's cache folder]"),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Embed pictures into one file, or a folder of shards: name, SHA-256 and embedding of each.

    Pictures that were embedded before are not embedded again, wherever they lie now. After an
    interruption, the same command goes on where it stopped. Files that are no readable pictures
    are listed and left out.

    With --part or --cluster, each partition of the pictures becomes a Parquet shard that appears
    when it is whole, several machines share the work, and embeddings of earlier commands are not
    looked up.
    """
    from pareja.embedding.cache import EmbeddingCache
    from pareja.embedding.cluster import embed_on_cluster
    from pareja.embedding.parts import embed_parts
    from pareja.embedding.paths import embed_paths
    from pareja.encoders import load

    if cache_file is not None and not cache:
        raise typer.BadParameter(
            "choose one of --cache-file and --no-cache", param_hint="--no-cache"
        )
    in_shards = "--cluster" if cluster else "--part" if part is not None else None
    if in_shards is None and partition_size is not None:
        raise typer.BadParameter("is for --part and --cluster", param_hint="--partition-size")
    if in_shards and (cache_file is not None or force):
        raise typer.BadParameter(
            "goes neither with --cache-file nor with --force: shards that are there are kept",
            param_hint=in_shards,
        )
    if cluster and (part is not None or workers is not None):
        raise typer.BadParameter(
            "goes neither with --part nor with --workers: Ray gives each worker its partitions and "
            "--cores",
            param_hint="--cluster",
        )
    if not cluster and (address is not None or cores is not None):
        raise typer.BadParameter("are for --cluster", param_hint="--address and --cores")
    name = model or "starter"
    if cluster:
        # Ray tells of a machine that died on standard output, which is for the result.
        with redirect_stdout(sys.stderr), progress_bars() as progress:
            parts = embed_on_cluster(
                paths,
                name,
                out,
                address=address,
                cores=cores,
                split=split,
                partition_size=partition_size,
                batch_size=batch_size,
                captions=captions,
                device=device,
                progress=lambda p: progress(f"embed · {name}", p),
            )
        print_parts(parts, name, as_json=as_json)
        return
    share = None if part is None else part_of(part)
    encoder = load(name, device=device)
    if share is not None:
        with progress_bars() as progress:
            parts = embed_parts(
                paths,
                encoder,
                out,
                part=share,
                split=split,
                partition_size=partition_size,
                batch_size=batch_size,
                workers=workers,
                captions=captions,
                progress=lambda p: progress(f"embed · {encoder.name}", p),
            )
        print_parts(parts, encoder.name, as_json=as_json)
        return
    with (
        EmbeddingCache(cache_file) if cache_file else opened_cache(cache) as store,
        progress_bars() as progress,
    ):
        result = embed_paths(
            paths,
            encoder,
            out,
            split=split,
            cache=store,
            batch_size=batch_size,
            workers=workers,
            force=force,
            captions=captions,
            progress=lambda p: progress(f"embed · {encoder.name}", p),
        )
    if as_json:
        print_json(
            {
                "out": str(result.path),
                "model": encoder.name,
                "fingerprint": str(result.fingerprint),
                "pictures": result.pictures,
                "cached": result.cached,
                "captions": captions,
                "without_caption": result.alone,
                "skipped": [{"path": path, "reason": reason} for path, reason in result.skipped],
                "seconds": round(result.seconds, 3),
            }
        )
        return
    for path, reason in result.skipped:
        stderr().print(f"left out: {path}: {reason}", style="yellow", soft_wrap=True)
    warn_of_alone(result.alone)
    what = f"{counted(result.pictures, 'picture')}{' with their captions' if captions else ''}"
    stdout().print(
        f"{result.path}: {what} ({result.cached} embedded before) in {result.seconds:.1f} s",
        soft_wrap=True,
    )


def warn_of_alone(count: int) -> None:
    """Say how many pictures have no caption, where the others were embedded with theirs."""
    if count:
        stderr().print(
            f"{counted(count, 'picture')} without a caption: embedded alone", style="yellow"
        )


def part_of(text: str) -> tuple[int, int]:
    """Return which of how many parts is meant by ``2/8``."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise typer.BadParameter(f"is {text!r}. Give i/n, as 2/8.", param_hint="--part")
    return int(number), int(count)


def print_parts(parts: EmbeddedParts, model: str, *, as_json: bool) -> None:
    """Print what became of the partitions; exit with 1 if one could not be read."""
    if as_json:
        print_json(
            {
                "out": str(parts.folder),
                "model": model,
                "fingerprint": str(parts.fingerprint),
                "pictures": parts.pictures,
                "without_caption": parts.alone,
                "written": parts.written,
                "found": parts.found,
                "missing": list(parts.missing),
                "skipped": [{"path": path, "reason": reason} for path, reason in parts.skipped],
                "failed": [{"path": path, "reason": reason} for path, reason in parts.failed],
                "seconds": round(parts.seconds, 3),
            }
        )
    else:
        for path, reason in parts.skipped:
            stderr().print(f"failed: {path}: {reason}", style="yellow", soft_wrap=True)
        for path, reason in parts.failed:
            stderr().print(f"not embedded: {path}: {reason}", style="red", soft_wrap=True)
        warn_of_alone(parts.alone)
        lacking = f", {len(parts.missing)} still missing" if parts.missing else ""
        stdout().print(
            f"{parts.folder}: {counted(parts.pictures, 'picture')} in "
            f"{counted(parts.written, 'shard')}, {parts.found} there before{lacking} "
            f"({parts.seconds:.1f} s)",
            soft_wrap=True,
        )
    if parts.failed:
        raise typer.Exit(1)
