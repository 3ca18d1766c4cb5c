"""Embedding: from files and texts to arrays, computed in parallel and never twice."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pareja.embedding.cache import EmbeddingCache
    from pareja.embedding.cluster import embed_on_cluster
    from pareja.embedding.embedded import Embedded
    from pareja.embedding.natural import embed, embed_texts
    from pareja.embedding.parts import EmbeddedParts, embed_parts
    from pareja.embedding.paths import EmbeddedPaths, embed_paths
    from pareja.embedding.pipeline import (
        DatasetEmbeddings,
        Progress,
        embed_dataset,
        embed_sources,
        stream_images,
        text_vectors,
    )
    from pareja.embedding.stages import ImageBatch

_HOMES = {
    "DatasetEmbeddings": "pipeline",
    "Embedded": "embedded",
    "EmbeddedParts": "parts",
    "EmbeddedPaths": "paths",
    "EmbeddingCache": "cache",
    "ImageBatch": "stages",
    "Progress": "pipeline",
    "embed": "natural",
    "embed_dataset": "pipeline",
    "embed_on_cluster": "cluster",
    "embed_parts": "parts",
    "embed_paths": "paths",
    "embed_sources": "pipeline",
    "embed_texts": "natural",
    "stream_images": "pipeline",
    "text_vectors": "pipeline",
}

__all__ = [
    "DatasetEmbeddings",
    "Embedded",
    "EmbeddedParts",
    "EmbeddedPaths",
    "EmbeddingCache",
    "ImageBatch",
    "Progress",
    "embed",
    "embed_dataset",
    "embed_on_cluster",
    "embed_parts",
    "embed_paths",
    "embed_sources",
    "embed_texts",
    "stream_images",
    "text_vectors",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
