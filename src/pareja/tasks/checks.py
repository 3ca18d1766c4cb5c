"""All checks of a dataset, those that need an encoder included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pareja.datasets.checks import CheckReport, check_dataset
from pareja.datasets.profiles import Profile
from pareja.datasets.records import Dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.pipeline import Progress, embed_dataset
from pareja.encoders.protocols import DualEncoder
from pareja.tasks.moderation import flag


def check_with_encoder(
    dataset: Dataset,
    encoder: DualEncoder,
    *,
    profile: str | Profile = "general",
    batch_size: int | None = None,
    cache: EmbeddingCache | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> CheckReport:
    """Check a dataset, and ask an encoder about captions and content as well.

    Parameters
    ----------
    dataset
        The pictures, loaded with ``on_missing="keep"``.
    encoder
        Embeds pictures and captions; pictures that it cannot read are reported by the other
        checks and left out of its own.
    profile
        Which rules apply.
    batch_size
        Pictures that the encoder gets at once, as `pareja.embedding.pipeline.stream_images` takes
        it.
    cache
        Embeddings of earlier runs.
    progress
        Called while pictures are embedded.

    Returns
    -------
    CheckReport
        As `pareja.datasets.checks.check_dataset` returns it; with the codes of captions that
        match another picture better than their own, and of pictures that
        `pareja.tasks.moderation.flag` flags.
    """
    embedded = embed_dataset(
        dataset, encoder, batch_size=batch_size, cache=cache, progress=progress
    )
    place = {record.file_name: i for i, record in enumerate(dataset)}
    readable = np.array([place[record.file_name] for record in embedded.dataset], dtype=np.intp)
    # NaN stands for what could not be embedded.
    similarity = np.full((len(dataset), len(dataset.captions)), np.nan, dtype=np.float32)
    columns = np.flatnonzero(np.isin(dataset.owner, readable))
    similarity[np.ix_(readable, columns)] = embedded.images @ embedded.captions.T
    flagged = [
        (int(readable[found.image]), found.category, found.score)
        for found in flag(embedded.images, encoder, cache=cache)
    ]
    return check_dataset(dataset, profile=profile, similarity=similarity, flagged=flagged)
