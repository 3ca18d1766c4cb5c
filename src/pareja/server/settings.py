"""How a server is set up: where it listens, who may use it, and how much it takes at once."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import Literal

from pareja.errors import ServerError

MIN_TOKEN = 16
"""Fewest characters of a token; shorter ones can be guessed."""

MAX_QUERY = 1_000
"""Most characters of a query, of a name, and of one query in a set."""

MAX_TEXT = 8_000
"""Most characters of a text that is embedded."""

MAX_LABELS = 100
"""Most labels that one request chooses among."""

DEFAULT_TEMPLATE = "photo"
"""The set of templates that labels are put into unless another is named."""

MAX_HITS = 200
"""Most hits that one search returns."""

_LAST_PORT = 65_535
_ROOT_PATH = re.compile(r"(/[\w.~-]*[\w~-][\w.~-]*)*", re.ASCII)


@dataclass(frozen=True)
class Limits:
    """How much one request, and one client, may ask for.

    Parameters
    ----------
    body_bytes
        Largest request body, in bytes, counted as it arrives.
    pixels
        Largest uploaded picture, width times height.
    decoded_bytes
        Memory that all pictures that are being decoded may take together, in bytes: uploads,
        thumbnails, and pictures of the API. Others wait.
    patience
        Seconds that a request waits for that memory and for a thread to decode in; after them it
        is answered with 503.
    texts, images
        Most texts and most pictures that one request embeds.
    rate
        Requests a second that one client may make in the long run.
    burst
        Requests that a client may make at once after a pause.
    failures
        Wrong tokens that a client may send in a row; one more is allowed every ten seconds.
    """

    body_bytes: int = 20 * 2**20
    pixels: int = 60_000_000
    decoded_bytes: int = 2**30
    patience: float = 60.0
    texts: int = 1_000
    images: int = 32
    rate: float = 200.0
    burst: int = 2_000
    failures: int = 10

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0 or (value == 0 and name != "patience"):
                raise ServerError(f"`{name}` is a number above 0, got {value}.")


@dataclass(frozen=True)
class Settings:
    """Where a server listens and who may use it.

    Parameters
    ----------
    host, port
        The address. Any but a loopback address needs a token.
    token
        What clients prove themselves with; None on loopback lets every local program in.
    model
        The encoder that answers unless a request names another; None for the collection's first.
    root_path
        Path below which a proxy offers the server, as in ``/photos``; empty for none.
    proxies
        Addresses or networks of proxies that are believed when they say, in ``X-Forwarded-For``
        and ``X-Forwarded-Proto``, who asks, and whether over https.
    lang
        Language of the pages for browsers that ask for neither Spanish nor English, or None.
    allowed_hosts
        Further names under which browsers reach the server, as in ``pictures.example.org``.
    open_folders
        Whether visitors on this very machine may have the folder of a picture opened in its file
        manager. Others never may, and nobody where there is no desktop.
    limits
        How much is taken at once.

    Raises
    ------
    ServerError
        If there is no such port, the address can be reached from outside and there is no token,
        the token is short, or a path or a proxy is not written as one.
    """

    host: str = "127.0.0.1"
    port: int = 8420
    token: str | None = None
    model: str | None = None
    lang: Literal["es", "en"] | None = None
    allowed_hosts: tuple[str, ...] = ()
    root_path: str = ""
    proxies: tuple[str, ...] = ()
    open_folders: bool = True
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not _ROOT_PATH.fullmatch(self.root_path):
            raise ServerError(
                "`root_path` starts with a slash and ends without, as in /photos, got "
                f"{self.root_path!r}."
            )
        for proxy in self.proxies:
            if not _is_network(proxy):
                raise ServerError(
                    "`proxy` is the address of a proxy, as in 127.0.0.1, or a network, as in "
                    f"10.0.0.0/8, got {proxy!r}."
                )
        if not 0 <= self.port <= _LAST_PORT:
            raise ServerError(f"`port` is a number from 0 to {_LAST_PORT}, got {self.port}.")
        if self.token is None and not self.is_loopback:
            raise ServerError(
                f"{self.host} can be reached by others, so a token is needed. Pass `token`, or set "
                "PAREJA_TOKEN; or listen on 127.0.0.1."
            )
        if self.token is not None and (len(self.token) < MIN_TOKEN or not self.token.isascii()):
            raise ServerError(
                f"the token needs at least {MIN_TOKEN} ASCII characters, got {len(self.token)}. "
                "Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine reach the address."""
        return self.host == "localhost" or _is_loopback(self.host)

    @property
    def address(self) -> str:
        """The address for a browser on this machine."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104  only compared
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.root_path}/"

    def accepts(self, host: str) -> bool:
        """Tell whether a request's Host header names this server.

        A page elsewhere can point a host name of its own at this machine (DNS rebinding), but not
        an address: so literal addresses pass where the server listens to more than loopback.
        """
        name = _without_port(host)
        known = {"localhost", self.host.lower(), *(h.lower() for h in self.allowed_hosts)}
        if name in known or _is_loopback(name):
            return True
        if self.is_loopback:
            return False
        return _is_address(name) or name == socket.gethostname().lower()


_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+?)\.?)(?::\d*)?")


def _without_port(host: str) -> str:
    """Return the name of a Host header: ``[::1]:8420`` is ``::1``; empty for one that is none."""
    whole = _HOST.fullmatch(host.strip().lower())
    return (whole["ipv6"] or whole["name"]) if whole else ""


def _is_network(written: str) -> bool:
    try:
        ipaddress.ip_network(written)
    except ValueError:
        return False
    return True


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback
