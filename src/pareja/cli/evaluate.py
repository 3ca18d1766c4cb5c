"""``pareja evaluate``: how good the searches of a collection are, by what was judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.console import (
    DeviceOption,
    JsonOption,
    ModelsOption,
    SeedOption,
    print_json,
    stdout,
)
from pareja.cli.index import IndexOption, default_index
from pareja.decimals import decimals
from pareja.errors import CollectionError

if TYPE_CHECKING:
    from pareja.search import Collection, QuerySetScores

BUNDLED = ("commons200-en", "commons200-es")


def evaluate(
    query_set: Annotated[
        str,
        typer.Argument(
            metavar="QUERY_SET",
            help=f"A set of judged queries; {' and '.join(BUNDLED)} come along.",
        ),
    ] = BUNDLED[0],
    models: ModelsOption = None,
    device: DeviceOption = None,
    index_folder: IndexOption = None,
    fold: Annotated[
        bool, typer.Option("--fold", help="Take near duplicates for one picture, as search does.")
    ] = False,
    hybrid: Annotated[
        bool,
        typer.Option("--hybrid", help="Look the words up in captions and file names too."),
    ] = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure searches by judged queries: P@1, P@3, P@5, nDCG@5 and MRR, with intervals.

    The bundled sets are judged by the labels of commons200, which the collection must hold.
    """
    from pareja.search import Collection, bundled_queries

    with Collection.open(index_folder or default_index()) as collection:
        name, _, language = query_set.rpartition("-")
        if query_set in BUNDLED and collection.answers(bundled_queries(name)):
            collection.add_bundled_queries(bundled_queries(name), query_set, language)
        check_query_set(query_set, collection)
        results = [
            collection.evaluate(
                collection.encoder(model, device=device),
                query_set,
                fold=fold,
                hybrid=hybrid,
                seed=seed,
            )
            for model in models or collection.models()
        ]
    if as_json:
        print_json(
            {
                "query_set": query_set,
                "fold": fold,
                "hybrid": hybrid,
                "models": {scores.model: scores.to_json() for scores in results},
            }
        )
        return
    how = "".join(f", {name}" for name, on in (("folded", fold), ("hybrid", hybrid)) if on)
    for scores in results:
        print_scores(scores, how)


def check_query_set(name: str, collection: Collection) -> None:
    """Raise if a collection has no query set of that name, before a model is loaded."""
    known = collection.query_sets()
    if name in BUNDLED and name not in known:
        dataset = name.rpartition("-")[0]
        own = f", or name a set of your own: {', '.join(known)}" if known else ""
        raise CollectionError(
            f"{collection.path} does not hold the pictures that {name} is about. Add them with: "
            f"pareja index {dataset} --index {collection.path}{own}."
        )
    collection.queries(name)


def print_scores(scores: QuerySetScores, how: str = "") -> None:
    """Print one encoder's scores as a table, whose title ends in how was searched."""
    from rich.table import Table
    from rich.text import Text

    overall = scores.overall
    table = Table(box=None, pad_edge=False, title=f"{scores.query_set}, {scores.model}{how}")
    table.add_column("query", overflow="fold")
    names = [*(f"P@{k}" for k in overall.precision), f"nDCG@{overall.ndcg_at}", "MRR"]
    for name in [*names, "relevant"]:
        table.add_column(name, justify="right")
    for query in scores.queries:
        numbers = [*query.precision.values(), query.ndcg, query.reciprocal_rank]
        table.add_row(
            Text(query.query), *(decimals(number) for number in numbers), str(query.known)
        )
    means = [*overall.precision.values(), overall.ndcg, overall.mrr]
    table.add_section()
    table.add_row("mean", *(decimals(mean.value) for mean in means), style="bold")
    table.add_row("95 % from", *(decimals(mean.low) for mean in means), style="dim")
    table.add_row("95 % to", *(decimals(mean.high) for mean in means), style="dim")
    console = stdout()
    console.print(table)
    if scores.left_out:
        console.print(f"left out, nothing judged relevant: {', '.join(scores.left_out)}")
