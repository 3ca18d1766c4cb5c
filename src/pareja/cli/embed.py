"""``pareja embed``: pictures to a file of embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


def embed(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS", help="Pictures, folders, patterns such as 'a/**/*.jpg', datasets."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The .parquet or .npz file to write.")],
    split: SplitOption = None,
    model: ModelOption = "starter",
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
    """Embed pictures into one file: name, SHA-256 and embedding of each.

    Pictures that were embedded before are not embedded again, wherever they lie now. After an
    interruption, the same command goes on where it stopped. Files that are no readable pictures
    are listed and left out.
    """
    from pareja.embedding.cache import EmbeddingCache
    from pareja.embedding.paths import embed_paths
    from pareja.encoders import load

    if cache_file is not None and not cache:
        raise typer.BadParameter(
            "choose one of --cache-file and --no-cache", param_hint="--no-cache"
        )
    encoder = load(model or "starter", device=device)
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
                "skipped": [{"path": path, "reason": reason} for path, reason in result.skipped],
                "seconds": round(result.seconds, 3),
            }
        )
        return
    for path, reason in result.skipped:
        stderr().print(f"left out: {path}: {reason}", style="yellow", soft_wrap=True)
    stdout().print(
        f"{result.path}: {counted(result.pictures, 'picture')} ({result.cached} embedded before) "
        f"in {result.seconds:.1f} s",
        soft_wrap=True,
    )
