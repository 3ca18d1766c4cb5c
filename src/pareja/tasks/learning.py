"""Learning labels from pictures that have them, and measuring how much a few of them help."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pareja.classifiers.few_shot import Method
from pareja.classifiers.learned import Classifier
from pareja.classifiers.prompts import DEFAULT_TEMPLATES, find_labels, find_templates
from pareja.datasets.records import Dataset
from pareja.embedding.embedded import Embedded
from pareja.embedding.natural import Cache, Model, embed, loaded, opened
from pareja.embedding.pipeline import OnProgress, Progress
from pareja.errors import InputError
from pareja.files import atomic_write
from pareja.inputs import Pictures, find_dataset, find_texts
from pareja.tasks.evaluation import Truth, column_told
from pareja.tasks.examples import Examples, fit_classifier, gather_examples, usable_methods
from pareja.tasks.few_shot_export import curves_to_json
from pareja.tasks.learning_curves import LearningCurves, learning_curves


@dataclass(frozen=True)
class FewShot:
    """How much examples help, over numbers of them.

    Parameters
    ----------
    curves
        What was measured.
    examples
        The pictures that it was measured on.
    dataset, model, truth
        Names of the dataset and the encoder, and the column that says what pictures show.
    """

    curves: LearningCurves
    examples: Examples
    dataset: str
    model: str
    truth: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values: ``dataset``, ``model``, ``truth``, ``curves`` and more."""
        about = {"dataset": self.dataset, "model": self.model, "truth": self.truth}
        return {**about, **curves_to_json(self.curves, self.examples)}

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write the curves as JSON; return the file's absolute path.

        Raises
        ------
        OutputError
            If the file exists and `force` is off, or cannot be written.
        """
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        return atomic_write(path, text, force=force)


def learn(
    data: Pictures | Embedded,
    truth: Truth | Sequence[str] | None = None,
    *,
    model: Model = "starter",
    method: Method | None = None,
    labels: str | Iterable[str] | None = None,
    templates: str | Iterable[str] = DEFAULT_TEMPLATES,
    device: str | None = None,
    batch_size: int | None = None,
    cache: Cache = True,
    progress: OnProgress | None = None,
) -> Classifier:
    """Learn a classifier from pictures that have a label.

    Parameters
    ----------
    data
        A dataset, its name or its place; or pictures in every form that `pareja.embed` takes, with
        `truth`; or what `pareja.embed` returned.
    truth
        The column that says what a picture shows, ``"label"`` or ``"category"``; or a label for
        each picture. By default labels, and categories where no picture has a label.
    model
        What embeds the pictures: an encoder, or what `pareja.load` takes.
    method
        ``"knn"``, ``"prototype"``, ``"linear-probe"``, ``"tip-adapter"`` or ``"tip-adapter-f"``; by
        default Tip-Adapter, and a linear probe where the model has no words in the pictures' space.
    labels
        Which labels: a list, ``"cat,dog"``, or the path of a file with one label a line; by
        default all that a picture has.
    templates
        Prompts for the labels, where the method starts from words.
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

    Returns
    -------
    Classifier
        With ``classes_``, ``predict``, ``predict_proba`` and ``save``.

    Raises
    ------
    LabelError
        If fewer than two labels have pictures, or one that was named has none.
    DatasetError
        If no picture has a label.
    EncoderError
        If the model cannot be loaded, embeds no pictures, or has no words for the method.
    FingerprintMismatchError
        If vectors were given that lie in another space than the model's.
    InputError
        If `truth` has another length than `data`.

    Examples
    --------
    >>> probe = learn("pareja20", "category", model="starter", cache=False)
    >>> probe.classes_.tolist()
    ['birds', 'mammals', 'castles', 'landmarks']
    """
    dataset, rows, column = _told(data, truth, model)
    with opened(cache) as kept:
        encoder = loaded(model, device)
        examples = gather_examples(
            dataset,
            encoder,
            rows=rows,
            truth=column,
            labels=None if labels is None else find_labels(labels),
            shots=(),
            templates=find_templates(templates),
            batch_size=batch_size,
            cache=kept,
            progress=progress,
        )
    chosen = method or ("linear-probe" if examples.words is None else "tip-adapter")
    return replace(fit_classifier(examples, chosen), model=encoder)


def fewshot(
    data: Pictures | Embedded,
    truth: Truth | Sequence[str] | None = None,
    *,
    model: Model = "starter",
    features: Model | None = None,
    methods: Method | Sequence[Method] = (),
    labels: str | Iterable[str] | None = None,
    shots: int | Sequence[int] | None = None,
    seeds: int = 10,
    templates: str | Iterable[str] = DEFAULT_TEMPLATES,
    seed: int = 0,
    resamples: int = 2000,
    device: str | None = None,
    batch_size: int | None = None,
    cache: Cache = True,
    progress: Callable[[str, Progress | None], None] = lambda title, progress: None,
) -> FewShot:
    """Measure how well labels are learned from a few examples of each.

    Examples are drawn several times. The pictures that are never examples are the tests, the same
    ones for every number of shots and for zero-shot.

    Parameters
    ----------
    data
        A dataset, its name or its place; or pictures in every form that `pareja.embed` takes, with
        `truth`; or what `pareja.embed` returned.
    truth
        The column that says what a picture shows, ``"label"`` or ``"category"``; or a label for
        each picture. By default labels, and categories where no picture has a label.
    model
        What embeds the pictures, and the labels for zero-shot: an encoder, or what `pareja.load`
        takes.
    features
        Another model, which embeds the examples and the tests; words then come from `model` alone.
    methods
        One, or several, of ``"knn"``, ``"prototype"``, ``"linear-probe"``, ``"tip-adapter"`` and
        ``"tip-adapter-f"``; by default all that need no words, and all five where the model's
        words share a space with its pictures.
    labels
        Which labels: a list, ``"cat,dog"``, or the path of a file with one label a line; by
        default all that a picture has.
    shots
        Examples a label; by default those of 1, 2, 4, 8 and 16 that the labels allow.
    seeds
        How many times examples are drawn.
    templates
        Prompts with ``{}`` for the label: a list, one template, the name of a set
        (`pareja.classifiers.prompts.template_sets`), or a file of templates.
    seed
        Of the draws and of the bootstrap. The same seed gives the same numbers.
    resamples
        Of the bootstrap behind the intervals.
    device
        What models that are named here run on: ``"cuda"``, ``"mps"``, ``"openvino"`` or
        ``"cpu"``; by default the first of these that this machine has.
    batch_size
        Pictures that the model gets at once; 32 by default.
    cache
        Whether embeddings are looked up in the user's cache, and kept there; or the
        `pareja.embedding.EmbeddingCache` to use.
    progress
        Called with the title of each stage, and with its progress.

    Raises
    ------
    LabelError
        If fewer than two labels have a picture more than the most shots.
    DatasetError
        If no picture has a label.
    EncoderError
        If a model cannot be loaded, embeds no pictures, or has no words for a method that was
        named.
    FingerprintMismatchError
        If vectors were given that lie in another space than the model's.
    InputError
        If `truth` has another length than `data`.
    """
    dataset, rows, column = _told(data, truth, model)
    with opened(cache) as kept:
        encoder = loaded(model, device)
        examples = gather_examples(
            dataset,
            encoder,
            rows=rows,
            features=None if features is None else loaded(features, device),
            truth=column,
            labels=None if labels is None else find_labels(labels),
            shots=[shots] if isinstance(shots, int) else shots,
            templates=find_templates(templates),
            batch_size=batch_size,
            cache=kept,
            progress=partial(progress, "embed"),
        )
    named: Sequence[Method] = [methods] if isinstance(methods, str) else methods
    curves = learning_curves(
        examples.images,
        examples.answers,
        examples.labels,
        examples.prior,
        methods=usable_methods(examples, named),
        shots=examples.shots,
        seeds=seeds,
        seed=seed,
        resamples=resamples,
        progress=partial(progress, "learn"),
    )
    return FewShot(curves, examples, dataset.name, encoder.name, column)


def _told(
    data: Pictures | Embedded, truth: Truth | Sequence[str] | None, model: Model
) -> tuple[Dataset, Embedded | None, Truth]:
    """Return the pictures, their vectors where these were given, and the column of their labels."""
    rows = embed(data, model) if isinstance(data, Embedded) else None
    dataset = rows.dataset() if rows is not None else find_dataset(data)  # type: ignore[arg-type]  # no Embedded
    if truth is None:
        return dataset, rows, column_told(dataset)
    if truth in ("label", "category"):
        return dataset, rows, "category" if truth == "category" else "label"
    if isinstance(truth, str):
        raise InputError(
            f"truth is {truth!r}. Give 'label', 'category', or a list with a label a picture."
        )
    given = find_texts(truth, "truth")[0]
    if len(given) != len(dataset):
        raise InputError(
            f"truth has {len(given)} labels for {len(dataset)} pictures. Give one for each."
        )
    told = zip(dataset.records, given, strict=True)
    records = tuple(replace(record, label=label) for record, label in told)
    return replace(dataset, records=records), rows, "label"
