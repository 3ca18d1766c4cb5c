"""``pareja models``: what there is, what is here, fetching and removing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareja.cli.console import JsonOption, print_json, stderr, stdout

if TYPE_CHECKING:
    from pareja.encoders.catalogue import ModelCard

models_app = typer.Typer(
    name="models", help="List, show, fetch and remove encoders.", no_args_is_help=False
)

NameArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A name of the catalogue, or owner/repo on the hub.")
]


@models_app.callback(invoke_without_command=True)
def default(context: typer.Context, as_json: JsonOption = False) -> None:
    """List, show, fetch and remove encoders. Without a command, list them."""
    if context.invoked_subcommand is None:
        list_command(as_json)


@models_app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the catalogue, and which models are on this machine."""
    from pareja.encoders import list_models

    cards = list_models()
    if as_json:
        print_json([_described(card) for card in cards])
        return
    from rich.table import Table

    # No lines and little space, so that it fits a terminal of 80 columns.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("model", "kind"):
        table.add_column(heading, no_wrap=True)
    for heading in ("dim", "MB", "IN %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("texts", "speed", "licence", "here"):
        table.add_column(heading, no_wrap=True)
    for card in cards:
        table.add_row(
            card.name,
            card.kind,
            f"{card.dim}+{card.text_dim}" if card.text_dim else str(card.dim),
            f"{card.download_mb:.0f}" if card.download_mb else "",
            f"{card.imagenet:.1f}" if card.imagenet else "",
            card.languages or "",
            card.speed,
            card.licence.removeprefix("LicenseRef-"),
            "yes" if _is_here(card) else "",
        )
    console = stdout()
    console.print(table)
    console.print(
        "\nMB: what a download takes. IN %: published zero-shot accuracy on ImageNet. speed: on a "
        "laptop's CPU. Pairs are written resnet50+distiluse. More: pareja models show MODEL",
        soft_wrap=True,
    )


@models_app.command()
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show all that is known about a model, without loading it."""
    from pareja.encoders import hub
    from pareja.encoders.catalogue import find_card

    card = find_card(name)
    if card is None:
        local = hub.snapshot(name)
        known: dict[str, Any] = {"name": name, "repository": local.repository}
        known |= _on_disk(name)
    else:
        known = _described(card)
    if as_json:
        print_json(known)
        return
    console = stdout()
    for field, value in known.items():
        if value not in (None, ""):
            console.print(f"{field:<16} {value}", soft_wrap=True)


@models_app.command()
def fetch(name: NameArgument, as_json: JsonOption = False) -> None:
    """Download a model; a download that broke off goes on where it stopped."""
    from pareja.encoders import hub

    plan = hub.plan(name)
    stderr().print(
        f"{plan.repository} at {plan.commit[:12]}: {plan.size / 1e6:,.0f} MB, of which "
        f"{plan.missing / 1e6:,.0f} MB to download; licence {plan.licence or 'not stated'}",
        soft_wrap=True,
    )
    with _download_bar(plan.size) as progress:
        snapshot = hub.fetch(name, progress)
    if as_json:
        print_json({"name": name} | _on_disk(name))
    else:
        stdout().print(str(snapshot.folder), soft_wrap=True)


@models_app.command()
def remove(name: NameArgument, as_json: JsonOption = False) -> None:
    """Delete a model from this machine, in all its versions."""
    from pareja.encoders import hub

    freed = hub.remove(name)
    if as_json:
        print_json({"name": name, "freed_bytes": freed})
    else:
        stdout().print(f"{name} is removed: {freed / 1e6:,.1f} MB are free again", soft_wrap=True)


def _is_here(card: ModelCard) -> bool:
    from pareja.encoders import hub

    return card.loader == "embedded" or hub.status(card.name) is not None


def _on_disk(name: str) -> dict[str, Any]:
    """Say where a model is and what it takes, or nothing."""
    from pareja.encoders import hub

    found = hub.status(name)
    if found is None:
        return {"here": False}
    return {
        "here": True,
        "commit": found.commit,
        "folder": str(found.folder),
        "bytes": found.size,
    }


def _described(card: ModelCard) -> dict[str, Any]:
    """Return a card's fields, and where the model is on this machine."""
    here = {"here": True} if card.loader == "embedded" else _on_disk(card.name)
    return asdict(card) | here


@contextmanager
def _download_bar(total: int) -> Iterator[Callable[[str, int, int], None]]:
    """Show a download on standard error, with rate and time left."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = stderr()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=total)

        def update(file: str, done: int, whole: int) -> None:
            bar.update(task, description=file, completed=done, total=whole)

        yield update
