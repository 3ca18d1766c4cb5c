"""The whole comparison of several encoders on one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pareja.analysis.alignment import Bridge, Geometry
from pareja.analysis.categories import CategoryConfusion, CategoryScores
from pareja.analysis.comparison import Comparison
from pareja.analysis.matching import MatchingScores
from pareja.analysis.projection import Plane
from pareja.analysis.retrieval import RetrievalScores
from pareja.analysis.significance import Floats
from pareja.datasets.records import Dataset
from pareja.encoders.protocols import Fingerprint


@dataclass(frozen=True)
class EncoderResult:
    """Everything that was measured of one encoder.

    Parameters
    ----------
    name, kind
        The encoder and whether it is one model (``"dual"``) or two networks (``"pair"``).
    image_fingerprint, text_fingerprint
        The spaces of its embeddings; equal for a dual encoder.
    image_dim, text_dim
        Lengths of its embeddings.
    seconds
        Wall time that embedding the dataset took.
    similarity
        ``(n_images, n_captions)``. For a pair it is the random-projection baseline: what comes
        of comparing two spaces as if they were one.
    image_to_text, text_to_image, matching
        The measures of that similarity.
    bridges
        For a pair, every way across its two spaces, the baseline first; empty for a dual encoder.
    geometry
        Whether pictures and captions are arranged alike, without any map.
    categories, confusion
        Results by category; empty and None where fewer than two categories are given.
    plane
        Positions for the 2-D map.
    """

    name: str
    kind: Literal["dual", "pair"]
    image_fingerprint: Fingerprint
    text_fingerprint: Fingerprint
    image_dim: int
    text_dim: int
    seconds: float
    similarity: Floats
    image_to_text: RetrievalScores
    text_to_image: RetrievalScores
    matching: MatchingScores
    bridges: tuple[Bridge, ...]
    geometry: Geometry
    categories: tuple[CategoryScores, ...]
    confusion: CategoryConfusion | None
    plane: Plane


@dataclass(frozen=True)
class StudyResult:
    """Several encoders on one dataset.

    Parameters
    ----------
    dataset
        The pictures that were studied, in the order of every matrix's rows; its ``captions`` are
        the columns, and ``owner`` says whose they are.
    encoders
        One result for each encoder, in the order asked for.
    comparisons
        Every two encoders, in that order.
    skipped
        Pictures left out of the study, each with the reason.
    seed, permutations, resamples
        What the random draws were made with.
    versions
        Versions of Python, pareja and the packages that the numbers depend on.
    command
        The command line that repeats the study.
    """

    dataset: Dataset
    encoders: tuple[EncoderResult, ...]
    comparisons: tuple[Comparison, ...]
    skipped: tuple[tuple[str, str], ...]
    seed: int
    permutations: int
    resamples: int
    versions: Mapping[str, str]
    command: str
