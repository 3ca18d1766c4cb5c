"""Marking a part of a picture on a page, and saying which part was searched by."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from pareja.encoders.protocols import Rectangle
from pareja.regions.parts import rectangle
from pareja.report.overlay import part_in_words, place_in_words
from pareja.search.contracts import SearchResult
from pareja.server.parameters import BoxParameter, EngineHere, ModelName, box_of
from pareja.server.problems import Problem
from pareja.server.rendering import render
from pareja.words.pages import PageWording

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True)
class Marked:
    """A picture of which a part is marked, or may be.

    Parameters
    ----------
    size
        Its width and height in pixels.
    part
        Left, top, width and height in its pixels; None while nothing is marked.
    """

    size: tuple[int, int]
    part: Rectangle | None = None

    @classmethod
    def of(cls, size: tuple[int, int], box: tuple[float, ...]) -> Marked:
        """Return a picture with the part that a URL says.

        Raises
        ------
        BoxError
            If that is no part of it.
        """
        return cls(size, rectangle(box, size) if box else None)

    @property
    def fields(self) -> tuple[int, int, int, int]:
        """The part in whole pixels; the middle of the picture while nothing is marked."""
        width, height = self.size
        left, top, wide, high = self.part or (width / 4, height / 4, width / 2, height / 2)
        x, y = min(int(left), width - 1), min(int(top), height - 1)
        return x, y, max(1, min(round(wide), width - x)), max(1, min(round(high), height - y))

    def told(self, words: PageWording) -> str:
        """Return which part is marked, for those who do not see it."""
        return "" if self.part is None else part_in_words(self.part, self.size, words)


@dataclass(frozen=True)
class FoundPart:
    """The part by which a picture was found, and in words where it is."""

    rectangle: Rectangle
    place: str


def parts_of(result: SearchResult, words: PageWording) -> dict[int, FoundPart]:
    """Return by which parts pictures were found, by their ids."""
    return {
        hit.picture.id: FoundPart(
            hit.part, place_in_words(hit.part, (hit.picture.width, hit.picture.height), words)
        )
        for hit in result
        if hit.part is not None and hit.picture.width
    }


@router.get("/uploads/{upload}/part")
def upload_part_page(
    request: Request,
    engine: EngineHere,
    upload: str,
    box: BoxParameter = [],  # noqa: B006  FastAPI copies defaults
    model: ModelName = "",
) -> Response:
    """Show a picture that somebody gave, to mark a part of it."""
    kept = engine.uploads.get(upload)
    if kept is None:
        raise Problem(404, "upload_gone")
    return render(
        request, "part", upload=kept, marked=Marked.of(kept.size, box_of(box)), model=model
    )
