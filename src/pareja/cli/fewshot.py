"""``pareja fewshot``: how much a few examples of each label help."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.console import (
    BatchSizeOption,
    CacheOption,
    DatasetArgument,
    DeviceOption,
    ForceOption,
    JsonOption,
    ModelOption,
    SeedOption,
    SplitOption,
    Truth,
    fail,
    opened_cache,
    print_json,
    progress_bars,
    stderr,
    stdout,
    warn_of_skipped,
)
from pareja.cli.output import refuse_own_files, staged_output
from pareja.decimals import counted, decimals
from pareja.errors import some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pareja.analysis.repeated import RepeatedAccuracy
    from pareja.tasks.examples import Examples
    from pareja.tasks.learning_curves import LearningCurves


class Way(StrEnum):
    """The methods of `pareja.classifiers.few_shot`, which --help must not import."""

    knn = "knn"
    prototype = "prototype"
    linear_probe = "linear-probe"
    tip_adapter = "tip-adapter"
    tip_adapter_f = "tip-adapter-f"


def fewshot(
    dataset: DatasetArgument,
    split: SplitOption = None,
    truth: Annotated[
        Truth, typer.Option(help="The column of the dataset that says what a picture shows.")
    ] = "label",
    labels: Annotated[
        str | None,
        typer.Option(
            help="Which labels: 'cat,dog', or a file with one a line.  [default: all that have "
            "enough pictures]",
            show_default=False,
        ),
    ] = None,
    shots: Annotated[
        str | None,
        typer.Option(
            help="Examples a label, as '1,2,4'.  [default: those of 1,2,4,8,16 that the labels "
            "with at least 5 pictures allow]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many times examples are drawn.")] = 10,
    method: Annotated[
        list[Way] | None,
        typer.Option(help="How to learn; give it several times.  [default: every way there is]"),
    ] = None,
    model: ModelOption = "starter",
    features: Annotated[
        str | None,
        typer.Option(
            help="Learn from another encoder's pictures, and take only the words from -m.",
            show_default=False,
        ),
    ] = None,
    template: Annotated[
        str, typer.Option(help="Prompts for the labels, as 'pareja classify' takes them.")
    ] = "photo",
    seed: SeedOption = 0,
    device: DeviceOption = None,
    batch_size: BatchSizeOption = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Also learn from all the pictures, and write the classifier here."),
    ] = None,
    cache: CacheOption = True,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn labels from a few examples of each, and measure how good that is on the others.

    Examples are drawn several times; each time the pictures that are never examples are the
    tests, the same ones for every number of shots and for zero-shot. A label takes part if it has
    a picture more than the most shots. --save writes what one --method learned, for
    'pareja classify --classifier'.
    """
    import pareja
    from pareja.classifiers.learned import serialise
    from pareja.classifiers.prompts import read_labels
    from pareja.tasks.examples import fit_classifier

    if save is not None and len(method or []) != 1:
        fail("--save writes one classifier: name one --method.", status=2)
    numbers = None if shots is None else _numbers(shots)
    choices = None if labels is None else read_labels(labels)
    loaded = pareja.load_dataset(dataset, split=split)
    refuse_own_files(save, [loaded.location])
    with (
        progress_bars() as progress,
        opened_cache(cache) as kept,
        staged_output(save, force=force) as target,
    ):
        found = pareja.fewshot(
            loaded,
            truth,
            model=model or "starter",
            features=features,
            methods=[way.value for way in method or []],
            labels=choices,
            shots=numbers,
            seeds=seeds,
            templates=template,
            seed=seed,
            device=device,
            batch_size=batch_size,
            cache=kept,
            progress=progress,
        )
        curves, examples = found.curves, found.examples
        methods = tuple(dict.fromkeys(point.method for point in curves.points))
        if target is not None:
            target.write(serialise(fit_classifier(examples, methods[0])))
    warn_of_skipped(examples.skipped)
    if as_json:
        written = None if save is None else str(save.resolve())
        print_json({**found.to_json(), "classifier": written})
        return
    print_curves(curves, examples)
    if save is not None:
        file, label = shlex.quote(str(save)), shlex.quote(examples.labels[0])
        stderr().print(
            f"{save}: {methods[0]} from {counted(len(examples.answers), 'picture')}; use it with: "
            f"pareja classify PICTURES --classifier {file}",
            f"and where {examples.encoder} indexed the pictures, with: "
            f"pareja search QUERY --classifier {file} --shows {label}",
            f"or: pareja serve --classifier {file}",
            sep="\n",
            soft_wrap=True,
        )


def print_curves(curves: LearningCurves, examples: Examples) -> None:
    """Print a row for each method and a column for each number of shots."""
    from rich.table import Table

    k = len(curves.labels)
    table = Table(
        box=None,
        pad_edge=False,
        collapse_padding=True,
        title=f"Balanced accuracy, {counted(curves.n_images, 'picture')}, {k} labels",
        caption=f"{counted(curves.n_tests, 'test')} in each of "
        f"{counted(curves.seeds, 'draw')}; by chance {decimals(1 / k)}. "
        "95 % intervals over draws and pictures."
        + (" Second line: minus zero-shot; * above 0, ° below 0." if curves.zero_shot else ""),
    )
    table.add_column("method")
    for shots in curves.shots:
        table.add_column(counted(shots, "shot"), justify="right")
    if curves.zero_shot is not None:
        table.add_row("zero-shot", *[_cell(curves.zero_shot)] * len(curves.shots))
    for method in dict.fromkeys(point.method for point in curves.points):
        own = [point.scores for point in curves.points if point.method == method]
        table.add_row(method, *map(_cell, own))
    console = stdout()
    console.print(table)
    if examples.left_out:
        named = some_of([f"{label} ({n})" for label, n in examples.left_out])
        console.print(
            f"left out, for {counted(curves.shots[-1], 'shot')} and a test are more pictures than "
            f"they have: {named}",
            soft_wrap=True,
        )


def _cell(scores: RepeatedAccuracy) -> str:
    """Return the accuracy, and below it the gain over zero-shot that decides about the mark."""
    from pareja.analysis.verdicts import by_interval

    if scores.gain is None:
        return str(scores.balanced)
    mark = {"above": "*", "below": "°", "not_shown": " "}[by_interval(scores.gain)]
    return f"{scores.balanced} \n{scores.gain}{mark}"


def _numbers(given: str) -> Sequence[int]:
    """Read '1,2,4'."""
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() and 0 < int(part) < 10**6 for part in parts):
        fail(f"--shots {given}: write whole numbers from 1 on, as '1,2,4'.", status=2)
    return [int(part) for part in parts]
