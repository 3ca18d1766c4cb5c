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
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pareja.classifiers.prompts import DEFAULT_TEMPLATES, PLACE, checked_templates
from pareja.embedding.natural import Cache, Model, opened
from pareja.encoders import load
from pareja.encoders.loading import require_dual
from pareja.encoders.protocols import AnyEncoder, DualEncoder
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError, MissingDependencyError
from pareja.files import staged_directory
from pareja.inputs import Pictures, find_dataset
from pareja.tasks.evaluation import true_labels
from pareja.tasks.tuning_measures import Learned, Measured, measure

if TYPE_CHECKING:
    from pareja.training.loop import Epoch, Schedule
    from pareja.training.lora import Rank, Towers
    from pareja.training.methods import Method

SHARES = (1.0, 0.75, 0.5, 0.25)
"""How much of the change may be kept; validation chooses, and the largest wins a tie."""

OnProgress = Callable[[str, int, int, float | None], None]
"""Called with what is done (``"pictures"``, ``"steps"``), how many of it, of how many, the loss."""


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
    from pareja.training.splits import split_pictures
    from pareja.training.states import identity, states_folder

    start = time.perf_counter()
    base = _trainable(load(model), method)
    learned = truth
    dataset = find_dataset(dataset)
    held_out = None if test is None else find_dataset(test)
    more = [find_dataset(other) for other in others]
    device = _device(device)
    schedule, rank = schedule or Schedule(), rank or Rank()
    templates = checked_templates(templates)
    split = split_pictures(dataset, test=0.0 if test else 0.15, seed=schedule.seed)
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
            states = states_folder(
                out, identity(dataset, base, method, learned, rank, schedule, towers)
            )
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
