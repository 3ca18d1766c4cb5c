"""``pareja classify``: what pictures show, by naming the choices."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareja.cli.console import (
    BatchSizeOption,
    CacheOption,
    ClassifierOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    LangOption,
    ModelOption,
    OutOption,
    PicturesArgument,
    SeedOption,
    SplitOption,
    Truth,
    fail,
    not_empty,
    opened_cache,
    print_json,
    print_warning,
    progress_bars,
    stdout,
    system_language,
    warn_of_skipped,
)
from pareja.cli.output import check_suffix, refuse_own_files, say_where, staged_output
from pareja.decimals import counted, decimals
from pareja.errors import some_of

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from pareja.analysis.classification import ClassificationScores
    from pareja.classifiers.predictor import Predictor
    from pareja.tasks.evaluation import Evaluation
    from pareja.tasks.labelling import Labelled


# Above this a table with a column for each label is no help to anybody.
_MANY_LABELS = 100
_FEW = 5
_WIDEST = 40


def classify(
    pictures: PicturesArgument,
    split: SplitOption = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="What they may show: 'cat,dog', or a file with one label a line; 'gato=cat' where "
            "--truth calls it otherwise. Left out, every label that --truth knows.",
        ),
    ] = None,
    classifier: ClassifierOption = None,
    shots: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            help="Learn from these pictures and their labels, in place of words.",
            callback=not_empty,
        ),
    ] = None,
    model: ModelOption = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="A prompt with {} for the label, a file of them, or a set: bare, photo, clip7, "
            "clip80, foto, es7.  [default: photo]",
            show_default=False,
        ),
    ] = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="A picture may have several labels, or none.")
    ] = False,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Say 'none of these' of pictures that fit no label.")
    ] = False,
    unknown_from: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            help="Find the threshold for 'none of these' on these held-out pictures.",
            callback=not_empty,
        ),
    ] = None,
    truth: Annotated[
        Truth | None,
        typer.Option(help="Measure against this column of the dataset.", show_default=False),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            "-k",
            min=1,
            help=f"Labels written for each picture.  [default: all, or {_FEW} of more than "
            f"{_MANY_LABELS}]",
            show_default=False,
        ),
    ] = None,
    out: OutOption = None,
    lang: LangOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    batch_size: BatchSizeOption = None,
    cache: CacheOption = True,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what pictures show, by naming the choices: zero-shot classification.

    With --shots or --classifier, by what is or was learned from examples. The pictures are only
    read. -o writes a table (.csv), everything (.json) or a page with the pictures sorted into their
    labels (.html).
    """
    import pareja
    from pareja.inputs import find_pictures
    from pareja.report.saving import labelled_text
    from pareja.tasks.labelling_export import labelled_to_json

    learned_from = None if shots is None else "--shots"
    if classifier is not None:
        learned_from = "--classifier"
        if shots is not None:
            fail(
                "--shots learns a classifier and --classifier has one: give one of them.", status=2
            )
    if learned_from is not None:
        if multi_label or unknown or {labels, template, unknown_from} != {None}:
            fail(
                f"{learned_from} has its own labels and always gives one: leave out --labels, "
                "--template, --multi-label, --unknown and --unknown-from.",
                status=2,
            )
    elif labels is None and truth is None:
        fail(
            "no labels. Pass --labels 'cat,dog', or --truth label for the dataset's own.", status=2
        )
    check_suffix(out)
    given = find_pictures(pictures, split=split)
    refuse_own_files(out, [given.dataset.location, *pictures])
    with (
        progress_bars() as progress,
        opened_cache(cache) as kept,
        staged_output(out, force=force) as target,
    ):
        shared: dict[str, Any] = {"device": device, "batch_size": batch_size, "cache": kept}
        learned: Predictor | Path | None = classifier
        if shots is not None:
            learned = pareja.learn(
                shots, model=model or "starter", progress=partial(progress, "examples"), **shared
            )
        labelled = pareja.classify(
            given.dataset,
            labels,
            model=model,
            classifier=learned,
            templates="photo" if template is None else template,
            multi_label=multi_label,
            unknown=unknown,
            unknown_from=unknown_from,
            truth=truth or ("label" if labels is None and learned is None else None),
            seed=seed,
            progress=partial(progress, "embed"),
            **shared,
        )
        labelled = replace(labelled, skipped=given.skipped + labelled.skipped)
        if most is None and len(labelled.result.labels) > _MANY_LABELS:
            most = _FEW
        if out is not None and target is not None:
            target.write(
                labelled_text(labelled, out, lang=lang or system_language(), most=most).encode()
            )
    warn_of_gaps(labelled)
    say_where(out)
    if as_json:
        print_json(labelled_to_json(labelled, most))
    elif out is None:
        print_labels(labelled)
    if not as_json and labelled.evaluation is not None:
        print_evaluation(labelled.evaluation)


def warn_of_gaps(labelled: Labelled) -> None:
    """Say on standard error what was left out, and which labels could not be measured."""
    warn_of_skipped(labelled.skipped)
    if labelled.evaluation is not None and labelled.evaluation.empty:
        names = some_of(labelled.evaluation.empty)
        print_warning(f"no picture has the label {names}: its recall cannot be measured")


def print_labels(labelled: Labelled) -> None:
    """Print a line for each picture: its labels, how probable or how certain, and the truth."""
    from rich.cells import cell_len

    console = stdout()
    result = labelled.result
    width = min(_WIDEST, max(map(cell_len, (*result.labels, "none of these"))))
    for i, record in enumerate(labelled.dataset):
        names = result.assigned(i)
        scores = result.scores(i, None if result.multi_label else 1)
        shown = ", ".join(names) or "none of these"
        score = scores[names[0]] if names else max(scores.values())
        # What the threshold is about: the only label's share of all labels is always 1.
        if result.threshold is not None:
            score = float(result.certainty[i])
        told = ""
        if labelled.truth is not None and labelled.truth[i] is not None:
            told = f"  [{labelled.truth[i]}]"
        console.print(
            # Not str.ljust: a Chinese character takes two columns.
            f"{shown}{' ' * (width - cell_len(shown))}  {score:5.2f}  {record.file_name}{told}",
            soft_wrap=True,
        )


def print_evaluation(evaluation: Evaluation) -> None:
    """Print how good the labels are, beside chance."""
    console = stdout()
    if evaluation.scores is not None:
        _print_scores(evaluation.scores)
    if evaluation.several is not None:
        several = evaluation.several
        console.print(
            f"\n{counted(several.n_images, 'picture')}, {counted(len(several.labels), 'label')}"
        )
        console.print(
            f"mean average precision  {several.mean_average_precision}   "
            f"(chance {decimals(several.chance_map)})"
        )
        console.print(f"micro F1                {several.micro_f1}")
        console.print(f"macro F1                {several.macro_f1}")
    if evaluation.rejection is not None:
        found = evaluation.rejection
        console.print(
            f"none of these: {counted(found.n_unknown, 'picture has', 'pictures have')} "
            f"another label; AUROC {found.auroc}. A certainty of {decimals(found.threshold)} "
            f"refuses {found.refused} of them and keeps {found.kept} of the others",
        )


def _print_scores(scores: ClassificationScores) -> None:
    from rich.table import Table

    table = Table(
        title=f"{counted(scores.n_images, 'picture')}, {counted(len(scores.labels), 'label')}",
        caption="95 % intervals. ECE: how far confidence is from accuracy.",
    )
    columns: dict[str, JustifyMethod] = {
        "measure": "left",
        "value": "right",
        "by chance": "right",
    }
    for heading, justify in columns.items():
        table.add_column(heading, justify=justify)
    k = len(scores.labels)
    rows = [
        ("top-1 accuracy", scores.top1, decimals(scores.chance_top1)),
        ("  always the commonest", None, decimals(scores.majority)),
        ("top-5 accuracy", scores.top5, decimals(scores.chance_top5)),
        ("balanced accuracy", scores.balanced_accuracy, decimals(1 / k)),
        ("macro F1", scores.macro_f1, ""),
        ("ECE", scores.ece, f"{decimals(scores.honest_ece)} if honest"),
    ]
    for name, estimate, chance in rows:
        table.add_row(name, str(estimate) if estimate else "", chance)
    stdout().print(table)
