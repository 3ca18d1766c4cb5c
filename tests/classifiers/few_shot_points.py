"""Points on a sphere around a few directions: pictures with labels, words included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.significance import Floats, Indices
from pareja.encoders import Embeddings, Fingerprint

SPACE = Fingerprint("points", "1", "none", "none")
LABELS = ("cat", "dog", "perro, grande", "ñandú")


@dataclass(frozen=True)
class Points:
    images: Embeddings
    answers: Indices
    prior: Floats
    words: Embeddings


def points(
    *,
    each: int = 6,
    k: int = 4,
    dim: int = 12,
    noise: float = 0.6,
    words: float = 1.0,
    seed: int = 0,
) -> Points:
    """Make `each` pictures of k labels; `words` says how far their words are from the middle."""
    generator = np.random.default_rng(seed)
    middles = generator.standard_normal((k, dim))
    answers = np.repeat(np.arange(k), each)
    images = unit(middles[answers] + noise * generator.standard_normal((len(answers), dim)))
    prompts = 10 * unit(middles + words * generator.standard_normal((k, dim)))
    return Points(images, answers, (images @ prompts.T).astype(np.float64), prompts)


def unit(rows: NDArray[np.floating]) -> Embeddings:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / lengths, dtype=np.float32)
