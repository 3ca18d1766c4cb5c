"""How requests reach the routes: from below a path prefix, and HEAD where GET is."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PLACES = {b"location", b"hx-push-url", b"hx-replace-url"}


class Prefixed:
    """Serves an application below a path prefix, of which the application knows nothing.

    A proxy may take the prefix away or leave it: both are served. Headers that lead to another
    page get the prefix; links inside pages have it from their templates.

    Parameters
    ----------
    app
        What answers, with paths from ``/`` on.
    root
        The prefix, as in ``/photos``; empty for none.
    """

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not self._root or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        inside = path == self._root or path.startswith(f"{self._root}/")
        stripped = path.removeprefix(self._root) or "/" if inside else path
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        here = f"{scope['scheme']}://{host}"

        def led(name: bytes, value: bytes) -> bytes:
            if name.lower() not in _PLACES:
                return value
            place = value.decode("latin-1").removeprefix(here)
            return f"{self._root}{place}".encode("latin-1") if place.startswith("/") else value

        async def send_prefixed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [(n, led(n, value)) for n, value in message["headers"]]
            await send(message)

        await _handed_on(self._app, scope, receive, send_prefixed, path=stripped, root_path="")


class Headed:
    """Answers HEAD like GET, without the body (RFC 9110, section 9.3.2).

    Parameters
    ----------
    app
        What answers GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        await _handed_on(self._app, scope, receive, send_headers, method="GET")


async def _handed_on(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, **changes: object
) -> None:
    """Have a request answered as another one; the server goes by its own to frame the answer."""
    other = {**scope, **changes}
    try:
        await app(other, receive, send)
    finally:
        # The counters stand outside, and count by route.
        if "route" in other:
            scope["route"] = other["route"]
