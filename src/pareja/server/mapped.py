"""The page that places pictures on a plane."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from pareja.search.contracts import Picture
from pareja.search.mapping import MapPoint
from pareja.server.parameters import EngineHere, ModelName
from pareja.server.rendering import render

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

WIDTH, HEIGHT = 1_000, 640
"""Of the plane, in its own units."""

ZOOMS = (1, 2, 4, 8, 16, 24)
"""Steps of the zoom at which more of the points become pictures; 24 is the closest."""

GROWTH = 0.35
"""A picture grows by this power of the zoom, so that zooming in takes a crowd apart."""

_MARGIN = 0.9
# A picture and the room around it.
_CELL = 58, 46


@dataclass(frozen=True)
class Placed:
    """A picture on the plane: its place, and the zoom from which on there is room to show it."""

    picture: Picture
    x: float
    y: float
    zoom: int


def placed(points: Iterable[MapPoint]) -> list[Placed]:
    """Give every point its place, and the first zoom at which no other picture is in its room.

    Examples
    --------
    >>> from pathlib import Path
    >>> a, b, c = (Picture(n, "", Path("a.jpg")) for n in range(3))
    >>> crowd = [MapPoint(a, 0, 0), MapPoint(b, 0.02, 0), MapPoint(c, 1, 1)]
    >>> [(p.x, p.y, p.zoom) for p in placed(crowd)]
    [(500.0, 320.0, 1), (509.0, 320.0, 16), (950.0, 32.0, 1)]
    """
    middles = [
        (point, (1 + _MARGIN * point.x) * WIDTH / 2, (1 - _MARGIN * point.y) * HEIGHT / 2)
        for point in points
    ]
    zooms = [0] * len(middles)
    for zoom in ZOOMS:
        room = zoom / zoom**GROWTH
        cells = [(int(x * room / _CELL[0]), int(y * room / _CELL[1])) for _, x, y in middles]
        taken = {cell for cell, known in zip(cells, zooms, strict=True) if known}
        for n, cell in enumerate(cells):
            if not zooms[n] and (cell not in taken or zoom == ZOOMS[-1]):
                taken.add(cell)
                zooms[n] = zoom
    return [
        Placed(point.picture, round(x, 1), round(y, 1), zoom)
        for (point, x, y), zoom in zip(middles, zooms, strict=True)
    ]


@router.get("/map")
def map_page(request: Request, engine: EngineHere, model: ModelName = "") -> Response:
    """Show the collection as a plane on which similar pictures are near."""
    found = engine.map(model)
    by_category: dict[str, list[MapPoint]] = {}
    for point in found.points:
        by_category.setdefault(point.picture.category or "", []).append(point)
    return render(
        request,
        "map",
        map=found,
        placed=placed(found.points),
        size=(WIDTH, HEIGHT),
        growth=GROWTH,
        closest=ZOOMS[-1],
        by_category=sorted(by_category.items()),
        models=engine.models(),
        model=model or engine.encoder().name,
    )
