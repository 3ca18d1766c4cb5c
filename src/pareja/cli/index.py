"""``pareja index``: pictures into a collection."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareja.cli.console import (
    BatchSizeOption,
    CacheOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    SplitOption,
    not_empty,
    print_json,
    print_warning,
    progress_bars,
    stderr,
    stdout,
)
from pareja.decimals import counted
from pareja.errors import some_of
from pareja.search.vectors.quantization import Quantization

if TYPE_CHECKING:
    from pareja.search import Collection, IndexReport, VerifyReport

WATCH_SECONDS = 2.0

IndexOption = Annotated[
    Path | None,
    typer.Option(
        "--index",
        help="Folder of the collection.  [default: PAREJA_INDEX, or one in your data folder]",
        show_default=False,
    ),
]


def index(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PICTURES",
            help="Folders, pictures, zips, bundled names (commons200): whatever pareja reads.",
            show_default=False,
            callback=not_empty,
        ),
    ] = None,
    split: SplitOption = None,
    model: ModelOption = None,
    regions: Annotated[
        bool | None,
        typer.Option(
            "--regions/--no-regions",
            help="Embed nine overlapping parts of each picture too, so that small things are "
            "found: ten times the time and room. The collection remembers it.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = None,
    index_folder: IndexOption = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Where vectors are kept: qdrant://host:6333/name, with ?shards=3&replicas=2 for a "
            "cluster."
        ),
    ] = None,
    quantization: Annotated[
        Quantization | None,
        typer.Option(
            help="What searches compare with: int8 and binary take less memory and may miss a "
            "picture. The collection remembers it.",
            show_default=False,
        ),
    ] = None,
    embedded: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Take the vectors from shards of 'pareja embed --part', and embed nothing. "
            "PICTURES is where the pictures are on this machine.",
            show_default=False,
        ),
    ] = None,
    batch_size: BatchSizeOption = None,
    cache: CacheOption = True,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and follow what changes on disk.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the collection and rebuild what is derived.")
    ] = False,
    gone: Annotated[
        list[str] | None,
        typer.Option(
            "--forget",
            metavar="PLACE",
            help="Take out what was indexed from a folder that is gone for good, or not wanted.",
            callback=not_empty,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Index pictures, so that `pareja search` finds them; unchanged ones cost nothing.

    Adds what is new, notices what was moved, changed or deleted, and lists what it skipped and
    why. Ended at any moment, the next run goes on. Pictures that another command embedded are not
    embedded again. A collection holds the vectors of several models side by side; the first one is
    its default.
    """
    from pareja.search import Collection

    if embedded is not None and (not pictures or watch):
        raise typer.BadParameter(
            "needs PICTURES, the folder that they are in here, and goes not with --watch: shards "
            "do not change.",
            param_hint="--embedded",
        )
    if not (pictures or verify or gone or quantization):
        raise typer.BadParameter(
            "name the pictures to index, or pass --verify, --forget or --quantization."
        )
    folder = index_folder or default_index()
    with Collection.open(
        folder, create=bool(pictures), store=store, quantization=quantization
    ) as collection:
        told: dict[str, Any] = {}
        if quantization:
            told["quantization"] = quantization
            if not as_json:
                stdout().print(
                    f"Searches in {collection.path} compare {quantization} vectors.",
                    soft_wrap=True,
                )
        if gone:
            removed = {place: collection.forget(place) for place in gone}
            told |= {"forgotten": removed, "pictures": collection.count()}
            if not as_json:
                print_forgotten(removed, collection)
        if pictures:
            run = partial(
                collection.index,
                model=model,
                split=split,
                regions=regions,
                device=device,
                batch_size=batch_size,
                cache=cache,
                embedded=embedded,
            )
            with progress_bars() as progress:
                report = run(
                    pictures, progress=lambda p: progress(f"index{p.stage and ' · '}{p.stage}", p)
                )
            told |= index_to_json(report, collection)
            if not as_json:
                print_index(report, collection)
        if verify:
            checked = collection.verify(repair=True)
            told |= {**asdict(checked), "ok": checked.ok}
            if not as_json:
                print_verify(checked, collection)
        if as_json:
            print_json(told)
        if verify and not checked.ok:
            raise typer.Exit(1)
        if watch and pictures:
            follow(run, pictures, collection, as_json=as_json)


def default_index() -> Path:
    """Return the collection that is used where none is named.

    It is one for each user, so that a search works from any folder, and nothing is written among
    one's pictures.
    """
    from platformdirs import user_data_path

    return Path(os.environ.get("PAREJA_INDEX") or user_data_path("pareja") / "index")


def follow(
    run: Callable[[list[str]], IndexReport],
    pictures: list[str],
    collection: Collection,
    *,
    as_json: bool,
) -> None:
    """Index again and again, until interrupted; say only what changed."""
    from pareja.errors import DatasetError

    stderr().print(f"watching {', '.join(pictures)}; press Ctrl-C to stop")
    complaints: dict[str, str] = {}
    while True:
        time.sleep(WATCH_SECONDS)
        # All at once, for what has left one folder may be in another.
        rounds = [pictures]
        for places in rounds:
            try:
                report = run(places)
            except DatasetError as error:
                # A folder that is being moved, or a disk that is away for a while, comes back;
                # until then the others are followed one by one.
                if len(places) > 1:
                    rounds += [[place] for place in places]
                elif complaints.get(places[0]) != str(error):
                    complaints[places[0]] = str(error)
                    print_warning(str(error))
                continue
            for place in places:
                complaints.pop(place, None)
            changes = changes_of(report)
            if changes and as_json:
                print_json(index_to_json(report, collection))
            elif changes:
                print_moves(report)
                stdout().print(changes)


def changes_of(report: IndexReport) -> str:
    """Return what indexing changed, in words; empty where nothing did."""
    counts = {
        "added": report.added,
        "moved": report.moved,
        "updated": report.updated,
        "removed": report.removed,
        "with regions": report.regions,
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def print_moves(report: IndexReport) -> None:
    """Print which files were moved, and where to, if any were."""
    if report.moves:
        shown = (" -> ".join(_apart(before, now)) for before, now in report.moves)
        stdout().print(f"{report.moved} moved: {some_of(shown)}", soft_wrap=True)


def _apart(before: str, now: str) -> tuple[str, str]:
    """Return two paths from the folder on that they have in common."""
    folder = Path(os.path.commonpath([before, now]))
    if folder == Path(folder.anchor):
        return before, now
    return str(Path(before).relative_to(folder)), str(Path(now).relative_to(folder))


def index_to_json(report: IndexReport, collection: Collection) -> dict[str, Any]:
    """Return what indexing did, and every file that it skipped."""
    return {
        **asdict(report),
        "skipped": [{"path": path, "reason": reason} for path, reason in report.skipped],
        "moves": [{"from": before, "to": now} for before, now in report.moves],
        "index": str(collection.path),
        "pictures": collection.count(),
    }


def print_index(report: IndexReport, collection: Collection) -> None:
    """Print what indexing did, and every file that it skipped."""
    console = stdout()
    for path, reason in report.skipped:
        console.print(f"skipped {path}: {reason}", soft_wrap=True)
    print_moves(report)
    done = changes_of(report) or "nothing new"
    further = {
        "unchanged": report.unchanged,
        "copies": report.duplicates,
        "skipped": len(report.skipped),
    }
    done += "".join(f", {count} {what}" for what, count in further.items() if count)
    console.print(
        f"{counted(collection.count(), 'picture')} in {collection.path}: {done} "
        f"({report.seconds:.1f} s, {report.model})",
        soft_wrap=True,
    )


def print_forgotten(removed: dict[str, int], collection: Collection) -> None:
    """Print how many pictures went with each place."""
    for place, count in removed.items():
        stdout().print(
            f"{counted(count, 'picture')} of {place} left {collection.path}", soft_wrap=True
        )


def print_verify(report: VerifyReport, collection: Collection) -> None:
    """Print what is wrong with a collection, if anything."""
    console = stdout()
    for problem in report.problems:
        console.print(problem, soft_wrap=True)
    if report.ok:
        console.print(
            f"{collection.path} is sound: {counted(report.pictures, 'picture')}, "
            f"{counted(report.vectors, 'vector')}"
            + (f", {report.regions} of parts of pictures." if report.regions else "."),
            soft_wrap=True,
        )
    elif report.repaired:
        console.print("What is derived was rebuilt, and rows that lead nowhere were removed.")
    elif collection.read_only:
        console.print("Nothing was rebuilt: the collection may not be written to.")
