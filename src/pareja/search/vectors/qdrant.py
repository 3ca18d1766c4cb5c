"""Vectors in a Qdrant server or cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.protocols import Embeddings
from pareja.errors import CollectionError
from pareja.search.vectors.protocol import checked_rows
from pareja.search.vectors.qdrant_server import (
    MEMORY,
    Answer,
    QdrantRefusalError,
    QdrantServer,
)
from pareja.search.vectors.quantization import Compressed, Quantization

if TYPE_CHECKING:
    from qdrant_client import models

_BATCH = 256
_PAGE = 10_000
_CONFLICT = 409
_FILTER = "category"
# Points that are exactly as close as the last one come in any order: more are asked for, until one
# is farther away.
_TIES = 16
# Compressed vectors find the neighbourhood, not the order in it: this many times the wanted ones
# are compared again as they are. Chosen by `benchmarks/quantization.py`. No quantile is set for
# bytes: it cuts off the largest numbers, and some vectors differ most in those.
_OVERSAMPLING: dict[Compressed, float] = {"int8": 2.0, "binary": 16.0}


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
    quantization
        How the server compresses the vectors that are searched.
    create
        Make that collection where there is none, and have it compressed like this.

    Raises
    ------
    CollectionError
        If the server has a collection of that name that holds something else, or has none and
        `create` is off.
    """

    def __init__(
        self,
        server: QdrantServer,
        space: str,
        dim: int,
        quantization: Quantization = "float16",
        *,
        create: bool = True,
    ) -> None:
        self._server = server
        self._client = server.client
        self._dim = dim
        self._compressed = None if quantization == "float16" else quantization
        self._name = f"{server.address.name}-{space}"
        if create:
            self._create()
        elif not self._ask(lambda: self._client.collection_exists(self._name)):
            raise CollectionError(
                f"Qdrant at {server.address.url} has no collection {self._name!r} any more. Index "
                "the pictures again."
            )
        info = self._checked()
        # The client's stand-in for a server has no indexes, and compresses nothing.
        if create and server.address.url != MEMORY:
            self._complete(info)

    def _create(self) -> None:
        from qdrant_client import models

        address = self._server.address
        if self._ask(lambda: self._client.collection_exists(self._name)):
            return
        create = partial(
            self._client.create_collection,
            self._name,
            vectors_config=models.VectorParams(
                size=self._dim,
                distance=models.Distance.COSINE,
                datatype=models.Datatype.FLOAT16,
                on_disk=self._compressed is not None,
                quantization_config=_config(self._compressed),
            ),
            shard_number=address.shards,
            replication_factor=address.replicas,
        )
        try:
            self._ask(create)
        except QdrantRefusalError as refusal:
            # Another program was faster, or this one was, and the answer got lost.
            if refusal.status != _CONFLICT:
                raise

    def _checked(self) -> models.CollectionInfo:
        """Return what the server says of the collection, if it can hold these vectors."""
        from qdrant_client import models

        info = self._ask(lambda: self._client.get_collection(self._name))
        vectors: Any = info.config.params.vectors
        there = f"the collection {self._name!r} of Qdrant at {self._server.address.url}"
        another = "Choose another name in the address of the store."
        if not isinstance(vectors, models.VectorParams) or (
            vectors.distance != models.Distance.COSINE
        ):
            raise CollectionError(f"{there} was not made by pareja. {another}")
        if vectors.size != self._dim:
            raise CollectionError(
                f"{there} has vectors of {vectors.size} numbers, and this encoder makes "
                f"{self._dim}. {another}"
            )
        return info

    def _complete(self, info: models.CollectionInfo) -> None:
        """Add what a collection lacks: one that was made a moment ago, or is older."""
        from qdrant_client import models

        if _FILTER not in info.payload_schema:
            self._ask(
                lambda: self._client.create_payload_index(
                    self._name, _FILTER, models.PayloadSchemaType.KEYWORD, wait=True
                )
            )
        wanted = self._compressed
        if wanted != _quantization(info):
            self._ask(
                lambda: self._client.update_collection(
                    self._name,
                    vectors_config={
                        "": models.VectorParamsDiff(
                            on_disk=wanted is not None,
                            quantization_config=_config(wanted) or models.Disabled.DISABLED,
                        )
                    },
                )
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
            else [models.FieldCondition(key=_FILTER, match=models.MatchValue(value=category))],
            must_not=[models.HasIdCondition(has_id=list(exclude))] if exclude else None,
        )
        if not query.any():
            return [(picture_id, 0.0) for picture_id in islice(self._rising(filtered, k), k)]
        params = self._compressed and models.SearchParams(
            quantization=models.QuantizationSearchParams(
                rescore=True, oversampling=_OVERSAMPLING[self._compressed]
            )
        )
        asked = k + _TIES
        while True:
            answer = self._ask(
                partial(
                    self._client.query_points,
                    self._name,
                    query=query.tolist(),
                    query_filter=filtered,
                    search_params=params,
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
        """Return what the server finds wrong with its indexes; it repairs them itself."""
        status: Any = self._checked().optimizer_status
        failed = getattr(status, "error", None)
        return [] if failed is None else [f"Qdrant cannot index {self._name}: {failed}"]

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


def _config(quantization: Compressed | None) -> models.QuantizationConfig | None:
    """Return how a server is to compress vectors; it keeps the compressed ones in memory."""
    from qdrant_client import models

    if quantization is None:
        return None
    if quantization == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    return models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
    )


def _quantization(info: models.CollectionInfo) -> str | None:
    """Return how a server compresses the vectors of a collection; None where it does not."""
    from qdrant_client import models

    params: Any = info.config.params.vectors
    config = params.quantization_config or info.config.quantization_config
    if isinstance(config, models.ScalarQuantization):
        return str(config.scalar.type.value)
    return None if config is None else str(next(iter(config.model_dump(exclude_none=True))))
