"""Pictures of the collection that a person should look at before others do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pareja.report.contact_sheet import flag_name
from pareja.server.parameters import EngineHere, ModelName
from pareja.server.rendering import render, words_of
from pareja.tasks.moderation import THRESHOLD, flag

router = APIRouter(include_in_schema=False)

_SHOWN = 60


@router.get("/review")
def review_page(
    request: Request,
    engine: EngineHere,
    threshold: Annotated[float, Query(ge=0, le=1)] = THRESHOLD,
    model: ModelName = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Response:
    """List what resembles the words for something unfit, blurred, the highest score first."""
    duals = engine.duals()
    encoder = engine.dual(model or next(iter(duals), ""))
    ids, vectors = engine.collection.embeddings(encoder)
    flags = flag(vectors, encoder, threshold=threshold)
    start = (page - 1) * _SHOWN
    words = words_of(request)
    return render(
        request,
        "review",
        threshold=threshold,
        model=encoder.name,
        duals=duals,
        page=page,
        more=len(flags) > start + _SHOWN,
        found=len(flags),
        total=len(ids),
        flagged=[
            (
                engine.collection.picture(int(ids[item.image])),
                flag_name(words, item.category),
                item.score,
            )
            for item in flags[start : start + _SHOWN]
        ],
    )
