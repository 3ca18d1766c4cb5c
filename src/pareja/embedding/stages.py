"""One picture before the model, and one batch of pictures through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.datasets.formats.folders import FileSource
from pareja.datasets.images import decode_image, image_size
from pareja.datasets.records import Record, Source
from pareja.embedding.cache import Memory, Stamp, Vector, picture_digest, text_digest
from pareja.encoders.loading import require_fused
from pareja.encoders.protocols import Embeddings, ImageEncoder, Pixels
from pareja.errors import ImageError, MachineError
from pareja.shortages import naming_shortages

T = TypeVar("T")

OnError = Literal["skip", "raise"]
"""What happens at a picture that does not decode."""

Notice = Callable[[Image.Image], bytes]
"""What is to be kept of a decoded picture besides its embedding; runs in a decoding thread."""


@dataclass(frozen=True)
class ImageBatch:
    """A stretch of the input, embedded.

    Parameters
    ----------
    indices
        Positions in the input of the pictures that decoded, rising, ``(m,)``.
    names
        What messages call them.
    embeddings
        Their embeddings, ``(m, dim)``.
    skipped
        ``(name, reason)`` of the pictures of this stretch that did not decode.
    digests
        SHA-256 of the pictures' bytes, in the order of `indices`.
    sizes
        Their width and height in pixels, after orientation; None where an embedding was found
        without reading the picture.
    cached
        How many of the embeddings came from the cache.
    noticed
        What was noticed of each picture; None where it was not decoded.
    """

    indices: NDArray[np.intp]
    names: tuple[str, ...]
    embeddings: Embeddings
    skipped: tuple[tuple[str, str], ...]
    digests: tuple[str, ...]
    sizes: tuple[tuple[int, int] | None, ...]
    cached: int = 0
    noticed: tuple[bytes | None, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """One picture on its way to the model: its embedding, its pixels, or why there are none.

    With a `shortage` it is to be tried again.
    """

    index: int
    name: str
    digest: str = ""
    stamp: Stamp | None = None
    size: tuple[int, int] | None = None
    vector: Vector | None = None
    pixels: Pixels | None = None
    noticed: bytes | None = None
    error: ImageError | None = None
    shortage: MachineError | None = None


class ImageStages:
    """The two halves of embedding pictures, before the model and from the model on.

    Parameters
    ----------
    encoder
        What embeds them.
    cache
        Embeddings of earlier runs.
    on_error
        What happens at a picture that does not decode.
    notice
        Looks at each picture that is decoded.
    captions
        What each picture is embedded together with, by its position; None for pictures alone. A
        picture whose caption is empty is alone too.

    Raises
    ------
    EncoderError
        If there are captions, and the encoder makes no vector of a picture and a text together.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        cache: Memory | None,
        on_error: OnError,
        notice: Notice | None = None,
        captions: Sequence[str] | None = None,
    ) -> None:
        self._captions = captions
        self._fused = None if captions is None else require_fused(encoder)
        self._encoder = encoder
        self._cache = cache
        self._on_error = on_error
        self._notice = notice
        self._fingerprint = encoder.image_fingerprint
        self._fresh: dict[str, Vector] = {}

    def prepare(self, index: int, source: Source | Path) -> Prepared:
        """Find a picture's embedding, or else decode and resize it; runs in a decoding thread."""
        source = FileSource(source) if isinstance(source, Path) else source
        name = str(source)
        try:
            with naming_shortages(name):
                return self._prepare(index, source, name)
        except ImageError as error:
            return Prepared(index, name, error=error)
        except MachineError as error:
            return Prepared(index, name, shortage=error)

    def _prepare(self, index: int, source: Source, name: str) -> Prepared:
        stamp: Stamp | None = None
        if self._cache is not None:
            # Before the file is read: what changes it meanwhile must show in the stamp later.
            stamp = Stamp.of(source.path) if isinstance(source, FileSource) else None
            known = stamp and self._cache.known_digest(stamp)
            vector = self._find(self._key(known, index)) if known else None
            if known and vector is not None:
                return Prepared(index, name, known, vector=vector)
        content = source.read()
        digest = picture_digest(content)
        size = image_size(content, name=name)
        vector = self._find(self._key(digest, index))
        if vector is not None:
            return Prepared(index, name, digest, stamp, size, vector=vector)
        image = decode_image(content, network_side=self._encoder.image_side, name=name)
        noticed = None if self._notice is None else self._notice(image)
        pixels = self._encoder.prepare(image)
        return Prepared(index, name, digest, stamp, size, pixels=pixels, noticed=noticed)

    def encode(self, batch: Sequence[Prepared]) -> ImageBatch:
        """Run the model on the pictures that need it, and store what comes out.

        Raises
        ------
        ImageError
            For the first picture that did not decode, with ``on_error="raise"``.
        OutputError
            If the cache cannot be read or written.
        """
        failures = [(item.name, item.error) for item in batch if item.error is not None]
        if failures and self._on_error == "raise":
            raise failures[0][1]
        kept = [item for item in batch if item.error is None]
        keys = [self._key(item.digest, item.index) for item in kept]
        known = {key: item.vector for key, item in zip(keys, kept, strict=True)}
        vectors = {key: vector for key, vector in known.items() if vector is not None}
        waiting = {k: item for k, item in zip(keys, kept, strict=True) if item.pixels is not None}
        if self._cache is not None:
            # Copies of a picture that was still on its way to the model when they were looked up.
            # Those of the batch before may not have arrived where the cache finds them.
            vectors.update(self._cache.find(self._fingerprint, list(waiting)))
            vectors.update((key, self._fresh[key]) for key in waiting if key in self._fresh)
        waiting = {key: item for key, item in waiting.items() if key not in vectors}
        fresh: dict[str, Vector] = {}
        if waiting:
            encoded = in_parts_that_fit(self._encoded, list(waiting.values()))
            fresh = dict(zip(waiting, encoded, strict=True))
        if self._cache is not None:
            stamps = [(item.stamp, item.digest) for item in kept if item.stamp is not None]
            self._cache.store(self._fingerprint, fresh, stamps)
        vectors.update(fresh)
        self._fresh = fresh
        return ImageBatch(
            indices=np.array([item.index for item in kept], np.intp),
            names=tuple(item.name for item in kept),
            embeddings=stacked([vectors[key] for key in keys], self._encoder.image_dim),
            skipped=tuple((name, error.reason) for name, error in failures),
            digests=tuple(item.digest for item in kept),
            sizes=tuple(item.size for item in kept),
            cached=0 if self._cache is None else len(kept) - len(fresh),
            noticed=tuple(item.noticed for item in kept),
        )

    def _encoded(self, items: Sequence[Prepared]) -> Embeddings:
        pixels = np.stack([item.pixels for item in items if item.pixels is not None])
        if self._fused is None:
            return self._encoder.encode_pixels(pixels)
        captions = [self._caption(item.index) for item in items]
        captioned = np.array([bool(caption) for caption in captions])
        rows = np.empty((len(items), self._encoder.image_dim), np.float32)
        texts = [caption for caption in captions if caption]
        rows[captioned] = self._fused.encode_fused_pixels(pixels[captioned], texts)
        rows[~captioned] = self._encoder.encode_pixels(pixels[~captioned])
        return rows

    def _caption(self, index: int) -> str:
        return "" if self._captions is None else self._captions[index]

    def _key(self, digest: str, index: int) -> str:
        """Return what a vector is remembered by: the picture, and the caption with it if any."""
        caption = self._caption(index)
        return text_digest(f"{digest}\0{caption}") if caption else digest

    def _find(self, digest: str) -> Vector | None:
        if self._cache is None:
            return None
        return self._cache.find(self._fingerprint, [digest]).get(digest)


def together_with(record: Record) -> str:
    """Return what a picture is embedded together with: its captions, line by line."""
    return "\n".join(record.captions)


def in_parts_that_fit(
    encode: Callable[[Sequence[T]], Embeddings], items: Sequence[T]
) -> Embeddings:
    """Encode items at once, or by halves where the machine falls short, down to one at a time.

    Parameters
    ----------
    encode
        Takes n items, at least one, and returns ``(n, dim)``.
    items
        What is to be encoded.

    Raises
    ------
    MachineError
        If it falls short for a single one.
    """
    try:
        with naming_shortages(f"a batch of {len(items)}"):
            return encode(items)
    except MachineError:
        if len(items) < 2:
            raise
    half = len(items) // 2
    parts = [in_parts_that_fit(encode, part) for part in (items[:half], items[half:])]
    return np.concatenate(parts)


def stacked(vectors: Sequence[Vector], dim: int) -> Embeddings:
    """Stack embeddings, ``(dim,)`` each and perhaps none of them, to ``(n, dim)``."""
    return np.stack(vectors) if vectors else np.empty((0, dim), np.float32)
