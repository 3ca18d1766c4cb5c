"""Adapt an encoder to somebody's pictures, and say what got better and what was forgotten."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pareja.analysis.classification import classification, compare_classifiers
from pareja.analysis.comparison import Agreement, hit_agreement
from pareja.analysis.retrieval import Direction, placement, retrieval
from pareja.analysis.significance import Estimate
from pareja.analysis.similarity import cosine_similarity
from pareja.classifiers.prompts import DEFAULT_TEMPLATES, PLACE, checked_templates
from pareja.classifiers.zero_shot import activations, embed_labels
from pareja.datasets.records import Dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.natural import Cache, Model, opened
from pareja.embedding.pipeline import embed_dataset, embed_sources
from pareja.encoders import load
from pareja.encoders.loading import require_dual
from pareja.encoders.protocols import AnyEncoder, DualEncoder
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError, MissingDependencyError, OutputError
from pareja.files import staged_directory
from pareja.inputs import Pictures, find_dataset
from pareja.tasks.evaluation import Truth, choices, true_labels

if TYPE_CHECKING:
    from pareja.training.loop import Epoch, Schedule
    from pareja.training.lora import Rank, Towers
    from pareja.training.methods import Method

Learned = Literal["caption", "label", "category"]
"""What pictures are paired with: their captions, or a prompt for their label or category."""

SHARES = (1.0, 0.75, 0.5, 0.25)
"""How much of the change may be kept; validation chooses, and the largest wins a tie."""

OnProgress = Callable[[str, int, int, float | None], None]
"""Called with what is done (``"pictures"``, ``"steps"``), how many of it, of how many, the loss."""

Measure = Literal["image_to_text", "text_to_image", "accuracy"]

DIRECTIONS: tuple[Direction, ...] = ("image_to_text", "text_to_image")


@dataclass(frozen=True)
class Change:
    """One measure before and after, on the same queries.

    Parameters
    ----------
    before, after
        Share of queries whose right answer comes first, in [0, 1].
    chance
        What a random order gives.
    agreement
        Hits after (a) beside hits before (b): the paired difference with its interval, and
        McNemar's test.
    """

    before: Estimate
    after: Estimate
    chance: float
    agreement: Agreement


@dataclass(frozen=True)
class Measured:
    """One set of pictures before and after.

    Parameters
    ----------
    name
        Of the dataset.
    pictures
        How many.
    changes
        R@1 as ``"image_to_text"`` and ``"text_to_image"``; or ``"accuracy"`` where pictures choose
        among labels.
    """

    name: str
    pictures: int
    changes: Mapping[Measure, Change]


@dataclass(frozen=True)
class Tuned:
    """An encoder that was adapted.

    Parameters
    ----------
    encoder
        What came of it; its fingerprint differs from that of `base`.
    base
        What was adapted.
    method, learned
        How, and from what.
    parts
        How many pictures were in ``train``, ``validation`` and ``test``.
    history
        Every epoch; the first entry is the state before training.
    best
        The epoch that was kept; 0 where none was better than the start.
    share
        How much of the change was kept, in [0, 1], chosen on validation.
    stopped
        Why training ended before its last epoch; None where it did not.
    test
        The pictures that were held out, before and after; None where there are none.
    others
        What was forgotten: other datasets before and after.
    skipped
        ``(name, reason)`` of pictures that did not decode.
    seconds
        How long it took.
    folder
        Where the files are.
    """

    encoder: DualEncoder
    base: DualEncoder
    method: Method
    learned: Learned
    parts: Mapping[str, int]
    history: tuple[Epoch, ...]
    best: int
    share: float
    stopped: str | None
    test: Measured | None
    others: tuple[Measured, ...]
    skipped: tuple[tuple[str, str], ...]
    seconds: float
    folder: Path

    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Copy the adapted encoder to a folder that ``load`` takes.

        Raises
        ------
        OutputError
            If it cannot be written, or exists and `force` is off.
        """
        with staged_directory(folder, force=force) as staged:
            shutil.copytree(self.folder, staged, dirs_exist_ok=True)
        return Path(folder).resolve()


def tune(
    model: Model,
    dataset: Pictures,
    *,
    method: Method = "lora",
    truth: Learned = "caption",
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    test: Pictures | None = None,
    others: Sequence[Pictures] = (),
    towers: Towers = "both",
    rank: Rank | None = None,
    schedule: Schedule | None = None,
    loss: Literal["softmax", "sigmoid"] | None = None,
    device: str | None = None,
    folder: Path | str | None = None,
    force: bool = False,
    resamples: int = 2000,
    cache: Cache = True,
    progress: OnProgress | None = None,
) -> Tuned:
    """Adapt a dual encoder to a dataset, and measure it before and after on pictures held out.

    Parameters
    ----------
    model
        A name, folder or encoder: a dual encoder whose networks are those of transformers (CLIP,
        SigLIP, MetaCLIP 2, AIMv2-lit).
    dataset
        What is learned from: a dataset, its name or path. It is split by picture, near duplicates
        on one side, into what is learned from, what chooses the best epoch, and what is only
        measured. A dataset whose records all name a split is split so.
    method
        ``"lora"`` learns low-rank changes of the attention, ``"full"`` every weight,
        ``"projection"`` the last matrix alone, in seconds.
    truth
        What pictures are paired with: ``"caption"``, or a prompt for their ``"label"`` or
        ``"category"``.
    templates
        Prompts with ``{}`` for a label.
    test
        Other pictures to measure on instead of a part of `dataset`.
    others
        Datasets on which it is measured what was forgotten.
    towers
        Whose weights are trained: ``"both"``, ``"image"`` or ``"text"``.
    rank
        What low-rank adapters look like.
    schedule
        How training runs.
    loss
        ``"softmax"`` or ``"sigmoid"``; by default what the encoder was trained with.
    device
        Where training runs: ``"cuda"``, ``"mps"`` or ``"cpu"``; by default the first that is there.
    folder
        Where the result is written. Training that was stopped goes on from the folder beside it,
        which ends in ``.training``. By default a folder that goes with the result.
    force
        Replace a folder that exists.
    resamples
        Of the bootstrap behind every interval.
    cache
        Whether embeddings of test pictures are looked up and kept, or the cache to use.
    progress
        Called as the work goes on.

    Raises
    ------
    EncoderError
        If the encoder has no weights that can be trained in this way.
    DatasetError
        If there are too few pictures or texts, or nothing to tell apart.
    OutputError
        If the folder cannot be written, or a training was begun there with other settings.
    """
    from pareja.training.loop import Pairs, Schedule, Trainer, interpolated
    from pareja.training.lora import Rank
    from pareja.training.material import caption_texts, label_texts, prepared_pixels
    from pareja.training.methods import begin
    from pareja.training.scoring import mean_reciprocal_rank, validation_rows
    from pareja.training.splits import groups_of, split_pictures

    start = time.perf_counter()
    base = _trainable(load(model), method)
    learned = truth
    dataset = find_dataset(dataset)
    held_out = None if test is None else find_dataset(test)
    more = [find_dataset(other) for other in others]
    device = _device(device)
    schedule, rank = schedule or Schedule(), rank or Rank()
    templates = checked_templates(templates)
    split = split_pictures(
        dataset, groups_of(dataset), test=0.0 if test else 0.15, seed=schedule.seed
    )
    if learned == "caption":
        texts = caption_texts(dataset)
    else:
        texts = label_texts(dataset, true_labels(dataset, learned), templates, PLACE)
    pixels, kept, skipped = prepared_pixels(
        [record.source for record in dataset],
        base,
        None if progress is None else lambda done, of: progress("pictures", done, of, None),
    )
    place = {int(picture): row for row, picture in enumerate(kept)}
    speaking = set(texts.with_text.tolist())

    def rows(pictures: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.array([i for i in pictures.tolist() if i in place and i in speaking], np.intp)

    parts = {
        "train": rows(split.train),
        "validation": rows(split.validation),
        "test": rows(split.test),
    }
    adaptation = begin(
        base,
        pixels,
        texts.texts,
        method,
        towers=towers,
        rank=rank,
        device=device,
        seed=schedule.seed,
    )
    trainer = Trainer(
        adaptation.image, adaptation.text, loss or base.loss, base.logit_terms, schedule
    )
    by_row = tuple(texts.owned[int(picture)] for picture in kept)
    pairs = Pairs(by_row, np.arange(len(texts.texts)))
    validation = np.array([place[i] for i in parts["validation"].tolist()], np.intp)
    candidates, owned = validation_rows(
        replace(texts, owned=by_row), validation, labels=learned != "caption"
    )

    def validate() -> float:
        return mean_reciprocal_rank(
            adaptation.image.embed_all(validation),
            adaptation.text.embed_all(candidates),
            owned,
            both=learned == "caption",
        )

    with ExitStack() as stack:
        if folder is None:
            room = Path(tempfile.mkdtemp(prefix="pareja-tuned-"))
            out, states = room / "model", None
        else:
            room, out = None, Path(folder).expanduser().absolute()
            states = _states(out, _identity(dataset, base, method, learned, rank, schedule, towers))
        staged = stack.enter_context(staged_directory(out, force=force))
        trained = trainer.fit(
            pairs,
            np.array([place[i] for i in parts["train"].tolist()], np.intp),
            validate,
            folder=states,
            on_step=None
            if progress is None
            else lambda done, of, value: progress("steps", done, of, value),
        )
        share = 1.0
        if trained.best and not rank.dora:
            scores = {}
            for one in SHARES:
                trainer.restore(interpolated(trained, one))
                scores[one] = validate()
            share = max(SHARES, key=lambda one: scores[one])
            trainer.restore(interpolated(trained, share))
        adaptation.save(staged, trainer.terms())
        lines = (json.dumps(asdict(epoch)) + "\n" for epoch in trained.history)
        (staged / "training.jsonl").write_text("".join(lines), encoding="utf-8")
    if states is not None:
        shutil.rmtree(states, ignore_errors=True)
    after = require_dual(load(out, device=base.device, precision=base.precision))
    if room is not None:
        # The encoder reads its files when it is first used.
        weakref.finalize(after, shutil.rmtree, room, ignore_errors=True)
    if held_out is None and len(parts["test"]) > 1:
        records = tuple(dataset.records[i] for i in parts["test"])
        held_out = replace(dataset, records=records)
    with opened(cache) as memory:
        on_test = None
        if held_out is not None:
            on_test = measure(
                held_out,
                base,
                after,
                learned=learned,
                templates=templates,
                resamples=resamples,
                cache=memory,
            )
        on_others = tuple(
            measure(other, base, after, resamples=resamples, cache=memory) for other in more
        )
    return Tuned(
        encoder=after,
        base=base,
        method=method,
        learned=learned,
        parts={name: len(part) for name, part in parts.items()}
        | ({"test": len(held_out)} if held_out is not None else {}),
        history=tuple(trained.history),
        best=trained.best,
        share=share if trained.best else 0.0,
        stopped=trained.stopped,
        test=on_test,
        others=on_others,
        skipped=skipped,
        seconds=time.perf_counter() - start,
        folder=out,
    )


def new_encoder(plan: Path | str, dataset: Pictures, folder: Path, *, seed: int = 0) -> None:
    """Write an encoder that has learned nothing yet, to be trained by ``tune(..., "full")``.

    Parameters
    ----------
    plan
        A JSON file with some of the fields of `pareja.training.scratch.Plan`.
    dataset
        Its captions, Spanish ones included, say which words the tokenizer knows.
    folder
        Where; it exists.
    seed
        Of the weights.

    Raises
    ------
    EncoderError
        If the plan cannot be read, or its sizes do not fit each other.
    """
    from pareja.training.scratch import make_checkpoint, read_plan

    records = find_dataset(dataset)
    texts = [text for record in records for text in (*record.captions, record.caption_es or "")]
    make_checkpoint(folder, read_plan(plan), texts, seed)


def measure(
    dataset: Dataset,
    before: DualEncoder,
    after: DualEncoder,
    *,
    learned: Learned = "caption",
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    resamples: int = 2000,
    cache: EmbeddingCache | None = None,
) -> Measured:
    """Measure two states of an encoder on the same pictures.

    Parameters
    ----------
    dataset
        Pictures that were not learned from.
    before, after
        The two states.
    learned
        Captions: retrieval in both directions. Labels or categories: pictures choose among them.
    templates
        Prompts with ``{}`` for a label.
    resamples
        Of the bootstrap behind every interval.
    cache
        Embeddings of earlier runs.

    Raises
    ------
    DatasetError
        If no picture decodes or has a text.
    """
    if learned == "caption":
        return _measure_captions(dataset, before, after, resamples, cache)
    return _measure_labels(dataset, before, after, learned, templates, resamples, cache)


def _measure_captions(
    dataset: Dataset,
    before: DualEncoder,
    after: DualEncoder,
    resamples: int,
    cache: EmbeddingCache | None,
) -> Measured:
    dataset = replace(dataset, records=tuple(r for r in dataset if r.captions))
    scores, placed = [], []
    for encoder in (before, after):
        embedded = embed_dataset(dataset, encoder, cache=cache)
        similarity = cosine_similarity(embedded.images, embedded.captions)
        owner = embedded.dataset.owner
        both = retrieval(similarity, owner, resamples=resamples)
        scores.append(dict(zip(DIRECTIONS, both, strict=True)))
        placed.append({d: placement(similarity, owner, d) for d in DIRECTIONS})
    changes: dict[Measure, Change] = {
        d: Change(
            before=scores[0][d].recall[1],
            after=scores[1][d].recall[1],
            chance=scores[0][d].chance_recall[1],
            agreement=hit_agreement(
                placed[1][d].hits(1), placed[0][d].hits(1), placed[0][d].pictures, resamples, 0
            ),
        )
        for d in DIRECTIONS
    }
    return Measured(dataset.name, len(dataset), changes)


def _measure_labels(
    dataset: Dataset,
    before: DualEncoder,
    after: DualEncoder,
    truth: Truth,
    templates: Sequence[str],
    resamples: int,
    cache: EmbeddingCache | None,
) -> Measured:
    labels, answers = choices(dataset, truth)
    asked = np.flatnonzero(answers >= 0)
    sources = [dataset.records[i].source for i in asked]
    scores = []
    for encoder in (before, after):
        images = embed_sources(sources, encoder, cache=cache)
        prompts = embed_labels(labels, encoder, templates=templates, cache=cache)
        logits = encoder.logits(cosine_similarity(images.vectors, prompts))
        probabilities = activations(logits.astype(np.float64))["softmax"]
        right = answers[asked][images.indices]
        scores.append(classification(probabilities, right, labels, resamples=resamples))
    change = Change(
        before=scores[0].top1,
        after=scores[1].top1,
        chance=scores[0].chance_top1,
        agreement=compare_classifiers(scores[1].correct, scores[0].correct, resamples=resamples),
    )
    return Measured(dataset.name, len(sources), {"accuracy": change})


def _device(wanted: str | None) -> str:
    """Return where torch trains."""
    from pareja.encoders.backends import choose

    device, _ = choose(wanted)
    return "cpu" if device == "openvino" else device


def _trainable(encoder: AnyEncoder, method: str) -> NetworkDualEncoder:
    if isinstance(encoder, NetworkDualEncoder) and encoder.folder is not None:
        if method == "lora" and find_spec("peft") is None:
            raise MissingDependencyError("peft", "to learn low-rank adapters", "tune")
        return encoder
    raise EncoderError(
        f"{encoder.name} has no weights that can be trained here. Name a dual encoder made of "
        "networks, as 'clip-vit-b32' or the folder of one."
    )


def _identity(dataset: Dataset, base: NetworkDualEncoder, *settings: Any) -> str:
    """Return what a training that goes on must agree in with the one that was begun."""
    records = [(r.file_name, r.captions, r.label, r.category) for r in dataset]
    described = repr((base.fingerprint.digest, records, settings))
    return sha256(described.encode()).hexdigest()


def _states(out: Path, identity: str) -> Path:
    """Return the folder of a training's states, new or begun with the same settings."""
    folder = out.with_name(f"{out.name}.training")
    mark = folder / "identity"
    if folder.exists():
        known = mark.read_text() if mark.is_file() else ""
        if known != identity:
            raise OutputError(
                f"{folder}: a training was begun there with other settings or another dataset. "
                "Remove that folder, or write the result elsewhere."
            )
        return folder
    try:
        folder.mkdir(parents=True)
        mark.write_text(identity)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return folder


def tuned_to_json(result: Tuned) -> dict[str, Any]:
    """Return a result as plain values; numbers that are none are null."""
    return {
        "base": result.base.name,
        "method": result.method,
        "truth": result.learned,
        "folder": str(result.folder),
        "fingerprint": str(result.encoder.image_fingerprint),
        "parts": dict(result.parts),
        "epochs": [
            {name: value if isfinite(value) else None for name, value in asdict(epoch).items()}
            for epoch in result.history
        ],
        "best_epoch": result.best,
        "share": result.share,
        "stopped": result.stopped,
        "test": result.test and _measured(result.test),
        "others": [_measured(other) for other in result.others],
        "skipped": [{"path": path, "reason": reason} for path, reason in result.skipped],
        "seconds": round(result.seconds, 3),
    }


def _measured(measured: Measured) -> dict[str, Any]:
    return {
        "name": measured.name,
        "images": measured.pictures,
        **{
            measure: {
                "before": change.before.value,
                "before_ci": [change.before.low, change.before.high],
                "after": change.after.value,
                "after_ci": [change.after.low, change.after.high],
                "chance": change.chance,
                "difference": change.agreement.difference.value,
                "difference_ci": [
                    change.agreement.difference.low,
                    change.agreement.difference.high,
                ],
                "p": change.agreement.p_value,
            }
            for measure, change in measured.changes.items()
        },
    }
