"""Embedding: from files and texts to arrays, computed in parallel and never twice."""

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
