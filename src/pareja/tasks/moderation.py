"""Zero-shot flags for pictures that a person should look at before others do.

An aid, not a judge: it ranks pictures by how much more they resemble the description of something
unfit than that of anything ordinary, and a person decides. It misses what the encoder cannot see.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from pareja.encoders.protocols import DualEncoder, Embeddings


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
    images: Embeddings, encoder: DualEncoder, prompts: ModerationPrompts | None = None
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

    Returns
    -------
    ndarray
        ``(n, n_flags)`` in the order of ``prompts.flags``; in [0, 1], rows sum to at most 1.
    """
    prompts = prompts or default_prompts()
    texts = [text for group in prompts.flags.values() for text in group] + [*prompts.neutral]
    probabilities = softmax(
        encoder.logits(images @ encoder.encode_texts(texts).T).astype(np.float64), axis=1
    )
    ends = np.cumsum([len(group) for group in prompts.flags.values()])
    groups = np.split(probabilities[:, : ends[-1]], ends[:-1], axis=1)
    return np.stack([group.sum(axis=1) for group in groups], axis=1)


def flag(
    images: Embeddings,
    encoder: DualEncoder,
    *,
    threshold: float = 0.5,
    prompts: ModerationPrompts | None = None,
) -> list[Flag]:
    """List the pictures that a person should look at, highest score first.

    Parameters
    ----------
    images, encoder, prompts
        As in `moderation_scores`.
    threshold
        Score from which a picture is flagged, in [0, 1]. At one half the flag's texts together
        outweigh everything else.

    Returns
    -------
    list of Flag
        At most one for each picture: its highest.
    """
    prompts = prompts or default_prompts()
    scores = moderation_scores(images, encoder, prompts)
    names = list(prompts.flags)
    flags = [
        Flag(image, names[int(row.argmax())], float(row.max()))
        for image, row in enumerate(scores)
        if row.max() >= threshold
    ]
    return sorted(flags, key=lambda f: -f.score)
