"""Embedding whatever a user gives: pictures or texts, one or many, or vectors that are there."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from os import PathLike
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from pareja import encoders
from pareja.embedding.cache import EmbeddingCache, text_digest
from pareja.embedding.embedded import Embedded
from pareja.embedding.paths import fused_captions, none_decoded
from pareja.embedding.pipeline import OnProgress, embed_sources, text_vectors
from pareja.encoders import AnyEncoder, require_images, require_texts
from pareja.encoders.bases import is_list
from pareja.encoders.protocols import Fingerprint
from pareja.errors import InputError, OutputError
from pareja.inputs import Pictures, find_pictures, find_texts

Model: TypeAlias = "str | PathLike[str] | AnyEncoder"
"""An encoder, its name, or the folder that it is in."""

Cache: TypeAlias = "EmbeddingCache | bool | None"
"""True for the user's cache of embeddings, a cache, or False or None for no cache."""


def loaded(model: Model, device: str | None = None) -> AnyEncoder:
    """Return the encoder that is meant; it is loaded if it was named."""
    return encoders.load(model, device=device)


def listed(models: Model | Iterable[Model]) -> list[Model]:
    """Return one model or many as a list; `InputError` if it is empty."""
    found = list(cast(Iterable[Model], models)) if is_list(models) else [cast(Model, models)]
    if not found:
        raise InputError("models is empty. Name at least one encoder.")
    return found


def own_cache() -> EmbeddingCache | nullcontext[None]:
    """Open the user's cache; where that cannot be, warn and do without.

    Warns
    -----
    UserWarning
        If it cannot be opened: embeddings are then computed and not kept.
    """
    try:
        return EmbeddingCache()
    except OutputError as error:
        warnings.warn(f"{error} Nothing is looked up or kept now.", stacklevel=3)
        return nullcontext()


@contextmanager
def opened(cache: Cache) -> Iterator[EmbeddingCache | None]:
    """Open the cache that is meant; one that is open already stays open."""
    if cache is True:
        with own_cache() as own:
            yield own
    else:
        yield cache if isinstance(cache, EmbeddingCache) else None


def embed(
    pictures: Pictures | Embedded | NDArray[np.floating],
    model: Model = "starter",
    *,
    split: str | None = None,
    space: Fingerprint | None = None,
    captions: bool = False,
    device: str | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    cache: Cache = True,
    progress: OnProgress | None = None,
) -> Embedded:
    """Embed pictures, decoding them in parallel while the model runs.

    Parameters
    ----------
    pictures
        One picture or many. A picture is a path, the bytes of a file, an open file, a PIL image,
        pixels (uint8, ``(height, width, 3)``) or a record of a dataset. Folders, patterns
        (``"photos/**/*.jpg"``), datasets and their names stand for many, and so does any iterable
        of all these, mixed. What `embed` returned is returned as it is, if it lies in the space of
        `model`; so are bare vectors ``(n, dim)`` whose `space` is named.
    model
        An encoder, or what `pareja.load` takes: a name, a folder.
    split
        Of a dataset only this part, as ``"test"``; by default all.
    space
        The fingerprint of the encoder that made `pictures`, where these are bare vectors.
    captions
        Whether each picture and its captions become one vector, in the same space. Only some
        models can, as ``"embeddinggemma-2"``. A picture without a caption is embedded alone.
    device
        What a model that is named here runs on: ``"cuda"``, ``"mps"``, ``"openvino"`` or
        ``"cpu"``; by default the first of these that this machine has.
    batch_size
        Pictures that the model gets at once; 32 by default.
    workers
        Decoding threads; by default one a core.
    cache
        Whether vectors are looked up in the user's cache of embeddings, and kept there; or the
        `pareja.embedding.EmbeddingCache` to use.
    progress
        Called after each batch, in the caller's thread.

    Returns
    -------
    Embedded
        ``vectors`` has the shape ``(dim,)`` where one picture was given, and ``(n, dim)`` where
        many could be given: a list of one, a folder with one. ``skipped`` names the pictures that
        cannot be read, with the reason.

    Raises
    ------
    InputError
        If something else was given; the message says where, and what is taken.
    ImageError
        If one picture was given, and it cannot be decoded.
    DatasetError
        If there are no pictures, none of them decodes, or there is no such split.
    EncoderError
        If `model` cannot be loaded, embeds no pictures, or none with their captions.
    FingerprintMismatchError
        If vectors were given that lie in another space than the model's.
    OutputError
        If the cache cannot be read or written.

    Examples
    --------
    >>> from PIL import Image
    >>> embed(Image.new("RGB", (64, 48), "red"), "starter", cache=False).vectors.shape
    (512,)
    >>> rows = embed(["pareja20", Image.new("RGB", (64, 48), "red")], "starter", cache=False)
    >>> rows.vectors.shape, rows.names[-1], rows.skipped
    ((21, 512), 'picture-1', ())
    """
    known = vectors_of(pictures, space)
    encoder = require_images(loaded(model, device))
    if known is not None:
        known.require(encoder.image_fingerprint, f"{encoder.name} makes")
        if split is not None:
            raise InputError(
                f"split is {split!r}, and pictures holds vectors, which have no splits."
            )
        if captions:
            raise InputError("captions is on, and pictures holds vectors, not pictures.")
        return known
    given = find_pictures(cast(Pictures, pictures), split=split)
    with opened(cache) as kept:
        found = embed_sources(
            given.sources,
            encoder,
            batch_size=batch_size,
            workers=workers,
            cache=kept,
            on_error="raise" if given.one else "skip",
            progress=progress,
            captions=fused_captions(given) if captions else None,
        )
    skipped = given.skipped + found.skipped
    if not len(found):
        raise none_decoded(skipped)
    return replace(
        found,
        vectors=found.vectors[0] if given.one else found.vectors,
        names=tuple(given.names[i] for i in found.indices),
        pictures=replace(
            given.dataset, records=tuple(given.dataset.records[i] for i in found.indices)
        ),
        places=tuple(given.places[i] for i in found.indices),
        skipped=skipped,
    )


def embed_texts(
    texts: str | Iterable[str] | Embedded,
    model: Model = "starter",
    *,
    device: str | None = None,
    batch_size: int | None = None,
    cache: Cache = True,
) -> Embedded:
    """Embed texts, each distinct text once and in batches of similar length.

    Parameters
    ----------
    texts
        One text or many. What `embed_texts` returned is returned as it is, if it lies in the space
        of `model`.
    model
        An encoder, or what `pareja.load` takes: a name, a folder.
    device
        What a model that is named here runs on: ``"cuda"``, ``"mps"``, ``"openvino"`` or
        ``"cpu"``; by default the first of these that this machine has.
    batch_size
        Texts that the model gets at once; 32 by default.
    cache
        Whether embeddings are looked up in the user's cache, and kept there; or the
        `pareja.embedding.EmbeddingCache` to use.

    Returns
    -------
    Embedded
        ``vectors`` has the shape ``(dim,)`` where one text was given, and ``(n, dim)`` where a list
        was; ``names`` are the texts.

    Raises
    ------
    InputError
        If there are no texts, or something else was given.
    EncoderError
        If `model` cannot be loaded or embeds no texts.
    FingerprintMismatchError
        If vectors were given that lie in another space than the model's.
    OutputError
        If the cache cannot be read or written.

    Examples
    --------
    >>> embed_texts("a cat", "starter", cache=False).vectors.shape
    (512,)
    """
    encoder = require_texts(loaded(model, device))
    if isinstance(texts, Embedded):
        texts.require(encoder.text_fingerprint, f"{encoder.name} makes")
        return texts
    given, one = find_texts(texts)
    with opened(cache) as kept:
        vectors = text_vectors(given, encoder, batch_size=batch_size, cache=kept)
    return Embedded(
        vectors=vectors[0] if one else vectors,
        space=encoder.text_fingerprint,
        names=tuple(given),
        digests=tuple(map(text_digest, given)),
    )


def vectors_of(given: object, space: Fingerprint | None) -> Embedded | None:
    """Return vectors that were given in place of pictures; None where pictures were.

    Raises
    ------
    InputError
        If bare vectors were given without their space, or a space without bare vectors.
    """
    bare = isinstance(given, np.ndarray) and given.dtype.kind == "f" and given.ndim in (1, 2)
    if bare and space is not None:
        return Embedded.of(cast(NDArray[np.floating], given), space)
    if bare:
        raise InputError(
            "pictures is an array of floats: vectors that do not say in which space they lie. Give "
            "what pareja.embed returned, or pass space= with the fingerprint of their encoder."
        )
    if space is not None:
        raise InputError("space says where bare vectors lie, and pictures is no array of floats.")
    return given if isinstance(given, Embedded) else None
