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
from typing import Literal, TypedDict, cast

from pareja.analysis.alignment import Bridge, BridgeName, Geometry, bridges, geometry
from pareja.analysis.categories import CategoryConfusion, CategoryScores, by_category
from pareja.analysis.comparison import Comparison, compare
from pareja.analysis.first_place import first_place
from pareja.analysis.matching import MatchingScores, matching
from pareja.analysis.modality import (
    DualScores,
    PromptScores,
    caption_calibration,
    modality_gap,
)
from pareja.analysis.projection import Plane, plane
from pareja.analysis.retrieval import Direction, RetrievalScores, retrieval
from pareja.analysis.significance import Floats, PermutationTest
from pareja.analysis.similarity import cosine_similarity
from pareja.datasets.records import Dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.natural import Cache, Model, listed, loaded, opened
from pareja.embedding.pipeline import (
    DatasetEmbeddings,
    Progress,
    embed_dataset,
    text_vectors,
)
from pareja.encoders import require_both
from pareja.encoders.protocols import DualEncoder, Encoder, Fingerprint
from pareja.errors import DatasetError, EncoderError
from pareja.inputs import Pictures, find_dataset
from pareja.tasks.results import FolderResult

EMBEDDED = ("starter-unaligned", "starter")
"""A pair and a dual encoder that need no download."""

MIN_PICTURES = 5
"""With fewer, maps between two spaces have nothing to be fitted on."""

COMPARED_BRIDGE: BridgeName = "ridge"
"""The way across a pair's two spaces that stands for the pair when encoders are compared.

It is chosen beforehand: the best of five on the very pictures would look better than it is. Ridge
regression is the plainest map that can be learned from few pairs: one linear map whose only setting
is chosen inside each fold, scored on pairs that it has not seen.
"""

CAPTION_TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "this picture shows {}")
"""What captions are put into to see how much an encoder depends on their wording."""


@dataclass(frozen=True)
class EncoderResult:
    """Everything that was measured of one encoder.

    Parameters
    ----------
    name, kind
        The encoder and whether it is one model (``"dual"``) or two networks (``"pair"``).
    image_fingerprint, text_fingerprint
        The spaces of its embeddings; equal for a dual encoder.
    image_dim, text_dim
        Lengths of its embeddings.
    seconds
        Wall time that embedding the dataset took; next to none where a cache knew it.
    similarity
        ``(n_images, n_captions)``. For a pair it is that of `bridge`.
    image_to_text, text_to_image, matching, first_place
        The measures of that similarity, and the test of R@1 in each direction.
    bridge
        For a pair the way across that stands for it, `COMPARED_BRIDGE`; None for a dual encoder.
    bridges
        For a pair, every way across its two spaces, the baseline first; empty for a dual encoder.
    geometry
        Whether pictures and captions are arranged alike, without any map.
    categories, confusion
        Results by category; empty and None where fewer than two categories are given.
    plane
        Positions for the 2-D map.
    dual
        For a dual encoder its modality gap, calibration and prompt sensitivity; None for a pair.
    """

    name: str
    kind: Literal["dual", "pair"]
    image_fingerprint: Fingerprint
    text_fingerprint: Fingerprint
    image_dim: int
    text_dim: int
    seconds: float
    similarity: Floats
    image_to_text: RetrievalScores
    text_to_image: RetrievalScores
    matching: MatchingScores
    first_place: Mapping[Direction, PermutationTest]
    bridge: BridgeName | None
    bridges: tuple[Bridge, ...]
    geometry: Geometry
    categories: tuple[CategoryScores, ...]
    confusion: CategoryConfusion | None
    plane: Plane
    dual: DualScores | None = None


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
        What models that are named here run on, as `pareja.load` says.
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
            _measure(
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
                _image_categories(dataset),
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


class Draws(TypedDict):
    """How intervals are drawn."""

    seed: int
    resamples: int


class Tests(Draws):
    """How intervals and permutation tests are drawn."""

    permutations: int


def _measure(
    encoder: Encoder,
    embedded: DatasetEmbeddings,
    *,
    cache: EmbeddingCache | None,
    seed: int,
    permutations: int,
    resamples: int,
) -> EncoderResult:
    dataset, images, captions = embedded.dataset, embedded.images, embedded.captions
    owner = dataset.owner
    draws: Draws = {"seed": seed, "resamples": resamples}
    tests: Tests = {**draws, "permutations": permutations}
    across: tuple[Bridge, ...] = ()
    if encoder.kind == "pair":
        across = bridges(images, captions, owner, **tests)
        told = next(bridge for bridge in across if bridge.name == COMPARED_BRIDGE)
        similarity = told.similarity
        image_to_text, text_to_image = told.image_to_text, told.text_to_image
        matched, hits = told.matching, told.first_place
    else:
        similarity = cosine_similarity(images, captions)
        image_to_text, text_to_image = retrieval(similarity, owner, **draws)
        matched = matching(similarity, owner, **tests)
        hits = first_place(similarity, owner, permutations=permutations, seed=seed)
    image_categories = _image_categories(dataset)
    categories, confusion = (
        by_category(similarity, owner, image_categories, **draws)
        if image_categories
        else ((), None)
    )
    return EncoderResult(
        name=encoder.name,
        kind=encoder.kind,
        image_fingerprint=encoder.image_fingerprint,
        text_fingerprint=encoder.text_fingerprint,
        image_dim=images.shape[1],
        text_dim=captions.shape[1],
        seconds=embedded.seconds,
        similarity=similarity,
        image_to_text=image_to_text,
        text_to_image=text_to_image,
        matching=matched,
        first_place=hits,
        bridge=COMPARED_BRIDGE if across else None,
        bridges=across,
        dual=None if across else _dual_scores(encoder, embedded, cache, **tests),
        geometry=geometry(images, captions, owner, permutations=permutations, seed=seed),
        categories=categories,
        confusion=confusion,
        plane=plane(images, captions, owner, shared=encoder.kind == "dual"),
    )


def _dual_scores(
    encoder: Encoder,
    embedded: DatasetEmbeddings,
    cache: EmbeddingCache | None,
    *,
    seed: int,
    permutations: int,
    resamples: int,
) -> DualScores:
    """Measure what only one space for both modalities has."""
    dual = cast(DualEncoder, encoder)
    images, captions, dataset = embedded.images, embedded.captions, embedded.dataset
    calibration = caption_calibration(
        dual.logits(images @ captions.T),
        dataset.owner,
        loss=dual.loss,
        resamples=resamples,
        seed=seed,
    )
    prompts = []
    for template in CAPTION_TEMPLATES:
        # The first template is the bare caption, whose embeddings are here already.
        texts = captions
        if template != "{}":
            phrases = [template.replace("{}", text) for text in dataset.captions]
            texts = text_vectors(phrases, dual, cache=cache)
        scores = retrieval(
            cosine_similarity(images, texts), dataset.owner, resamples=resamples, seed=seed
        )
        prompts.append(PromptScores(template, {each.direction: each.recall[1] for each in scores}))
    return DualScores(
        gap=modality_gap(images, captions, dataset.owner, permutations=permutations, seed=seed),
        ece=calibration.ece,
        honest_ece=calibration.honest_ece,
        reliability=calibration.reliability,
        prompts=tuple(prompts),
    )


def _image_categories(dataset: Dataset) -> list[str]:
    """Each picture's category; empty unless all have one and there are at least two."""
    given = [record.category for record in dataset if record.category]
    return given if len(given) == len(dataset) and len(set(given)) > 1 else []


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
