"""Where it works and where it fails: results by category."""

from __future__ import annotations

from dataclasses import dataclass

from pareja.analysis.significance import Estimate, Floats


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
    """

    categories: tuple[str, ...]
    image_to_text: Floats
    text_to_image: Floats
