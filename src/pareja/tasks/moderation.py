"""Zero-shot flags for pictures that a person should look at before others do.

An aid, not a judge: it ranks pictures by how much more they resemble the description of something
unfit than that of anything ordinary, and a person decides. It misses what the encoder cannot see;
``docs/classify.md`` tells how often it is wrong on the bundled pictures.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from pareja.datasets.records import Dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.embedded import Embedded
from pareja.embedding.natural import Cache, Model, embed, loaded, opened
from pareja.embedding.pipeline import OnProgress, text_vectors
from pareja.encoders import require_dual
from pareja.encoders.protocols import DualEncoder, Embeddings, Fingerprint
from pareja.inputs import Pictures, within
from pareja.tables import table
from pareja.tasks.results import write

THRESHOLD = 0.5
"""Score from which a picture is flagged: there the words for it outweigh everything else."""

NOTICE = (
    "An aid, not a judge: a person decides. It misses what the encoder cannot see, and a picture "
    "that is not listed was not approved."
)
"""What everybody who reads a list of flags must know."""


@dataclass(frozen=True)
class ModerationPrompts:
    """Texts that describe what is looked for, and what pictures usually show instead.

    Parameters
    ----------
    flags
        For each flag, the texts that describe it.
    neutral
        Texts about ordinary pictures.
    """

    flags: Mapping[str, Sequence[str]]
    neutral: Sequence[str]


@dataclass(frozen=True)
class Flag:
    """A picture that a person should look at.

    Parameters
    ----------
    image
        Its index.
    category
        What it may show: a key of `ModerationPrompts.flags`.
    score
        Share of the probability that the category's texts got, in [0, 1].
    """

    image: int
    category: str
    score: float


@cache
def default_prompts() -> ModerationPrompts:
    """Return the prompts of ``moderation.toml``."""
    text = resources.files("pareja.tasks").joinpath("moderation.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return ModerationPrompts(flags=table["flags"], neutral=table["neutral"]["texts"])


def moderation_scores(
    images: Embeddings,
    encoder: DualEncoder,
    prompts: ModerationPrompts | None = None,
    *,
    cache: EmbeddingCache | None = None,
) -> NDArray[np.float64]:
    """Score every picture for every flag.

    The texts of all flags and the neutral ones compete in one softmax over the encoder's logits
    (also for encoders trained with a sigmoid: what matters here is which text is nearest); a
    flag's score is the sum over its texts.

    Parameters
    ----------
    images
        Embeddings of the pictures by `encoder`, ``(n, dim)``.
    encoder
        The dual encoder that made them.
    prompts
        What is looked for; by default `default_prompts`.
    cache
        Embeddings of earlier runs, of texts.

    Returns
    -------
    ndarray
        ``(n, n_flags)`` in the order of ``prompts.flags``; in [0, 1], rows sum to at most 1.
    """
    prompts = prompts or default_prompts()
    texts = [text for group in prompts.flags.values() for text in group] + [*prompts.neutral]
    probabilities = softmax(
        encoder.logits(images @ text_vectors(texts, encoder, cache=cache).T).astype(np.float64),
        axis=1,
    )
    ends = np.cumsum([len(group) for group in prompts.flags.values()])
    groups = np.split(probabilities[:, : ends[-1]], ends[:-1], axis=1)
    return np.stack([group.sum(axis=1) for group in groups], axis=1)


def flag(
    images: Embeddings,
    encoder: DualEncoder,
    *,
    threshold: float = THRESHOLD,
    prompts: ModerationPrompts | None = None,
    cache: EmbeddingCache | None = None,
) -> list[Flag]:
    """List the pictures that a person should look at, highest score first.

    Parameters
    ----------
    images
        Embeddings of the pictures by `encoder`, ``(n, dim)``.
    encoder
        The dual encoder that made them.
    prompts
        What is looked for; by default `default_prompts`.
    cache
        Embeddings of earlier runs, of texts.
    threshold
        Score from which a picture is flagged, in [0, 1]. At one half the flag's texts together
        outweigh everything else.

    Returns
    -------
    list of Flag
        At most one for each picture: its highest.
    """
    prompts = prompts or default_prompts()
    scores = moderation_scores(images, encoder, prompts, cache=cache)
    return _flags(scores, list(prompts.flags), threshold)


def _flags(scores: NDArray[np.float64], names: Sequence[str], threshold: float) -> list[Flag]:
    flags = [
        Flag(image, names[int(row.argmax())], float(row.max()))
        for image, row in enumerate(scores)
        if row.max() >= threshold
    ]
    return sorted(flags, key=lambda f: -f.score)


@dataclass(frozen=True)
class Review:
    """Pictures that a person should look at.

    Parameters
    ----------
    dataset
        The pictures that decoded.
    model
        What scored them.
    names
        The flags, in the order of the columns of `scores`.
    scores
        Of every picture for every flag, ``(n_images, n_flags)``, in [0, 1].
    threshold
        Score from which a picture is flagged.
    flagged
        Those pictures, highest score first.
    skipped
        ``(name, reason)`` of the pictures that did not decode.
    """

    dataset: Dataset
    model: str
    names: tuple[str, ...]
    scores: NDArray[np.float64]
    threshold: float
    flagged: tuple[Flag, ...]
    skipped: tuple[tuple[str, str], ...]

    def save(
        self, path: Path | str, *, lang: Literal["en", "es"] = "en", force: bool = False
    ) -> Path:
        """Write the list to one file.

        Parameters
        ----------
        path
            Ends in ``.csv`` (a table of all scores), ``.json`` (the list) or ``.html`` (a page with
            blurred pictures).
        lang
            The language of the page.
        force
            Replace a file that exists.

        Returns
        -------
        Path
            Absolute path of the file.

        Raises
        ------
        OutputError
            If it has another ending, exists and `force` is off, or cannot be written.
        """
        return write(self, path, lang=lang, force=force)

    def ranked(self, image: int) -> list[tuple[str, float]]:
        """Return the flags of a picture with their scores, highest first."""
        pairs = zip(self.names, self.scores[image].tolist(), strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


def moderate(
    pictures: Pictures | Embedded | NDArray[np.floating],
    *,
    model: Model = "starter",
    threshold: float = THRESHOLD,
    prompts: ModerationPrompts | None = None,
    space: Fingerprint | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    cache: Cache = True,
    progress: OnProgress | None = None,
) -> Review:
    """List the pictures that a person should look at.

    Parameters
    ----------
    pictures
        One picture or many, in every form that `pareja.embed` takes; or what it returned.
    model
        A dual encoder, or what `pareja.load` takes.
    threshold
        Score from which a picture is flagged, in [0, 1].
    prompts
        What is looked for; by default `default_prompts`.
    space
        The fingerprint of the encoder that made `pictures`, where these are bare vectors.
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

    Raises
    ------
    InputError
        If something else was given, or `threshold` is outside [0, 1].
    DatasetError
        If there are no pictures, or none of them decodes.
    EncoderError
        If the model cannot be loaded, or its words share no space with its pictures.
    FingerprintMismatchError
        If vectors were given that lie in another space than the model's.
    """
    threshold = within("threshold", threshold, 0, 1)
    prompts = prompts or default_prompts()
    encoder = require_dual(loaded(model, device))
    with opened(cache) as kept:
        found = embed(
            pictures, encoder, space=space, batch_size=batch_size, cache=kept, progress=progress
        )
        scores = moderation_scores(found.rows, encoder, prompts, cache=kept)
    names = tuple(prompts.flags)
    return Review(
        dataset=found.dataset(),
        model=encoder.name,
        names=names,
        scores=scores,
        threshold=threshold,
        flagged=tuple(_flags(scores, names, threshold)),
        skipped=found.skipped,
    )


def review_to_json(review: Review) -> dict[str, Any]:
    """Return the list as plain values: ``notice``, ``flagged`` (with all scores), ``images``."""
    return {
        "model": review.model,
        "notice": NOTICE,
        "threshold": review.threshold,
        "images": len(review.dataset),
        "flagged": [
            {
                "path": review.dataset.records[item.image].file_name,
                "flag": item.category,
                "score": item.score,
                "scores": dict(review.ranked(item.image)),
            }
            for item in review.flagged
        ],
        "skipped": [{"path": path, "reason": reason} for path, reason in review.skipped],
    }


def review_to_csv(review: Review) -> str:
    """Return every picture as a row, flagged or not, highest score first; an empty ``decision``."""
    rows = [["path", "flagged", "flag", "score", "decision", *review.names]]
    for image in np.argsort(-review.scores.max(axis=1), kind="stable"):
        name, score = review.ranked(image)[0]
        rows.append(
            [
                review.dataset.records[image].file_name,
                "yes" if score >= review.threshold else "no",
                name,
                f"{score:.4f}",
                "",
                *(f"{value:.4f}" for value in review.scores[image]),
            ]
        )
    return table(rows)
