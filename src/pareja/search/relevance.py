"""Whether the best answer is better than what unrelated words reach.

A cosine says little by itself: every encoder has its own scale, and some queries are close to all
pictures. What is measured is the *gap* of a query: its best score in the collection minus its
median score, over a sample of the pictures. The median takes away how close the query is to
pictures in general. Texts about all sorts of things, most of which a given collection does not
show, have gaps too; their median is what "unrelated" means here, and a query with a smaller one
probably has no answer. A median, because a part of those texts will be about something that the
collection does show.

`benchmarks/relevance.py` measures how often that is right. On ``commons200`` with ``starter`` it
tells 68 % of 37 queries about things that no picture shows, and wrongly takes 11 % of 71 queries
about things that some picture shows for such.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.protocols import Embeddings, Encoder
from pareja.search.catalogue import Catalogue, Space
from pareja.search.contracts import Query, VectorStore

SAMPLE = 2048
"""So many pictures stand for the collection when the median is taken."""

_GROWTH = 0.1

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


class Calibration:
    """What "unrelated" means in each space of a collection.

    Parameters
    ----------
    catalogue
        Keeps it.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._samples: dict[int, Embeddings] = {}

    def refresh(self, space: Space, encoder: Encoder, store: VectorStore) -> None:
        """Measure it, unless there are about as many pictures as when it was."""
        rows = store.count()
        before = space.unrelated_rows
        if not rows or encoder.image_fingerprint != encoder.text_fingerprint:
            return
        if before is not None and abs(rows - before) <= _GROWTH * before:
            return
        self._samples.pop(space.id, None)
        gaps = [
            self._gap(store.search(vector, 1)[0][1], vector, space, store)
            for vector in encoder.encode_texts(BACKGROUND)
        ]
        self._catalogue.set_unrelated_gap(space, float(np.median(gaps)), rows)

    def judge(
        self,
        query: Query,
        space: Space,
        store: VectorStore,
        vector: NDArray[np.float32],
        found: Sequence[tuple[int, float]],
    ) -> bool | None:
        """Return whether the best hit is better than what unrelated words reach.

        None where that was not measured: it holds for words alone, since pictures are closer to
        pictures than words are, and for the whole collection.
        """
        others = (query.image, query.like, query.minus, query.category)
        words_alone = all(part is None for part in others) and not query.shows
        if not words_alone or not found or space.unrelated_gap is None:
            return None
        return self._gap(found[0][1], vector, space, store) >= space.unrelated_gap

    def _gap(
        self, best: float, vector: NDArray[np.float32], space: Space, store: VectorStore
    ) -> float:
        """Return how far the best score is above the median over a sample of the pictures."""
        sample = self._samples.get(space.id)
        if sample is None:
            ids = store.known(self._catalogue.spread_ids(SAMPLE))
            sample = self._samples[space.id] = store.get(sorted(ids))
        return best - float(np.median(sample @ vector)) if len(sample) else best
