"""Whether the best answer is better than what unrelated words reach.

A cosine says little by itself: every encoder has its own scale. Texts about all sorts of things,
most of which a given collection does not show, have a best picture there too. The median of their
best scores is what "unrelated" means, and a query with a lower one probably has no answer. A
median, because a part of those texts will be about something that the collection does show.

How far the best picture stands out from the others would not do: where most of them answer, in a
folder of castles, none stands out.

It is a hint, and often wrong; docs/guides/search.md has what `benchmarks/relevance.py` measures.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from typing import cast

import numpy as np
import PIL

from pareja.embedding.cache import Memory
from pareja.embedding.pipeline import text_vectors
from pareja.encoders.preprocessing import resizing_of
from pareja.encoders.protocols import Embeddings, ImageEncoder, TextEncoder, TruncationWarning
from pareja.search.catalogue import Catalogue
from pareja.search.contracts import Query
from pareja.search.nearest import Near, Nearest
from pareja.search.spaces import Space
from pareja.search.weights import terms_of

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


def measure_unrelated(
    nearest: Nearest,
    encoder: ImageEncoder,
    catalogue: Catalogue,
    cache: Memory | None = None,
) -> None:
    """Measure what unrelated words reach, unless there are about as many pictures as last time."""
    space, rows = nearest.space, nearest.count()
    before = space.unrelated_rows
    words = getattr(encoder, "text_fingerprint", None)
    if not rows or words != encoder.image_fingerprint:
        return
    if before is not None and abs(rows - before) <= _GROWTH * before:
        return
    vectors = background(cast(TextEncoder, encoder), cache)
    best = [nearest.search(vector, 1)[0].score for vector in vectors]
    catalogue.set_unrelated_score(space, float(np.median(best)), rows)


def background(encoder: TextEncoder, cache: Memory | None = None) -> Embeddings:
    """Return the embeddings of `BACKGROUND`, ``(64, text_dim)``.

    Those of ``starter`` come with pareja, so that indexing with it needs no text network;
    ``python benchmarks/relevance.py --store`` writes them. Another version of the encoder computes
    its own.
    """
    with resources.files("pareja.search").joinpath("background.npz").open("rb") as file:
        kept = np.load(file, allow_pickle=False)
        if (key := words_digest(encoder)) in kept:
            stored: Embeddings = kept[key]
            return stored
    with warnings.catch_warnings():
        # Nobody can shorten these texts, and cut ones are about all sorts of things as well.
        warnings.simplefilter("ignore", TruncationWarning)
        return text_vectors(BACKGROUND, encoder, cache=cache)


def words_digest(encoder: TextEncoder) -> str:
    """Return the digest of all in an encoder's fingerprint that changes the embeddings of words.

    How Pillow resizes pictures, which a dual encoder's fingerprint says too, does not.
    """
    space = encoder.text_fingerprint
    resizing = resizing_of(PIL.__version__)
    return replace(space, preprocessing=space.preprocessing.replace(resizing, "")).digest


def likely_relevant(query: Query, space: Space, found: Sequence[Near]) -> bool | None:
    """Return whether the best hit is better than what unrelated words reach.

    None where that was not measured: it holds for words alone, without weights, since pictures are
    closer to pictures than words are, and for the whole collection.
    """
    others = (query.image, query.like, query.minus, query.category)
    words_alone = all(part is None for part in others) and not query.shows
    words_alone = words_alone and len(terms_of(query.text or "")) == 1
    if not words_alone or not found or space.unrelated_score is None:
        return None
    return found[0].score >= space.unrelated_score
