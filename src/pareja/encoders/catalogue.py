"""What is known of the models that have a name.

`models.toml` beside this file is the catalogue: adding a model is adding a table there.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal


@dataclass(frozen=True)
class ModelCard:
    """What is known about a model before it is loaded or downloaded.

    Parameters
    ----------
    name
        How commands call it.
    title
        Its name as its authors write it.
    kind
        ``"dual"``, ``"pair"``, ``"image"`` or ``"text"``.
    loader
        What reads its files: ``"transformers"``, ``"sentence-transformers"``, ``"open_clip"``, or
        ``"embedded"`` where they are Python packages that came with pareja.
    licence
        Of the weights, as an SPDX identifier where there is one.
    repository
        ``owner/name`` on the Hugging Face hub; None for a model that comes with pareja.
    revision
        The commit that is downloaded. None where no commit was verified: then the newest one is
        taken when the model is fetched, and the fingerprint records which one that was.
    dim, text_dim
        Length of an embedding, 0 of a detector; `text_dim` where that of a pair's texts differs.
    side
        Side of the square that its image network sees, in pixels; None for text encoders.
    parameters
        Number of parameters in millions, of both towers.
    download_mb
        Size of the files that are downloaded, in MB (10^6 bytes).
    loss
        How a dual encoder was trained: ``"softmax"`` or ``"sigmoid"``.
    imagenet
        Published zero-shot top-1 accuracy on ImageNet-1k, percent; None where none is published.
    imagenet_source
        Who published `imagenet`.
    lvis
        Published average precision of a detector on LVIS minival, percent; None where none is
        known.
    lvis_source
        Who published `lvis`.
    speed
        ``"fast"``, ``"medium"`` or ``"slow"``: on a laptop's CPU roughly over 30, over 5 and under
        5 pictures (or, for a text encoder, ten times as many sentences) a second.
    languages
        Languages of its texts: ``"en"``, or ``"many"`` for a multilingual model.
    home
        A dataset of pictures like those that it learned from, where these are of a kind of their
        own: what tuning holds on to.
    text_prefix
        What its authors put before every text, where the model's own files do not say it.
    """

    name: str
    title: str
    kind: Literal["dual", "pair", "image", "text", "detector"]
    loader: Literal["transformers", "sentence-transformers", "open_clip", "embedded"]
    licence: str
    dim: int
    speed: Literal["fast", "medium", "slow"]
    repository: str | None = None
    revision: str | None = None
    text_dim: int | None = None
    side: int | None = None
    parameters: float | None = None
    download_mb: float | None = None
    loss: Literal["softmax", "sigmoid"] | None = None
    imagenet: float | None = None
    imagenet_source: str | None = None
    lvis: float | None = None
    lvis_source: str | None = None
    languages: str | None = None
    home: str | None = None
    text_prefix: str = ""


@cache
def _cards() -> dict[str, ModelCard]:
    text = resources.files("pareja.encoders").joinpath("models.toml").read_text("utf-8")
    return {name: ModelCard(name=name, **entry) for name, entry in tomllib.loads(text).items()}


def list_models() -> tuple[ModelCard, ...]:
    """Return the encoders of the catalogue, in its own order: embedded, dual, image, text.

    Examples
    --------
    >>> [card.name for card in list_models()][:2]
    ['starter', 'starter-unaligned']
    """
    return tuple(card for card in _cards().values() if card.kind != "detector")


def list_detectors() -> tuple[ModelCard, ...]:
    """Return the detectors of the catalogue, which `pareja.locate` takes in place of an encoder.

    Examples
    --------
    >>> list_detectors()[0].name
    'owlvit-b32'
    """
    return tuple(card for card in _cards().values() if card.kind == "detector")


def find_card(name: str) -> ModelCard | None:
    """Return the card of a catalogue name, or None."""
    return _cards().get(name)


def suggestions(name: str) -> list[str]:
    """Return catalogue names that resemble a wrong one, best first.

    Examples
    --------
    >>> suggestions("clip-vit-b-32")[0]
    'clip-vit-b32'
    """
    return difflib.get_close_matches(name.lower(), _cards(), n=3, cutoff=0.5)
