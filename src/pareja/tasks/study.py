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
from pareja.errors import DatasetError, EncoderError, InputError
from pareja.inputs import Pictures, find_dataset
from pareja.tasks.encoder_measures import EncoderResult, image_categories, measure
from pareja.tasks.looking import look_at_captions
from pareja.tasks.results import FolderResult

EMBEDDED = ("starter-unaligned", "starter")
"""A pair and a dual encoder that need no download."""

MIN_PICTURES = 5
"""With fewer, maps between two spaces have nothing to be fitted on."""


@dataclass(frozen=True)
class OtherCaptions:
    """One encoder with the texts of another column as captions, beside its own result.

    Parameters
    ----------
    column
        The column of the metadata.
    encoder
        What was measured with those texts.
    comparison
        The texts that were studied (``a``) against these (``b``), by the same encoder.
    """

    column: str
    encoder: EncoderResult
    comparison: Comparison


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
    captions
        The column of the metadata whose texts were studied.
    others
        Each encoder with the texts of each further column, encoder by encoder.
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
    captions: str = "caption"
    others: tuple[OtherCaptions, ...] = ()


def study(
    data: Pictures,
    models: Model | Sequence[Model] = EMBEDDED,
    *,
    captions: str | Sequence[str] = "caption",
    seed: int = 0,
    permutations: int = 9_999,
    resamples: int = 2_000,
    device: str | None = None,
    batch_size: int | None = None,
    cache: Cache = True,
    maps: bool = False,
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
    captions
        The column of the metadata whose texts are the captions, such as ``"caption_es"``. Of
        several, the first is studied, and each encoder's result with it is compared with that of
        the others, on the pictures that have a text in all of them.
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
    maps
        Whether it is also shown where each dual encoder that has maps sees the captions of its four
        best and four worst pairs. That embeds eight pictures once more, with their places: under a
        second each for ``starter`` on a CPU.
    progress
        Called with the title of each stage, and with its progress where it has a length.
    command
        The command line that repeats the study, for the report.

    Raises
    ------
    DatasetError
        If fewer than `MIN_PICTURES` captioned pictures can be decoded, no picture has a text in a
        column, or columns are compared of which one has several texts for a picture.
    InputError
        If `data` is something else.
    EncoderError
        If a model cannot be loaded or has one tower, or two have the same name.
    """
    dataset = find_dataset(data)
    columns = [captions] if isinstance(captions, str) else list(captions)
    if not columns or len(set(columns)) < len(columns):
        raise InputError("`captions` names no column, or one twice. Name each column once.")
    encoders = [require_both(loaded(model, device)) for model in listed(models)]
    with opened(cache) as kept:
        return _study(
            dataset,
            encoders,
            columns,
            seed=seed,
            permutations=permutations,
            resamples=resamples,
            batch_size=batch_size,
            cache=kept,
            maps=maps,
            progress=progress,
            command=command,
        )


def _study(
    dataset: Dataset,
    encoders: Sequence[Encoder],
    columns: Sequence[str],
    *,
    seed: int,
    permutations: int,
    resamples: int,
    batch_size: int | None,
    cache: EmbeddingCache | None,
    maps: bool,
    progress: Callable[[str, Progress | None], None],
    command: str,
) -> StudyResult:
    repeated = [name for name, n in Counter(e.name for e in encoders).items() if n > 1]
    if repeated:
        raise EncoderError(f"encoder {repeated[0]!r} is given twice. Name each encoder once.")
    dataset, uncaptioned = _with_texts(dataset, columns)
    written = dataset
    dataset = dataset.with_captions(columns[0])
    undecodable: tuple[tuple[str, str], ...] = ()
    measured = partial(
        measure, cache=cache, seed=seed, permutations=permutations, resamples=resamples
    )
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
        told = measured(encoder, embedded)
        if maps:
            progress(f"maps · {encoder.name}", None)
            ranks = told.image_to_text.ranks
            looks = look_at_captions(encoder, dataset, told.similarity, ranks)
            told = replace(told, looks=looks)
        results.append(told)
    compared = partial(
        compare,
        owner=dataset.owner,
        image_categories=image_categories(dataset),
        permutations=permutations,
        resamples=resamples,
        seed=seed,
    )
    comparisons = []
    for a, b in combinations(results, 2):
        progress(f"compare · {a.name} and {b.name}", None)
        comparisons.append(compared(a.name, b.name, a.similarity, b.similarity))
    decoded = {record.file_name for record in dataset}
    written = replace(written, records=tuple(r for r in written if r.file_name in decoded))
    others: list[OtherCaptions] = []
    for encoder, own in zip(encoders, results, strict=True):
        for column in columns[1:]:
            progress(f"captions · {encoder.name} · {column}", None)
            embedded = embed_dataset(
                written.with_captions(column), encoder, batch_size=batch_size, cache=cache
            )
            told = measured(encoder, embedded)
            comparison = compared(columns[0], column, own.similarity, told.similarity)
            others.append(OtherCaptions(column, told, comparison))
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
        captions=columns[0],
        others=tuple(others),
    )


def without_text(column: str) -> str:
    """Return why a picture without a text in a column of captions is left out of a study."""
    return "has no caption" if column == "caption" else f"has no text in the column {column!r}"


def _with_texts(
    dataset: Dataset, columns: Sequence[str]
) -> tuple[Dataset, tuple[tuple[str, str], ...]]:
    """Return the pictures with a text in every column, and the others with the reason."""
    told = {column: dataset.with_captions(column).records for column in columns}
    kept: list[int] = []
    left_out: list[tuple[str, str]] = []
    for place, record in enumerate(dataset.records):
        empty = [column for column in columns if not told[column][place].captions]
        if empty:
            left_out.append((str(record.source), without_text(empty[0])))
        else:
            kept.append(place)
    for column in columns if len(columns) > 1 else ():
        several = next((i for i in kept if len(told[column][i].captions) > 1), None)
        if several is not None:
            raise DatasetError(
                f"{dataset.records[several].file_name} has several texts in the column "
                f"{column!r}, and columns are compared text by text. Study one column alone, or "
                "leave one text a picture."
            )
    return replace(dataset, records=tuple(dataset.records[i] for i in kept)), tuple(left_out)


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
