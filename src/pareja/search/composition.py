"""From what is looked for to the one vector that is searched with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pareja.arrays import unit
from pareja.encoders.protocols import Encoder
from pareja.errors import CollectionError, FingerprintMismatchError
from pareja.search.contracts import Query
from pareja.search.vectors.protocol import VectorStore

MINUS_WEIGHT = 0.5
"""How much of a text to move away from is subtracted from a query of length 1."""


def query_vector(query: Query, encoder: Encoder, store: VectorStore) -> NDArray[np.float32]:
    """Return the vector of length 1 that stands for a query, ``(dim,)``.

    Text, picture and "more like this" are averaged, each of length 1 and so with equal say. Of
    words to move away from, `MINUS_WEIGHT` times their embedding is subtracted after that.

    Parameters
    ----------
    query
        What is looked for.
    encoder
        Embeds its words.
    store
        Holds the vector of the picture that others should be like.

    Raises
    ------
    CollectionError
        If nothing is looked for, the words are blank, or the picture has no vector.
    FingerprintMismatchError
        If words or a picture's embedding lie in another space.
    """
    if query.text is not None and not query.text.strip():
        raise CollectionError("the query is empty. Write what the pictures should show.")
    if query.minus is not None and not query.minus.strip():
        raise CollectionError("the words to move away from are empty. Write some, or none at all.")
    texts = [text for text in (query.text, query.minus) if text is not None]
    if texts and encoder.image_fingerprint != encoder.text_fingerprint:
        raise FingerprintMismatchError(
            f"{encoder.name} has words and pictures in two spaces, so words cannot search "
            "pictures. Use a dual encoder, or search by a picture."
        )
    vectors = dict(zip(texts, encoder.encode_texts(texts), strict=True)) if texts else {}
    wanted = [] if query.text is None else [vectors[query.text]]
    if query.image is not None:
        if query.image.shape != (encoder.image_dim,):
            raise FingerprintMismatchError(
                f"the picture's embedding has shape {query.image.shape}, and {encoder.name} "
                f"makes ({encoder.image_dim},). Embed it with the same encoder."
            )
        wanted.append(query.image)
    if query.like is not None:
        try:
            wanted.append(store.get([query.like])[0])
        except KeyError:
            raise CollectionError(
                f"picture {query.like} was not embedded by {encoder.name}. Index it again."
            ) from None
    if not wanted:
        raise CollectionError(
            "nothing is looked for. Give words, a picture, or a picture of the collection."
        )
    vector = _direction(np.mean(wanted, axis=0, dtype=np.float64))
    if query.minus is not None:
        vector = _direction(vector - MINUS_WEIGHT * vectors[query.minus])
    return vector.astype(np.float32)


def _direction(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.linalg.norm(vector) < 1e-6:
        raise CollectionError("the parts of the query cancel each other. Leave one of them out.")
    return unit(vector)
