"""Where an encoder sees the captions of the pairs that a study matched best and worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.significance import Floats, Indices
from pareja.datasets.images import decode_image
from pareja.datasets.records import Dataset
from pareja.encoders.protocols import DualEncoder, Encoder
from pareja.tasks.locating import LocatedPicture
from pareja.tasks.locating_looks import MapLooker

SHOWN_PAIRS = 4
"""How many of the best pairs, and of the worst ones, a report shows."""


@dataclass(frozen=True)
class Look:
    """Where in a picture an encoder sees the caption that was written for it.

    Parameters
    ----------
    picture, caption
        Their places in the dataset.
    located
        The picture, with the caption as the only words.
    """

    picture: int
    caption: int
    located: LocatedPicture


def nearest_own(owner: Indices, similarity: Floats, picture: int) -> int:
    """Return the caption of a picture that is nearest to it.

    Parameters
    ----------
    owner
        Whose each caption is, ``(n_captions,)``.
    similarity
        ``(n_images, n_captions)``.
    picture
        Its row.
    """
    own = np.flatnonzero(owner == picture)
    return int(own[np.argmax(similarity[picture, own])])


def by_match(owner: Indices, similarity: Floats, ranks: ArrayLike) -> list[int]:
    """Return pictures from the best matched to the worst.

    Parameters
    ----------
    owner
        Whose each caption is, ``(n_captions,)``.
    similarity
        ``(n_images, n_captions)``.
    ranks
        The rank of each picture's own caption, ``(n_images,)``; it counts first, and then the
        similarity.
    """
    places = np.asarray(ranks)

    def place(picture: int) -> tuple[float, float]:
        own = nearest_own(owner, similarity, picture)
        return float(places[picture]), -float(similarity[picture, own])

    return sorted(range(len(similarity)), key=place)


def ends(ordered: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """Return the first and the last of them, the last one first; none is in both."""
    shown = min(SHOWN_PAIRS, len(ordered) // 2)
    return ordered[:shown], ordered[::-1][:shown]


def look_at_captions(
    encoder: Encoder, dataset: Dataset, similarity: Floats, ranks: ArrayLike
) -> tuple[Look, ...]:
    """Map the own captions of the best and the worst pairs.

    Parameters
    ----------
    encoder
        What was studied.
    dataset
        The pictures, which can be decoded.
    similarity
        What the encoder makes of it, ``(n_images, n_captions)``.
    ranks
        The rank of each picture's own caption, ``(n_images,)``.

    Returns
    -------
    tuple of Look
        The best pairs and then the worst; nothing for an encoder that has no maps of its own.
    """
    if not isinstance(encoder, DualEncoder) or getattr(encoder, "regions", None) is None:
        return ()
    looker = MapLooker(encoder, "{}")
    looks = []
    for part in ends(by_match(dataset.owner, similarity, ranks)):
        for picture in part:
            record = dataset.records[picture]
            caption = nearest_own(dataset.owner, similarity, picture)
            looker.look_for([dataset.captions[caption]], None)
            image = decode_image(record.source)
            (row,) = looker.encode_pixels(looker.prepare(image)[None])
            places = looker.places(row, image.size)
            looks.append(Look(picture, caption, LocatedPicture(record, *image.size, places)))
    return tuple(looks)
