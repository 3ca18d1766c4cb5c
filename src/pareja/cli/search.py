"""``pareja search``: the pictures that fit some words, or another picture."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareja.cli.console import (
    ClassifierOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    fail,
    print_json,
    print_warning,
    stderr,
    stdout,
)
from pareja.cli.index import IndexOption, default_index
from pareja.decimals import counted

if TYPE_CHECKING:
    from pareja.search import Collection, LookedUp, SearchResult, Shows, Why

# Around what a notebook shows: a page of its own, in the colours of the browser.
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>pareja search</title>
"""


def search(
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY",
            help="Words; parts may have weights: 'a cat::2 indoors::-0.5'.",
            show_default=False,
        ),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="A picture to search by, alone or with words.")
    ] = None,
    like: Annotated[
        int | None, typer.Option(help="Number of a picture of the collection: more like it.")
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,W,H",
            help="Only this part of that picture: left, top, width and height in pixels of the "
            "picture as it is shown; four numbers of at most 1 are fractions of its sides.",
            show_default=False,
        ),
    ] = None,
    minus: Annotated[str | None, typer.Option(help="Words to move away from.")] = None,
    category: Annotated[str | None, typer.Option(help="Only pictures of this category.")] = None,
    classifier: ClassifierOption = None,
    shows: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL",
            help="Only pictures to which the classifier gives this label; give it several times "
            "for any of several.",
            show_default=False,
        ),
    ] = None,
    at_least: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="How probable that label must be.  [default: 0]", show_default=False
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many pictures.")] = 5,
    offset: Annotated[
        int, typer.Option(min=0, help="How many of the best to leave out: the next page.")
    ] = 0,
    fold: Annotated[
        bool,
        typer.Option("--fold", help="Show near duplicates as one picture, with their number."),
    ] = False,
    hybrid: Annotated[
        bool,
        typer.Option("--hybrid", help="Look the words up in captions and file names too."),
    ] = False,
    model: ModelOption = None,
    device: DeviceOption = None,
    index_folder: IndexOption = None,
    open_sheet: Annotated[
        bool, typer.Option("--open", help="Show the pictures in a browser.")
    ] = False,
    paths: Annotated[
        bool, typer.Option("--paths", help="Print the pictures' paths alone, one a line.")
    ] = False,
    null: Annotated[
        bool,
        typer.Option("-0", "--null", help="Print paths alone, each ended by NUL: for xargs -0."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the pictures that are closest to some words, to a picture or a part of it, or to both.

    Says so when probably nothing in the collection is relevant.
    """
    from pareja.search import Collection, Query

    if query is None and image is None and like is None and box is None:
        raise typer.BadParameter("give words, --image FILE or --like NUMBER.")
    if as_json and (paths or null):
        fail("--json prints paths too: leave --paths and --null out.", status=2)
    conditions = _conditions(classifier, shows or [], at_least)
    # The first hybrid search leaves an index of words there, if it may.
    with Collection.open(index_folder or default_index(), read_only=not hybrid) as collection:
        # What a classifier cannot read, or does not know, is said before a model is loaded.
        for one in conditions:
            collection.labels(one.classifier).having(one.labels)
        wanted = Query(
            text=query,
            image=image,
            like=like,
            box=box,
            minus=minus,
            category=category,
            shows=conditions,
        )
        result = collection.search(
            wanted, model, k=k, offset=offset, fold=fold, hybrid=hybrid, device=device
        )
        if open_sheet:
            page = _open_page(result, collection)
            stderr().print(f"the pictures are shown in {page}", soft_wrap=True, markup=False)
    if as_json:
        print_json(search_to_json(result, image))
    elif paths or null:
        print_paths(result, b"\0" if null else b"\n")
    else:
        print_search(result)


def _conditions(
    classifier: Path | None, labels: list[str], at_least: float | None
) -> tuple[Shows, ...]:
    """Return what --classifier, --shows and --at-least ask for together."""
    if classifier is None:
        if labels or at_least is not None:
            fail(
                "--shows and --at-least need --classifier FILE, which says what pictures show; "
                "'pareja fewshot --save FILE' writes one.",
                status=2,
            )
        return ()
    from pareja.classifiers.learned import load_classifier
    from pareja.search import Shows

    learned = load_classifier(classifier)
    if not labels:
        fail(
            f"--classifier alone leaves nothing out. Add --shows with a label of {classifier}: "
            f"{', '.join(learned.labels)}.",
            status=2,
        )
    return (Shows(learned, tuple(labels), at_least or 0.0),)


def _open_page(result: SearchResult, collection: Collection) -> Path:
    """Write what was found to the folder for temporary files, and open it in the browser."""
    from pareja.notebook import show

    with tempfile.NamedTemporaryFile(
        "w", prefix="pareja-search-", suffix=".html", encoding="utf-8", delete=False
    ) as page:
        page.write(_PAGE + show(result, collection)._repr_html_())
    webbrowser.open(Path(page.name).as_uri())
    return Path(page.name)


def search_to_json(result: SearchResult, image: Path | None = None) -> dict[str, Any]:
    """Return a result in the shape that other programs rely on."""
    from pareja.regions.parts import numbers_of

    query = result.query
    return {
        "query": query.text,
        "image": None if image is None else str(image),
        "like": query.like,
        "box": None if query.box is None else numbers_of(query.box),
        "minus": query.minus,
        "category": query.category,
        "shows": [label for one in query.shows for label in one.labels],
        "model": result.model,
        "took_ms": round(result.took_ms, 3),
        "likely_relevant": result.likely_relevant,
        "offset": result.offset,
        "more": result.more,
        "looked_up": None if result.looked_up is None else asdict(result.looked_up),
        "hits": [
            {
                "rank": hit.rank,
                "id": hit.picture.id,
                "path": hit.picture.shown_path,
                "score": round(hit.score, 6),
                "caption": hit.picture.caption,
                "category": hit.picture.category,
                "part": hit.part,
                "near_duplicates": [
                    {
                        "id": other.picture.id,
                        "path": other.picture.shown_path,
                        "score": round(other.score, 6),
                    }
                    for other in hit.near_duplicates
                ],
                "why": None if hit.why is None else asdict(hit.why),
            }
            for hit in result.hits
        ],
    }


def print_paths(result: SearchResult, end: bytes) -> None:
    """Print the paths of the hits for other programs, byte for byte; all else to standard error."""
    found = [hit.picture for hit in result.hits]
    if sys.stdout.isatty():
        sys.stdout.writelines(f"{picture.shown_path}\n" for picture in found)
    else:
        sys.stdout.buffer.writelines(os.fsencode(picture.path) + end for picture in found)
    inside = sum(not picture.path.is_file() for picture in found)
    if inside:
        print_warning(
            f"{counted(inside, 'picture is', 'pictures are')} no file of the disk: in an archive, "
            "in a table, or gone"
        )
    if result.likely_relevant is False:
        print_warning(_NOTHING)


_NOTHING = (
    "Probably nothing relevant: words that have nothing to do with this collection come about as "
    "close."
)


def print_search(result: SearchResult) -> None:
    """Print the hits as a table, and a line when they are probably not what was meant."""
    from rich.table import Table
    from rich.text import Text

    console = stdout()
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right", style="dim")
    table.add_column("score", justify="right")
    table.add_column("id", justify="right", style="dim")
    table.add_column("picture", overflow="fold")
    table.add_column("category")
    for hit in result.hits:
        picture = Text(hit.picture.caption or hit.picture.shown_name)
        picture.append(f"\n{hit.picture.shown_path}", style="dim")
        if hit.part is not None:
            left, top, width, height = map(round, hit.part)
            picture.append(f"\nbest part: {width} x {height} at {left}, {top}", style="dim")
        if hit.near_duplicates:
            told = counted(len(hit.near_duplicates), "near duplicate")
            names = "".join(f"\n  {other.picture.shown_path}" for other in hit.near_duplicates)
            picture.append(f"\n{told}:{names}", style="dim")
        if hit.why is not None:
            picture.append(f"\n{_reason(hit.why)}", style="dim")
        table.add_row(
            str(hit.rank),
            f"{hit.score:.3f}",
            str(hit.picture.id),
            picture,
            Text(hit.picture.category or ""),
        )
    if result.hits:
        console.print(table)
    elif result.offset:
        console.print(f"no pictures from number {result.offset + 1} on: the search ends before.")
    else:
        console.print("no pictures")
    if result.looked_up is not None:
        console.print(_looked_up(result.looked_up), markup=False)
    if result.likely_relevant is False:
        console.print(_NOTHING)


def _reason(why: Why) -> str:
    """Say why a hybrid search has a picture where it has it."""
    from pareja.search.hybrid import WINDOW

    told = f"rank by vectors {why.rank_by_vectors or f'beyond {WINDOW}'}"
    if why.rank_by_words is not None:
        told += f", by words {why.rank_by_words}"
    return f"{told}: {', '.join(why.words)}" if why.words else told


def _looked_up(looked_up: LookedUp) -> str:
    """Say which words were looked up in captions and file names, and which were not."""
    told = f"looked up in captions and file names: {', '.join(looked_up.words) or 'no word'}"
    if looked_up.left_out:
        told += f"\nnot looked up, because they are too common: {', '.join(looked_up.left_out)}"
    return told
