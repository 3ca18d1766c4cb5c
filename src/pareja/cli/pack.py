"""``pareja pack``: the zip that is handed in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pareja.cli.check import ProfileOption, examine, print_report
from pareja.cli.console import (
    DatasetArgument,
    ForceOption,
    JsonOption,
    SplitOption,
    fail,
    print_json,
    stdout,
)
from pareja.cli.output import refuse_own_files
from pareja.decimals import counted


def pack(
    dataset: DatasetArgument,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The zip to write.  [default: DATASET.zip]"),
    ] = None,
    profile: ProfileOption = "general",
    split: SplitOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check a dataset and write it as one zip: pictures, metadata, attribution, checksums.

    Refuses a dataset with errors, and prints them. The same dataset always gives the same bytes.
    """
    from pareja.datasets import load_dataset
    from pareja.datasets import pack as write_pack

    if out is not None and out.suffix.lower() != ".zip":
        fail(f"{out}: end its name in .zip.", status=2)
    report = examine(dataset, profile, split=split)
    if not report.ok:
        if as_json:
            print_json(report.to_json())
        else:
            print_report(report)
        raise typer.Exit(1)
    loaded = load_dataset(dataset, split=split)
    target = out or Path(f"{loaded.name}.zip")
    if Path(loaded.location).is_file():
        refuse_own_files(target, [loaded.location])
    result = write_pack(loaded, target, force=force, report=report)
    if as_json:
        print_json({"path": str(result.path), "images": len(loaded), "bytes": result.size})
    else:
        stdout().print(
            f"{result.path}: {counted(len(loaded), 'picture')}, {result.size / 1e6:.1f} MB",
            soft_wrap=True,
        )
