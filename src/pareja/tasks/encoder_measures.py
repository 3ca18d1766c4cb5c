"""Everything that a study measures of one encoder on a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict, cast

from pareja.analysis.alignment import Bridge, BridgeName, Geometry, bridges, geometry
from pareja.analysis.categories import CategoryConfusion, CategoryScores, by_category
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
from pareja.embedding.pipeline import (
    DatasetEmbeddings,
    text_vectors,
)
from pareja.encoders.protocols import DualEncoder, Encoder, Fingerprint
from pareja.tasks.looking import Look

COMPARED_BRIDGE: BridgeName = "ridge"
"""The way across a pair's two spaces that stands for the pair when encoders are compared.

It is chosen beforehand: the best of five on the very pictures would look better than it is. Ridge
regression is the plainest map that can be learned from few pairs: one linear map whose only setting
is chosen inside each fold, scored on pairs that it has not seen.
"""

MOST_CELLS = 2_000_000
"""Of larger matrices of an encoder pair only that of `COMPARED_BRIDGE` is kept, and none is written
as text, where each cell takes ten bytes or so."""

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
        Of more than `MOST_CELLS` pictures times captions, only that of `bridge` keeps its
        similarity.
    geometry
        Whether pictures and captions are arranged alike, without any map.
    categories, confusion
        Results by category; empty and None where fewer than two categories are given.
    plane
        Positions for the 2-D map.
    dual
        For a dual encoder its modality gap, calibration and prompt sensitivity; None for a pair.
    looks
        Where it sees the captions of the best and the worst pairs; empty where nobody asked, or it
        has no maps.
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
    looks: tuple[Look, ...] = ()


class Draws(TypedDict):
    """How intervals are drawn."""

    seed: int
    resamples: int


class Tests(Draws):
    """How intervals and permutation tests are drawn."""

    permutations: int


def measure(
    encoder: Encoder,
    embedded: DatasetEmbeddings,
    *,
    cache: EmbeddingCache | None,
    seed: int,
    permutations: int,
    resamples: int,
) -> EncoderResult:
    """Measure one encoder on a dataset that it has embedded.

    Parameters
    ----------
    encoder
        The encoder.
    embedded
        Its embeddings of the dataset, every picture of which has a caption.
    cache
        Where embeddings of captions in templates are looked up and kept; None for nowhere.
    seed, permutations, resamples
        Seed and number of the random draws.
    """
    dataset, images, captions = embedded.dataset, embedded.images, embedded.captions
    owner = dataset.owner
    draws: Draws = {"seed": seed, "resamples": resamples}
    tests: Tests = {**draws, "permutations": permutations}
    across: tuple[Bridge, ...] = ()
    if encoder.kind == "pair":
        keep = None if len(images) * len(captions) <= MOST_CELLS else (COMPARED_BRIDGE,)
        across = bridges(images, captions, owner, **tests, keep=keep)
        told = next(bridge for bridge in across if bridge.name == COMPARED_BRIDGE)
        similarity = cast(Floats, told.similarity)
        image_to_text, text_to_image = told.image_to_text, told.text_to_image
        matched, hits = told.matching, told.first_place
    else:
        similarity = cosine_similarity(images, captions)
        image_to_text, text_to_image = retrieval(similarity, owner, **draws)
        matched = matching(similarity, owner, **tests)
        hits = first_place(similarity, owner, permutations=permutations, seed=seed)
    given = image_categories(dataset)
    categories, confusion = by_category(similarity, owner, given, **draws) if given else ((), None)
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


def image_categories(dataset: Dataset) -> list[str]:
    """Return each picture's category; empty unless all have one and there are at least two."""
    given = [record.category for record in dataset if record.category]
    return given if len(given) == len(dataset) and len(set(given)) > 1 else []
