"""How what a person names becomes an encoder: a model, a pair, a folder, a repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pareja.encoders.catalogue import (
    INT8,
    ModelCard,
    bundled_models,
    find_card,
    misfit,
    without_dim,
)
from pareja.encoders.int8 import in_int8
from pareja.encoders.protocols import (
    AnyEncoder,
    DualEncoder,
    Encoder,
    EncoderPair,
    FusedEncoder,
    ImageEncoder,
    TextEncoder,
)
from pareja.encoders.truncation import in_dim
from pareja.errors import EncoderError, ModelUnavailableError

if TYPE_CHECKING:
    from pareja.encoders.checkpoint import Checkpoint

BUNDLED = Path(__file__).with_name("bundled")
"""Folders of models that come with pareja, by their names in the catalogue."""


def load(
    given: str | os.PathLike[str] | AnyEncoder,
    *,
    device: str | None = None,
    precision: str | None = None,
) -> AnyEncoder:
    """Load an encoder; its networks are read when they are first used.

    Parameters
    ----------
    given
        A name of the catalogue; a pair of an image and a text encoder, as in
        ``resnet50+distiluse``; the path of a folder with a model; or a repository on the hub that
        was fetched before, as ``owner/repo`` or ``owner/repo@revision``. With ``:int8`` after it,
        its pictures are embedded by the network in int8 that `pareja.quantise` made of it. With a
        length after it, as in ``embeddinggemma-2:256``, its embeddings have so many numbers, if it
        was trained for that. An encoder is returned as it is.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; by default the first of these that this
        machine has. The embedded encoders always run on the CPU, in float32, and an encoder that
        was given stays where it is.
    precision
        ``"float32"`` or ``"bfloat16"``; by default what the device is fastest in. ``"int8"``
        stands for the ending ``:int8`` of the name.

    Raises
    ------
    UnknownModelError
        If nothing has that name.
    ModelUnavailableError
        If its files are not here.
    EncoderError
        If the files are not those of an encoder, it was not trained for a length, or the device or
        precision does not exist.
    MissingDependencyError
        If an optional package that reads its files is not installed.
    TypeError
        If `given` is neither a name, a path nor an encoder.

    Examples
    --------
    >>> encoder = load("starter")
    >>> encoder.name, load(encoder) is encoder
    ('starter', True)
    """
    from pareja.encoders.backends import refuse_unknown

    refuse_unknown(device, precision)
    if not isinstance(given, str | os.PathLike):
        return _checked(given)
    name = os.fspath(given)
    if precision == "int8" or (name.endswith(INT8) and "+" not in name):
        return _load_int8(name.removesuffix(INT8), given, device, precision)
    base, dim = without_dim(name)
    if dim is not None and "+" not in name and not _is_folder(name):
        whole = base if isinstance(given, str) else Path(base)
        return in_dim(load(whole, device=device, precision=precision), dim)
    card = find_card(name)
    if card is not None and name not in bundled_models():
        return _fitting(card, _load_named(name, card, True, device, precision))
    return _load_named(name, card, isinstance(given, str), device, precision)


def _is_folder(name: str) -> bool:
    from pareja.encoders.checkpoint import folder_named

    return folder_named(name) is not None


def _load_int8(
    name: str, given: str | os.PathLike[str], device: str | None, precision: str | None
) -> AnyEncoder:
    """Load a model, or a pair, whose image network is in int8."""
    if device not in (None, "openvino"):
        raise EncoderError(
            f"{os.fspath(given)!r}: networks in int8 run through OpenVINO alone. Leave the device "
            f"{device!r} out, or {INT8!r}."
        )
    if precision not in (None, "int8"):
        raise EncoderError(
            f"{os.fspath(given)!r} computes in int8, and {precision} is wanted here. Name the "
            f"model without {INT8!r}."
        )
    base = name if isinstance(given, str) else Path(name)
    return in_int8(load(base, device="openvino"))


def _load_named(
    name: str, card: ModelCard | None, is_text: bool, device: str | None, precision: str | None
) -> AnyEncoder:
    """Load what a name stands for."""
    if card is not None and card.loader == "embedded":
        from pareja.encoders import starter

        return starter.load_starter() if name == "starter" else starter.load_starter_unaligned()
    if card is not None and card.kind == "detector":
        raise EncoderError(
            f"{name!r} is a detector: it says where things are, and embeds nothing. Give it to "
            "pareja.locate, and name an encoder here."
        )
    if halves := pair_halves(name):
        return _load_pair(name, halves, device, precision)
    from pareja.encoders import hub
    from pareja.encoders.checkpoint import Checkpoint, folder_named
    from pareja.encoders.opening import open_folder

    # Networks are read later, perhaps from another working folder.
    folder = folder_named(name if card is None or card.folder is None else card.folder)
    text_prefix = card.text_prefix if card else ""
    if folder is not None and (card is None or card.folder is not None):
        adapter = Checkpoint(folder, name, name)
        if _is_adapter(adapter):
            return _load_adapted(adapter, device, precision)
        return open_folder(
            folder, name, text_prefix=text_prefix, device=device, precision=precision
        )
    if card is not None and card.folder is not None:
        raise misfit(card, "folder", "there is no such folder")
    path = not hub.is_repository(name) and (name.startswith((".", "/", "~")) or name.count("/") > 1)
    if card is None and (path or not is_text):
        raise EncoderError(f"{name}: no such folder. Give the one that holds the config.json.")
    if card is not None and card.comes_with_pareja:
        return open_folder(
            BUNDLED / name, name, model=f"pareja/{name}", device=device, precision=precision
        )
    local = hub.snapshot(name)
    adapter = Checkpoint(local.folder, name, local.repository, local.commit)
    if _is_adapter(adapter):
        return _load_adapted(adapter, device, precision)
    return open_folder(
        local.folder,
        name,
        model=local.repository,
        commit=local.commit,
        text_prefix=text_prefix,
        device=device,
        precision=precision,
    )


def _fitting(card: ModelCard, encoder: AnyEncoder) -> AnyEncoder:
    """Return the encoder that a person's own card led to, if it is what the card says."""
    images = _embeds(encoder, "images")
    found = {
        "kind": getattr(encoder, "kind", "image" if images else "text"),
        "dim": getattr(encoder, "image_dim" if images else "text_dim"),
        "side": getattr(encoder, "image_side", None),
        "loss": getattr(encoder, "loss", None),
    }
    for field, value in found.items():
        if getattr(card, field) not in (value, None, 0):
            place = card.folder or card.repository
            raise misfit(card, field, f"the model in {place} has {value!r}")
    if card.dims:
        whole = found["dim"]
        if not isinstance(whole, int) or card.dims[0] >= whole or not hasattr(encoder, "dims"):
            raise misfit(card, "dims", f"its vectors of {whole} numbers cannot be cut to these")
        encoder.dims = card.dims
    return encoder


def _is_adapter(checkpoint: Checkpoint) -> bool:
    """Whether a folder holds an adapter alone; beside whole weights it is refused elsewhere."""
    from pareja.encoders import adapters, heads

    tuned = checkpoint.has(adapters.CONFIG, heads.WEIGHTS)
    return tuned and not checkpoint.has("config.json", "modules.json")


def _load_adapted(adapter: Checkpoint, device: str | None, precision: str | None) -> AnyEncoder:
    """Load the model that an adapter or a head was trained on, with that in it or on it."""
    from pareja.encoders.adapters import adapted, base_of, in_halves
    from pareja.encoders.heads import WEIGHTS, read_head
    from pareja.encoders.towers import NetworkImageEncoder, NetworkTextEncoder

    base = load(base_of(adapter), device=device, precision=precision)
    if isinstance(base, EncoderPair):
        base = in_halves(base, adapter)
    if adapter.has(WEIGHTS):
        return read_head(require_both(base), adapter)
    if not isinstance(base, NetworkImageEncoder | NetworkTextEncoder):
        raise adapter.error("what the adapter was trained on is not made of transformers' networks")
    return adapted(base, adapter)


def require_images(encoder: AnyEncoder) -> ImageEncoder:
    """Return the encoder, of which pictures are to be embedded.

    Raises
    ------
    EncoderError
        If it embeds only texts.
    """
    if _embeds(encoder, "images"):
        return cast(ImageEncoder, encoder)
    raise EncoderError(
        f"{encoder.name!r} embeds only texts, and pictures are needed here. Name a dual encoder, "
        f"an image encoder, or a pair as in 'resnet50+{encoder.name}'."
    )


def require_texts(encoder: AnyEncoder) -> TextEncoder:
    """Return the encoder, of which texts are to be embedded.

    Raises
    ------
    EncoderError
        If it embeds only pictures.
    """
    if _embeds(encoder, "texts"):
        return cast(TextEncoder, encoder)
    raise EncoderError(
        f"{encoder.name!r} embeds only pictures, and texts are needed here. Name a dual encoder, a "
        f"text encoder, or a pair as in '{encoder.name}+distiluse'."
    )


def require_both(encoder: AnyEncoder) -> Encoder:
    """Return the encoder, of which pictures and texts are to be embedded: a dual one or a pair.

    Raises
    ------
    EncoderError
        If it embeds only pictures or only texts.
    """
    images = _embeds(encoder, "images")
    if images and _embeds(encoder, "texts"):
        return cast(Encoder, encoder)
    pair = f"{encoder.name}+distiluse" if images else f"resnet50+{encoder.name}"
    raise EncoderError(
        f"{encoder.name!r} embeds only {'pictures' if images else 'texts'}, and pictures and texts "
        f"are needed here. Name a dual encoder, or a pair as in {pair!r}."
    )


def require_dual(encoder: AnyEncoder) -> DualEncoder:
    """Return the encoder, whose pictures and texts are to be in one space.

    Raises
    ------
    EncoderError
        If it is a pair, or embeds only pictures or only texts.
    """
    both = require_both(encoder)
    if both.kind == "dual":
        return cast(DualEncoder, both)
    raise EncoderError(
        f"{encoder.name!r} is a pair of networks that share no space, so its texts say nothing "
        "about pictures. Name a dual encoder, as in 'starter' or 'clip-vit-b32'."
    )


def fusing(encoder: AnyEncoder) -> FusedEncoder | None:
    """Return the encoder if it makes one vector of a picture and a text together, or None."""
    return cast(FusedEncoder, encoder) if _embeds(encoder, "fused") else None


def require_fused(encoder: AnyEncoder) -> FusedEncoder:
    """Return the encoder, of which a picture and a text are to become one vector.

    Raises
    ------
    EncoderError
        If it embeds each alone.
    """
    fused = fusing(encoder)
    if fused is None:
        raise EncoderError(
            f"{encoder.name!r} makes no vector of a picture and a text together. Name a model that "
            "does, as 'embeddinggemma-2', or leave the captions out."
        )
    return fused


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
    from pareja.encoders.checkpoint import folder_named

    if "+" not in name or find_card(name) is not None or folder_named(name) is not None:
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
    _refuse_wrong_half(name, images=_embeds(image, "images"), texts=_embeds(text, "texts"))
    return EncoderPair(name, cast(ImageEncoder, image), cast(TextEncoder, text))


def _checked(given: object) -> AnyEncoder:
    """Return an object that is an encoder."""
    if isinstance(given, type) or not (_embeds(given, "images") or _embeds(given, "texts")):
        raise TypeError(
            f"a {type(given).__name__} is no encoder: {given!r:.80}. Give a model's name as in "
            "'starter', the path of a folder with a model, or an encoder."
        )
    return cast(AnyEncoder, given)


def _embeds(encoder: object, what: str) -> bool:
    # Not isinstance: that evaluates every property of the protocol, fingerprints included.
    return callable(getattr(encoder, f"encode_{what}", None))
