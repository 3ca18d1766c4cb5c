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
    Language,
    ModelsOption,
    OutOption,
    SeedOption,
    SplitOption,
    breaking,
    command_line,
    not_empty,
    print_json,
    stdout,
)
from pareja.cli.reporting import print_reports, reporting

if TYPE_CHECKING:
    from rich.table import Table

    from pareja.analysis.alignment import Bridge
    from pareja.tasks.encoder_measures import EncoderResult
    from pareja.tasks.study import StudyResult
    from pareja.words.wording import Wording


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
    maps: Annotated[
        bool,
        typer.Option("--maps", help="Show where captions are seen in the best and worst pairs."),
    ] = False,
    mteb: Annotated[
        bool,
        typer.Option(
            "--mteb", help="Also write results/MODEL/REVISION/TASK.json, as MTEB keeps results."
        ),
    ] = False,
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
    from pareja.tasks.mteb_export import write_mteb
    from pareja.tasks.study import EMBEDDED
    from pareja.tasks.study_export import study_to_json

    if mteb and as_json and out is None:
        raise typer.BadParameter("it writes files, and there is no -o", param_hint="--mteb")
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
            maps=maps,
            progress=run.progress,
            command=command_line(),
        )
        if run.folder is not None:
            run.progress("report", None)
            files = write_folder(result, run.folder, langs=run.langs)
            if mteb:
                write_mteb(result, run.folder)
    if as_json:
        print_json(study_to_json(result, files))
        return
    print_study(result, run.langs[0])
    print_reports(folder, run.langs)


def print_study(result: StudyResult, lang: Language = "en") -> None:
    """Print the comparison as a table that fits a terminal of 80 columns."""
    from pareja.report.frame import why_left_out
    from pareja.words.wording import Wording

    console, words = stdout(), Wording(lang)
    console.print(retrieval_table(result, words))
    for found in result.comparisons:
        told = words.text(
            "terminal.study.correlation",
            a=found.a,
            b=found.b,
            rho=words.interval(found.matched_spearman),
            p=words.p(found.matched_p),
        )
        console.print(breaking(told), soft_wrap=True)
    for other in result.others:
        agreements = [
            {
                "direction": words.text(f"terminal.study.{direction}"),
                "difference": words.interval(agreement.difference),
                "p": words.p(agreement.p_value),
            }
            for direction, agreement in other.comparison.agreement.items()
        ]
        told = words.each(
            "terminal.study.column",
            agreements,
            encoder=other.encoder.name,
            captions=result.captions,
            other=other.column,
        )
        console.print(breaking(told), soft_wrap=True)
    for path, reason in result.skipped:
        why = why_left_out(result, reason, words)
        told = words.text("terminal.study.skipped", path=path, reason=why)
        console.print(breaking(told), style="yellow", soft_wrap=True)


def retrieval_table(result: StudyResult, words: Wording) -> Table:
    """Tabulate retrieval and matching of every encoder, and of a pair's ways across."""
    from rich import box
    from rich.table import Table

    dataset = result.dataset
    compared = next((encoder.bridge for encoder in result.encoders if encoder.bridge), None)
    caption = [words.text("terminal.study.recall"), words.text("terminal.study.matching")]
    if compared:
        caption.append(words.text("terminal.study.bridge", bridge=compared))
    table = Table(
        title=words.text(
            "terminal.study.title",
            dataset=dataset.name,
            pictures=words.count("picture", len(dataset)),
            captions=words.count("caption", len(dataset.captions)),
        ),
        caption="\n".join(caption),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column(words.text("terminal.study.encoder"), overflow="fold")
    to_text = words.text("terminal.study.image_to_text")
    to_image = words.text("terminal.study.text_to_image")
    for heading in (f"{to_text}\nR@1", "\nR@5", f"{to_image}\nR@1", "\nR@5", "\nAUC", "\np"):
        table.add_column(heading, justify="right", no_wrap=True)
    for encoder in result.encoders:
        rows: list[tuple[str, EncoderResult | Bridge]] = [(encoder.name, encoder)]
        if encoder.bridges:
            table.add_row(encoder.name)
            rows = [(f"  {bridge.name}", bridge) for bridge in encoder.bridges]
        for name, scores in rows:
            recalls = (scores.image_to_text.recall, scores.text_to_image.recall)
            cells = [
                cell
                for recall in recalls
                for cell in (words.interval(recall[1]), words.number(recall[5].value))
            ]
            matching = scores.matching
            auc, p = words.number(matching.auc.value), words.p_bare(matching.test.p_value)
            table.add_row(name, *map(breaking, (*cells, auc, p)))
    first = result.encoders[0]
    by_luck = [
        words.number(scores.chance_recall[k])
        for scores in (first.image_to_text, first.text_to_image)
        for k in (1, 5)
    ]
    table.add_section()
    table.add_row(words.text("terminal.study.chance"), *by_luck, words.number(0.5), "")
    return table
