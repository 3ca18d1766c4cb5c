"""Embedding: from files and texts to arrays, computed in parallel and never twice."""

from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.export import StoredEmbeddings, read_embeddings
from pareja.embedding.paths import EmbeddedPaths, embed_paths
from pareja.embedding.pipeline import (
    DatasetEmbeddings,
    ImageEmbeddings,
    Progress,
    embed_dataset,
    embed_images,
    embed_texts,
    stream_images,
)
from pareja.embedding.stages import ImageBatch

__all__ = [
    "DatasetEmbeddings",
    "EmbeddedPaths",
    "EmbeddingCache",
    "ImageBatch",
    "ImageEmbeddings",
    "Progress",
    "StoredEmbeddings",
    "embed_dataset",
    "embed_images",
    "embed_paths",
    "embed_texts",
    "read_embeddings",
    "stream_images",
]
