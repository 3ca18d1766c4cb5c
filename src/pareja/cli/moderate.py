"""``pareja moderate``: pictures that a person should look at before others do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.classify import (
    CacheOption,
    LangOption,
    PicturesArgument,
    as_text,
    check_suffix,
    opened_cache,
    refuse_own_files,
    warn_of_skipped,
    write_as_named,
)
from pareja.cli.console import (
    ForceOption,
    JsonOption,
    ModelOption,
    OutOption,
    print_json,
    progress_bars,
    stdout,
)

if TYPE_CHECKING:
    from pareja.tasks.moderation import Review


def moderate(
    pictures: PicturesArgument,
    model: ModelOption = "starter",
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Score from which a picture is listed.")
    ] = 0.5,
    out: OutOption = None,
    lang: LangOption = "en",
    cache: CacheOption = True,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """List pictures that a person should look at: violence, weapons, nudity, gore, drugs, ...

    An aid, not a judge: a person decides, and what is not listed was not approved. The pictures
    are only read. -o writes a table of all scores (.csv), the list (.json) or a page with blurred
    pictures (.html).
    """
    from pareja.datasets.gathering import load_pictures
    from pareja.encoders import load_dual
    from pareja.report.contact_sheet import render_review
    from pareja.tasks.moderation import review_pictures, review_to_csv, review_to_json

    check_suffix(out)
    dataset = load_pictures(pictures)
    refuse_own_files(out, dataset)
    with progress_bars() as progress, opened_cache(cache) as kept:
        review = review_pictures(
            dataset,
            load_dual(model or "starter"),
            threshold=threshold,
            cache=kept,
            progress=partial(progress, "embed"),
        )
    warn_of_skipped(review.skipped)
    if out is not None:
        write_as_named(
            out,
            {
                ".csv": lambda: review_to_csv(review),
                ".json": lambda: as_text(review_to_json(review)),
                ".html": lambda: render_review(review, lang),
            },
            force=force,
        )
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
        console.print(f"{item.category:<20}{item.score:5.2f}  {path}", soft_wrap=True, markup=False)
    console.print(
        f"{len(review.flagged)} of {len(review.dataset)} pictures flagged by {review.model} from "
        f"{review.threshold:.2f} on. {NOTICE}",
        markup=False,
    )
