"""Vectors that are made up."""

from __future__ import annotations

import numpy as np

from pareja.encoders.protocols import Embeddings


def unit_rows(seed: int, count: int, dim: int) -> Embeddings:
    """Return rows of length 1 in all directions, ``(count, dim)``."""
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
