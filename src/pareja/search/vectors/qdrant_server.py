"""Where a Qdrant server is, and a connection to it that is patient and explains refusals."""

from __future__ import annotations

import json
import os
import re
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pareja.errors import CollectionError, MissingDependencyError

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

SCHEME = "qdrant://"
API_KEY = "QDRANT_API_KEY"
"""The environment variable with what a server wants to be sent."""
MEMORY = ":memory:"
"""Stands for a server inside this process that forgets everything."""

_ATTEMPTS = 4
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0
_TIMEOUT_SECONDS = 30
# Timed out, too many requests, or a node or what is in front of it is not there at the moment.
_TOO_MANY = 429
_PASSING = (408, _TOO_MANY, 502, 503, 504)
_NO_KEY, _NOT_ALLOWED, _NOT_THERE = 401, 403, 404
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d+)?")
# What Qdrant takes in the name of a collection, which is that of a folder for it.
_NAME = re.compile(r'(?!\.{1,2}$)[^<>:"/\\|?*\x00-\x1f]+')
_OPTIONS = ("shards", "replicas", "tls")

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class QdrantAddress:
    """Where vectors are: ``qdrant://host:port/name?shards=2&replicas=2``.

    Parameters
    ----------
    url
        The server, or ``:memory:`` for one inside this process that forgets everything.
    name
        What the collections on the server are called after.
    shards, replicas
        How a new collection is spread over a cluster, at least 1.
    """

    url: str
    name: str
    shards: int = 1
    replicas: int = 1

    @classmethod
    def parse(cls, address: str) -> QdrantAddress:
        """Read an address; ``tls=1`` asks for https.

        Raises
        ------
        CollectionError
            If it is none; the message says what is wrong with it.

        Examples
        --------
        >>> QdrantAddress.parse("qdrant://localhost/photos?shards=2").url
        'http://localhost:6333'
        """
        try:
            return cls._parsed(address)
        except ValueError as error:
            raise CollectionError(
                f"{address!r} is no address of a store: {error}. Write qdrant://host:6333/name. "
                "After it, ?shards=3&replicas=2 spreads a new collection over a cluster, and "
                "?tls=1 asks for https."
            ) from error

    @classmethod
    def _parsed(cls, address: str) -> QdrantAddress:
        if not address.startswith(SCHEME):
            raise ValueError(f"it does not begin with {SCHEME}")
        place, _, rest = address.removeprefix(SCHEME).partition("/")
        name, _, query = rest.partition("?")
        if "@" in place:
            raise ValueError(f"a key goes into the environment variable {API_KEY}")
        if place != MEMORY and not _HOST.fullmatch(place):
            raise ValueError(f"{place!r} is no host")
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name that Qdrant takes")
        options: dict[str, str] = {}
        for key, value in parse_qsl(query, keep_blank_values=True):
            if key not in _OPTIONS or key in options:
                raise ValueError(
                    f"{key} is there twice" if key in options else f"there is no option {key}"
                )
            options[key] = value
        shards, replicas = (_whole(options, key) for key in ("shards", "replicas"))
        if (tls := options.get("tls", "0")) not in ("0", "1"):
            raise ValueError(f"tls is 0 or 1, not {tls!r}")
        url = MEMORY
        if place != MEMORY:
            host = place if urlsplit(f"//{place}").port else f"{place}:6333"
            url = f"http{'s' if tls == '1' else ''}://{host}"
        return cls(url, name, shards, replicas)

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        return self.url == MEMORY or self.url.split("//")[1].rpartition(":")[0] in _LOOPBACK


def _whole(options: dict[str, str], key: str) -> int:
    value = options.get(key, "1")
    if not (value.isascii() and value.isdigit() and int(value)):
        raise ValueError(f"{key} is a whole number from 1 on, not {value!r}")
    return int(value)


class QdrantRefusalError(CollectionError):
    """A server answered, and did not do what it was asked to.

    Parameters
    ----------
    message
        What it said, and what to do.
    status
        The status of its answer in HTTP.
    """

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status


class QdrantServer:
    """A connection to a server, shared by the stores of all spaces of a collection.

    The environment variable ``QDRANT_API_KEY`` is sent when it is set.

    Parameters
    ----------
    address
        Where it is.

    Raises
    ------
    CollectionError
        If it does not answer, or refuses the key.
    MissingDependencyError
        If ``qdrant-client`` is not installed.
    """

    def __init__(self, address: QdrantAddress) -> None:
        self.address = address
        self.client = _client(address)
        # A server takes questions from many threads; the client's stand-in for one does not.
        self._turn: AbstractContextManager[object] = (
            RLock() if address.url == MEMORY else nullcontext()
        )
        try:
            self.ask(lambda: self.client.get_collections())
        except BaseException:
            self.close()
            raise

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Return an answer, asking again with growing pauses while the server is not there.

        Raises
        ------
        QdrantRefusalError
            If the server refuses.
        CollectionError
            If nothing answers there, or not as Qdrant does.
        """
        from httpx import TransportError
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import ApiException

        no_answer = (ApiException, QdrantException, TransportError)
        # What an answer that is no JSON makes of the client.
        no_json = (json.JSONDecodeError, UnicodeDecodeError)
        for attempt in range(_ATTEMPTS):
            try:
                with self._turn:
                    return question()
            except (*no_answer, *no_json) as error:
                if attempt == _ATTEMPTS - 1 or not _passes(error):
                    raise self._explained(error) from error
                wanted = getattr(error, "retry_after_s", 0)
            time.sleep(min(_LONGEST_PAUSE, max(wanted, _FIRST_PAUSE * 2**attempt)))
        raise AssertionError("the last attempt returns or raises")

    def _explained(self, error: Exception) -> CollectionError:
        """Return a refusal, or no answer, as one line that says what to do."""
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import UnexpectedResponse

        url = self.address.url
        if isinstance(error, UnexpectedResponse):
            return self._refused(error.status_code, error.content, error.reason_phrase)
        if isinstance(error, QdrantException):
            return self._refused(_TOO_MANY, str(error).encode(), "")
        source = getattr(error, "source", error)
        if isinstance(source, ValueError):
            return CollectionError(
                f"what answers at {url} is not Qdrant, or a version of it that the installed "
                "qdrant-client does not know. Correct the address, or update one of them."
            )
        return CollectionError(
            f"Qdrant does not answer at {url}: {_line(str(source))}. Start it (docker compose up "
            "-d qdrant), or correct the address."
        )

    def _refused(self, status: int | None, content: bytes, reason: str) -> QdrantRefusalError:
        there = f"Qdrant at {self.address.url}"
        said = f"{_said(content) or reason} (status {status})"
        if status in (_NO_KEY, _NOT_ALLOWED):
            message = f"{there} refuses access: {said}. " + (
                f"Put another API key into the environment variable {API_KEY}."
                if os.environ.get(API_KEY)
                else f"Put its API key into the environment variable {API_KEY}."
            )
        elif status == _NOT_THERE:
            message = (
                f"{there} does not have what it is asked for: {said}. If it was deleted there, "
                "index the pictures again."
            )
        else:
            message = f"{there} refuses: {said}."
        return QdrantRefusalError(message, status)

    def held(self) -> list[str]:
        """Return the collections on the server that are called as the address says, and not empty.

        A collection there is called after the address and the fingerprint of a space.
        """
        called = re.compile(rf"{re.escape(self.address.name)}-[0-9a-f]{{16}}(-parts)?")
        every = self.ask(lambda: self.client.get_collections()).collections
        return [
            each.name
            for each in every
            if called.fullmatch(each.name)
            and self.ask(partial(self.client.count, each.name, exact=True)).count
        ]

    def close(self) -> None:
        """End the connection."""
        self.client.close()


def _passes(error: Exception) -> bool:
    """Return whether the same question may be answered a moment later."""
    from httpx import TransportError
    from qdrant_client.common.client_exceptions import QdrantException

    # The client's own exception is for too many requests, with a time to wait.
    return (
        isinstance(error, QdrantException)
        or isinstance(getattr(error, "source", error), TransportError)
        or getattr(error, "status_code", None) in _PASSING
    )


def _said(content: bytes) -> str:
    """Return what a server says in an answer that refuses."""
    text = content.decode("utf-8", "replace")
    try:
        return _line(json.loads(text)["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return _line(text)


def _line(text: str) -> str:
    """Return text as the part of a line that a full stop follows."""
    return " ".join(text.split())[:300].rstrip(".")


def _client(address: QdrantAddress) -> QdrantClient:
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise MissingDependencyError(
            "qdrant-client", "to keep vectors in Qdrant", "qdrant"
        ) from error
    if address.url == MEMORY:
        return QdrantClient(MEMORY)
    key = os.environ.get(API_KEY) or None
    if key and address.url.startswith("http:") and not address.is_loopback:
        warnings.warn(
            f"the API key travels unencrypted to {address.url}. End the address with ?tls=1.",
            stacklevel=2,
        )
    with warnings.catch_warnings():
        # It says the same of the loopback interface, where nothing travels.
        warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
        return QdrantClient(
            url=address.url,
            api_key=key,
            timeout=_TIMEOUT_SECONDS,
            check_compatibility=False,
            # Certificates take longer to load than a search does.
            verify=address.url.startswith("https:"),
        )
