"""One ranking from two: by vectors, and by the words in captions and file names.

Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): a picture at rank r of a ranking gets
1 / (K + r) from it, and the sums decide. Scores are not compared, since a cosine and BM25 share no
scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareja.search.contracts import LookedUp, Why
from pareja.search.nearest import Near, Nearest
from pareja.search.texts import Texts

K = 60
"""What the paper found best; the larger it is, the less the first ranks stand out."""

WINDOW = 100
"""How many of each ranking are fused. It is the same for every page, so that pages fit together."""


CLOSE_TO_BEST = 0.7
"""Texts with less than this share of the best one's BM25 do not count.

Pictures that have only the weaker words of a query, and look a little like it, would otherwise
come before the one that has all of them."""

# Of pictures whose texts fit equally well, the nearest come first: so many are compared.
_COMPARED = 10 * WINDOW


@dataclass(frozen=True)
class ByWords:
    """The pictures that have words of a query in their texts.

    Parameters
    ----------
    looked_up
        Which words they were.
    ranking
        Best first.
    """

    looked_up: LookedUp
    ranking: Sequence[Near]

    def why(
        self, shown: Sequence[Near], by_vectors: Sequence[Near], texts: Texts
    ) -> dict[int, Why]:
        """Return why pictures of a fused ranking are where they are."""
        by_words = _ranks(self.ranking[:WINDOW])
        near = _ranks(by_vectors)
        pictures = [each.picture for each in shown]
        had = texts.having(self.looked_up.words, pictures)
        return {
            picture: Why(
                words=had[picture],
                rank_by_words=by_words.get(picture),
                rank_by_vectors=_told(near.get(picture), brought=picture in by_words),
            )
            for picture in pictures
        }


def by_words(
    words: Sequence[str],
    texts: Texts,
    nearest: Nearest,
    vector: NDArray[np.float32],
    *,
    among: AbstractSet[int] | None,
    exclude: AbstractSet[int],
) -> ByWords:
    """Rank the pictures that have some words in their texts, equal ones by their cosine.

    Parameters
    ----------
    words
        Of the query.
    texts, nearest
        Of the collection, and of the space that is searched.
    vector
        What is looked for, ``(dim,)``.
    among
        The pictures that pass the filters; None for all.
    exclude
        Pictures that are left out.
    """
    looked_up, written = texts.look_up(words)
    scores = {
        each.picture: each.score
        for each in written
        if each.picture not in exclude and (among is None or each.picture in among)
    }
    # BM25 is below 0 here, the least of all first.
    least = CLOSE_TO_BEST * next(iter(scores.values()), 0.0)
    scores = {picture: score for picture, score in scores.items() if score <= least}
    found = nearest.among(vector, list(scores)[:_COMPARED])
    return ByWords(looked_up, sorted(found, key=lambda near: scores[near.picture]))


def fused(by_vectors: Sequence[Near], by_words: Sequence[Near]) -> list[Near]:
    """Return the pictures of two rankings in one.

    The first `WINDOW` of each are ordered by the sum of 1 / (`K` + rank); of equal sums, the one
    with the better rank by words comes first, since a word is the surer sign. All others follow in
    the order of `by_vectors`: none of them would have a larger sum.

    Parameters
    ----------
    by_vectors
        Best first; at least `WINDOW`, or all there are.
    by_words
        Best first.

    Examples
    --------
    >>> a, b, c = (Near(number, 0.5) for number in (1, 2, 3))
    >>> [near.picture for near in fused([a, b], [c, b])]
    [2, 3, 1]
    """
    sums: dict[int, float] = {}
    nearness: dict[int, Near] = {}
    for ranking in (by_vectors, by_words):
        for rank, near in enumerate(ranking[:WINDOW], start=1):
            sums[near.picture] = sums.get(near.picture, 0.0) + 1 / (K + rank)
            nearness.setdefault(near.picture, near)
    written = _ranks(by_words[:WINDOW])

    def order(near: Near) -> tuple[float, int, float, int]:
        rank = written.get(near.picture, WINDOW + 1)
        return -sums[near.picture], rank, -near.score, near.picture

    first = sorted(nearness.values(), key=order)
    return [*first, *(near for near in by_vectors[WINDOW:] if near.picture not in sums)]


def _ranks(ranking: Sequence[Near]) -> dict[int, int]:
    """Return the rank of each picture, from 1."""
    return {near.picture: rank for rank, near in enumerate(ranking, start=1)}


def _told(rank: int | None, *, brought: bool) -> int | None:
    """Leave out a rank that counted nothing: another page would not know it."""
    return None if rank is not None and brought and rank > WINDOW else rank
