"""What a tuning begins with: pictures and texts as rows, and the encoder that is to learn them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from pareja.classifiers.prompts import PLACE
from pareja.datasets.records import Dataset
from pareja.decimals import counted
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.pipeline import embed_sources, text_vectors
from pareja.encoders.catalogue import find_card
from pareja.encoders.fused import NetworkFusedEncoder
from pareja.encoders.loading import require_both
from pareja.encoders.protocols import AnyEncoder, DualEncoder, Encoder, EncoderPair
from pareja.encoders.towers import NetworkDualEncoder, NetworkImageEncoder, NetworkTextEncoder
from pareja.errors import DatasetError, EncoderError, MissingDependencyError
from pareja.inputs import Pictures, find_dataset
from pareja.tasks.evaluation import true_labels
from pareja.tasks.tuning_measures import Learned
from pareja.training.course import Course
from pareja.training.heads import START, Head
from pareja.training.loop import Anchors
from pareja.training.lora import Rank, Towers
from pareja.training.material import Texts, caption_texts, label_texts, prepared_pixels
from pareja.training.methods import Adaptation, Method, OnRows, begin
from pareja.training.pairs import PairTraining
from pareja.training.projection import Projections
from pareja.training.schedule import Schedule
from pareja.training.splits import has_splits, refuse_few

Indices = NDArray[np.intp]

HOME = "commons200"
"""Pictures of many kinds, for encoders whose card names no others."""


@dataclass(frozen=True)
class Setup:
    """Everything that a training needs, whichever pictures it learns from.

    Parameters
    ----------
    base
        What is adapted.
    dataset
        The pictures that decode; their positions are the rows of everything else.
    texts
        What belongs to them.
    course
        How an encoder learns from some of these rows.
    skipped
        ``(name, reason)`` of pictures that do not decode.
    """

    base: Encoder
    dataset: Dataset
    texts: Texts
    course: Course
    skipped: tuple[tuple[str, str], ...]


def set_up(
    base: Encoder,
    dataset: Dataset,
    *,
    method: Method,
    learned: Learned,
    templates: Sequence[str],
    anchored: Dataset | None,
    towers: Towers,
    rank: Rank,
    schedule: Schedule,
    loss: Literal["softmax", "sigmoid"] | None,
    device: str,
    cache: EmbeddingCache | None,
    progress: OnRows | None,
) -> Setup:
    """Read pictures and texts, and make the encoder ready to learn them.

    Parameters
    ----------
    base
        What is adapted; `trainable` has passed it.
    dataset
        What is learned from and measured on.
    method, towers, rank, schedule
        How.
    learned, templates
        What pictures are paired with.
    anchored
        Captioned pictures whose embeddings should stay as they are.
    loss
        By default the encoder's own.
    device
        Where training runs.
    cache
        Embeddings of earlier runs, for a head; for projections, features of earlier runs.
    progress
        Called with what is done (``"pictures"``, ``"image network"``, ``"text network"``), how many
        and how many in all.

    Raises
    ------
    EncoderError
        If the encoder has no weights of that kind.
    DatasetError
        If there are too few texts, or nothing to tell apart.
    """
    if not has_splits(dataset):
        refuse_few(dataset)
    if learned == "caption":
        texts = caption_texts(dataset)
    else:
        texts = label_texts(dataset, true_labels(dataset, learned), templates, PLACE)
    own = len(dataset)
    held = () if anchored is None else anchored.records
    sources = [record.source for record in (*dataset, *held)]
    said = texts.texts + tuple(text for record in held for text in record.captions)
    shown = progress and partial(progress, "pictures")
    still, projections = base, None
    if method == "projection":
        projections = Projections(cast(NetworkDualEncoder, base))
        still = projections.before
    if method in ("head", "projection"):
        images = embed_sources(
            sources,
            still,
            cache=cache,
            progress=shown and (lambda now: shown(now.done, len(sources))),
        )
        vectors = text_vectors(said, still, cache=cache)
        kept, skipped = images.indices, images.skipped
    else:
        pixels, kept, skipped = prepared_pixels(sources, base, shown)
    rows = kept[kept < own]
    by_row = Texts(texts.texts, tuple(texts.owned[i] for i in rows))
    anchors = None
    if held:
        anchors = Anchors(
            np.arange(len(rows), len(kept)), np.arange(len(texts.texts), len(said)), schedule.keep
        )
    loss, (scale, bias) = _logits(base, loss)
    terms = scale, bias or 0.0
    if projections is not None:
        matrices = projections.over(
            images.vectors, vectors, loss=loss, towers=towers, device=device
        )

        def start(train: Indices) -> Adaptation:
            return matrices
    elif method == "head":

        def start(train: Indices) -> Adaptation:
            head = Head.begun(
                base,
                images.vectors,
                vectors,
                by_row.owned,
                train,
                loss=loss,
                terms=terms,
                towers=towers,
            )
            return head.over(images.vectors, vectors, device)
    elif isinstance(base, EncoderPair):
        training = PairTraining(
            base,
            pixels,
            said,
            loss=loss,
            terms=terms,
            towers=towers,
            rank=rank,
            device=device,
            seed=schedule.seed,
            progress=progress,
        )

        def start(train: Indices) -> Adaptation:
            return training.begin(by_row.owned, train)
    else:
        adaptation = begin(
            cast(NetworkDualEncoder, base),
            pixels,
            said,
            "full" if method == "full" else "lora",
            loss=loss,
            towers=towers,
            rank=rank,
            device=device,
            seed=schedule.seed,
            progress=progress,
        )
        for name, side in (("image", adaptation.image), ("text", adaptation.text)):
            side.prepare(progress and partial(progress, f"{name} network"))

        def start(train: Indices) -> Adaptation:
            return adaptation

    course = Course(
        start,
        by_row,
        learned != "caption",
        loss,
        (scale, bias),
        schedule,
        anchors,
        partial=not (method == "lora" and rank.dora),
    )
    records = tuple(dataset.records[i] for i in rows)
    return Setup(base, replace(dataset, records=records), by_row, course, skipped)


def _logits(
    base: Encoder, loss: Literal["softmax", "sigmoid"] | None
) -> tuple[Literal["softmax", "sigmoid"], tuple[float, float | None]]:
    """Return the loss, and the scale and bias of the logits that training begins with.

    The bias is None where softmax trained the encoder and sigmoid is to train it further.
    """
    if base.kind == "dual":
        dual: DualEncoder = base  # type: ignore[assignment]  # the kind says so
        low, high = dual.logits(np.array([[0.0, 1.0]]))[0].tolist()
        loss = loss or dual.loss
        return loss, (high - low, None if loss == "sigmoid" != dual.loss else low)
    return loss or "softmax", START[loss or "softmax"]


def trainable(encoder: AnyEncoder, method: Method) -> Encoder:
    """Return an encoder that can be adapted by a method.

    Raises
    ------
    EncoderError
        If it has no weights that the method could train.
    MissingDependencyError
        If PEFT is needed and not installed.
    """
    if method == "head":
        return require_both(encoder)
    if isinstance(encoder, EncoderPair):
        parts = encoder.image_encoder, encoder.text_encoder
        networks = all(isinstance(p, NetworkImageEncoder | NetworkTextEncoder) for p in parts)
        if networks and method != "lora":
            raise EncoderError(
                f"{encoder.name} is a pair of networks that share no space, and "
                f"`method={method!r}` trains a dual encoder. Use `method='lora'` (adapters in both "
                "networks and linear maps into a common space) or `method='head'` (the maps alone)."
            )
    else:
        networks = isinstance(encoder, NetworkDualEncoder) and encoder.folder is not None
    if isinstance(encoder, NetworkFusedEncoder):
        raise EncoderError(
            f"{encoder.name} reads pictures and texts with one network, which would be trained as "
            "two. Use `method='head'`, which puts linear maps on top of it."
        )
    if not networks:
        raise EncoderError(
            f"{encoder.name} has no weights that can be trained here. Use `method='head'`, which "
            "puts linear maps on top of it, or name an encoder made of networks, as "
            "'clip-vit-b32', 'resnet50+distiluse' or the folder of one."
        )
    if method == "lora" and find_spec("peft") is None:
        raise MissingDependencyError("peft", "to learn low-rank adapters", "tune")
    return cast(Encoder, encoder)


def halves(
    base: Encoder, dataset: Dataset, keep: Pictures | bool
) -> tuple[Dataset | None, Dataset | None]:
    """Return what is held on to while others are learned, and what measures whether that worked.

    Of a dataset every second captioned picture is held on to, and the others are only measured.

    Parameters
    ----------
    base
        What is adapted. A pair has no common space to hold on to.
    dataset
        What is learned from.
    keep
        A dataset, or False for neither. True takes pictures of the kind that the encoder knows,
        unless these are learned from.

    Raises
    ------
    DatasetError
        If the dataset has fewer than four captioned pictures.
    """
    if keep is False or base.kind != "dual":
        return None, None
    if keep is True:
        card = find_card(base.name)
        home = find_dataset(card.home if card is not None and card.home else HOME)
        if home.location == dataset.location:
            return None, None
    else:
        home = find_dataset(keep)
    records = [record for record in home if record.captions]
    if len(records) < 4:
        raise DatasetError(
            f"{home.name}: {counted(len(records), 'picture has', 'pictures have')} a caption, and "
            "at least 4 are needed to hold on to some and measure on the others. Name another "
            "dataset as `keep`."
        )
    held, measured = (tuple(records[start::2]) for start in (0, 1))
    return (
        replace(home, records=held),
        replace(home, records=measured, name=f"½ {home.name}"),
    )
