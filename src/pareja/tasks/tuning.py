"""Adapt an encoder to somebody's pictures, and say what got better and what was forgotten."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pareja.classifiers.prompts import DEFAULT_TEMPLATES, checked_templates
from pareja.datasets.records import Dataset
from pareja.embedding.natural import Cache, Model, opened
from pareja.encoders import load
from pareja.encoders.loading import require_dual
from pareja.files import add_to_directory, staged_directory
from pareja.inputs import Pictures, find_dataset, one_of
from pareja.tasks.evaluation import choices
from pareja.tasks.tuned import Tuned
from pareja.tasks.tuning_card import CARD, model_card
from pareja.tasks.tuning_measures import (
    Fold,
    Learned,
    Measured,
    every_label,
    measure,
    measure_folds,
    measure_folds_of_labels,
    require_captions,
)
from pareja.tasks.tuning_recipe import Recipe

if TYPE_CHECKING:
    from pareja.tasks.tuning_setup import Setup
    from pareja.training.board import Board
    from pareja.training.lora import Rank, Towers
    from pareja.training.methods import Method
    from pareja.training.schedule import Schedule
    from pareja.training.splits import Split

FEW, FOLDS = 200, 5
"""Up to how many pictures are cross-validated by default, and in how many folds."""

OnProgress = Callable[[str, int, int, float | None], None]
"""Called with what is done (``"pictures"``, ``"image network"``, ``"steps"`` and so on), how many
of it, of how many, and the loss of a step."""


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
    folds: int | None = None,
    keep: Pictures | bool = True,
    folder: Path | str | None = None,
    force: bool = False,
    tensorboard: Path | str | None = None,
    resamples: int = 2000,
    cache: Cache = True,
    progress: OnProgress | None = None,
) -> Tuned:
    """Adapt a dual encoder to a dataset, and measure it before and after on pictures held out.

    Parameters
    ----------
    model
        A name, folder or encoder: a dual encoder whose networks are those of transformers (CLIP,
        SigLIP, MetaCLIP 2, AIMv2-lit); for ``"lora"`` also a pair of such networks, as
        ``resnet50+distiluse``; for ``"head"`` any encoder of pictures and texts.
    dataset
        What is learned from: a dataset, its name or path. It is split by picture, near duplicates
        on one side, into what is learned from, what chooses the best epoch, and what is only
        measured. A dataset whose records all name a split is split so.
    method
        ``"lora"`` learns low-rank changes of the attention (of a ResNet's convolutions), and of a
        pair also linear maps from both networks into a common space; ``"full"`` every weight,
        ``"projection"`` the last matrix alone, in seconds. ``"head"`` puts linear maps on top of
        any encoder, and makes a dual one of a pair; it begins with the ridge regression from
        pictures to texts, and is measured against that.
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
        How training runs; by default `usual_schedule` of the method.
    loss
        ``"softmax"`` or ``"sigmoid"``; by default what the encoder was trained with.
    device
        Where training runs: ``"cuda"``, ``"mps"`` or ``"cpu"``; by default the first that is there.
    folds
        How often it is trained on a part of the pictures to measure it on the others, before it is
        trained on all of them (cross-validation); 0 holds out one part only. By default 5 for up
        to 200 pictures without splits of their own and without `test`, and 0 for more.
    keep
        Captioned pictures whose embeddings should stay as they are, so that less is forgotten.
        Every second one is held on to in each step; the others are measured, as those of `others`.
        True takes pictures of the kind that the encoder knows: ``commons200`` for all but the
        encoders of drawn shapes. False holds on to nothing.
    folder
        Where the result is written. Training that was stopped goes on from the folder beside it,
        which ends in ``.training``. By default a folder that goes with the result.
    force
        Replace a folder that exists.
    tensorboard
        A folder for TensorBoard, which gets a run with the name of `folder`: loss, learning rate
        and the factor of the logits under ``train``, the validation score under ``eval``.
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
        If there are too few pictures or texts, nothing to tell apart, or pictures to measure on
        have no captions or labels.
    MissingDependencyError
        If PEFT is needed and not installed, or TensorBoard is.
    OutputError
        If the folder cannot be written, or a training was begun there with other settings.
    """
    from pareja.tasks.tuning_setup import halves, set_up, trainable
    from pareja.training.board import Board
    from pareja.training.lora import Rank
    from pareja.training.states import identity, states_folder

    start = time.perf_counter()
    one_of("truth", truth, get_args(Learned))
    base = trainable(load(model), method)
    dataset = find_dataset(dataset)
    held_out = None if test is None else find_dataset(test)
    more = [find_dataset(other) for other in others]
    # What cannot be measured is refused before hours of training.
    labels = None if truth == "caption" else every_label([dataset, held_out], truth)
    for other in more if labels is not None or held_out is None else [held_out, *more]:
        require_captions(other)
    anchored, unseen = halves(base, dataset, keep)
    device = _device(device)
    schedule, rank = schedule or usual_schedule(method), rank or Rank()
    board = None
    if tensorboard is not None:
        board = Board(Path(tensorboard).expanduser() / Path(folder or base.name).name)
    templates = checked_templates(templates)
    with ExitStack() as stack:
        memory = stack.enter_context(opened(cache))
        setup = set_up(
            base,
            dataset,
            method=method,
            learned=truth,
            templates=templates,
            anchored=anchored,
            towers=towers,
            rank=rank,
            schedule=schedule,
            loss=loss,
            device=device,
            cache=memory,
            progress=progress and (lambda what, done, of: progress(what, done, of, None)),
        )
        split, crossed = _splits(setup, held_out, folds, schedule.seed)
        room, states = None, None
        if folder is None:
            room = Path(tempfile.mkdtemp(prefix="pareja-tuned-"))
            # What fails leaves nothing behind.
            stack.push(lambda failed, *_: shutil.rmtree(room) if failed else None)
            out = room / "model"
        else:
            out = Path(folder).expanduser().absolute()
            mine = identity(
                base,
                [dataset, *([anchored] if anchored else [])],
                (method, truth, tuple(templates), loss, rank, schedule, towers, len(crossed)),
            )
            states = states_folder(out, mine)
        staged = stack.enter_context(staged_directory(out, force=force))
        on_test = None
        if crossed:
            on_test = _cross_validated(setup, crossed, truth, resamples, states, board, progress)
        learned = setup.course.learn(
            split.train,
            split.validation,
            states=states,
            board=board,
            on_step=progress and partial(progress, "steps"),
        )
        learned.adaptation.save(staged, learned.trainer.terms())
        lines = (json.dumps(epoch.record()) + "\n" for epoch in learned.trained.history)
        (staged / "training.jsonl").write_text("".join(lines), encoding="utf-8")
    if states is not None:
        shutil.rmtree(states, ignore_errors=True)
    network = getattr(base, "image_encoder", base)  # of a pair; both halves run in one place
    device, precision = (getattr(network, what, None) for what in ("device", "precision"))
    after = require_dual(load(out, device=device, precision=precision))
    if room is not None:
        # The encoder reads its files when it is first used.
        weakref.finalize(after, shutil.rmtree, room, ignore_errors=True)
    if held_out is None and len(split.test) > 1:
        records = tuple(setup.dataset.records[i] for i in split.test)
        held_out = replace(dataset, records=records)
    before = learned.adaptation.before
    with opened(cache) as memory:
        ask = partial(measure, before=before, after=after, resamples=resamples, cache=memory)
        if held_out is not None:
            on_test = ask(held_out, learned=truth, templates=templates, labels=labels)
        on_others = tuple(ask(other) for other in ([unseen] if unseen else []) + more)
    parts = {"train": len(split.train), "validation": len(split.validation)}
    if on_test is not None:
        parts["test"] = len(on_test.dataset)
    result = Tuned(
        encoder=after,
        base=base,
        before=before,
        method=method,
        learned=truth,
        parts=parts,
        folds=len(crossed),
        kept=None if anchored is None else anchored.name,
        history=tuple(learned.trained.history),
        best=learned.trained.best,
        share=learned.share,
        shares=learned.shares,
        stopped=learned.trained.stopped,
        test=on_test,
        others=on_others,
        skipped=setup.skipped,
        seconds=time.perf_counter() - start,
        folder=out,
        recipe=Recipe(dataset.name, split.by, setup.course.loss, towers, rank, schedule),
    )
    add_to_directory(out, CARD, model_card(result))
    return result


def _splits(
    setup: Setup, held_out: Dataset | None, folds: int | None, seed: int
) -> tuple[Split, list[Split]]:
    """Return the split of the training that is kept, and those of a cross-validation."""
    from pareja.training.splits import fold_pictures, groups_of, has_splits, split_pictures

    dataset = setup.dataset
    count = folds
    if count is None:
        alone = held_out is None and not has_splits(dataset)
        count = FOLDS if alone and len(dataset) <= FEW else 0
    speaking = setup.texts.with_text
    groups = groups_of(dataset) if count or not has_splits(dataset) else np.empty(0, np.intp)
    crossed = fold_pictures(dataset, groups, count, seed=seed) if count else []
    test = 0.0 if crossed or held_out is not None else 0.15
    split = split_pictures(dataset, groups, test=test, seed=seed)
    return split.among(speaking), [each.among(speaking) for each in crossed]


def _cross_validated(
    setup: Setup,
    splits: Sequence[Split],
    truth: Learned,
    resamples: int,
    states: Path | None,
    board: Board | None,
    progress: OnProgress | None,
) -> Measured:
    """Train once for each fold, and measure all of them on what they left out."""
    texts = setup.texts
    labels: tuple[str, ...] = ()
    if truth != "caption":
        labels, answers = choices(setup.dataset, truth)
        owners = [int(np.flatnonzero(answers == label)[0]) for label in range(len(labels))]
    found = []
    for number, split in enumerate(splits, 1):
        if states is not None:
            (states / f"fold-{number}").mkdir(exist_ok=True)
        learned = setup.course.learn(
            split.train,
            split.validation,
            states=None if states is None else states / f"fold-{number}",
            board=board and board.inside(f"fold-{number}"),
            on_step=progress and partial(progress, f"fold {number} of {len(splits)}"),
        )
        if learned.trained.stopped == "interrupted":
            # There is no encoder yet that could be kept; the same command goes on here.
            raise KeyboardInterrupt
        if truth == "caption":
            asked = np.unique(np.concatenate([texts.owned[i] for i in split.test]))
            groups = [asked[[i]] for i in range(len(asked))]
        else:
            asked = np.arange(len(labels))
            groups = [texts.owned[owner] for owner in owners]
        after = learned.similarity(split.test, groups)
        learned.rewind()
        before = learned.similarity(split.test, groups)
        found.append(Fold(split.test, asked, before, after))
    if truth == "caption":
        return measure_folds(setup.dataset, texts, found, resamples=resamples)
    return measure_folds_of_labels(setup.dataset, labels, answers, found, resamples=resamples)


def usual_schedule(method: Method, *, new: bool = False) -> Schedule:
    """Return how training runs where nothing is said.

    Parameters
    ----------
    method
        What is trained.
    new
        Whether the encoder has learned nothing yet.
    """
    from pareja.training.schedule import Schedule

    if new:
        return Schedule(learning_rate=1e-3)
    if method == "head":
        return Schedule(epochs=100, learning_rate=3e-4, patience=20)
    if method == "lora":
        # Small steps on small batches: a hundred pictures must give more than a few dozen steps.
        return Schedule(epochs=40, batch_size=32, learning_rate=5e-4, patience=8)
    return Schedule()


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


def _device(wanted: str | None) -> str:
    """Return where torch trains."""
    from pareja.encoders.backends import choose

    device, _ = choose(wanted)
    return "cpu" if device == "openvino" else device
