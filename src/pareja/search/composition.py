"""From what is looked for to the one vector that is searched with."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.arrays import unit
from pareja.datasets.images import decode_image
from pareja.datasets.records import Source
from pareja.embedding.embedded import Embedded
from pareja.embedding.natural import embed
from pareja.encoders.loading import fusing
from pareja.encoders.protocols import Encoder, ImageEncoder
from pareja.errors import CollectionError, FingerprintMismatchError, InputError, QueryError
from pareja.inputs import Picture as GivenPicture
from pareja.inputs import find_pictures
from pareja.regions.parts import GivenBox, read_part
from pareja.search.contracts import Query
from pareja.search.vectors.protocol import VectorStore
from pareja.search.weights import Term, terms_of

MINUS_WEIGHT = 0.5
"""How much of words to move away from is subtracted from a query of length 1, by default."""


def query_vector(
    query: Query, encoder: ImageEncoder, store: VectorStore, read: Callable[[int], bytes]
) -> NDArray[np.float32]:
    """Return the vector of length 1 that stands for a query, ``(dim,)``.

    Words, picture and "more like this" are averaged, each of length 1; words count as much as their
    weight says, and everything else counts 1. Words to move away from are subtracted after that
    from the average, brought to length 1: their weight, or `MINUS_WEIGHT`, times their embedding.
    An encoder that makes one vector of a picture and a text together makes that, and no average,
    where there is one picture, itself and not its embedding, and words without a weight.

    Parameters
    ----------
    query
        What is looked for.
    encoder
        Embeds its words.
    store
        Holds the vector of the picture that others should be like.
    read
        Gives the bytes of that picture's file, if only a part of it is meant.

    Raises
    ------
    CollectionError
        If nothing is looked for, the words are blank, a weight is no number, or the picture has no
        vector.
    FingerprintMismatchError
        If words or a picture's embedding lie in another space, or it does not say in which.
    ImageError
        If a picture from elsewhere cannot be decoded.
    InputError
        If something else was given in place of words or of a picture.
    BoxError
        If `box` is no part of the picture.
    """
    _check_box(query)
    plus, less = _terms(query)
    together = _together(query, plus, encoder, read)
    if together is not None:
        plus = []
    texts = list(dict.fromkeys(term.words for term in (*plus, *less)))
    if texts and not _shares_a_space(encoder):
        raise FingerprintMismatchError(
            f"{encoder.name} has no words in the space of its pictures, so words cannot search "
            "them. Use a dual encoder, or search by a picture."
        )
    vectors = (
        dict(zip(texts, cast(Encoder, encoder).encode_texts(texts), strict=True)) if texts else {}
    )
    wanted = [vectors[term.words] for term in plus]
    if together is not None:
        wanted.append(together)
    elif query.image is not None:
        given = query.image if query.box is None else _part_given(query, encoder)
        wanted.append(_picture_vector(given, encoder))
    elif query.like is not None and query.box is not None:
        part = read_part(read(query.like), query.box, encoder.image_side)
        wanted.append(_picture_vector(part, encoder))
    if query.like is not None and query.box is None and together is None:
        try:
            wanted.append(store.get([query.like])[0])
        except KeyError:
            raise CollectionError(
                f"picture {query.like} was not embedded by {encoder.name}. Index it again."
            ) from None
    if not wanted and less:
        raise QueryError(
            "only_away",
            f"the query only moves away from {less[0].words!r}. Say what to move towards: words "
            "with a weight above 0, or a picture.",
            {"words": less[0].words},
        )
    if not wanted:
        raise CollectionError(
            "nothing is looked for. Give words, a picture, or a picture of the collection."
        )
    weights = [term.weight for term in plus] + [1.0] * (len(wanted) - len(plus))
    vector = _direction(np.average(np.array(wanted, np.float64), axis=0, weights=weights))
    if less:
        vector = _direction(vector - sum(term.weight * vectors[term.words] for term in less))
    return vector.astype(np.float32)


def _together(
    query: Query, words: list[Term], encoder: ImageEncoder, read: Callable[[int], bytes]
) -> NDArray[np.float32] | None:
    """Return the one vector of a picture and words, ``(dim,)``, or None where they are averaged."""
    fused = fusing(encoder)
    if fused is None or len(words) != 1 or words[0].weight != 1:
        return None
    is_vector = isinstance(query.image, Embedded) or (
        isinstance(query.image, np.ndarray) and query.image.dtype.kind == "f"
    )
    if is_vector or (query.image is None) == (query.like is None):
        return None
    side = encoder.image_side
    source = read(query.like) if query.like is not None else _source_given(query)
    if query.box is None:
        picture = decode_image(source, network_side=side)
    else:
        picture = read_part(source, query.box, side)
    return fused.encode_fused(picture, words[0].words, query=True)


def _check_box(query: Query) -> None:
    """Refuse a part of which nobody knows what it is a part of."""
    if query.box is None:
        return
    if query.image is None and query.like is None:
        raise InputError(
            "`box` says which part of a picture is meant, and there is no picture. Give `image` or "
            "`like` too."
        )
    if query.image is not None and query.like is not None:
        raise InputError(
            "`box` is a part of one picture, and `image` and `like` are two. Leave one out."
        )
    if isinstance(query.image, Embedded):
        raise InputError(
            "`box` needs the picture itself, and `image` is an embedding of all of it. Give the "
            "picture, or embed the part."
        )


def _part_given(query: Query, encoder: ImageEncoder) -> Image.Image:
    """Return the part of a picture from elsewhere that is meant."""
    return read_part(_source_given(query), cast(GivenBox, query.box), encoder.image_side)


def _source_given(query: Query) -> Source:
    """Return where the picture from elsewhere is that is meant."""
    sources = find_pictures(cast(GivenPicture, query.image), "image").sources
    _require_one(len(sources))
    return sources[0]


def _terms(query: Query) -> tuple[list[Term], list[Term]]:
    """Return the words to move towards and away from, all with weights above 0."""
    for name, text in (("text", query.text), ("minus", query.minus)):
        if text is not None and not isinstance(text, str):
            raise InputError(f"{name} is of type {type(text).__name__}. Give words.")
    if query.text is not None and not query.text.strip():
        raise CollectionError("the query is empty. Write what the pictures should show.")
    if query.minus is not None and not query.minus.strip():
        raise CollectionError("the words to move away from are empty. Write some, or none at all.")
    terms = [] if query.text is None else terms_of(query.text)
    less = [] if query.minus is None else terms_of(query.minus, MINUS_WEIGHT)
    for term in less:
        if term.weight < 0:
            raise QueryError(
                "minus_below_0",
                f"the weight of {term.words!r} is {term.weight:g}, and `minus` is subtracted "
                "already. Give a weight above 0.",
                {"words": term.words, "weight": f"{term.weight:g}"},
            )
    less += [Term(term.words, -term.weight) for term in terms if term.weight < 0]
    return [term for term in terms if term.weight > 0], less


def _shares_a_space(encoder: ImageEncoder) -> bool:
    return getattr(encoder, "text_fingerprint", None) == encoder.image_fingerprint


def _picture_vector(image: GivenPicture | Embedded, encoder: ImageEncoder) -> NDArray[np.float32]:
    """Return the embedding of a picture from elsewhere, ``(dim,)``."""
    if isinstance(image, np.ndarray) and image.dtype.kind == "f":
        raise FingerprintMismatchError(
            "image is an array of floats that does not say in which space it lies. Give what "
            "pareja.embed returned, or Embedded.of(vector, fingerprint)."
        )
    # A query by picture is asked once: its embedding is not worth a place in the cache.
    found = embed(image, encoder, cache=False)
    _require_one(len(found.rows))
    return cast(NDArray[np.float32], found.rows[0])


def _require_one(pictures: int) -> None:
    if pictures != 1:
        raise InputError(f"image stands for {pictures} pictures. Give one.")


def _direction(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.linalg.norm(vector) < 1e-6:
        raise CollectionError("the parts of the query cancel each other. Leave one of them out.")
    return unit(vector)
