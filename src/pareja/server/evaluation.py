"""How good the search is: query sets, judging them, and what follows for each encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from pareja.analysis.significance import Estimate
from pareja.search.contracts import Picture
from pareja.search.judging import QuerySetScores, differences, spaced
from pareja.server.asks import Ask
from pareja.server.engine import Engine
from pareja.server.parameters import EngineHere
from pareja.server.problems import Problem
from pareja.server.rendering import render
from pareja.server.schemas import (
    EstimateBody,
    EvaluationBody,
    ModelScoresBody,
    QueryScoreBody,
    QuerySetBody,
    QuerySetRequest,
    errors,
)
from pareja.server.settings import MAX_QUERY

MAX_QUERIES = 200
"""Most queries of a set."""

_POOLED = 10
_RESAMPLES = 2_000

router = APIRouter()

SetName = Annotated[str, Query(max_length=MAX_QUERY, description="A query set.")]


def measures(scores: QuerySetScores) -> dict[str, Estimate]:
    """Return an encoder's means over all queries, by the names that people know."""
    overall = scores.overall
    return {
        **{f"P@{k}": estimate for k, estimate in overall.precision.items()},
        f"nDCG@{overall.ndcg_at}": overall.ndcg,
        "MRR": overall.mrr,
    }


def queries_of(engine: Engine, name: str) -> tuple[str, ...]:
    """Return the queries of a set that a visitor names."""
    if name not in engine.collection.query_sets():
        raise Problem(404, "no_query_set", name=name[:80])
    return engine.collection.queries(name)


def evaluate(engine: Engine, name: str, models: Sequence[str]) -> list[QuerySetScores]:
    """Run a query set on encoders; none where nothing has been judged relevant."""
    collection = engine.collection
    if not any(any(collection.judgements(q).values()) for q in collection.queries(name)):
        return []
    return [
        collection.evaluate(engine.encoder(model), name, resamples=_RESAMPLES) for model in models
    ]


def why_counted(judged: Mapping[int, bool]) -> Literal["yes", "unjudged", "unanswered"]:
    """Return whether a query is measured: something must have been judged as an answer to it."""
    if any(judged.values()):
        return "yes"
    return "unanswered" if judged else "unjudged"


def pooled(engine: Engine, query: str) -> list[tuple[Picture, None]]:
    """Return the best of every encoder, in turns: judging one's results alone would favour it."""
    found: dict[int, Picture] = {}
    answers = [engine.search(Ask(q=query, model=model, k=_POOLED)).hits for model in engine.duals()]
    for rank in range(_POOLED):
        for hits in answers:
            if rank < len(hits):
                found.setdefault(hits[rank].picture.id, hits[rank].picture)
    return [(picture, None) for picture in found.values()]


@router.get("/evaluation", include_in_schema=False)
def evaluation_page(
    request: Request,
    engine: EngineHere,
    set: SetName = "",  # noqa: A002  the field's name
    model: Annotated[list[str] | None, Query(max_length=20)] = None,
) -> Response:
    """Show the query sets, and the measures of one of them."""
    collection = engine.collection
    names = collection.query_sets()
    chosen = set or (names[0] if names else "")
    queries = queries_of(engine, chosen) if chosen else ()
    duals = engine.duals()
    judged = {query: collection.judgements(query) for query in queries}
    models = [engine.dual(name).name for name in dict.fromkeys(model or duals)]
    scores = evaluate(engine, chosen, models) if chosen else []
    return render(
        request,
        "evaluation",
        sets=names,
        chosen=chosen,
        queries=queries,
        judged={query: len(about) for query, about in judged.items()},
        counts={query: why_counted(about) for query, about in judged.items()},
        duals=duals,
        models=models,
        scores=scores,
        measures=measures,
        differences=differences(scores, resamples=_RESAMPLES),
        by_query=[{s.query: s for s in each.queries} for each in scores],
    )


@router.get("/evaluation/judge", include_in_schema=False)
def judging_page(
    request: Request,
    engine: EngineHere,
    set: SetName,  # noqa: A002  its name in the request
    n: Annotated[int, Query(ge=1, le=MAX_QUERIES)] = 1,
) -> Response:
    """Show what the encoders find for one query of a set, to be judged."""
    queries = queries_of(engine, set)
    if n > len(queries):
        raise Problem(404, "not_found")
    query = queries[n - 1]
    return render(
        request,
        "judging",
        set=set,
        n=n,
        total=len(queries),
        query=query,
        k=_POOLED,
        entries=pooled(engine, query),
        judgements=engine.collection.judgements(query),
    )


@router.post("/query-sets", include_in_schema=False)
def create_from_page(
    engine: EngineHere,
    name: Annotated[str, Form(min_length=1, max_length=100)],
    queries: Annotated[str, Form(min_length=1, max_length=MAX_QUERIES * MAX_QUERY)],
) -> RedirectResponse:
    """Keep a query set that somebody wrote, one query a line."""
    lines = [line.strip() for line in queries.splitlines() if line.strip()]
    _create(engine, name.strip(), lines)
    return RedirectResponse(f"/evaluation?{urlencode({'set': name.strip()})}", 303)


@router.get("/v1/query-sets", tags=["evaluation"])
def list_query_sets(engine: EngineHere) -> list[QuerySetBody]:
    """List the query sets with their queries."""
    collection = engine.collection
    return [
        QuerySetBody(name=name, queries=list(collection.queries(name)))
        for name in collection.query_sets()
    ]


@router.post(
    "/v1/query-sets",
    tags=["evaluation"],
    status_code=201,
    responses=errors(400, 403, 409, 413, 415, 422),
)
def create_query_set(engine: EngineHere, request: QuerySetRequest) -> QuerySetBody:
    """Keep queries under a name, to be judged and evaluated together."""
    _create(engine, request.name, request.queries)
    return QuerySetBody(name=request.name, queries=list(engine.collection.queries(request.name)))


@router.get(
    "/v1/evaluation",
    tags=["evaluation"],
    responses=errors(404, 409, 422),
)
def evaluation(
    engine: EngineHere,
    query_set: SetName,
    model: Annotated[
        list[str] | None, Query(max_length=20, description="Encoders; by default the first.")
    ] = None,
) -> EvaluationBody:
    """Measure encoders by the judgements about a query set."""
    names = model or list(engine.models()[:1])
    queries_of(engine, query_set)
    scores = evaluate(engine, query_set, names)
    if not scores:
        raise Problem(409, "nothing_judged", name=query_set)
    return EvaluationBody(
        query_set=query_set,
        models={
            each.model: ModelScoresBody(
                overall={key: EstimateBody.of(value) for key, value in measures(each).items()},
                queries=[QueryScoreBody.of(score) for score in each.queries],
                left_out=list(each.left_out),
            )
            for each in scores
        },
    )


def _create(engine: Engine, name: str, queries: Sequence[str]) -> None:
    queries = [spaced(query) for query in queries]
    if not (spaced(name) and queries and all(queries)):
        raise Problem(422, "empty_set")
    if len(queries) > MAX_QUERIES:
        raise Problem(413, "queries", got=len(queries), limit=MAX_QUERIES)
    if name in engine.collection.query_sets():
        raise Problem(409, "set_exists", name=name)
    if max(map(len, queries)) > MAX_QUERY:
        raise Problem(422, "too_long", field="queries", limit=MAX_QUERY)
    query, times = Counter(queries).most_common(1)[0]
    if times > 1:
        raise Problem(422, "query_twice", query=query[:80])
    engine.collection.create_query_set(name, queries)
