"""Whether the best answer is better than what unrelated words reach.

A cosine says little by itself: every encoder has its own scale, and some queries are close to all
pictures. What is measured is the *gap* of a query: its best score in the collection minus its
median score, over a sample of the pictures. The median takes away how close the query is to
pictures in general. Texts about all sorts of things, most of which a given collection does not
show, have gaps too; their median is what "unrelated" means here, and a query with a smaller one
probably has no answer. A median, because a part of those texts will be about something that the
collection does show.

`benchmarks/relevance.py` measures how often that is right on ``commons200``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.protocols import Embeddings, Encoder
from pareja.search.contracts import VectorStore

SAMPLE = 2048
"""So many pictures stand for the collection when the median is taken."""

BACKGROUND = tuple(
    f"a photo of {thing}"
    for thing in (
        "an airport terminal",
        "a slice of cake",
        "a bicycle race",
        "a hospital bed",
        "a printed circuit board",
        "a cactus",
        "a chess game",
        "a courtroom",
        "a cruise ship",
        "a dentist at work",
        "a desk with papers",
        "an electric guitar",
        "a fire engine",
        "a flooded street",
        "a flower bouquet",
        "a forest path",
        "a glacier",
        "a golf course",
        "a graduation ceremony",
        "a handbag",
        "a hot air balloon",
        "an ice cream cone",
        "a jar of honey",
        "a kitchen sink",
        "a lighthouse at night",
        "a mobile phone",
        "a mosquito",
        "a motorcycle",
        "a newspaper page",
        "an office meeting",
        "an orange",
        "a parachute jump",
        "a passport",
        "a pharmacy shelf",
        "a piano",
        "a plate of sushi",
        "a playground",
        "a police car",
        "a printed invoice",
        "a railway platform",
        "a refrigerator",
        "a running shoe",
        "a satellite in orbit",
        "a school class",
        "a seashell",
        "a shopping trolley",
        "a skyscraper under construction",
        "a snake",
        "a sunset over the sea",
        "a surfer",
        "a swimming race",
        "a tea ceremony",
        "a telescope",
        "a tractor",
        "a traffic jam",
        "a train tunnel",
        "a tuxedo",
        "a vegetable market",
        "a volcano",
        "a washing machine",
        "a wedding dress",
        "a wine cellar",
        "a world map",
        "an x-ray of a hand",
    )
)
"""Texts about many things, few of which any one collection shows."""


def gap(best: float, vector: NDArray[np.float32], sample: Embeddings) -> float:
    """Return how far the best score is above the median of a sample of the pictures.

    Parameters
    ----------
    best
        The best score in the whole collection.
    vector
        The query, ``(dim,)``.
    sample
        Pictures, ``(n, dim)``, at least one.
    """
    return best - float(np.median(sample @ vector))


def unrelated_gap(store: VectorStore, encoder: Encoder, sample: Embeddings) -> float:
    """Return the gap that texts reach which have nothing to do with the collection."""
    gaps = []
    for vector in encoder.encode_texts(BACKGROUND):
        best = store.search(vector, 1)
        if best:
            gaps.append(gap(best[0][1], vector, sample))
    return float(np.median(gaps))
