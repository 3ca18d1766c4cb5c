"""Where it works and where it fails: results by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pareja.analysis.retrieval import Direction, Placement, placement
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
    own = owners[None, :] == np.arange(len(matrix))[:, None]
    forward = placement(matrix, owners, "image_to_text")
    backward = placement(matrix, owners, "text_to_image")

    def scores(index: int, name: str) -> CategoryScores:
        rows, mask = matrix[group == index], own[group == index]
        return CategoryScores(
            category=name,
            n_images=len(rows),
            image_to_text=_first_place(forward, group == index, resamples, seed),
            text_to_image=_first_place(backward, group == index, resamples, seed),
            matched_mean=float(rows[mask].mean()),
            mismatched_mean=float(rows[~mask].mean()),
        )

    present = set(group[owners].tolist())
    return (
        tuple(scores(index, name) for index, name in enumerate(names) if index in present),
        CategoryConfusion(
            categories=names,
            image_to_text=_confusion(matrix, group, group[owners], len(names)),
            text_to_image=_confusion(matrix.T, group[owners], group, len(names)),
            same={
                "image_to_text": _same(
                    matrix, group, group[owners], np.arange(len(matrix)), resamples, seed
                ),
                "text_to_image": _same(matrix.T, group[owners], group, owners, resamples, seed),
            },
            chance={
                "image_to_text": _same_by_chance(group, group[owners]),
                "text_to_image": _same_by_chance(group[owners], group),
            },
        ),
    )


def _first_place(
    found: Placement, chosen: NDArray[np.bool_], resamples: int, seed: int
) -> Estimate:
    """Return R@1 of the queries whose picture is chosen."""
    asked = chosen[found.pictures]
    hits = found.hits(1)[asked]
    captioned, units = np.unique(found.pictures[asked], return_inverse=True)
    draws = ratio_draws(
        resample_counts(len(captioned), resamples, seed),
        summed(units, hits),
        summed(units, np.ones(len(units))),
    )
    return share_interval(float(hits.mean()), draws, len(captioned))


def _confusion(scores: Floats, queries: Indices, candidates: Indices, size: int) -> Floats:
    """Count the category of the closest candidate by category of the query, ``(size, size)``."""
    closest = scores == scores.max(axis=1, keepdims=True)
    share = closest / closest.sum(axis=1, keepdims=True)
    counts: Floats = _indicator(queries, size).T @ share @ _indicator(candidates, size)
    return counts


def _same(
    scores: Floats,
    queries: Indices,
    candidates: Indices,
    pictures: Indices,
    resamples: int,
    seed: int,
) -> Estimate:
    """Return the share of queries whose closest candidate is of their category."""
    asked = queries >= 0
    closest = scores[asked] == scores[asked].max(axis=1, keepdims=True)
    own = candidates == queries[asked][:, None]
    hits = (closest & own).sum(axis=1) / closest.sum(axis=1)
    kept, units = np.unique(pictures[asked], return_inverse=True)
    draws = ratio_draws(
        resample_counts(len(kept), resamples, seed),
        summed(units, hits),
        summed(units, np.ones(len(units))),
    )
    return share_interval(float(hits.mean()), draws, len(kept))


def _same_by_chance(queries: Indices, candidates: Indices) -> float:
    """Return how often a candidate taken at random is of the query's category."""
    asked = queries[queries >= 0]
    return float(np.mean(asked[:, None] == candidates))


def _indicator(group: Indices, size: int) -> Floats:
    """Return one row per item with 1 at its category; none for items without category."""
    indicator: Floats = (group[:, None] == np.arange(size)).astype(np.float64)
    return indicator
