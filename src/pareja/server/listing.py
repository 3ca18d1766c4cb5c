"""The page that lists pictures: those that a search finds, or the whole collection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from pareja.search.contracts import Hit, Picture, SearchResult, Why
from pareja.search.weights import terms_of
from pareja.server.asks import Ask
from pareja.server.engine import Engine
from pareja.server.marking import Marked, parts_of
from pareja.server.parameters import Asked, EngineHere, Fold
from pareja.server.rendering import is_partial, render, words_of
from pareja.server.uploads import Upload
from pareja.words.pages import PageWording

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

HIT_CHOICES = (5, 10, 20, 50, 100)
SURE_CHOICES = (0.0, 0.5, 0.8, 0.95)
_BROWSED = 40
# So many fit into a list to choose from; more are a box to type into.
_LISTED = 15


Entries: TypeAlias = list[tuple[Picture, float | None]]
"""Pictures, each with its score; None where nothing is looked for."""


@dataclass(frozen=True)
class ListPage:
    """A page of a list.

    Parameters
    ----------
    entries
        What it shows.
    first
        Number of the first one in the whole list, from 1.
    more
        Whether others follow.
    folds
        The near duplicates that each of them stands for.
    result
        The search that found them, or None.
    """

    entries: Entries
    first: int
    more: bool
    folds: dict[int, Entries]
    result: SearchResult | None = None

    def summary(self, words: PageWording, total: int) -> str:
        """Say in one line what is shown, for eyes and screen readers."""
        shown = len(self.entries)
        if not shown and self.first > 1:
            return words.text("search.beyond", first=words.integer(self.first))
        if not shown and total:
            return words.text("search.nothing")
        pictures = words.count("picture", shown)
        if self.first > 1:
            ends = (words.integer(end) for end in (self.first, self.first + shown - 1))
            pictures = words.text("search.range", **dict(zip(("first", "last"), ends, strict=True)))
        if self.result is not None:
            ms = self.result.took_ms
            return words.text(
                "search.found",
                pictures=pictures,
                model=self.result.model,
                ms=words.number(ms, 0 if ms >= 10 else 1),
            )
        browsing = words.text("search.browsing", pictures=words.count("picture", total))
        return browsing if self.first == 1 else f"{pictures} · {browsing}"


def page_of(engine: Engine, ask: Ask) -> ListPage:
    """Return the page of the list that a URL asks for."""
    if not ask.is_empty:
        offset = (ask.page - 1) * ask.k
        result = engine.search(ask, offset=offset)
        return ListPage(
            entries_of(result), offset + 1, result.more, folds=folds_of(result), result=result
        )
    offset = (ask.page - 1) * _BROWSED
    category, shows = ask.category or None, engine.learned.shows(ask.shows, ask.at_least)
    pictures = engine.collection.pictures(
        category=category, shows=shows, offset=offset, limit=_BROWSED + 1, fold=ask.fold
    )
    shown = pictures[:_BROWSED]
    folds = (
        engine.collection.near_duplicates(shown, category=category, shows=shows) if ask.fold else {}
    )
    return ListPage(
        _without_scores(shown),
        offset + 1,
        len(pictures) > _BROWSED,
        folds={head: _without_scores(others) for head, others in folds.items()},
    )


def entries_of(hits: Iterable[Hit]) -> Entries:
    """Return what a grid shows of hits: pictures with their scores."""
    return [(hit.picture, hit.score) for hit in hits]


def folds_of(hits: Iterable[Hit]) -> dict[int, Entries]:
    """Return the near duplicates that a card stands for, by the id of its picture."""
    return {hit.picture.id: entries_of(hit.near_duplicates) for hit in hits}


def _without_scores(pictures: Iterable[Picture]) -> Entries:
    return [(picture, None) for picture in pictures]


def whys_of(result: SearchResult | None) -> dict[int, Why]:
    """Return why a hybrid search has each picture, by its id."""
    return {hit.picture.id: hit.why for hit in result or () if hit.why is not None}


@router.get("/")
def search_page(
    request: Request,
    engine: EngineHere,
    ask: Asked,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    fold: Fold = True,
) -> Response:
    """Search, or leaf through the collection while nothing is asked."""
    collection = engine.collection
    ask = replace(ask, page=page, fold=fold, category=engine.category(ask.category))
    # The box stays checked while somebody looks for more like a picture, where there are no words.
    found = page_of(engine, replace(ask, hybrid=ask.hybrid and bool(ask.q)))
    upload = engine.uploads.get(ask.image)
    liked = collection.picture(ask.like) if ask.like else None
    results: dict[str, Any] = {
        "ask": ask,
        "result": found.result,
        "entries": found.entries,
        "folds": found.folds,
        "whys": whys_of(found.result),
        "more": found.more,
        "judgements": collection.judgements(ask.q) if ask.q else {},
        "upload": upload,
        "liked": liked,
        "marked": _marked(upload or liked, ask),
        "parts": parts_of(found.result, words_of(request)) if found.result else {},
        "mark_at": Ask(box=ask.box, model=ask.model).url(
            f"/uploads/{ask.image}/part" if upload else f"/pictures/{ask.like}"
        ),
        # Of words alone can be said where they are, and by an encoder that connects the two.
        "places": bool(found.result)
        and len(terms_of(ask.q)) == 1
        and bool(ask.q)
        and engine.encoder(ask.model).kind == "dual",
        "places_by": ask.model,
        "found": found.summary(words_of(request), collection.count()),
    }
    if is_partial(request):
        if request.headers.get("hx-target") == "more":
            return render(request, "_more", **results)
        response = render(request, "_results", **results)
        # While somebody types, the address follows; what was chosen becomes a step to go back to.
        typed = request.headers.get("hx-trigger") in {"q", "minus"}
        replaces = typed or _is_at(request, ask)
        response.headers["hx-replace-url" if replaces else "hx-push-url"] = ask.url()
        return response
    categories = collection.categories()
    return render(
        request,
        "search",
        **results,
        categories=categories,
        typed_category=len(categories) > _LISTED,
        models=engine.models(),
        hit_choices=sorted({*HIT_CHOICES, ask.k}),
        facets=engine.learned.facets(ask.shows),
        sure_choices=sorted({*SURE_CHOICES, ask.at_least}),
    )


def _is_at(request: Request, ask: Ask) -> bool:
    """Return whether the browser's address asks the same already."""
    current = urlsplit(request.headers.get("hx-current-url", ""))
    return current.query == urlsplit(ask.url()).query


def _marked(shown: Upload | Picture | None, ask: Ask) -> Marked | None:
    """Return the picture that is searched by, with the part of it that is meant."""
    if shown is None:
        return None
    size = shown.size if isinstance(shown, Upload) else (shown.width, shown.height)
    return Marked.of(size, ask.box)
