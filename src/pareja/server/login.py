"""Logging in with the token, and what a browser keeps of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from pareja.server.rendering import cookie_path, render, words_of
from pareja.server.security import SESSION_COOKIE, Gate, client_of, local_path

router = APIRouter(include_in_schema=False)

_MONTH = 30 * 86_400


@router.get("/login")
def login_page(
    request: Request,
    next: Annotated[str, Query(max_length=4_000)] = "/",  # noqa: A002  the field's name
) -> Response:
    """Ask for the token, if there is one."""
    gate: Gate = request.app.state.gate
    if gate.is_open:
        return RedirectResponse(local_path(next), 303)
    return render(request, "login", next=local_path(next), problem="")


@router.post("/login")
def log_in(
    request: Request,
    token: Annotated[str, Form(max_length=1_000)],
    next: Annotated[str, Form(max_length=4_000)] = "/",  # noqa: A002  its name in the request
) -> Response:
    """Check the token, and let the browser in from then on."""
    gate: Gate = request.app.state.gate
    client = client_of(request.scope)
    wait = gate.wait(client)
    if not gate.knows_token(token.strip(), client):
        problem, status = ("login.wait", 429) if wait else ("login.wrong", 401)
        return render(
            request,
            "login",
            status=status,
            next=local_path(next),
            problem=words_of(request).text(problem),
        )
    response = RedirectResponse(local_path(next), 303)
    response.set_cookie(
        SESSION_COOKIE,
        gate.session(),
        max_age=_MONTH,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path=cookie_path(request),
    )
    return response
