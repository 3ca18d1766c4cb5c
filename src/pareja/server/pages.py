"""The pages of a collection: pictures, and two encoders side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pareja.errors import ParejaError
from pareja.server.asks import Ask
from pareja.server.engine import Engine
from pareja.server.folders import may_open
from pareja.server.listing import HIT_CHOICES, Entries, entries_of, folds_of
from pareja.server.marking import Marked, parts_of
from pareja.server.parameters import (
    LARGEST_ID,
    BoxParameter,
    EngineHere,
    ModelName,
    PictureId,
    box_of,
)
from pareja.server.problems import Problem, problem_of
from pareja.server.rendering import (
    LANG_COOKIE,
    THEME_COOKIE,
    cookie_path,
    is_partial,
    render,
    words_of,
)
from pareja.server.security import local_path
from pareja.server.settings import MAX_QUERY
from pareja.server.uploads import Upload
from pareja.words.pages import PageWording

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_NEIGHBOURS = 12
_YEAR = 31_536_000


async def kept_upload(request: Request, engine: EngineHere, picture: UploadFile) -> Upload:
    """Keep the picture of a form for a while."""
    encoded = await picture.read()
    name = (picture.filename or "").rpartition("/")[2][:80] or words_of(request).text("nav.picture")
    return await engine.run(partial(engine.uploads.add, encoded, name), decodes=True)


KeptUpload = Annotated[Upload, Depends(kept_upload)]


@router.post("/search-by-picture")
async def search_by_picture(upload: KeptUpload) -> RedirectResponse:
    """Search by a picture that somebody gives."""
    return RedirectResponse(Ask(image=upload.id).url(), 303)


@router.get("/uploads/{upload}")
def upload_preview(engine: EngineHere, upload: str, large: bool = False) -> Response:
    """Show a picture that is searched by."""
    kept = engine.uploads.get(upload)
    if kept is None:
        raise Problem(404, "upload_gone")
    return Response(
        kept.large() if large else kept.preview,
        media_type="image/webp",
        headers={"cache-control": f"private, max-age={_YEAR}"},
    )


@router.get("/pictures/{id}")
def picture_page(
    request: Request,
    engine: EngineHere,
    id: PictureId,  # noqa: A002  what its URL calls it
    model: ModelName = "",
    box: BoxParameter = [],  # noqa: B006  FastAPI copies defaults
) -> Response:
    """Show a picture large, with what is known about it and its neighbours."""
    picture = engine.collection.picture(id)
    files = engine.collection.files(id)
    address = urlsplit(picture.source_url or "")
    neighbours = engine.search(Ask(like=id, model=model, k=_NEIGHBOURS))
    return render(
        request,
        "picture",
        picture=picture,
        loss=engine.loss(picture),
        files=files,
        gone={n for n, file in enumerate(files) if file.is_gone},
        openable=may_open(request),
        model=model,
        marked=Marked.of((picture.width, picture.height), box_of(box)) if picture.width else None,
        # Metadata is not trusted: a link may also be javascript:.
        source=address.geturl() if address.scheme in {"http", "https"} else "",
        source_host=address.netloc,
        captions_possible=engine.encoder(model).kind == "dual",
        entries=entries_of(neighbours),
        folds=folds_of(neighbours),
        parts=parts_of(neighbours, words_of(request)),
    )


@router.get("/pictures/{id}/captions")
def picture_captions(
    request: Request,
    engine: EngineHere,
    id: PictureId,  # noqa: A002  its name in the request
    model: ModelName = "",
) -> Response:
    """Show which captions of the collection match a picture best, and worst."""
    picture = engine.collection.picture(id)
    best, worst = engine.captions(picture, model)
    return render(
        request,
        "_captions" if is_partial(request) else "captions",
        picture=picture,
        best=best,
        worst=worst,
    )


@router.post("/judgements")
def judge(
    request: Request,
    engine: EngineHere,
    query: Annotated[str, Form(min_length=1, max_length=MAX_QUERY)],
    picture_id: Annotated[int, Form(ge=1, le=LARGEST_ID)],
    relevant: Annotated[Literal["yes", "no", "none"], Form()],
    next: Annotated[str, Form(max_length=4_000)] = "/",  # noqa: A002  the field's name
) -> Response:
    """Keep, or take back, somebody's judgement of a result."""
    if not query.strip():
        raise Problem(422, "empty_query")
    picture = engine.collection.picture(picture_id)
    verdict = {"yes": True, "no": False, "none": None}[relevant]
    engine.collection.judge(query, picture_id, verdict)
    if not is_partial(request):
        return RedirectResponse(local_path(next), 303)
    return render(
        request,
        "_judged",
        query=query,
        picture=picture,
        next=local_path(next),
        judgements=engine.collection.judgements(query),
    )


@router.get("/side-by-side")
def side_by_side_page(
    request: Request,
    engine: EngineHere,
    q: Annotated[str, Query(max_length=MAX_QUERY)] = "",
    a: ModelName = "",
    b: ModelName = "",
    k: Annotated[int, Query(ge=1, le=50)] = 5,
) -> Response:
    """Ask two encoders the same."""
    models = engine.models()
    if not models:
        raise Problem(404, "no_pictures")
    a, b = opponents(models, a, b)
    q = q.strip()
    words = words_of(request)
    sides = (
        [_side(engine, Ask(q=q, model=name, k=k, fold=False), words) for name in (a, b)]
        if q and b
        else []
    )
    shown = [{picture.id for picture, _ in side.entries} for side in sides]
    return render(
        request,
        "_side_by_side" if is_partial(request) else "side_by_side",
        q=q,
        a=a,
        b=b,
        k=k,
        k_choices=sorted({*HIT_CHOICES[:4], k}),
        models=models,
        answers=sides,
        shared=len(set.intersection(*shown)) if shown else 0,
        most=max(map(len, shown), default=0),
    )


def opponents(models: Sequence[str], a: str, b: str) -> tuple[str, str]:
    """Choose two encoders to compare, never one with itself.

    Parameters
    ----------
    models
        There are these, the default first.
    a, b
        What was asked for; empty for the default, and for the next other one.

    Returns
    -------
    a, b
        `b` is empty where there is no other.

    Examples
    --------
    >>> opponents(["clip", "siglip"], "", "")
    ('clip', 'siglip')
    >>> opponents(["clip", "siglip"], "", "clip"), opponents(["clip"], "", "")
    (('siglip', 'clip'), ('clip', ''))
    """
    a = a or next((name for name in models if name != b), "")
    if not b or b == a:
        b = next((name for name in models if name != a), "")
    return a, b


@dataclass(frozen=True)
class _Side:
    """An encoder's answer, or why it has none: the other one's is shown all the same."""

    model: str
    entries: Entries
    likely_relevant: bool | None = None
    problem: str = ""


def _side(engine: Engine, ask: Ask, words: PageWording) -> _Side:
    try:
        result = engine.search(ask)
    except (Problem, ParejaError) as error:
        return _Side(ask.model, [], problem=problem_of(error).text(words.lang))
    return _Side(ask.model, entries_of(result), result.likely_relevant)


@router.post("/preferences")
def choose(
    request: Request,
    lang: Annotated[Literal["es", "en"] | None, Form()] = None,
    theme: Annotated[Literal["auto", "light", "dark"] | None, Form()] = None,
    next: Annotated[str, Form(max_length=4_000)] = "/",  # noqa: A002  its name in the request
) -> RedirectResponse:
    """Keep the language and the colours that somebody chose, in cookies."""
    response = RedirectResponse(local_path(next), 303)
    for name, value in ((LANG_COOKIE, lang), (THEME_COOKIE, theme)):
        if value is not None:
            response.set_cookie(
                name,
                value,
                max_age=_YEAR,
                httponly=True,
                samesite="lax",
                path=cookie_path(request),
            )
    return response
