"""``pareja study``: the whole comparison of encoders on one dataset."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pareja.cli.console import (
    DatasetArgument,
    DeviceOption,
    ForceOption,
    JsonOption,
    LangsOption,
    Language,
    Languages,
    ModelsOption,
    OutOption,
    SeedOption,
    command_line,
    interval,
    print_json,
    progress_bars,
    stdout,
)
from pareja.files import staged_directory

if TYPE_CHECKING:
    from rich.table import Table

    from pareja.analysis.alignment import Bridge
    from pareja.studies.study import EncoderResult, StudyResult

EMBEDDED = ("starter-unaligned", "starter")
REPORTS = ("report.html", "memoria.html")


def study(
    dataset: DatasetArgument,
    models: ModelsOption = None,
    out: OutOption = None,
    lang: LangsOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    permutations: Annotated[
        int, typer.Option(min=99, help="Random pairings of each permutation test.")
    ] = 9_999,
    resamples: Annotated[
        int, typer.Option(min=100, help="Bootstrap samples of each interval.")
    ] = 2_000,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare encoders on a dataset: whether images and captions match, and who does it best.

    Without -m, the two encoders that need no download are compared. Writes the report (HTML,
    Markdown, PDF), its figures, JSON and CSVs to the folder given by -o  [default: DATASET-study].
    With --json and no -o, nothing is written.
    """
    from pareja.datasets import load_dataset
    from pareja.encoders import load_encoder
    from pareja.report import write_folder
    from pareja.studies.export import study_to_json
    from pareja.studies.study import run_study

    loaded = load_dataset(dataset)
    folder = out or (None if as_json else Path(f"{loaded.name}-study"))
    wanted = cast(list[Language], [each.value for each in lang or [Languages.en]])
    files: dict[str, str] = {}
    with progress_bars() as progress, staged(folder, force=force) as staging:
        result = run_study(
            loaded,
            [load_encoder(name, device=device) for name in models or EMBEDDED],
            seed=seed,
            permutations=permutations,
            resamples=resamples,
            progress=progress,
            command=command_line(),
        )
        if staging is not None:
            progress("report", None)
            files = write_folder(result, staging, langs=wanted)
    if as_json:
        print_json(study_to_json(result, files))
        return
    print_study(result)
    for name in REPORTS:
        if folder is not None and name in files:
            stdout().print(str(folder / files[name]), soft_wrap=True)


def staged(folder: Path | None, *, force: bool) -> AbstractContextManager[Path | None]:
    """Open the folder to write into before any work is done; None where nothing is written."""
    return nullcontext() if folder is None else staged_directory(folder, force=force)


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
    for path, reason in result.skipped:
        console.print(f"left out: {path}: {reason}", style="yellow", soft_wrap=True)


def retrieval_table(result: StudyResult) -> Table:
    """Tabulate retrieval and matching of every encoder, and of a pair's ways across."""
    from rich import box
    from rich.table import Table

    dataset = result.dataset
    table = Table(
        title=f"{dataset.name}: {len(dataset)} pictures, {len(dataset.captions)} captions",
        caption="R@k: share of queries with a right answer among the first k [95 % interval].\n"
        "AUC, p: is a picture closer to its own caption than to others?",
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
        rows += [(f"  {bridge.name}", bridge) for bridge in encoder.bridges[1:]]
        for name, scores in rows:
            to_text, to_image = scores.image_to_text.recall, scores.text_to_image.recall
            table.add_row(
                name,
                interval(to_text[1]),
                f"{to_text[5].value:.2f}",
                interval(to_image[1]),
                f"{to_image[5].value:.2f}",
                f"{scores.matching.auc.value:.2f}",
                f"{scores.matching.test.p_value:.2g}",
            )
    first = result.encoders[0]
    by_luck = [
        f"{scores.chance_recall[k]:.2f}"
        for scores in (first.image_to_text, first.text_to_image)
        for k in (1, 5)
    ]
    table.add_section()
    table.add_row("chance", *by_luck, "0.50", "")
    return table
