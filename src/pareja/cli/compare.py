"""``pareja compare``: which model, and which prompts, are better on one's own pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.console import (
    BatchSizeOption,
    CacheOption,
    DatasetArgument,
    DeviceOption,
    ForceOption,
    JsonOption,
    LangsOption,
    ModelsOption,
    OutOption,
    SeedOption,
    SplitOption,
    Truth,
    command_line,
    print_json,
    print_warning,
    stdout,
    warn_of_skipped,
)
from pareja.cli.reporting import print_reports, reporting
from pareja.decimals import counted, decimals
from pareja.errors import some_of

if TYPE_CHECKING:
    from pareja.tasks.compare import ModelComparison


def compare(
    dataset: DatasetArgument,
    models: ModelsOption = None,
    split: SplitOption = None,
    templates: Annotated[
        list[str] | None,
        typer.Option(
            "--template",
            help="Prompts to compare, as classify takes them; several times for several sets."
            "  [default: photo, bare]",
            show_default=False,
        ),
    ] = None,
    truth: Annotated[
        Truth, typer.Option(help="The column that says what a picture shows.")
    ] = "label",
    labels: Annotated[
        str | None,
        typer.Option(help="The choices; left out, every label of the dataset.", show_default=False),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option(min=0, help="What one core costs an hour, to price 1,000 pictures."),
    ] = None,
    out: OutOption = None,
    lang: LangsOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    batch_size: BatchSizeOption = None,
    cache: CacheOption = True,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find out which model and which prompts are better on one's own labelled pictures.

    Accuracy, calibration, retrieval, speed and cost side by side, with tests; -o names a folder
    for the report (HTML, Markdown, PDF), which also explains softmax and sigmoid on the pictures.
    """
    import pareja
    from pareja.report.saving import write_comparison
    from pareja.tasks.compare_export import comparison_to_json

    with reporting(out, lang, cache=cache, force=force) as run:
        comparison = pareja.compare(
            pareja.load_dataset(dataset, split=split),
            models or "starter",
            templates=templates or ("photo", "bare"),
            truth=truth,
            labels=labels,
            price=price,
            seed=seed,
            device=device,
            batch_size=batch_size,
            cache=run.cache,
            progress=run.progress,
        )
        if run.folder is not None:
            run.progress("report", None)
            write_comparison(comparison, run.folder, langs=run.langs, command=command_line())
    warn_of_skipped(comparison.skipped)
    warn_of_left_out(comparison, truth, chosen=labels is not None)
    if as_json:
        print_json(comparison_to_json(comparison))
        return
    print_comparison(comparison)
    print_reports(out, run.langs)


def warn_of_left_out(comparison: ModelComparison, truth: Truth, *, chosen: bool) -> None:
    """Say on standard error what was not compared, and how it would be."""
    name = comparison.dataset.name
    if comparison.left_out:
        total = len(comparison.dataset) + len(comparison.skipped) + comparison.left_out
        if chosen:
            reason = f"whose {truth} is missing or not among the choices"
            advice = "Name it in --labels, or leave --labels out."
        else:
            reason = f"for want of a {truth}"
            advice = f"Fill the column {truth!r} of its metadata to compare on all."
        print_warning(
            f"{name}: {comparison.left_out} of {counted(total, 'picture')} left out, {reason}. "
            f"{advice}"
        )
    shown = {comparison.labels[place] for place in comparison.truth}
    if empty := [label for label in comparison.labels if label not in shown]:
        print_warning(
            f"{name}: no picture has the label {some_of(empty)}, so nothing tells whether it would "
            "be found. Leave it out of --labels, or add pictures of it."
        )


def print_comparison(comparison: ModelComparison) -> None:
    """Print accuracy, costs and tests, to fit a terminal of 80 columns."""
    from rich.table import Table

    from pareja.words.wording import Wording

    console, words = stdout(), Wording("en")
    first = comparison.models[0].variants[0].scores
    table = Table(
        title=f"{comparison.dataset.name}: {counted(len(comparison.dataset), 'picture')}, "
        f"{counted(len(comparison.labels), 'label')}",
        caption=f"Top-1 by chance {decimals(first.chance_top1)}, always the commonest "
        f"{decimals(first.majority)}; 95 % intervals.",
    )
    table.add_column("model", overflow="fold")
    table.add_column("prompts", overflow="fold")
    for heading in ("top-1", "balanced", "ECE", "R@1 →text"):
        table.add_column(heading, justify="right")
    for model in comparison.models:
        recall = (
            "" if model.image_to_text is None else decimals(model.image_to_text.recall[1].value)
        )
        for variant in model.variants:
            scores = variant.scores
            table.add_row(
                model.name,
                variant.prompts,
                str(scores.top1),
                decimals(scores.balanced_accuracy.value),
                decimals(scores.ece.value),
                recall,
            )
    console.print(table)
    for model in comparison.models:
        cost = model.cost
        size = "" if cost.size_mb is None else f", {cost.size_mb:.0f} MB"
        money = "" if cost.money is None else f", {cost.money:.4f} a 1,000 pictures"
        console.print(
            f"{model.name}: {cost.pictures_per_second:.1f} pictures/s, {cost.cpu_seconds:.0f} "
            f"core-seconds a 1,000 pictures{money}{size}",
        )
    for found in comparison.differences:
        agreement = found.agreement
        console.print(
            f"{found.a.model} · {found.a.prompts} minus {found.b.model} · {found.b.prompts}: "
            f"{agreement.difference}, {words.p(agreement.p_value)}",
        )
    if len(comparison.models) > 1:
        pictures = len({found.image for found in comparison.disputes})
        console.print(
            f"{counted(pictures, 'picture is', 'pictures are')} taken for different things."
        )
