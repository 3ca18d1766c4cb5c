"""All checks of a dataset, those that need an encoder included, and packing what passes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pareja.datasets import packing
from pareja.datasets.checks import CheckReport, check_dataset
from pareja.datasets.formats import load_dataset
from pareja.datasets.profiles import Profile
from pareja.datasets.records import Dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.natural import Cache, Model, loaded, opened
from pareja.embedding.pipeline import Progress, embed_dataset
from pareja.encoders import require_dual
from pareja.encoders.protocols import DualEncoder
from pareja.inputs import Pictures, find_dataset
from pareja.tasks.moderation import flag


def check(
    data: Pictures,
    *,
    profile: str | Profile = "general",
    model: Model | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    cache: Cache = True,
    progress: Callable[[Progress], None] | None = None,
) -> CheckReport:
    """Find everything that is wrong with a dataset, at once.

    Parameters
    ----------
    data
        A dataset, its name or its place; or pictures in every form that `pareja.embed` takes.
    profile
        Which rules apply: ``"general"``, ``"course"`` (20 pictures in 4 categories of 5), or rules
        of your own.
    model
        A dual encoder, or what `pareja.load` takes, to be asked whether captions match another
        picture better than their own, and whether a picture may be unfit for a classroom; None
        leaves that out.
    device
        What a model that is named here runs on: ``"cuda"``, ``"mps"``, ``"openvino"`` or
        ``"cpu"``; by default the first of these that this machine has.
    batch_size
        Pictures that the model gets at once; 32 by default.
    cache
        Whether embeddings are looked up in the user's cache, and kept there; or the
        `pareja.embedding.EmbeddingCache` to use.
    progress
        Called after each batch, in the caller's thread.

    Returns
    -------
    CheckReport
        ``ok``, ``problems`` and ``summary``; ``save`` writes them as JSON.

    Raises
    ------
    DatasetError
        If there is no dataset, or it cannot be read at all.
    InputError
        If something else was given.
    EncoderError
        If the model cannot be loaded, or its words share no space with its pictures.

    Examples
    --------
    >>> check("pareja20", profile="course").ok
    True
    """
    if isinstance(data, str | os.PathLike):
        # A row without its picture is a finding here, and an error everywhere else.
        dataset = load_dataset(os.fspath(data), on_missing="keep")
    else:
        dataset = find_dataset(data)
    if model is None:
        return check_dataset(dataset, profile=profile)
    encoder = require_dual(loaded(model, device))
    with opened(cache) as kept:
        return check_with_encoder(
            dataset,
            encoder,
            profile=profile,
            batch_size=batch_size,
            cache=kept,
            progress=progress,
        )


def pack(
    data: Pictures,
    out: Path | str | None = None,
    *,
    profile: str | Profile = "general",
    force: bool = False,
) -> packing.PackResult:
    """Check a dataset and write it as one zip: pictures, metadata, attribution, checksums.

    The same dataset always gives the same bytes.

    Parameters
    ----------
    data
        A dataset, its name or its place; or pictures in every form that `pareja.embed` takes.
    out
        The zip to write; by default the dataset's name with ``.zip``.
    profile
        The rules that it must pass: ``"general"``, ``"course"``, or rules of your own.
    force
        Replace a file that exists.

    Raises
    ------
    DatasetError
        If there is no dataset, or it has errors: the message names the first.
    OutputError
        If the file exists and `force` is off, or cannot be written.
    InputError
        If something else was given.
    """
    dataset = find_dataset(data)
    target = Path(f"{dataset.name}.zip") if out is None else Path(out)
    report = check_dataset(dataset, profile=profile)
    return packing.pack(dataset, target, force=force, report=report)


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
        Pictures that the encoder gets at once; 32 by default.
    cache
        Embeddings of earlier runs.
    progress
        Called while pictures are embedded.

    Returns
    -------
    CheckReport
        Every problem that was found, those of captions that match another picture better than
        their own and of pictures that the moderation prompts flag included.
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
