"""The models that have a name, and how a name becomes an encoder.

`models.toml` beside this file is the catalogue: adding a model is adding a table there.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, cast

from pareja.encoders.protocols import DualEncoder, Encoder, EncoderPair, ImageEncoder, TextEncoder
from pareja.errors import EncoderError, ModelUnavailableError

AnyEncoder = Encoder | ImageEncoder | TextEncoder


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
        ``owner/name`` on the Hugging Face hub; None for an embedded model.
    revision
        The commit that is downloaded. None where no commit was verified: then the newest one is
        taken when the model is fetched, and the fingerprint records which one that was.
    dim, text_dim
        Length of an embedding; `text_dim` where that of a pair's texts differs.
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
    speed
        ``"fast"``, ``"medium"`` or ``"slow"``: on a laptop's CPU roughly over 30, over 5 and under
        5 pictures (or, for a text encoder, ten times as many sentences) a second.
    languages
        Languages of its texts: ``"en"``, or ``"many"`` for a multilingual model.
    text_prefix
        What its authors put before every text, where the model's own files do not say it.
    """

    name: str
    title: str
    kind: Literal["dual", "pair", "image", "text"]
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
    languages: str | None = None
    text_prefix: str = ""


@cache
def _cards() -> dict[str, ModelCard]:
    text = resources.files("pareja.encoders").joinpath("models.toml").read_text("utf-8")
    return {name: ModelCard(name=name, **entry) for name, entry in tomllib.loads(text).items()}


def list_models() -> tuple[ModelCard, ...]:
    """Return the catalogue, in its own order: embedded, dual, image, text.

    Examples
    --------
    >>> [card.name for card in list_models()][:2]
    ['starter', 'starter-unaligned']
    """
    return tuple(_cards().values())


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


def load(name: str, *, device: str | None = None, precision: str | None = None) -> AnyEncoder:
    """Load an encoder; its networks are read when they are first used.

    Parameters
    ----------
    name
        A name of the catalogue; a pair of an image and a text encoder, as in
        ``resnet50+distiluse``; a local folder with a model; or a repository on the hub that was
        fetched before, as ``owner/repo`` or ``owner/repo@revision``.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; by default the first of these that this
        machine has. The embedded encoders always run on the CPU, in float32.
    precision
        ``"float32"`` or ``"bfloat16"``; by default what the device is fastest in.

    Raises
    ------
    UnknownModelError
        If nothing has that name.
    ModelUnavailableError
        If its files are not here and cannot be fetched.
    EncoderError
        If the files are not those of an encoder, or the device or precision does not exist.
    MissingDependencyError
        If an optional package that reads its files is not installed.
    """
    card = find_card(name)
    if card is not None and card.loader == "embedded":
        from pareja.encoders import starter
        from pareja.encoders.backends import refuse_unknown

        refuse_unknown(device, precision)
        return starter.load_starter() if name == "starter" else starter.load_starter_unaligned()
    if halves := pair_halves(name):
        return _load_pair(name, halves, device, precision)
    from pareja.encoders.opening import open_folder

    folder = Path(name).expanduser()
    if card is None and name and folder.is_dir():
        return open_folder(folder, name, device=device, precision=precision)
    if card is None and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise EncoderError(f"{name}: no such folder. Give the one that holds the config.json.")
    from pareja.encoders import hub

    local = hub.snapshot(name)
    return open_folder(
        local.folder,
        name,
        model=local.repository,
        commit=local.commit,
        text_prefix=card.text_prefix if card else "",
        device=device,
        precision=precision,
    )


def pair_halves(name: str) -> tuple[str, str] | None:
    """Return the image and the text encoder that a pair is written of; None for other names.

    Raises
    ------
    EncoderError
        If the catalogue knows that a half is of the wrong kind.

    Examples
    --------
    >>> pair_halves("resnet50+distiluse")
    ('resnet50', 'distiluse')
    >>> pair_halves("resnet50")
    """
    if "+" not in name or find_card(name) is not None or Path(name).is_dir():
        return None
    image, _, text = name.partition("+")
    image_card, text_card = find_card(image), find_card(text)
    _refuse_wrong_half(
        name,
        images=image_card is None or image_card.kind != "text",
        texts=text_card is None or text_card.kind != "image",
    )
    return image, text


def _refuse_wrong_half(name: str, *, images: bool, texts: bool) -> None:
    """Raise unless the first half embeds pictures and the last texts."""
    image, _, text = name.partition("+")
    if not images:
        raise EncoderError(
            f"{name!r}: {image!r} embeds no pictures. Write the image encoder first, "
            "as in 'resnet50+distiluse'."
        )
    if not texts:
        raise EncoderError(
            f"{name!r}: {text!r} embeds no texts. Write the text encoder last, "
            "as in 'resnet50+distiluse'."
        )


def _load_pair(
    name: str, halves: tuple[str, str], device: str | None, precision: str | None
) -> EncoderPair:
    """Load the two halves of ``image+text``."""
    loaded: list[AnyEncoder] = []
    absent: dict[str, ModelUnavailableError] = {}
    for half in halves:
        try:
            loaded.append(load(half, device=device, precision=precision))
        except ModelUnavailableError as error:
            absent[half] = error
    if len(absent) > 1:
        from pareja.encoders import hub

        raise hub.unavailable(*absent)
    if absent:
        raise next(iter(absent.values()))
    image, text = loaded
    _refuse_wrong_half(
        name, images=hasattr(image, "encode_images"), texts=hasattr(text, "encode_texts")
    )
    return EncoderPair(name, cast(ImageEncoder, image), cast(TextEncoder, text))


def load_encoder(name: str, *, device: str | None = None, precision: str | None = None) -> Encoder:
    """Load an encoder that has both towers: a dual encoder or a pair.

    Parameters and errors are those of `load`.

    Raises
    ------
    EncoderError
        Also if the encoder embeds only pictures or only texts.
    """
    encoder = load(name, device=device, precision=precision)
    # Not isinstance: that evaluates every property of the protocol, fingerprints included.
    if hasattr(encoder, "encode_images") and hasattr(encoder, "encode_texts"):
        return cast(Encoder, encoder)
    written = f"{name}+distiluse" if hasattr(encoder, "encode_images") else f"resnet50+{name}"
    raise EncoderError(
        f"{name!r} has one tower, and pictures and texts are needed here. Name a dual encoder, or "
        f"a pair as in {written!r}."
    )


def load_dual(name: str, *, device: str | None = None, precision: str | None = None) -> DualEncoder:
    """Load an encoder whose pictures and texts share one space.

    Parameters and errors are those of `load`.

    Raises
    ------
    EncoderError
        Also if the encoder is a pair, or has only one tower.
    """
    encoder = load_encoder(name, device=device, precision=precision)
    if encoder.kind == "dual":
        return cast(DualEncoder, encoder)
    raise EncoderError(
        f"{name!r} is a pair of networks that share no space, so its texts say nothing about "
        "pictures. Name a dual encoder, as in 'starter' or 'clip-vit-b32'."
    )
