"""Collections of pictures that can be searched."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pareja.search.collection import Collection
    from pareja.search.contracts import (
        Hit,
        IndexReport,
        LookedUp,
        Picture,
        Query,
        SearchResult,
        Shows,
        VerifyReport,
        Why,
    )
    from pareja.search.export import ExportReport
    from pareja.search.judging import BundledQuery, QueryScore, QuerySetScores, bundled_queries
    from pareja.search.labels import PictureLabels
    from pareja.search.vectors.protocol import VectorStore

_HOMES = {
    "BundledQuery": "judging",
    "Collection": "collection",
    "ExportReport": "export",
    "Hit": "contracts",
    "IndexReport": "contracts",
    "LookedUp": "contracts",
    "Picture": "contracts",
    "PictureLabels": "labels",
    "Query": "contracts",
    "QueryScore": "judging",
    "QuerySetScores": "judging",
    "SearchResult": "contracts",
    "Shows": "contracts",
    "VectorStore": "vectors.protocol",
    "VerifyReport": "contracts",
    "Why": "contracts",
    "bundled_queries": "judging",
}

__all__ = [
    "BundledQuery",
    "Collection",
    "ExportReport",
    "Hit",
    "IndexReport",
    "LookedUp",
    "Picture",
    "PictureLabels",
    "Query",
    "QueryScore",
    "QuerySetScores",
    "SearchResult",
    "Shows",
    "VectorStore",
    "VerifyReport",
    "Why",
    "bundled_queries",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
