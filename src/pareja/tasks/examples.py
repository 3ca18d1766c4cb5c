"""From a labelled dataset to what few-shot methods learn from, and to classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from pareja.analysis.significance import Floats, Indices
from pareja.classifiers.few_shot import METHODS, Method, learn, uses_words
from pareja.classifiers.learned import Classifier, Weights
from pareja.classifiers.prompts import DEFAULT_TEMPLATES
from pareja.classifiers.zero_shot import embed_labels
from pareja.datasets.records import Dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.embedded import Embedded
from pareja.embedding.pipeline import OnProgress, embed_sources
from pareja.encoders import AnyEncoder, require_images
from pareja.encoders.origins import origin_of
from pareja.encoders.protocols import DualEncoder, Embeddings, Fingerprint
from pareja.errors import EncoderError, LabelError
from pareja.tasks.evaluation import Truth, choices, true_labels
from pareja.tasks.learning_curves import taking_part, usual_shots


@dataclass(frozen=True)
class Examples:
    """Labelled pictures, embedded.

    Parameters
    ----------
    labels
        The k labels that take part.
    shots
        The numbers of examples a label that are to be tried.
    images
        Embeddings that are learned from, ``(n, dim)``.
    answers
        Index of each picture's label, ``(n,)``.
    encoder, fingerprint
        What embedded `images`, and their space.
    prior
        Zero-shot logits, ``(n, k)``; None where no words are known.
    words
        What gives them from `images`, ``(k, dim)``: the labels' embeddings times the logit scale.
        None where no words are known, and where they belong to another encoder.
    left_out
        ``(label, pictures)`` of the labels with too few.
    unlabelled
        How many pictures have no label.
    skipped
        ``(name, reason)`` of the pictures that did not decode.
    """

    labels: tuple[str, ...]
    shots: tuple[int, ...]
    images: Embeddings
    answers: Indices
    encoder: str
    fingerprint: Fingerprint
    prior: Floats | None
    words: Weights | None
    left_out: tuple[tuple[str, int], ...]
    unlabelled: int
    skipped: tuple[tuple[str, str], ...]


def gather_examples(
    dataset: Dataset,
    encoder: AnyEncoder,
    *,
    rows: Embedded | None = None,
    features: AnyEncoder | None = None,
    truth: Truth = "label",
    labels: Sequence[str] | None = None,
    shots: Sequence[int] | None = None,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    batch_size: int | None = None,
    cache: EmbeddingCache | None = None,
    progress: OnProgress | None = None,
) -> Examples:
    """Embed the pictures of a dataset that have a label with enough pictures.

    Parameters
    ----------
    dataset
        The pictures.
    encoder
        What embeds them. A dual encoder gives zero-shot logits too.
    rows
        The embeddings of all the pictures by it, where they are known.
    features
        Another encoder, whose embeddings are learned from in place of the first one's.
    truth
        The column that says what a picture shows.
    labels
        Which labels; by default all.
    shots
        Numbers of examples a label; by default `usual_shots`. Labels without a picture more than
        the most of them are left out; where none is given, those without any.
    templates
        Prompts for the labels.
    batch_size
        Pictures that the encoder gets at once; 32 by default.
    cache
        Embeddings of earlier runs.
    progress
        Called after each batch of pictures.

    Raises
    ------
    LabelError
        If there is only one label, fewer than two have enough pictures, or one that was named has
        none.
    DatasetError
        If no picture has a label.
    EncoderError
        If an encoder embeds no pictures.
    """
    seen_by = require_images(encoder)
    learned_from = seen_by if features is None else require_images(features)
    names, places = choices(dataset, truth, labels)
    # Before the pictures, which may take hours.
    _selected(names, places, shots, named=labels is not None)
    sources = [dataset.records[i].source for i in np.flatnonzero(places >= 0)]
    embed = partial(embed_sources, batch_size=batch_size, cache=cache, progress=progress)
    own = embed(sources, seen_by) if rows is None else rows.part(np.flatnonzero(places >= 0))
    places = places[places >= 0][own.indices]
    inside, numbers = _selected(names, places, shots, named=labels is not None)
    kept = np.isin(places, inside)
    chosen = tuple(names[i] for i in inside)
    answers = np.searchsorted(inside, places[kept])
    images = own.vectors[kept]
    words = prior = None
    if getattr(encoder, "kind", None) == "dual":
        dual = cast(DualEncoder, encoder)
        scale = float(np.subtract(*dual.logits(np.array([[1.0], [0.0]], np.float32)).ravel()))
        words = scale * embed_labels(chosen, dual, templates=templates, cache=cache)
        prior = (images @ words.T).astype(np.float64)
    if features is not None:
        decoded = [sources[i] for i in own.indices[kept]]
        images = embed(decoded, learned_from, on_error="raise").vectors
        words = None
    counts = np.bincount(places, minlength=len(names))
    return Examples(
        labels=chosen,
        shots=numbers,
        images=images,
        answers=answers,
        encoder=origin_of(learned_from),
        fingerprint=learned_from.image_fingerprint,
        prior=prior,
        words=words,
        left_out=tuple((n, int(counts[i])) for i, n in enumerate(names) if i not in inside),
        unlabelled=true_labels(dataset, truth).count(None),
        skipped=own.skipped,
    )


def usable_methods(examples: Examples, methods: Sequence[Method] = ()) -> tuple[Method, ...]:
    """Return the methods that were named, or all that can be used.

    Raises
    ------
    EncoderError
        If one that was named starts from words, and there are none.
    """
    for method in methods:
        if uses_words(method) and examples.prior is None:
            raise EncoderError(
                f"{method} starts from zero-shot logits, and the words of {examples.encoder!r} "
                "share no space with its pictures. Choose `method='linear-probe'`, or pass a dual "
                "encoder as `model`; fewshot takes this one as `features` beside it."
            )
    return tuple(methods) or tuple(
        method for method in METHODS if examples.prior is not None or not uses_words(method)
    )


def fit_classifier(examples: Examples, method: Method) -> Classifier:
    """Learn from all the pictures, for use on others.

    Parameters
    ----------
    examples
        What to learn from; all labels count the same, however many pictures each has.
    method
        How.

    Raises
    ------
    EncoderError
        If the method starts from words, and there are none in the space of the pictures.
    """
    usable_methods(examples, [method])
    if uses_words(method) and examples.words is None:
        raise EncoderError(
            f"{method} would need two embeddings of every picture: {examples.encoder!r} for the "
            "examples and the dual encoder for the words. Leave `features` out, or choose "
            "`method='linear-probe'`."
        )
    k = len(examples.labels)
    prior = np.zeros((len(examples.answers), k)) if examples.prior is None else examples.prior
    learned = learn(method, examples.images, examples.answers, prior)
    return Classifier(
        labels=examples.labels,
        encoder=examples.encoder,
        fingerprint=examples.fingerprint,
        method=method,
        rule=learned.rule,
        words=examples.words if uses_words(method) else None,
        settings=learned.settings,
        n_examples=len(examples.answers),
    )


def _selected(
    names: Sequence[str], places: Indices, shots: Sequence[int] | None, *, named: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which labels take part, and the numbers of shots, rising."""
    counts = np.bincount(places[places >= 0], minlength=len(names))
    lacking = np.flatnonzero(counts == 0)
    if named and lacking.size:
        raise LabelError(
            f"no picture has the label {names[lacking[0]]!r}, so it cannot be learned. Give it "
            "pictures, or leave it out."
        )
    if shots is not None and not shots:
        inside = tuple(int(i) for i in np.flatnonzero(counts))
        if len(inside) < 2:
            known = ", ".join(repr(names[i]) for i in inside) or "none"
            raise LabelError(
                f"only one label cannot be told from another, and of these examples {known} has "
                "pictures that can be read. Add examples of a second label."
            )
        return inside, ()
    numbers = usual_shots(counts) if shots is None else tuple(sorted(set(shots)))
    inside, _ = taking_part(names, counts, numbers)
    return inside, numbers
