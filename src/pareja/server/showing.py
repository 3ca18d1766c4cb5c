"""The page that shows where in a picture some words are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from pareja.report.html import data_uri
from pareja.report.located import legend, told_places
from pareja.report.overlay import warmed
from pareja.server.parameters import EngineHere, ModelName, PictureId
from pareja.server.rendering import render, words_of
from pareja.server.settings import MAX_QUERY

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

SIDE = 800
"""Most pixels of the longer side of the picture that is shown."""


@router.get("/pictures/{id}/where")
def where_page(
    request: Request,
    engine: EngineHere,
    id: PictureId,  # noqa: A002  what its URL calls it
    q: Annotated[str, Query(max_length=MAX_QUERY)] = "",
    model: ModelName = "",
) -> Response:
    """Show a picture under the map of what speaks for some words, and say where that is."""
    picture = engine.collection.picture(id)
    words, wanted = words_of(request), " ".join(q.split())
    located = engine.located(picture, wanted, model, SIDE) if wanted else None
    shown = None
    if located is not None:
        seen = located.pictures[0]
        place = seen.places[0]
        shown = {
            "drawn": (drawn := warmed(seen, place, SIDE)),
            "src": data_uri(drawn),
            "score": words.number(place.score),
            "lines": told_places(seen, place, words),
            "legend": legend(located, words),
        }
    return render(request, "where", picture=picture, model=model, q=wanted, shown=shown)
