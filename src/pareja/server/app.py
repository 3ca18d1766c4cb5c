"""The application: pages and API behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from anyio import create_task_group
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match

from pareja.classifiers.learned import Classifier
from pareja.errors import CollectionFaultError, ParejaError
from pareja.server import (
    api,
    classifying,
    comparing,
    embeddings,
    evaluation,
    folders,
    listing,
    login,
    mapped,
    marking,
    pages,
    reviewing,
    showing,
)
from pareja.server.arrivals import Headed, Prefixed
from pareja.server.engine import Engine
from pareja.server.fields import refuse_unknown_parameters
from pareja.server.metrics import Measured
from pareja.server.problems import problem_of
from pareja.server.rendering import is_partial, render, words_of
from pareja.server.security import Gate, Guard, wants_page
from pareja.server.settings import Settings

if TYPE_CHECKING:
    from pareja.search import Collection

_STATIC = Path(__file__).parent / "static"


def create_app(
    collection: Collection,
    settings: Settings | None = None,
    *,
    classifiers: Mapping[str, Classifier] | None = None,
    device: str | None = None,
) -> FastAPI:
    """Return the application that serves a collection.

    Parameters
    ----------
    collection
        Open, and open as long as the application runs; whoever opened it closes it.
    settings
        Address, token and limits; by default for loopback alone.
    classifiers
        Learned from examples, by names without a slash: filters of searches, and an alternative to
        labels that visitors write.
    device
        What encoders run on that are loaded here, as in `pareja.load`.

    Raises
    ------
    FingerprintMismatchError
        If the collection has no vectors that one of the classifiers can read.

    Examples
    --------
    Under any ASGI server::

        with Collection.open("photos.index") as collection:
            uvicorn.run(create_app(collection))
    """
    settings = settings or Settings()
    engine = Engine(collection, settings, classifiers or {}, device)
    app = FastAPI(
        lifespan=partial(_warmed, engine),
        title="pareja",
        summary="Search a collection of pictures by words and by pictures.",
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        dependencies=[Depends(refuse_unknown_parameters)],
    )
    gate = Gate(settings)
    app.state.engine = engine
    app.state.gate = gate
    app.state.renewing = Lock()
    for module in (
        listing,
        mapped,
        pages,
        login,
        api,
        evaluation,
        embeddings,
        classifying,
        comparing,
        reviewing,
        showing,
        folders,
        marking,
    ):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=_STATIC), "static")
    app.add_api_route("/healthz", _healthz, include_in_schema=False)
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    app.add_api_route("/docs", _documentation, include_in_schema=False)
    for expected in (HTTPException, RequestValidationError, ParejaError):
        app.add_exception_handler(expected, _explain)
    # The last that is added is the first that a request meets.
    app.add_middleware(Guard, settings=settings, gate=gate, explain=_explain)
    app.add_middleware(Headed)
    app.add_middleware(Prefixed, root=settings.root_path)
    app.add_middleware(Measured, metrics=engine.metrics)
    if settings.proxies:
        from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.proxies))
    return app


@asynccontextmanager
async def _warmed(engine: Engine, app: FastAPI) -> AsyncIterator[None]:
    """Load the default encoder while the first visitor is still typing."""
    async with create_task_group() as tasks:
        tasks.start_soon(run_in_threadpool, engine.warm_up)
        yield
        if app.state.engine is not engine:
            app.state.engine.collection.close()


def _healthz(request: Request) -> dict[str, str]:
    """Tell that the process answers, and that the collection can be read."""
    engine: Engine = request.app.state.engine
    engine.collection.count()
    return {"status": "ok"}


def _metrics(request: Request) -> PlainTextResponse:
    engine: Engine = request.app.state.engine
    return PlainTextResponse(
        engine.metrics.render(engine.collection.count()),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )


def _documentation(request: Request) -> Response:
    return render(request, "api", spec=request.app.openapi())


def _explain(request: Request, error: Exception) -> Response:
    """Say what is wrong: as a page, as a line within one, or as JSON."""
    if isinstance(error, CollectionFaultError):
        with request.app.state.renewing:
            request.app.state.engine = request.app.state.engine.renewed()
    problem = problem_of(error)
    if problem.status_code == 405:
        problem.headers = {"allow": ", ".join(_methods(request))}
    status, message = problem.status_code, problem.text(words_of(request).lang)
    if is_partial(request):
        response: Response = render(request, "_error", status=status, message=message)
        response.headers.update({"hx-retarget": "#alert", "hx-reswap": "innerHTML"})
    elif wants_page(request.headers, request.url.path):
        response = render(request, "error", status=status, message=message)
    else:
        response = JSONResponse({"error": problem.to_json()}, status)
    response.headers.update(problem.headers or {})
    return response


def _methods(request: Request) -> list[str]:
    """Return the methods that a path answers; of several routes, Starlette names the first's."""
    found = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    ]
    return sorted({*found, *(["HEAD"] if "GET" in found else ())})
