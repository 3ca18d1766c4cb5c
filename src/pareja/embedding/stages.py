"""One picture before the model, and one batch of pictures through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pareja.datasets.formats.folders import FileSource
from pareja.datasets.images import decode_image, read_file
from pareja.datasets.records import Source
from pareja.embedding.cache import EmbeddingCache, Stamp, Vector, picture_digest
from pareja.encoders.protocols import Embeddings, ImageEncoder, Pixels
from pareja.errors import ImageError

OnError = Literal["skip", "raise"]
"""What happens at a picture that does not decode."""


@dataclass(frozen=True)
class ImageBatch:
    """A stretch of the input, embedded.

    Parameters
    ----------
    indices
        Positions in the input of the pictures that decoded, rising, ``(m,)``.
    embeddings
        Their embeddings, ``(m, dim)``.
    skipped
        ``(name, reason)`` of the pictures of this stretch that did not decode.
    digests
        SHA-256 of the pictures' bytes, in the order of `indices`; empty without a cache.
    cached
        How many of the embeddings came from the cache.
    """

    indices: NDArray[np.intp]
    embeddings: Embeddings
    skipped: tuple[tuple[str, str], ...]
    digests: tuple[str, ...] = ()
    cached: int = 0


@dataclass(frozen=True)
class Prepared:
    """One picture on its way to the model: its embedding, its pixels, or why there are none."""

    index: int
    digest: str = ""
    stamp: Stamp | None = None
    vector: Vector | None = None
    pixels: Pixels | None = None
    error: ImageError | None = None


def prepare(
    index: int, source: Source | Path, encoder: ImageEncoder, cache: EmbeddingCache | None
) -> Prepared:
    """Find a picture's embedding, or else decode and resize it; runs in a decoding thread.

    Without a cache nothing is looked up and the picture's digest stays empty.
    """
    name, side = str(source), encoder.image_side
    place = source.path if isinstance(source, FileSource) else source
    try:
        if cache is None:
            image = decode_image(source, network_side=side, name=name)
            return Prepared(index, pixels=encoder.prepare(image))
        # Before the file is read: a file that changes meanwhile must not seem unchanged later.
        stamp = Stamp.of(place) if isinstance(place, Path) else None
        digest = None if stamp is None else cache.known_digest(stamp)
        vector = None if digest is None else _found(cache, encoder, digest)
        if digest is not None and vector is not None:
            return Prepared(index, digest, vector=vector)
        content = read_file(place) if isinstance(place, Path) else place.read()
        digest = picture_digest(content)
        vector = _found(cache, encoder, digest)
        if vector is not None:
            return Prepared(index, digest, stamp, vector=vector)
        image = decode_image(content, network_side=side, name=name)
        return Prepared(index, digest, stamp, pixels=encoder.prepare(image))
    except ImageError as error:
        return Prepared(index, error=error)


def _found(cache: EmbeddingCache, encoder: ImageEncoder, digest: str) -> Vector | None:
    return cache.find(encoder.image_fingerprint, [digest]).get(digest)


def encode(
    batch: Sequence[Prepared],
    encoder: ImageEncoder,
    cache: EmbeddingCache | None,
    on_error: OnError,
) -> ImageBatch:
    """Run the model on the pictures of a batch that need it, and store what comes out.

    Raises
    ------
    ImageError
        For the first picture that did not decode, with ``on_error="raise"``.
    OutputError
        If the cache cannot be read or written.
    """
    failures = [item.error for item in batch if item.error is not None]
    if failures and on_error == "raise":
        raise failures[0]
    kept = [item for item in batch if item.error is None]
    vectors = {_key(item): item.vector for item in kept if item.vector is not None}
    pixels = {_key(item): item.pixels for item in kept if item.pixels is not None}
    if cache is not None:
        # Copies of a picture that was still on its way to the model when they were looked up.
        vectors.update(cache.find(encoder.image_fingerprint, list(pixels)))
    pixels = {key: array for key, array in pixels.items() if key not in vectors}
    fresh: dict[str, Vector] = {}
    if pixels:
        encoded = encoder.encode_pixels(np.stack(list(pixels.values())))
        fresh = dict(zip(pixels, encoded, strict=True))
    if cache is not None:
        stamps = [(item.stamp, item.digest) for item in kept if item.stamp is not None]
        cache.store(encoder.image_fingerprint, fresh, stamps)
    vectors.update(fresh)
    return ImageBatch(
        indices=np.array([item.index for item in kept], np.intp),
        embeddings=stacked([vectors[_key(item)] for item in kept], encoder.image_dim),
        skipped=tuple((error.path, error.reason) for error in failures),
        digests=() if cache is None else tuple(item.digest for item in kept),
        cached=len(kept) - len(fresh),
    )


def _key(item: Prepared) -> str:
    return item.digest or str(item.index)


def stacked(vectors: Sequence[Vector], dim: int) -> Embeddings:
    """Stack embeddings, ``(dim,)`` each and perhaps none of them, to ``(n, dim)``."""
    return np.stack(vectors) if vectors else np.empty((0, dim), np.float32)
