"""The whole comparison of several encoders on one dataset."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import combinations

from pareja.analysis.comparison import Comparison, compare
from pareja.datasets.records import Dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.natural import Cache, Model, listed, loaded, opened
from pareja.embedding.pipeline import (
    Progress,
    embed_dataset,
)
from pareja.encoders import require_both
from pareja.encoders.protocols import Encoder
from pareja.errors import DatasetError, EncoderError
from pareja.inputs import Pictures, find_dataset
from pareja.tasks.encoder_measures import EncoderResult, image_categories, measure
from pareja.tasks.results import FolderResult

EMBEDDED = ("starter-unaligned", "starter")
"""A pair and a dual encoder that need no download."""

MIN_PICTURES = 5
"""With fewer, maps between two spaces have nothing to be fitted on."""


@dataclass(frozen=True)
class StudyResult(FolderResult):
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


def study(
    data: Pictures,
    models: Model | Sequence[Model] = EMBEDDED,
    *,
    seed: int = 0,
    permutations: int = 9_999,
    resamples: int = 2_000,
    device: str | None = None,
    batch_size: int | None = None,
    cache: Cache = True,
    progress: Callable[[str, Progress | None], None] = lambda title, progress: None,
    command: str = "",
) -> StudyResult:
    """Embed a dataset with several encoders, measure each, and compare them two by two.

    Parameters
    ----------
    data
        A dataset of captioned pictures, its name or its place. Pictures without a caption, and
        those that cannot be decoded, are left out and listed in the result.
    models
        One or more, dual encoders and pairs mixed: encoders, or what `pareja.load` takes. Their
        names must differ. By default the two that need no download.
    seed, permutations, resamples
        Seed and number of the random draws. The same seed gives the same numbers.
    device
        What models that are named here run on: ``"cuda"``, ``"mps"``, ``"openvino"`` or
        ``"cpu"``; by default the first of these that this machine has.
    batch_size
        Pictures that a model gets at once; 32 by default.
    cache
        Whether embeddings are looked up in the user's cache, and kept there as they come: after an
        interruption the same study goes on where it stopped. Or the cache to use.
    progress
        Called with the title of each stage, and with its progress where it has a length.
    command
        The command line that repeats the study, for the report.

    Raises
    ------
    DatasetError
        If fewer than `MIN_PICTURES` captioned pictures can be decoded.
    InputError
        If `data` is something else.
    EncoderError
        If a model cannot be loaded or has one tower, or two have the same name.
    """
    dataset = find_dataset(data)
    encoders = [require_both(loaded(model, device)) for model in listed(models)]
    with opened(cache) as kept:
        return _study(
            dataset,
            encoders,
            seed=seed,
            permutations=permutations,
            resamples=resamples,
            batch_size=batch_size,
            cache=kept,
            progress=progress,
            command=command,
        )


def _study(
    dataset: Dataset,
    encoders: Sequence[Encoder],
    *,
    seed: int,
    permutations: int,
    resamples: int,
    batch_size: int | None,
    cache: EmbeddingCache | None,
    progress: Callable[[str, Progress | None], None],
    command: str,
) -> StudyResult:
    repeated = [name for name, n in Counter(e.name for e in encoders).items() if n > 1]
    if repeated:
        raise EncoderError(f"encoder {repeated[0]!r} is given twice. Name each encoder once.")
    uncaptioned = tuple(
        (str(record.source), "has no caption") for record in dataset if not record.captions
    )
    dataset = replace(dataset, records=tuple(r for r in dataset if r.captions))
    undecodable: tuple[tuple[str, str], ...] = ()
    results: list[EncoderResult] = []
    for encoder in encoders:
        _require_pairs(dataset)
        embedded = embed_dataset(
            dataset,
            encoder,
            batch_size=batch_size,
            cache=cache,
            progress=partial(progress, f"embed · {encoder.name}"),
        )
        if results and embedded.skipped:
            name, reason = embedded.skipped[0]
            raise DatasetError(
                f"{name}: {reason}. The first encoder could read it: the dataset changed during "
                "the study. Run it again."
            )
        dataset = embedded.dataset
        undecodable += embedded.skipped
        _require_pairs(dataset)
        progress(f"measure · {encoder.name}", None)
        results.append(
            measure(
                encoder,
                embedded,
                cache=cache,
                seed=seed,
                permutations=permutations,
                resamples=resamples,
            )
        )
    comparisons = []
    for a, b in combinations(results, 2):
        progress(f"compare · {a.name} and {b.name}", None)
        comparisons.append(
            compare(
                a.name,
                b.name,
                a.similarity,
                b.similarity,
                dataset.owner,
                image_categories(dataset),
                permutations=permutations,
                resamples=resamples,
                seed=seed,
            )
        )
    return StudyResult(
        dataset=dataset,
        encoders=tuple(results),
        comparisons=tuple(comparisons),
        skipped=uncaptioned + undecodable,
        seed=seed,
        permutations=permutations,
        resamples=resamples,
        versions=_versions(),
        command=command,
    )


def _require_pairs(dataset: Dataset) -> None:
    if len(dataset) < MIN_PICTURES:
        raise DatasetError(
            f"{dataset.name}: a study needs at least {MIN_PICTURES} pictures with captions, and "
            f"{len(dataset)} can be used. Add captions to its metadata, or pictures."
        )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("pareja", "numpy", "scipy", "pillow", "openvino", "torch"):
        with suppress(PackageNotFoundError):  # torch is no part of the base installation
            found[name] = version(name)
    return found
