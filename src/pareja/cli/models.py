"""``pareja models``: what there is, what is here, fetching and removing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareja.cli.console import ForceOption, JsonOption, print_json, stderr, stdout
from pareja.decimals import counted, decimals
from pareja.errors import ModelUnavailableError

if TYPE_CHECKING:
    from rich.table import Table

    from pareja.encoders.catalogue import ModelCard
    from pareja.encoders.hub import Plan
    from pareja.tasks.quantising import Quantisation

models = typer.Typer(
    name="models", help="List, show, fetch and remove encoders.", no_args_is_help=False
)

_LEGEND = (
    "MB: what a download takes. Published results in percent: IN is zero-shot accuracy on "
    "ImageNet; COCO and es are captions that find their picture first, in English (COCO) and in "
    "Spanish (Crossmodal-3600). speed: on a laptop's CPU."
)
NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A name of the catalogue, owner/repo on the hub, or a pair of these: resnet50+minilm.",
    ),
]


class Uses(StrEnum):
    """The values of `pareja.encoders.recommending.Use`, which --help must not import."""

    es = "es"
    slow_cpu = "slow-cpu"
    commercial = "commercial"


UsesOption = Annotated[
    list[Uses] | None,
    typer.Option(
        "--for",
        help="Say which model to take: for texts in Spanish, for a slow CPU, for commercial use. "
        "Repeat it for several at once.",
    ),
]


@models.callback(invoke_without_command=True)
def default(context: typer.Context, uses: UsesOption = None, as_json: JsonOption = False) -> None:
    """List, show, fetch and remove encoders. Without a command, list them."""
    if context.invoked_subcommand is not None:
        if uses:
            raise typer.BadParameter("goes without a command after it.", param_hint="--for")
    elif uses:
        _recommend(uses, as_json)
    else:
        list_command(as_json)


def _recommend(uses: Sequence[Uses], as_json: bool) -> None:
    """Say which model to take, why, and what else there is."""
    from pareja.encoders.recommending import recommend_models

    found = recommend_models(*(use.value for use in uses))
    if as_json:
        print_json(
            [
                _plain(_described(one.card)) | {"reasons": one.reasons, "measured": one.measured}
                for one in found
            ]
        )
        return
    console = stdout()
    if not found:
        console.print("No model of the catalogue serves all of these uses.")
        return
    best, *others = found
    console.print(f"Take {best.card.name}: {best.card.title}", soft_wrap=True)
    for reason in best.reasons:
        console.print(f"- {reason}", soft_wrap=True)
    if not _is_here(best.card):
        console.print(f"Get it with: pareja models fetch {best.card.name}", soft_wrap=True)
    measure = "es" if Uses.es in uses else "COCO"
    for title, group in (
        (f"Next, ranked by {measure}", [one for one in others if one.measured]),
        (f"Without a published figure for {measure}", [one for one in others if not one.measured]),
    ):
        if group:
            console.print(f"\n{title}:")
            console.print(_table(one.card for one in group))
    console.print(f"\n{_LEGEND}", soft_wrap=True)


def _table(cards: Iterable[ModelCard]) -> Table:
    """Return a table of models, one a row, without lines and as narrow as a terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("model", "kind"):
        table.add_column(heading, no_wrap=True)
    for heading in ("MB", "IN", "COCO", "es"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("texts", "speed", "licence", "here"):
        table.add_column(heading, no_wrap=True)
    for card in cards:
        table.add_row(
            card.name,
            card.kind,
            f"{card.download_mb:.0f}" if card.download_mb else "",
            f"{card.imagenet.percent:.1f}" if card.imagenet else "",
            f"{card.coco.pictures:.1f}" if card.coco and card.coco.pictures else "",
            f"{card.xm3600.es:.1f}" if card.xm3600 else "",
            card.languages or "",
            card.speed or "",
            card.licence.removeprefix("LicenseRef-"),
            "yes" if _is_here(card) else "",
        )
    return table


@models.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the catalogue, and which models are on this machine."""
    from pareja.encoders.catalogue import list_detectors, list_models

    cards = (*list_models(), *list_detectors())
    if as_json:
        print_json([_plain(_described(card)) for card in cards])
        return
    console = stdout()
    console.print(_table(cards))
    console.print(
        f"\n{_LEGEND} Pairs are written resnet50+distiluse. "
        "With sources and more: pareja models show MODEL",
        soft_wrap=True,
    )


@models.command()
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show all that is known about a model, or about both of a pair, without loading it."""
    parts = _parts(name)
    known = [_known(part) for part in parts]
    if as_json:
        known = [_plain(described) for described in known]
        print_json({"name": name, "kind": "pair", "models": known} if len(parts) > 1 else known[0])
        return
    console = stdout()
    for place, described in enumerate(known):
        if place:
            console.print()
        for field, value in described.items():
            if value not in (None, "", 0, ()):
                console.print(f"{field:<16} {value}", soft_wrap=True)


@models.command()
def merge(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="What `pareja tune` wrote.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder of the plain model.")],
    force: ForceOption = False,
) -> None:
    """Write an adapted model as a plain one, which transformers loads."""
    from pareja.tasks.merging import merge as write_merged

    stdout().print(str(write_merged(folder, out, force=force)), soft_wrap=True)


@models.command()
def quantise(
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="A dual encoder or an image encoder.")
    ],
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            help="Pictures like those that the model shall embed: a dataset or a folder. Half of "
            "them, at most 300, set the steps of int8; the others are measured.",
        ),
    ] = "commons200",
    as_json: JsonOption = False,
) -> None:
    """Make a model's image network compute in int8, and say what that costs and saves."""
    from pareja.tasks.quantising import quantise as run

    made = run(name, dataset)
    if as_json:
        print_json(asdict(made) | {"folder": str(made.folder), "speedup": made.speedup})
        return
    console = stdout()
    for line in _of_quantisation(made):
        console.print(line, soft_wrap=True)


def _of_quantisation(made: Quantisation) -> Iterator[str]:
    """Say what int8 changed, in the order in which one decides by it."""
    yield (
        f"{made.model} in int8, by {counted(made.sample, 'picture')}; measured on "
        f"{counted(made.pictures, 'other')}, against {made.precision}:"
    )
    yield f"- cosine to before: median {made.cosine_median:.4f}, lowest {made.cosine_lowest:.4f}"
    yield f"- of the {made.nearest} nearest pictures, {100 * made.shared:.0f} % stay"
    for direction, (before, after) in made.recall.items():
        found = made.agreement[direction].difference
        yield (
            f"- R@1 {direction.replace('_', ' ')}: {decimals(before)} before, {decimals(after)} "
            f"after; difference {decimals(-found.value)} "
            f"[{decimals(-found.high)}, {decimals(-found.low)}]"
        )
    if not made.recall:
        yield "- R@1: not measured, without captions in the space of the pictures"
    yield (
        f"- network alone, here: {made.milliseconds_before:.2f} ms of CPU a picture before, "
        f"{made.milliseconds_after:.2f} after: {made.speedup:.1f} times as fast"
    )
    yield f"- {made.megabytes_before:.1f} MB before, {made.megabytes_after:.1f} after"
    if made.skipped:
        yield f"- {counted(len(made.skipped), 'picture')} could not be read"
    if made.speedup < 1:
        yield (
            "It is slower here: on a CPU without VNNI or AMX, and in a very small network, int8 "
            "does not pay."
        )
    yield f"Use it as -m {made.name}; nothing takes it by default."


@models.command()
def fetch(name: NameArgument, as_json: JsonOption = False) -> None:
    """Download a model, or both of a pair; a download that broke off goes on where it stopped."""
    from pareja.encoders import hub

    parts = _from_the_hub(name)
    plans = [hub.plan(part) for part in parts]
    for plan in plans:
        stderr().print(
            f"{plan.repository} at {plan.commit[:12]}: {_sizes([plan])}; "
            f"licence {plan.licence or 'not stated'}",
            soft_wrap=True,
        )
    if len(plans) > 1:
        stderr().print(f"together: {_sizes(plans)}", soft_wrap=True)
    hub.check_room(plans)
    for plan in plans:
        with _download_bar(plan.size) as progress:
            snapshot = hub.fetch(plan.name, progress)
        if not as_json:
            stdout().print(str(snapshot.folder), soft_wrap=True)
    if as_json:
        here = [{"name": part} | _on_disk(part) for part in parts]
        print_json({"name": name, "models": here} if len(_parts(name)) > 1 else here[0])


@models.command()
def remove(name: NameArgument, as_json: JsonOption = False) -> None:
    """Delete a model, or both of a pair, from this machine, in all its versions."""
    from pareja.encoders import hub

    freed: dict[str, int] = {}
    absent: list[ModelUnavailableError] = []
    for part in _from_the_hub(name):
        try:
            freed[part] = hub.remove(part)
        except ModelUnavailableError as error:
            absent.append(error)
    if not freed:
        raise absent[0]
    if as_json:
        print_json({"name": name, "freed_bytes": sum(freed.values())})
        return
    for part, size in freed.items():
        stdout().print(f"{part} is removed: {size / 1e6:,.1f} MB are free again", soft_wrap=True)


def _parts(name: str) -> tuple[str, ...]:
    """Return the models that a name stands for: both halves of a pair."""
    from pareja.encoders.loading import pair_halves

    return pair_halves(name) or (name,)


def _from_the_hub(name: str) -> tuple[str, ...]:
    """Return those that are downloaded: a half may also be part of pareja, or a folder."""
    from pareja.encoders.catalogue import find_card

    def is_here(part: str) -> bool:
        card = find_card(part)
        return card is not None and card.repository is None

    parts = _parts(name)
    remote = tuple(p for p in parts if not is_here(p) and not Path(p).expanduser().is_dir())
    # One that is none of the hub's has its own message there.
    return remote or parts


def _sizes(plans: Sequence[Plan]) -> str:
    """Say how large models are, and how much of that is still to come."""
    size, missing = sum(plan.size for plan in plans), sum(plan.missing for plan in plans)
    return f"{size / 1e6:,.0f} MB, of which {missing / 1e6:,.0f} MB to download"


def _is_here(card: ModelCard) -> bool:
    from pareja.encoders import hub

    if card.folder is not None:
        return Path(card.folder).is_dir()
    return card.repository is None or hub.status(card.name) is not None


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
    here = {"here": _is_here(card)} if card.repository is None else _on_disk(card.name)
    return {field.name: getattr(card, field.name) for field in fields(card)} | here


def _plain(described: dict[str, Any]) -> dict[str, Any]:
    """Return the same, with figures as tables, for JSON."""
    return {
        key: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for key, value in described.items()
    }


def _known(name: str) -> dict[str, Any]:
    """Return all that is known of one model, by its card or by its files."""
    from pareja.encoders import hub
    from pareja.encoders.catalogue import find_card

    card = find_card(name)
    if card is not None:
        return _described(card)
    local = hub.snapshot(name)
    return {"name": name, "repository": local.repository} | _on_disk(name)


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
