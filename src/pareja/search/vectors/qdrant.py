"""Vectors in a Qdrant server or cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.protocols import Embeddings
from pareja.errors import CollectionError, MissingDependencyError
from pareja.search.vectors.protocol import checked_rows

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

SCHEME = "qdrant://"
_BATCH = 256
_PAGE = 10_000
_ATTEMPTS = 4
_FIRST_PAUSE = 0.25
_TIMEOUT_SECONDS = 30
# Points that are exactly as close as the last one come in any order: more are asked for, until one
# is farther away.
_TIES = 16

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
        How a new collection is spread over a cluster.
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
            If it is none.

        Examples
        --------
        >>> QdrantAddress.parse("qdrant://localhost/photos?shards=2")
        QdrantAddress(url='http://localhost:6333', name='photos', shards=2, replicas=1)
        """
        wrong = CollectionError(
            f"{address!r} is no address of a store. Write qdrant://host:6333/name, and after it "
            "?shards=2&replicas=2 for a cluster."
        )
        if not address.startswith(SCHEME):
            raise wrong
        place, _, rest = address.removeprefix(SCHEME).partition("/")
        name, _, query = rest.partition("?")
        options = {key: values[-1] for key, values in parse_qs(query).items()}
        try:
            port = None if place == ":memory:" else urlsplit(f"//{place}").port
            shards, replicas = int(options.pop("shards", 1)), int(options.pop("replicas", 1))
            secure = bool(int(options.pop("tls", 0)))
        except ValueError as error:
            raise wrong from error
        if not place or not name or options or min(shards, replicas) < 1:
            raise wrong
        if place == ":memory:":
            return cls(place, name, shards, replicas)
        host = place if port else f"{place}:6333"
        return cls(f"http{'s' if secure else ''}://{host}", name, shards, replicas)


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
        If it does not answer.
    MissingDependencyError
        If ``qdrant-client`` is not installed.
    """

    def __init__(self, address: QdrantAddress) -> None:
        self.address = address
        self.client = _client(address)
        # A server takes questions from many threads; the client's stand-in for one does not.
        in_process = address.url == ":memory:"
        self._turn: AbstractContextManager[object] = RLock() if in_process else nullcontext()
        self.ask(lambda: self.client.get_collections())

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Return an answer, asking again with growing pauses while the server is not there."""
        from httpx import TransportError
        from qdrant_client.http.exceptions import (
            ApiException,
            ResponseHandlingException,
            UnexpectedResponse,
        )

        for attempt in range(_ATTEMPTS):
            try:
                with self._turn:
                    return question()
            except UnexpectedResponse as error:
                busy = error.status_code in (429, 502, 503, 504)
                if not busy or attempt == _ATTEMPTS - 1:
                    raise self._refused(error) from error
            except (ResponseHandlingException, TransportError) as error:
                if attempt == _ATTEMPTS - 1:
                    raise CollectionError(
                        f"Qdrant does not answer at {self.address.url}: {error}. Start it (docker "
                        "compose up -d qdrant), or correct the address."
                    ) from error
            except ApiException as error:
                raise self._refused(error) from error
            time.sleep(_FIRST_PAUSE * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _refused(self, error: Exception) -> CollectionError:
        line = " ".join(str(error).split())[:300]
        return CollectionError(f"Qdrant at {self.address.url} refuses: {line}.")

    def close(self) -> None:
        """End the connection."""
        self.client.close()


class QdrantVectors:
    """A `VectorStore` on a Qdrant server.

    Parameters
    ----------
    server
        The connection.
    space
        Name of the embedding space; each has a collection of its own on the server.
    dim
        Length of a vector.

    Raises
    ------
    CollectionError
        If the server has a collection of that name with vectors of another length.
    """

    def __init__(self, server: QdrantServer, space: str, dim: int) -> None:
        self._server = server
        self._client = server.client
        self._dim = dim
        self._name = f"{server.address.name}-{space}"
        self._create_or_check()

    def _create_or_check(self) -> None:
        from qdrant_client import models

        ask, client, name = self._server.ask, self._client, self._name
        if not ask(lambda: client.collection_exists(name)):
            address = self._server.address
            ask(
                lambda: client.create_collection(
                    name,
                    vectors_config=models.VectorParams(
                        size=self._dim,
                        distance=models.Distance.COSINE,
                        datatype=models.Datatype.FLOAT16,
                    ),
                    shard_number=address.shards,
                    replication_factor=address.replicas,
                )
            )
            if address.url != ":memory:":
                ask(
                    lambda: client.create_payload_index(
                        name, "category", models.PayloadSchemaType.KEYWORD, wait=True
                    )
                )
        vectors: Any = ask(lambda: client.get_collection(name)).config.params.vectors
        size = getattr(vectors, "size", None)
        if size != self._dim:
            raise CollectionError(
                f"the collection {name!r} of Qdrant at {self._server.address.url} has vectors of "
                f"{size} numbers, and this encoder makes {self._dim}. Choose another name in the "
                "address of the store."
            )

    def upsert(
        self,
        ids: Sequence[int],
        vectors: Embeddings,
        payloads: Sequence[Mapping[str, str | None]],
    ) -> None:
        """Add or replace vectors ``(n, dim)``; the server has them on disk when it returns."""
        from qdrant_client import models

        rows = checked_rows(vectors, len(ids), self._dim)
        points = [
            models.PointStruct(id=picture_id, vector=row.tolist(), payload=dict(payload))
            for picture_id, row, payload in zip(ids, rows, payloads, strict=True)
        ]
        for start in range(0, len(points), _BATCH):
            part = points[start : start + _BATCH]
            self._ask(partial(self._client.upsert, self._name, part, wait=True))

    def remove(self, ids: Sequence[int]) -> None:
        """Remove vectors; ids that are not there are ignored."""
        if ids:
            self._ask(lambda: self._client.delete(self._name, list(ids), wait=True))

    def known(self, ids: Sequence[int]) -> set[int]:
        """Return which of the ids have a vector."""
        return {int(point.id) for point in self._points(ids, vectors=False)}

    def get(self, ids: Sequence[int]) -> Embeddings:
        """Return the vectors of `ids`, ``(n, dim)``; KeyError for one that is not there."""
        found = {point.id: point.vector for point in self._points(ids, vectors=True)}
        if missing := [picture_id for picture_id in ids if picture_id not in found]:
            raise KeyError(missing[0])
        return np.array([found[picture_id] for picture_id in ids], np.float32).reshape(
            len(ids), self._dim
        )

    def ids(self) -> list[int]:
        """Return the ids of all vectors, rising."""
        return sorted(self._rising(None, _PAGE))

    def _rising(self, filtered: models.Filter | None, page: int) -> Iterator[int]:
        """Yield ids from the lowest on, asking for some at a time."""
        offset: Any = None
        while True:
            points, offset = self._ask(
                partial(
                    self._client.scroll,
                    self._name,
                    scroll_filter=filtered,
                    limit=page,
                    offset=offset,
                    with_payload=False,
                    with_vectors=False,
                )
            )
            yield from (int(point.id) for point in points)
            if offset is None:
                return

    def count(self) -> int:
        """Return how many vectors there are."""
        return int(self._ask(lambda: self._client.count(self._name, exact=True)).count)

    def search(
        self,
        vector: NDArray[np.float32],
        k: int,
        *,
        category: str | None = None,
        exclude: Sequence[int] = (),
    ) -> list[tuple[int, float]]:
        """Return at most `k` ``(id, cosine)``, best first, ties by id."""
        from qdrant_client import models

        query = checked_rows(vector[None], 1, self._dim)[0]
        filtered = models.Filter(
            must=None
            if category is None
            else [models.FieldCondition(key="category", match=models.MatchValue(value=category))],
            must_not=[models.HasIdCondition(has_id=list(exclude))] if exclude else None,
        )
        if not query.any():
            return [(picture_id, 0.0) for picture_id in islice(self._rising(filtered, k), k)]
        asked = k + _TIES
        while True:
            answer = self._ask(
                partial(
                    self._client.query_points,
                    self._name,
                    query=query.tolist(),
                    query_filter=filtered,
                    limit=asked,
                )
            )
            hits = [(int(point.id), min(1.0, max(-1.0, point.score))) for point in answer.points]
            hits.sort(key=lambda hit: (-hit[1], hit[0]))
            if len(hits) < asked or hits[-1][1] < hits[k - 1][1]:
                return hits[:k]
            asked *= 4

    def optimise(self) -> None:
        """Do nothing: the server looks after its own indexes."""

    def problems(self, *, repair: bool) -> list[str]:
        """Return nothing: the server looks after its own indexes."""
        return []

    def _points(self, ids: Sequence[int], *, vectors: bool) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(ids), _BATCH):
            part = list(ids[start : start + _BATCH])
            found += self._ask(
                partial(
                    self._client.retrieve,
                    self._name,
                    part,
                    with_payload=False,
                    with_vectors=vectors,
                )
            )
        return found

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        return self._server.ask(question)


def _client(address: QdrantAddress) -> QdrantClient:
    import os

    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise MissingDependencyError(
            "qdrant-client", "to keep vectors in Qdrant", "qdrant"
        ) from error
    if address.url == ":memory:":
        return QdrantClient(":memory:")
    return QdrantClient(
        url=address.url,
        api_key=os.environ.get("QDRANT_API_KEY"),
        timeout=_TIMEOUT_SECONDS,
        check_compatibility=False,
    )
