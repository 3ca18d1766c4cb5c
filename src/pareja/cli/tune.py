"""``pareja tune``: adapt an encoder to one's own pictures, and say what that changed."""

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareja.cli.console import (
    CacheOption,
    DatasetArgument,
    DeviceOption,
    ForceOption,
    JsonOption,
    LangsOption,
    SeedOption,
    ShowProgress,
    command_line,
    fail,
    print_json,
    stdout,
    warn_of_skipped,
)
from pareja.cli.reporting import print_reports, reporting
from pareja.decimals import counted, decimals, p_decimals

if TYPE_CHECKING:
    from rich.table import Table

    from pareja.tasks.tuned import Tuned
    from pareja.tasks.tuning import OnProgress
    from pareja.tasks.tuning_measures import Measured


class Way(StrEnum):
    """The methods of `pareja.training.methods`, which --help must not import."""

    lora = "lora"
    full = "full"
    projection = "projection"
    head = "head"


class Learned(StrEnum):
    """What pictures are paired with."""

    caption = "caption"
    label = "label"
    category = "category"


class Towers(StrEnum):
    """Whose weights are trained."""

    both = "both"
    image = "image"
    text = "text"


class Losses(StrEnum):
    """How pairs are told apart."""

    softmax = "softmax"
    sigmoid = "sigmoid"


def tune(
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder of the adapted encoder.")],
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="The encoder that is adapted.")
    ] = None,
    from_scratch: Annotated[
        Path | None,
        typer.Option(
            help="Instead of -m: a JSON file that says how large the networks of a new encoder "
            "are. It learns from nothing but the dataset."
        ),
    ] = None,
    method: Annotated[
        Way | None,
        typer.Option(
            help="lora: low-rank changes of the attention, and linear maps on a pair; full: every "
            "weight; projection: the last matrix alone; head: linear maps on any encoder.  "
            "[default: lora; full from scratch]"
        ),
    ] = None,
    truth: Annotated[
        Learned, typer.Option(help="What pictures are paired with.")
    ] = Learned.caption,
    test: Annotated[
        str | None,
        typer.Option(help="Measure on this dataset instead of a part of the one learned from."),
    ] = None,
    other: Annotated[
        list[str] | None,
        typer.Option(help="A dataset on which to measure what was forgotten; may be repeated."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="A captioned dataset whose embeddings should stay as they are, or 'none'.  "
            "[default: pictures of the kind that the model knows]"
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Cross-validate: train so often on a part to measure on the rest.  [default: 5 "
            "for up to 200 pictures, 0 for more]",
        ),
    ] = None,
    towers: Annotated[Towers, typer.Option(help="Whose weights are trained.")] = Towers.both,
    blocks: Annotated[
        int | None, typer.Option(min=1, help="Train only the last so many blocks.")
    ] = None,
    mlp: Annotated[
        bool, typer.Option("--mlp", help="lora: adapt the layers behind the attention too.")
    ] = False,
    rank: Annotated[int, typer.Option(min=1, help="Rank of low-rank changes.")] = 8,
    alpha: Annotated[
        float | None,
        typer.Option(help="lora: the change counts alpha / rank.  [default: twice the rank]"),
    ] = None,
    dropout: Annotated[
        float, typer.Option(min=0, max=0.99, help="lora: share of an adapter's inputs dropped.")
    ] = 0.0,
    dora: Annotated[
        bool, typer.Option("--dora", help="lora: learn the length of weights apart (DoRA).")
    ] = False,
    loss: Annotated[
        Losses | None, typer.Option(help="[default: what the model was trained with]")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Passes over the pictures, at most.  [default: 20; 40 for lora, 100 for head]",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=2, help="Pairs that are told apart from each other.  [default: 64; 32 for lora]"
        ),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(min=1, help="Pairs in the networks at once, to save memory; same gradients."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="[default: 5e-4 for lora, 3e-4 for head, 1e-3 from scratch, else 2e-4]"),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Stop after so many epochs without gain; 0 never stops.  [default: 5; 8 for "
            "lora, 20 for head]",
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            help="A folder for what 'tensorboard --logdir' shows: loss and validation score."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="A folder for the report: before and after, HTML, Markdown and PDF."),
    ] = None,
    lang: LangsOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    cache: CacheOption = True,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Adapt an encoder to your pictures, and measure it before and after on pictures held out.

    The result is a folder that -m takes in every command. Stopped training goes on with the same
    command.
    """
    if (model is None) == (from_scratch is None):
        fail("give either --model or --from-scratch", status=2)
    if from_scratch is not None and method not in (None, Way.full):
        fail("a new encoder has no weights to adapt: --from-scratch trains all of them", status=2)
    from tempfile import TemporaryDirectory

    from pareja.report.tuning import write_tuning
    from pareja.tasks.tuning import new_encoder, tune, usual_schedule
    from pareja.tasks.tuning_export import tuned_to_json
    from pareja.training.lora import Rank

    way = method or (Way.lora if from_scratch is None else Way.full)
    usual = usual_schedule(way.value, new=from_scratch is not None)
    given: dict[str, Any] = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "patience": patience,
        "batch_size": batch_size,
    }
    schedule = replace(
        usual,
        chunk=chunk,
        seed=seed,
        **{name: value for name, value in given.items() if value is not None},
    )
    if report is not None:
        _check_apart(report, out)
    with (
        reporting(report, lang, cache=cache, force=force) as run,
        TemporaryDirectory(prefix="pareja-new-") as room,
    ):
        new = Path(room, "untrained")
        if from_scratch is not None:
            new.mkdir()
            new_encoder(from_scratch, dataset, new, seed=seed)

        result = tune(
            model or new,
            dataset,
            method=way.value,
            truth=truth.value,
            test=test,
            others=other or (),
            keep=_keep(keep, new=from_scratch is not None),
            folds=folds,
            towers=towers.value,
            rank=Rank(
                rank, 2.0 * rank if alpha is None else alpha, dropout, blocks, mlp=mlp, dora=dora
            ),
            schedule=schedule,
            loss=None if loss is None else loss.value,
            tensorboard=tensorboard,
            device=device,
            folder=out,
            force=force,
            cache=run.cache or False,
            progress=paced(run.progress),
        )
        if run.folder is not None:
            run.progress("report", None)
            write_tuning(result, run.folder, langs=run.langs, command=command_line())
    warn_of_skipped(result.skipped)
    if as_json:
        print_json(tuned_to_json(result))
        return
    print_tuned(result, "a new encoder" if model is None else result.base.name)
    print_reports(report, run.langs)


def _check_apart(report: Path, out: Path) -> None:
    """Refuse a report in the folder of the encoder, or the other way round: one replaces all."""
    one, other = report.resolve(), out.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        fail(f"--report {report} and --out {out} must be folders apart from each other", status=2)


def _keep(given: str | None, *, new: bool) -> str | bool:
    """Return what `pareja.tune` takes; a new encoder has nothing to hold on to."""
    if given is None:
        return not new
    return False if given == "none" else given


def paced(show: ShowProgress) -> OnProgress:
    """Return what `pareja.tune` calls as it goes on: it shows rate, time left and loss."""
    from pareja.embedding.pipeline import Progress

    begun: dict[str, tuple[float, int]] = {}

    def progress(what: str, done: int, of: int, loss: float | None) -> None:
        now = time.perf_counter()
        # What was done before, by a run that was stopped, says nothing about the rate.
        start, first = begun.setdefault(what, (now, done))
        rate = (done - first) / (now - start) if done > first else 0.0
        left = (of - done) / rate if rate else None
        show(what, Progress(done, of, 0, rate, left), "" if loss is None else f"loss {loss:.3f}")

    return progress


def print_tuned(result: Tuned, base: str) -> None:
    """Print what an encoder learned and forgot."""
    from rich import box
    from rich.table import Table

    console = stdout()
    *others, (last, tested) = result.parts.items()
    parts = ", ".join(f"{count} {name}" for name, count in others)
    parts += f", {counted(tested, f'{last} picture')}"
    best = f"epoch {result.best} of {len(result.history) - 1} kept"
    if not result.best:
        epochs = counted(len(result.history) - 1, "epoch")
        best = f"none of {epochs} was better than the start, which is kept"
    console.print(f"{base}, {result.method}: {parts}; {best}", soft_wrap=True)
    if result.folds:
        console.print(
            f"tested by cross-validation: {result.folds} trainings, each measured on the pictures "
            "that it did not learn from",
            soft_wrap=True,
        )
    if result.best and result.share < 1:
        console.print(f"{result.share:.0%} of the change kept, chosen on the validation part")
    if result.stopped:
        console.print(f"stopped early: {result.stopped}", style="yellow")
    table = Table(
        caption="R@1, or accuracy among labels, on pictures that were not learned from; the "
        "difference with its 95 % interval, p by McNemar's test.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    for heading in ("", "before", "after", "difference", "p", ""):
        table.add_column(heading, justify="right" if heading else "left", overflow="fold")
    measured = ([result.test] if result.test else []) + list(result.others)
    for one in measured:
        _rows(table, one)
    console.print(table)
    console.print(str(result.folder), soft_wrap=True)


def _rows(table: Table, measured: Measured) -> None:
    from pareja.analysis.verdicts import of_agreement
    from pareja.tasks.tuning_card import SAID

    table.add_row(f"{measured.name} ({len(measured.dataset)})")
    for measure, change in measured.changes.items():
        table.add_row(
            "  " + measure.replace("_to_", "→"),
            decimals(change.before.value),
            decimals(change.after.value),
            str(change.agreement.difference),
            p_decimals(change.agreement.p_value),
            SAID[of_agreement(change.agreement)],
        )
