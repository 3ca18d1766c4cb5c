"""The HTTP API: what the pages do, for programs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response

from pareja.server.asks import Ask
from pareja.server.parameters import (
    Asked,
    CategoryName,
    EngineHere,
    Fold,
    LeastProbability,
    ModelName,
    Offset,
    PictureId,
    ShownLabels,
)
from pareja.server.schemas import (
    CaptionBody,
    CaptionsBody,
    ClassifierBody,
    ClassifiersBody,
    JudgementRequest,
    JudgementsBody,
    MapBody,
    MapPointBody,
    ModelBody,
    ModelsBody,
    PictureBody,
    PicturesBody,
    SearchBody,
    SearchRequest,
    errors,
)
from pareja.server.settings import MAX_HITS, MAX_QUERY
from pareja.server.thumbnails import ThumbnailSize

router = APIRouter(prefix="/v1", responses=errors(400, 404, 413, 415, 422, 503))


@router.get("/search", tags=["search"])
async def search(
    engine: EngineHere, ask: Asked, offset: Offset = 0, fold: Fold = False
) -> SearchBody:
    """Search by words, by a picture of the collection, or by one that was uploaded."""
    # A route that is not async would wait for a second thread to write its answer down, and under
    # load no answer would leave before every search is done.
    decodes = bool(ask.box) and ask.like is not None
    search = partial(engine.search, replace(ask, fold=fold), offset=offset)
    return SearchBody.of(await engine.run(search, decodes=decodes), ask.q)


@router.post("/search", tags=["search"])
async def search_with_picture(engine: EngineHere, request: SearchRequest) -> SearchBody:
    """Search by words, by a picture given as a data URL or a part of one, or by both."""
    ask = Ask(
        q=request.text.strip(),
        minus=request.minus.strip(),
        category=request.category,
        model=request.model,
        like=request.like,
        box=tuple(request.box),
        k=request.k,
        shows=tuple(request.shows),
        at_least=request.at_least,
        fold=request.fold,
        hybrid=request.hybrid,
    )
    search = partial(engine.search, ask, request.image, offset=request.offset)
    decodes = request.image is not None or bool(request.box)
    return SearchBody.of(await engine.run(search, decodes=decodes), ask.q)


@router.get("/pictures", tags=["pictures"])
def list_pictures(
    engine: EngineHere,
    category: CategoryName = "",
    shows: ShownLabels = [],  # noqa: B006  FastAPI copies defaults
    at_least: LeastProbability = 0.0,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_HITS, description="How many pictures.")] = 50,
) -> PicturesBody:
    """List pictures of the collection."""
    pictures = engine.collection.pictures(
        category=category or None,
        shows=engine.learned.shows(shows, at_least),
        offset=offset,
        limit=limit,
    )
    return PicturesBody(
        total=engine.collection.count(),
        categories=engine.collection.categories(),
        pictures=[PictureBody.of(picture) for picture in pictures],
    )


@router.get("/pictures/{id}", tags=["pictures"])
def show_picture(engine: EngineHere, id: PictureId) -> PictureBody:  # noqa: A002  in its URL
    """Return what is known about a picture."""
    return PictureBody.of(engine.collection.picture(id))


@router.get(
    "/pictures/{id}/thumbnail",
    tags=["pictures"],
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, 304: {"description": "Not modified"}},
)
async def thumbnail(
    request: Request,
    engine: EngineHere,
    id: PictureId,  # noqa: A002  its name in the request
    size: Annotated[
        ThumbnailSize, Query(description="Its longer side in pixels, at most.")
    ] = ThumbnailSize.SMALL,
) -> Response:
    """Return a picture as WebP, its longer side at most `size` pixels."""
    picture = await to_thread.run_sync(engine.collection.picture, id)
    tag = f'"{picture.digest[:32]}-{size.value}"'
    headers = {"etag": tag, "cache-control": "private, max-age=86400"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    encoded = await engine.thumbnail_turns.run(partial(engine.thumbnails.get, picture, int(size)))
    return Response(encoded, media_type="image/webp", headers=headers)


@router.get("/pictures/{id}/captions", tags=["pictures"])
def captions(
    engine: EngineHere,
    id: PictureId,  # noqa: A002  its name in the request
    model: ModelName = "",
    n: Annotated[int, Query(ge=1, le=50, description="How many of each.")] = 3,
) -> CaptionsBody:
    """Return the captions of the collection that match a picture best, and worst."""
    best, worst = engine.captions(engine.collection.picture(id), model, n=n)
    return CaptionsBody(
        best=[CaptionBody.of(match) for match in best],
        worst=[CaptionBody.of(match) for match in worst],
    )


@router.get("/models", tags=["models"])
def models(engine: EngineHere) -> ModelsBody:
    """List the encoders that the collection is indexed with, the default first."""
    return ModelsBody(data=[ModelBody(id=name) for name in engine.models()])


@router.get("/models/{model:path}", tags=["models"], responses=errors(404))
def model(
    engine: EngineHere,
    model: Annotated[str, Path(min_length=1, max_length=MAX_QUERY, description="An encoder.")],
) -> ModelBody:
    """Say whether the collection is indexed with an encoder."""
    return ModelBody(id=engine.known(model))


@router.get("/classifiers", tags=["models"])
def classifiers(engine: EngineHere) -> ClassifiersBody:
    """List the classifiers that the server was started with, and how many pictures they label."""
    found = []
    for name in engine.learned.names():
        classifier = engine.learned.get(name)
        body = ClassifierBody(
            name=name,
            model=engine.collection.encoder_of(classifier),
            method=classifier.method,
            n_examples=classifier.n_examples,
            labels=engine.learned.counts(name),
        )
        found.append(body)
    return ClassifiersBody(classifiers=found)


@router.get("/map", tags=["pictures"])
def map_of_pictures(engine: EngineHere, model: ModelName = "") -> MapBody:
    """Place the pictures on a plane, by principal components of their embeddings."""
    placed = engine.map(model)
    return MapBody(
        model=engine.encoder(model).name,
        total=placed.total,
        explained=placed.explained,
        points=[MapPointBody(id=p.picture.id, x=p.x, y=p.y) for p in placed.points],
    )


@router.get("/judgements", tags=["evaluation"])
def judgements(
    engine: EngineHere,
    query: Annotated[str, Query(min_length=1, max_length=MAX_QUERY, description="The words.")],
) -> JudgementsBody:
    """Return which pictures were judged for a query."""
    return JudgementsBody(query=query, judgements=engine.collection.judgements(query))


@router.put("/judgements", tags=["evaluation"], responses=errors(403))
def judge(engine: EngineHere, request: JudgementRequest) -> JudgementsBody:
    """Keep a judgement, or take it back; it is durable when this answers."""
    engine.collection.picture(request.picture_id)
    engine.collection.judge(request.query, request.picture_id, request.relevant)
    return JudgementsBody(
        query=request.query, judgements=engine.collection.judgements(request.query)
    )
