"""Which captions of a collection match a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pareja.encoders.protocols import Embeddings
from pareja.search.contracts import Picture


@dataclass(frozen=True)
class CaptionMatch:
    """A caption of the collection, the picture it belongs to, and how well it matches another."""

    caption: str
    picture: Picture
    score: float


def captioned(pictures: Iterable[Picture]) -> list[Picture]:
    """Return the pictures that have a caption; of equal captions, the first."""
    distinct: dict[str, Picture] = {}
    for picture in pictures:
        if picture.caption:
            distinct.setdefault(picture.caption, picture)
    return list(distinct.values())


def best_and_worst(
    pictures: Sequence[Picture], captions: Embeddings, image: Embeddings, n: int
) -> tuple[list[CaptionMatch], list[CaptionMatch]]:
    """Rank captions by their similarity to a picture.

    Parameters
    ----------
    pictures
        Those that the captions belong to.
    captions
        The captions' embeddings, ``(n_captions, dim)``.
    image
        The picture's embedding in the same space, ``(dim,)``.
    n
        How many of each, at least 1. No caption is both, unless there is only one.

    Returns
    -------
    best, worst
        The former from the best on, the latter from the worst on, with cosines in [-1, 1].
    """
    scores = captions @ image
    order = np.argsort(-scores, kind="stable")
    matches = [
        CaptionMatch(pictures[i].caption or "", pictures[i], float(scores[i])) for i in order
    ]
    n = min(n, len(matches) // 2 or 1)
    return matches[:n], matches[::-1][:n]
