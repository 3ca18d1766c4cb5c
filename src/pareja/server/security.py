"""What every request passes before anything else sees it, and what every answer carries."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from threading import Lock
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pareja.server.problems import Problem
from pareja.server.settings import Settings

SESSION_COOKIE = "pareja_session"
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_OPEN_PATHS = {"/login", "/healthz"}
_MAX_CLIENTS = 10_000

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
"""Headers of every answer."""


class TokenBucket:
    """Lets each client make `burst` requests at once and `rate` a second in the long run.

    Parameters
    ----------
    rate
        Requests a second.
    burst
        Requests at once.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def wait(self, client: str, *, take: bool = True) -> float:
        """Take one request from a client's allowance.

        Parameters
        ----------
        client
            Who asks.
        take
            Without it, the allowance is only looked at.

        Returns
        -------
        float
            0 if the request may pass, otherwise the seconds until one may.
        """
        now = time.monotonic()
        with self._lock:
            level, then = self._levels.pop(client, (float(self._burst), now))
            level = min(self._burst, level + (now - then) * self._rate)
            passes = level >= 1
            self._levels[client] = (level - 1 if passes and take else level, now)
            # The client that has been silent longest has the fullest bucket.
            if len(self._levels) > _MAX_CLIENTS:
                self._levels.popitem(last=False)
        return 0.0 if passes else (1 - level) / self._rate


class Gate:
    """Knows the token, and who has shown it.

    Parameters
    ----------
    settings
        With the token, if one is needed.
    """

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token
        self._failures = TokenBucket(0.1, settings.limits.failures)

    @property
    def is_open(self) -> bool:
        """Whether no token is asked for."""
        return self._token is None

    def session(self) -> str:
        """Return what the cookie of a browser that has logged in holds; not the token itself."""
        key = (self._token or "").encode()
        return hmac.new(key, b"pareja session", hashlib.sha256).hexdigest()

    def wait(self, client: str) -> float:
        """Return the seconds until a client that sent wrong tokens may send another."""
        return self._failures.wait(client, take=False)

    def knows_token(self, given: str, client: str) -> bool:
        """Tell whether a token is right, in a time that says nothing about it."""
        if self._token is not None and _equal(given, self._token):
            return True
        self._failures.wait(client)
        return False

    def admits(self, headers: Mapping[str, str], client: str) -> bool:
        """Tell whether a request carries the token, as a bearer or as a browser's cookie."""
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.knows_token(given.strip(), client)
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
        except CookieError:
            return False
        return cookie is not None and _equal(cookie.value, self.session())


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


class Guard:
    """Refuses what should not pass, and puts `HEADERS` on every answer.

    In this order: requests to another host's name, more than a client's share, changes that
    another site's page asks for, requests without the token, and bodies over the limit.

    Parameters
    ----------
    app
        What requests that pass go to.
    settings
        Names, token and limits.
    gate
        Who has shown the token.
    explain
        Makes the answer to a request out of the reason for refusing it.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        gate: Gate,
        explain: Callable[[Request, Exception], Response],
    ) -> None:
        self._app = app
        self._explain = explain
        self._settings = settings
        self._gate = gate
        self._bucket = TokenBucket(settings.limits.rate, settings.limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is not None:
            # A host that this server does not know may be none at all, and then makes no address.
            own = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
            answer = self._explain(Request({**scope, "headers": own}), refusal)
            await answer(scope, receive, send_with_headers)
            return
        await self._app(scope, self._counted(receive, headers), send_with_headers)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> Problem | None:
        """Return why a request is refused; None for one that may pass."""
        client = client_of(scope)
        host = headers.get("host", "")
        if not self._settings.accepts(host):
            return Problem(421, "other_host", host=host[:80])
        wait = self._bucket.wait(client)
        if wait:
            return _come_back("too_often", wait)
        if scope["method"] not in _SAFE_METHODS and not _same_origin(headers, scope["scheme"]):
            return Problem(403, "other_site")
        path = scope["path"]
        if path not in _OPEN_PATHS and not path.startswith("/static/"):
            # Visitors may share an address: whoever shows the right token passes, whatever others
            # sent from there.
            wait = self._gate.wait(client)
            if not self._gate.admits(headers, client):
                if wait and "authorization" in headers:
                    return _come_back("wrong_tokens", wait)
                return _unauthorised(scope, headers)
        return None

    def _counted(self, receive: Receive, headers: Mapping[str, str]) -> Receive:
        """Count a body as it arrives, since its announced length may be missing or a lie."""
        length = headers.get("content-length", "0")
        announced = int(length) if length.isdecimal() else 0
        limit = self._settings.limits.body_bytes
        total = 0

        async def receive_counted() -> Message:
            nonlocal total
            if announced <= limit:
                message = await receive()
                total += len(message.get("body", b""))
                if total <= limit:
                    return message
            closed = {"connection": "close"}
            raise Problem(413, "body", headers=closed, mib=limit // 2**20)

        return receive_counted


def client_of(scope: Scope) -> str:
    """Return who sent a request. Forwarding headers are not believed: anyone can write them."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def local_path(target: str) -> str:
    r"""Return a path on this server to go on to; the start page where `target` leads elsewhere.

    Examples
    --------
    >>> local_path("/pictures/3?lang=es"), local_path("//evil.example"), local_path("/\\evil")
    ('/pictures/3?lang=es', '/', '/')
    """
    plain = target.startswith("/") and target.isprintable() and "\\" not in target
    return target if plain and not target.startswith("//") else "/"


def wants_page(headers: Mapping[str, str], path: str) -> bool:
    """Tell whether whoever asks is a person at a browser, not a program."""
    return "text/html" in headers.get("accept", "") and not path.startswith("/v1/")


def _same_origin(headers: Mapping[str, str], scheme: str) -> bool:
    """Tell whether a request comes from this server's own page, or from no page at all."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        # No page can write this header. Browsers leave it out where there is no TLS.
        return site in {"same-origin", "none"}
    return origin is None or origin.lower() == f"{scheme}://{headers['host']}".lower()


def _come_back(key: str, wait: float) -> Problem:
    seconds = int(wait) + 1
    return Problem(429, key, headers={"retry-after": str(seconds)}, seconds=seconds)


def _unauthorised(scope: Scope, headers: Mapping[str, str]) -> Problem:
    if scope["method"] == "GET" and wants_page(headers, scope["path"]):
        query = scope["query_string"].decode("latin-1")
        asked = f"{scope['path']}?{query}" if query else scope["path"]
        place = f"/login?next={quote(local_path(asked), safe='')}"
        return Problem(303, "token", headers={"location": place})
    return Problem(401, "token", headers={"www-authenticate": "Bearer"})
