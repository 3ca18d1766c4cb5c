"""How good an encoder is at telling pictures' texts apart while it is trained: one number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pareja.training.material import Texts

Indices = NDArray[np.intp]


def mean_reciprocal_rank(
    images: NDArray[np.float32], texts: NDArray[np.float32], owned: list[Indices], *, both: bool
) -> float:
    """Return the mean of 1 / rank of the best right answer, in (0, 1].

    It moves with every rank, where a share of hits on few pictures moves in steps.

    Parameters
    ----------
    images
        Embeddings of the pictures, ``(n, dim)``.
    texts
        Embeddings of the texts to choose among, ``(m, dim)``.
    owned
        For each picture the rows of its texts, at least one.
    both
        Whether texts search pictures as well; otherwise only pictures search texts.
    """
    similarity = images @ texts.T
    right = np.zeros(similarity.shape, bool)
    for i, own in enumerate(owned):
        right[i, own] = True
    found = [_reciprocal_ranks(similarity, right)]
    if both:
        asked = right.any(axis=0)
        found.append(_reciprocal_ranks(similarity.T[asked], right.T[asked]))
    return float(np.mean([np.mean(ranks) for ranks in found]))


def _reciprocal_ranks(
    similarity: NDArray[np.float32], right: NDArray[np.bool_]
) -> NDArray[np.float64]:
    best = np.where(right, similarity, -np.inf).max(axis=1, keepdims=True)
    # A tie counts as lost: a network that maps all to one point must not look perfect. Nor must
    # one whose weights have overflowed, and what is not a number is not less than anything.
    ranks: NDArray[np.float64] = 1.0 / (1 + (~(similarity < best) & ~right).sum(axis=1))
    return ranks


def validation_rows(
    texts: Texts, pictures: Indices, *, labels: bool
) -> tuple[Indices, list[Indices]]:
    """Return the texts that some pictures are to choose among, and each picture's among them.

    Parameters
    ----------
    texts
        Of the whole dataset.
    pictures
        The pictures that are asked about, each with a text.
    labels
        Whether all texts are candidates; otherwise those of `pictures`.
    """
    own = [texts.owned[i] for i in pictures]
    candidates = np.arange(len(texts.texts)) if labels else np.unique(np.concatenate(own))
    return candidates, [np.searchsorted(candidates, rows) for rows in own]
