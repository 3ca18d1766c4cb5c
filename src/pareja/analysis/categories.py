"""Where it works and where it fails: results by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pareja.analysis.first_place import nearest
from pareja.analysis.retrieval import DIRECTIONS, Direction, Placement, placement
from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    ratio_draws,
    resample_counts,
    share_interval,
    summed,
)
from pareja.analysis.validation import checked_categories, checked_count, checked_similarity
from pareja.errors import AnalysisError


@dataclass(frozen=True)
class CategoryScores:
    """The measures of one category, queries of that category against all candidates.

    Parameters
    ----------
    category
        Its name.
    n_images
        How many pictures it has.
    image_to_text, text_to_image
        R@1 in each direction, with bootstrap intervals.
    matched_mean, mismatched_mean
        Mean similarity of the category's pictures with their own captions, and with all others.
    """

    category: str
    n_images: int
    image_to_text: Estimate
    text_to_image: Estimate
    matched_mean: float
    mismatched_mean: float


@dataclass(frozen=True)
class CategoryConfusion:
    """Which category is confused with which.

    Parameters
    ----------
    categories
        The names, in the order of rows and columns.
    image_to_text
        Counts ``(k, k)``: row = a picture's category, column = the category of the caption that
        is closest to it. Ties share the count.
    text_to_image
        The same with captions as queries: row = the caption's category.
    same
        Share of the queries of each direction whose closest candidate is of their own category,
        right or not, in [0, 1], with its interval.
    chance
        What a random order of the candidates gives.
    """

    categories: tuple[str, ...]
    image_to_text: Floats
    text_to_image: Floats
    same: Mapping[Direction, Estimate]
    chance: Mapping[Direction, float]


def by_category(
    similarity: ArrayLike,
    owner: ArrayLike,
    image_categories: Sequence[str | None],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[tuple[CategoryScores, ...], CategoryConfusion]:
    """Break the measures down by category.

    Parameters
    ----------
    similarity
        Shape ``(n_images, n_captions)``, higher is closer.
    owner
        The picture of each caption, shape ``(n_captions,)``.
    image_categories
        The category of each picture; those with None take part as candidates only.
    resamples, seed
        Of the bootstrap over the pictures of each category.

    Returns
    -------
    scores : tuple[CategoryScores, ...]
        One for each category with a captioned picture, in order of first appearance. R@1 under
        chance is the number of right answers over that of candidates, as in the whole.
    confusion : CategoryConfusion
        Every category. Under chance a row is spread as the candidates are over the categories.

    Raises
    ------
    AnalysisError
        If an array is malformed, no picture has a category, or there is only one picture.

    Notes
    -----
    A category of five pictures has intervals that hold half of [0, 1]: `share_interval`, which is
    Wilson's there. Read differences between categories accordingly. With one category the
    confusion is a single number and says nothing.
    """
    matrix, owners = checked_similarity(similarity, owner)
    categories = checked_categories(image_categories, len(matrix))
    checked_count("resamples", resamples)
    if len(matrix) < 2:
        raise AnalysisError(
            f"categories need at least 2 pictures, got similarity of shape {matrix.shape}"
        )
    names = tuple(dict.fromkeys(name for name in categories if name is not None))
    group = np.array([names.index(name) if name is not None else -1 for name in categories])
    places = {direction: placement(matrix, owners, direction) for direction in DIRECTIONS}
    captioned = group[owners]
    own_sums = np.bincount(owners, matrix[owners, np.arange(len(owners))], minlength=len(matrix))
    own_counts = np.bincount(owners, minlength=len(matrix))
    row_sums = matrix.sum(axis=1, dtype=np.float64)

    def scores(index: int, name: str) -> CategoryScores:
        chosen = group == index
        n_own = int(own_counts[chosen].sum())
        n_others = int(chosen.sum()) * len(owners) - n_own
        own = float(own_sums[chosen].sum())
        return CategoryScores(
            category=name,
            n_images=int(chosen.sum()),
            image_to_text=_first_place(places["image_to_text"], chosen, resamples, seed),
            text_to_image=_first_place(places["text_to_image"], chosen, resamples, seed),
            matched_mean=own / n_own,
            mismatched_mean=(float(row_sums[chosen].sum()) - own) / n_others if n_others else nan,
        )

    confusions: dict[Direction, Floats] = {}
    same: dict[Direction, Estimate] = {}
    for direction in DIRECTIONS:
        images, captions, shares = nearest(matrix, direction)
        if direction == "image_to_text":
            asked, of_queries, of_answers = images, group, captioned[captions]
            pictures: Indices = np.arange(len(matrix))
        else:
            asked, of_queries, of_answers = captions, captioned, group[images]
            pictures = owners
        asking = of_queries[asked]
        named = (asking >= 0) & (of_answers >= 0)
        counts = np.zeros((len(names), len(names)))
        np.add.at(counts, (asking[named], of_answers[named]), shares[named])
        confusions[direction] = counts
        hits = np.zeros(len(of_queries))
        np.add.at(hits, asked, shares * (asking == of_answers))
        chosen = of_queries >= 0
        same[direction] = _share(hits[chosen], pictures[chosen], resamples, seed)
    present = set(captioned.tolist())
    return (
        tuple(scores(index, name) for index, name in enumerate(names) if index in present),
        CategoryConfusion(
            categories=names,
            image_to_text=confusions["image_to_text"],
            text_to_image=confusions["text_to_image"],
            same=same,
            chance={
                "image_to_text": _same_by_chance(group, captioned, len(names)),
                "text_to_image": _same_by_chance(captioned, group, len(names)),
            },
        ),
    )


def _first_place(
    found: Placement, chosen: NDArray[np.bool_], resamples: int, seed: int
) -> Estimate:
    """Return R@1 of the queries whose picture is chosen."""
    asked = chosen[found.pictures]
    return _share(found.hits(1)[asked], found.pictures[asked], resamples, seed)


def _share(hits: Floats, pictures: Indices, resamples: int, seed: int) -> Estimate:
    """Return the share of hits among queries, resampled by picture."""
    captioned, units = np.unique(pictures, return_inverse=True)
    draws = ratio_draws(
        resample_counts(len(captioned), resamples, seed),
        summed(units, hits),
        summed(units, np.ones(len(units))),
    )
    return share_interval(float(hits.mean()), draws, len(captioned))


def _same_by_chance(queries: Indices, candidates: Indices, names: int) -> float:
    """Return how often a candidate taken at random is of the query's category."""
    asked, offered = (
        np.bincount(side[side >= 0], minlength=names) for side in (queries, candidates)
    )
    return float(asked @ offered / (asked.sum() * len(candidates)))
