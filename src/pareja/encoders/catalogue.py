"""What is known of the models that have a name.

`models.toml` beside this file is the catalogue: adding a model is adding a table there. A person's
own models stand in a file of the same form, see `own_file`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

from platformdirs import user_config_path

from pareja.encoders.cards import line_of, read_cards
from pareja.encoders.figures import ByLanguage, Retrieval, Score
from pareja.errors import EncoderError

INT8 = ":int8"
"""What a name ends with that stands for a model whose image network computes in int8."""

_DIM = re.compile(r":(\d{1,5})")


@dataclass(frozen=True)
class ModelCard:
    """What is known about a model before it is loaded or downloaded.

    Parameters
    ----------
    name
        How commands call it.
    kind
        ``"dual"``, ``"pair"``, ``"image"``, ``"text"`` or ``"detector"``.
    title
        Its name as its authors write it.
    loader
        What reads its files: ``"transformers"``, ``"sentence-transformers"``, ``"open_clip"``, or
        ``"embedded"`` where they are Python packages that came with pareja.
    licence
        Of the weights, as an SPDX identifier where there is one; empty where it is not known. Where
        sources disagree it is the stricter.
    licence_note
        What sources say where they disagree.
    repository
        ``owner/name`` on the Hugging Face hub; None for a model that comes with pareja or lies in
        a folder.
    folder
        Where a person's own model lies; None for all others.
    revision
        The commit that is downloaded. None where no commit was verified: then the newest one is
        taken when the model is fetched, and the fingerprint records which one that was.
    dim, text_dim
        Length of an embedding; 0 of a detector, and where it is not known. `text_dim` where that
        of a pair's texts differs.
    dims
        Shorter lengths that it was trained to be cut to, the longest first: with ``:256`` after the
        name its embeddings have 256 numbers. Empty where it was not.
    side
        Side of the square that its image network sees, in pixels; None for text encoders.
    parameters
        Number of parameters in millions, of both towers.
    download_mb
        Size of the files that are downloaded, in MB (10^6 bytes).
    loss
        How a dual encoder was trained: ``"softmax"`` or ``"sigmoid"``.
    imagenet
        Published zero-shot top-1 accuracy on ImageNet-1k; None where none is published.
    coco, flickr
        Published retrieval on the 5,000 test pictures of COCO and the 1,000 of Flickr30k, with
        English captions; None where none is published.
    xm3600
        Published retrieval with captions in Spanish and in English; None where none is published.
    lvis
        Published average precision of a detector on LVIS minival; None where none is known.
    speed
        ``"fast"``, ``"medium"`` or ``"slow"``: on a laptop's CPU roughly over 30, over 5 and under
        5 pictures (or, for a text encoder, ten times as many sentences) a second; None where it is
        not known.
    languages
        Languages of its texts: ``"en"``, ``"en, es"``, or ``"many"`` for a multilingual model.
        Where `xm3600` is known, it decides on ``"es"``, and not what its authors call it.
    home
        A dataset of pictures like those that it learned from, where these are of a kind of their
        own: what tuning holds on to.
    text_prefix
        What its authors put before every text, where the model's own files do not say it.
    """

    name: str
    kind: Literal["dual", "pair", "image", "text", "detector"]
    title: str = ""
    loader: Literal["transformers", "sentence-transformers", "open_clip", "embedded"] = (
        "transformers"
    )
    licence: str = ""
    dim: int = 0
    speed: Literal["fast", "medium", "slow"] | None = None
    repository: str | None = None
    folder: str | None = None
    revision: str | None = None
    text_dim: int | None = None
    dims: tuple[int, ...] = ()
    side: int | None = None
    parameters: float | None = None
    download_mb: float | None = None
    loss: Literal["softmax", "sigmoid"] | None = None
    imagenet: Score | None = None
    coco: Retrieval | None = None
    flickr: Retrieval | None = None
    xm3600: ByLanguage | None = None
    lvis: Score | None = None
    languages: str | None = None
    home: str | None = None
    text_prefix: str = ""
    licence_note: str = ""

    @property
    def comes_with_pareja(self) -> bool:
        """Whether there is nothing to download or to look for."""
        return self.repository is None and self.folder is None


@cache
def bundled_models() -> Mapping[str, ModelCard]:
    """Return the cards that come with pareja, encoders and detectors, by their names."""
    text = resources.files("pareja.encoders").joinpath("models.toml").read_text("utf-8")
    return read_cards(text, ModelCard, "models.toml")


def own_file() -> Path:
    """Return the file of a person's own models: that of ``PAREJA_MODELS``, or one in their folder.

    It need not exist, but where the environment variable names it.
    """
    return Path(os.environ.get("PAREJA_MODELS") or user_config_path("pareja") / "models.toml")


def _cards() -> Mapping[str, ModelCard]:
    path = own_file().expanduser()
    try:
        state = path.stat()
    except OSError as error:
        if not os.environ.get("PAREJA_MODELS"):
            return bundled_models()
        raise EncoderError(f"PAREJA_MODELS names {path}, which cannot be read: {error}.") from error
    return {**bundled_models(), **_own_models(path, state.st_mtime_ns, state.st_size)}


@lru_cache(maxsize=1)
def _own_models(path: Path, changed: int, size: int) -> Mapping[str, ModelCard]:
    """Read a person's own models anew when their file has changed."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"{path} cannot be read: {error}.") from error
    cards = read_cards(text, ModelCard, str(path))
    return {name: _own(card, path, text) for name, card in cards.items()}


def _own(card: ModelCard, path: Path, text: str) -> ModelCard:
    """Return a person's card as it counts, or raise `EncoderError` if it cannot."""
    where = f"{path}:{line_of(text, card.name)}: {card.name!r}"
    if card.name in bundled_models():
        raise EncoderError(
            f"{where} would hide the model of that name that comes with pareja. Choose another "
            "name."
        )
    if (card.repository is None) == (card.folder is None):
        raise EncoderError(
            f"{where} needs either folder, the path of the model, or repository, as owner/name on "
            "the Hugging Face hub."
        )
    if card.kind == "pair" or card.loader == "embedded":
        raise EncoderError(
            f"{where} is a kind of model that only pareja itself brings. Name a model that is "
            "dual, image, text or detector; a pair is written of two names, with a + between them."
        )
    folder = card.folder
    if folder is not None:  # relative to the file, wherever the program was started
        folder = str(path.parent.absolute() / Path(folder).expanduser())
    return replace(card, title=card.title or card.name, folder=folder)


def misfit(card: ModelCard, field: str, reason: str) -> EncoderError:
    """Make the error that a person's own card says of a model what is not so.

    Parameters
    ----------
    field
        What is wrong of it.
    reason
        What is so.
    """
    path = own_file().expanduser()
    line = line_of(path.read_text("utf-8"), card.name, field)
    return EncoderError(
        f"{path}:{line}: {card.name!r} has {field} = {getattr(card, field)!r}, and {reason}. "
        "Correct the card, or name another model."
    )


def list_models() -> tuple[ModelCard, ...]:
    """Return the encoders that have a name: the catalogue in its own order, then a person's own.

    The catalogue has those that come with pareja, dual, image and text encoders, in this order.

    Raises
    ------
    EncoderError
        If a person's own file of models is wrong. The message names the line.

    Examples
    --------
    >>> [card.name for card in list_models()][:2]
    ['starter', 'starter-unaligned']
    """
    return tuple(card for card in _cards().values() if card.kind != "detector")


def list_detectors() -> tuple[ModelCard, ...]:
    """Return the detectors that have a name, which `pareja.locate` takes in place of an encoder.

    Examples
    --------
    >>> list_detectors()[0].name
    'owlvit-b32'
    """
    return tuple(card for card in _cards().values() if card.kind == "detector")


def find_card(name: str) -> ModelCard | None:
    """Return the card of a catalogue name, with `INT8` or a length after it or without, or None."""
    return _cards().get(name) or _cards().get(without_dim(name.removesuffix(INT8))[0])


def without_dim(name: str) -> tuple[str, int | None]:
    """Take the length that embeddings are to have off the end of a name; None where it has none.

    Examples
    --------
    >>> without_dim("embeddinggemma-2:256")
    ('embeddinggemma-2', 256)
    """
    base, colon, dim = name.rpartition(":")
    if not base or not _DIM.fullmatch(colon + dim):
        return name, None
    return base, int(dim)


def suggestions(name: str) -> list[str]:
    """Return catalogue names that resemble a wrong one, best first.

    Examples
    --------
    >>> suggestions("clip-vit-b-32")[0]
    'clip-vit-b32'
    """
    return difflib.get_close_matches(name.lower(), _cards(), n=3, cutoff=0.5)
