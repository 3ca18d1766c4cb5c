"""Measures of similarity matrices and embeddings: arrays in, dataclasses out.

Nothing here knows a model, a file or a plot, and nothing but NumPy and SciPy is needed. Images are
rows and captions columns of every similarity; ``owner[j]`` is the index of the picture that
caption j belongs to, so a picture may have none, one or several. Every function that draws at
random takes a ``seed`` and gives the same numbers for the same one.
"""

from __future__ import annotations

from pareja.analysis.alignment import Bridge, BridgeName, Geometry, bridges, geometry
from pareja.analysis.categories import CategoryConfusion, CategoryScores, by_category
from pareja.analysis.comparison import Agreement, Comparison, Disagreement, compare
from pareja.analysis.matching import MatchingScores, matching
from pareja.analysis.projection import Plane, plane
from pareja.analysis.retrieval import Direction, RetrievalScores, retrieval
from pareja.analysis.significance import Estimate, Floats, Indices, PermutationTest
from pareja.analysis.similarity import cosine_similarity, normalise, random_projection_similarity

__all__ = [
    "Agreement",
    "Bridge",
    "BridgeName",
    "CategoryConfusion",
    "CategoryScores",
    "Comparison",
    "Direction",
    "Disagreement",
    "Estimate",
    "Floats",
    "Geometry",
    "Indices",
    "MatchingScores",
    "PermutationTest",
    "Plane",
    "RetrievalScores",
    "bridges",
    "by_category",
    "compare",
    "cosine_similarity",
    "geometry",
    "matching",
    "normalise",
    "plane",
    "random_projection_similarity",
    "retrieval",
]
