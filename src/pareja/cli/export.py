"""``pareja export``: a collection to a Parquet file, or into another store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pareja.cli.console import ForceOption, JsonOption, ModelOption, print_json, stdout
from pareja.cli.index import IndexOption, default_index
from pareja.decimals import counted


def export(
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="A .parquet file, or a new folder for a copy."),
    ],
    model: ModelOption = None,
    index_folder: IndexOption = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Where the copy keeps its vectors: qdrant://host:6333/name, with options as for "
            "pareja index."
        ),
    ] = None,
    atlas: Annotated[
        bool,
        typer.Option(
            "--atlas", help="Add x, y and neighbors to a .parquet file, for embedding-atlas."
        ),
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a collection elsewhere, embedding nothing.

    A .parquet file gets name, SHA-256, embedding and metadata of each picture, for one model, and
    nothing of their parts. A folder gets a copy of the collection, with the vectors of all models
    in its own database or in a Qdrant server.
    """
    from pareja.search import Collection

    with Collection.open(index_folder or default_index(), read_only=True) as collection:
        report = collection.export(out, model=model, store=store, atlas=atlas, force=force)
    if as_json:
        print_json({**asdict(report), "path": str(report.path)})
        return
    stdout().print(
        f"{report.path}: {counted(report.pictures, 'picture')}, "
        f"{counted(report.vectors, 'vector')} of {', '.join(report.models)}"
        + (f", and {report.regions} of parts of pictures" if report.regions else ""),
        soft_wrap=True,
    )
