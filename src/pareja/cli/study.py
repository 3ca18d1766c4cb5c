"""``pareja study``: the whole comparison of encoders on one dataset."""

from __future__ import annotations

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
    LangsOption,
    ModelsOption,
    OutOption,
    SeedOption,
    SplitOption,
    command_line,
    not_empty,
    print_json,
    stdout,
)
from pareja.cli.reporting import print_reports, reporting
from pareja.decimals import counted, decimals

if TYPE_CHECKING:
    from rich.table import Table

    from pareja.analysis.alignment import Bridge
    from pareja.tasks.encoder_measures import EncoderResult
    from pareja.tasks.study import StudyResult


def study(
    dataset: DatasetArgument,
    models: ModelsOption = None,
    split: SplitOption = None,
    captions: Annotated[
        list[str] | None,
        typer.Option(
            "--captions",
            metavar="COLUMN",
            help="The column with the captions, as caption_es; several are compared."
            "  [default: caption]",
            show_default=False,
            callback=not_empty,
        ),
    ] = None,
    out: OutOption = None,
    lang: LangsOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    batch_size: BatchSizeOption = None,
    permutations: Annotated[
        int, typer.Option(min=99, help="Random pairings of each permutation test.")
    ] = 9_999,
    resamples: Annotated[
        int, typer.Option(min=100, help="Bootstrap samples of each interval.")
    ] = 2_000,
    cache: CacheOption = True,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare encoders on a dataset: whether images and captions match, and who does it best.

    Without -m, the two encoders that need no download are compared. Writes the report (HTML,
    Markdown, PDF), its figures, JSON and CSVs to the folder given by -o  [default: DATASET-study].
    With --json and no -o, nothing is written.
    """
    import pareja
    from pareja.report import write_folder
    from pareja.tasks.study import EMBEDDED
    from pareja.tasks.study_export import study_to_json

    loaded = pareja.load_dataset(dataset, split=split)
    folder = out or (None if as_json else Path(f"{loaded.name}-study"))
    files: dict[str, str] = {}
    with reporting(folder, lang, cache=cache, force=force) as run:
        result = pareja.study(
            loaded,
            models or EMBEDDED,
            captions=captions or "caption",
            device=device,
            seed=seed,
            permutations=permutations,
            resamples=resamples,
            batch_size=batch_size,
            cache=run.cache,
            progress=run.progress,
            command=command_line(),
        )
        if run.folder is not None:
            run.progress("report", None)
            files = write_folder(result, run.folder, langs=run.langs)
    if as_json:
        print_json(study_to_json(result, files))
        return
    print_study(result)
    print_reports(folder, run.langs)


def print_study(result: StudyResult) -> None:
    """Print the comparison as a table that fits a terminal of 80 columns."""
    console = stdout()
    console.print(retrieval_table(result))
    for comparison in result.comparisons:
        rho = comparison.matched_spearman
        console.print(
            f"{comparison.a} and {comparison.b}: rank correlation of the matched similarities "
            f"{rho.value:+.2f} [{rho.low:+.2f}, {rho.high:+.2f}], p = {comparison.matched_p:.2g}",
            soft_wrap=True,
        )
    for other in result.others:
        told = []
        for direction, agreement in other.comparison.agreement.items():
            d = agreement.difference
            told.append(
                f"{direction.replace('_to_', '→')} {d.value:+.2f} [{d.low:+.2f}, {d.high:+.2f}], "
                f"p = {agreement.p_value:.2g}"
            )
        console.print(
            f"{other.encoder.name}, R@1 with {result.captions} minus {other.column}: "
            f"{'; '.join(told)}",
            soft_wrap=True,
        )
    for path, reason in result.skipped:
        console.print(f"left out: {path}: {reason}", style="yellow", soft_wrap=True)


def retrieval_table(result: StudyResult) -> Table:
    """Tabulate retrieval and matching of every encoder, and of a pair's ways across."""
    from rich import box
    from rich.table import Table

    dataset = result.dataset
    compared = next((encoder.bridge for encoder in result.encoders if encoder.bridge), None)
    table = Table(
        title=f"{dataset.name}: {counted(len(dataset), 'picture')}, "
        f"{counted(len(dataset.captions), 'caption')}",
        caption="R@k: share of queries with a right answer among the first k [95 % interval].\n"
        "AUC, p: is a picture closer to its own caption than to others?"
        + (f"\nA pair is compared with other encoders by {compared}." if compared else ""),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("encoder", overflow="fold")
    for heading in ("image→text\nR@1", "\nR@5", "text→image\nR@1", "\nR@5", "\nAUC", "\np"):
        table.add_column(heading, justify="right", no_wrap=True)
    for encoder in result.encoders:
        rows: list[tuple[str, EncoderResult | Bridge]] = [(encoder.name, encoder)]
        if encoder.bridges:
            table.add_row(encoder.name)
            rows = [(f"  {bridge.name}", bridge) for bridge in encoder.bridges]
        for name, scores in rows:
            to_text, to_image = scores.image_to_text.recall, scores.text_to_image.recall
            table.add_row(
                name,
                str(to_text[1]),
                decimals(to_text[5].value),
                str(to_image[1]),
                decimals(to_image[5].value),
                decimals(scores.matching.auc.value),
                f"{scores.matching.test.p_value:.2g}",
            )
    first = result.encoders[0]
    by_luck = [
        decimals(scores.chance_recall[k])
        for scores in (first.image_to_text, first.text_to_image)
        for k in (1, 5)
    ]
    table.add_section()
    table.add_row("chance", *by_luck, "0.50", "")
    return table
