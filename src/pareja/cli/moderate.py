"""``pareja moderate``: pictures that a person should look at before others do."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.console import (
    BatchSizeOption,
    CacheOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    LangOption,
    ModelOption,
    OutOption,
    PicturesArgument,
    SplitOption,
    opened_cache,
    print_json,
    progress_bars,
    stdout,
    system_language,
    warn_of_skipped,
)
from pareja.cli.output import check_suffix, refuse_own_files, say_where, staged_output
from pareja.decimals import counted, decimals

if TYPE_CHECKING:
    from pareja.tasks.moderation import Review


def moderate(
    pictures: PicturesArgument,
    split: SplitOption = None,
    model: ModelOption = "starter",
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Score from which a picture is listed.")
    ] = 0.5,
    out: OutOption = None,
    lang: LangOption = None,
    device: DeviceOption = None,
    batch_size: BatchSizeOption = None,
    cache: CacheOption = True,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """List pictures that a person should look at: violence, weapons, nudity, gore, drugs, ...

    An aid, not a judge: a person decides, and what is not listed was not approved. The pictures
    are only read. -o writes a table of all scores (.csv), the list (.json) or a page with blurred
    pictures (.html).
    """
    import pareja
    from pareja.inputs import find_pictures
    from pareja.report.saving import review_text
    from pareja.tasks.moderation import review_to_json

    check_suffix(out)
    given = find_pictures(pictures, split=split)
    refuse_own_files(out, [given.dataset.location, *pictures])
    with (
        progress_bars() as progress,
        opened_cache(cache) as kept,
        staged_output(out, force=force) as target,
    ):
        review = pareja.moderate(
            given.dataset,
            model=model or "starter",
            threshold=threshold,
            device=device,
            batch_size=batch_size,
            cache=kept,
            progress=partial(progress, "embed"),
        )
        review = replace(review, skipped=given.skipped + review.skipped)
        if out is not None and target is not None:
            target.write(review_text(review, out, lang=lang or system_language()).encode())
    warn_of_skipped(review.skipped)
    say_where(out)
    if as_json:
        print_json(review_to_json(review))
    else:
        _print_review(review)


def _print_review(review: Review) -> None:
    """Print a line for each flagged picture, and what the list is worth."""
    from pareja.tasks.moderation import NOTICE

    console = stdout()
    for item in review.flagged:
        path = review.dataset.records[item.image].file_name
        console.print(f"{item.category:<20}{item.score:5.2f}  {path}", soft_wrap=True)
    console.print(
        f"{len(review.flagged)} of {counted(len(review.dataset), 'picture')} flagged by "
        f"{review.model} from {decimals(review.threshold)} on. {NOTICE}",
    )
