"""Training: epochs over pairs, the best chosen on other pictures, and going on after a stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pareja.errors import EncoderError
from pareja.training.board import Board
from pareja.training.losses import Loss, contrastive
from pareja.training.room import require_memory, require_space
from pareja.training.schedule import Epoch, Schedule
from pareja.training.sides import Side
from pareja.training.states import read_state, write_state

Indices = NDArray[np.intp]
State = Mapping[str, torch.Tensor]

HIGHEST_SCALE = 100.0
"""Where the logits' factor is cut off while it is trained (Radford et al. 2021, section 2.5)."""


@dataclass(frozen=True)
class Pairs:
    """Which texts belong to which pictures.

    Parameters
    ----------
    texts
        For each picture the rows of its texts; pictures without are not trained on.
    meaning
        A number for each text, equal for texts that say the same, ``(n_texts,)``.
    """

    texts: Sequence[Indices]
    meaning: Indices

    def same(self, pictures: Indices, texts: Indices) -> NDArray[np.bool_]:
        """Return whether text j is right for picture i, ``(n, n)``; every picture has a text."""
        owned = [self.texts[i] for i in pictures]
        starts = np.cumsum([0, *map(len, owned[:-1])])
        equal = self.meaning[np.concatenate(owned)][:, None] == self.meaning[texts]
        return np.logical_or.reduceat(equal, starts, axis=0)


@dataclass(frozen=True)
class Anchors:
    """Pictures and texts whose embeddings should stay where they are while others are learned.

    Every step takes some of them and adds ``weight * (1 - cosine)`` between the embedding before
    training and now, so that what was known is forgotten less (Li and Hoiem 2016, "learning
    without forgetting", with embeddings in the place of answers).

    Parameters
    ----------
    pictures, texts
        Their rows in the two towers.
    weight
        How much that counts beside the loss.
    """

    pictures: Indices
    texts: Indices
    weight: float


@dataclass
class Trained:
    """What training ended with.

    Parameters
    ----------
    state
        The trained parameters of the best epoch, by ``image.*``, ``text.*``, ``scale``, ``bias``.
    start
        The same before the first step.
    best
        The best epoch; 0 is before training.
    history
        Every epoch, the state before training first.
    stopped
        Why it ended before its last epoch: ``"patience"``, ``"interrupted"``, ``"not a number at
        step N"`` (counted from 1 over all epochs) or None.
    """

    state: dict[str, torch.Tensor]
    start: dict[str, torch.Tensor]
    best: int
    history: list[Epoch] = field(default_factory=list)
    stopped: str | None = None


OnStep = Callable[[int, int, float], None]
"""Called with steps done, steps in all and the loss."""


class Trainer:
    """Both towers, the logits' terms, and an optimizer over what is trained.

    Parameters
    ----------
    image, text
        The towers.
    loss
        Softmax or sigmoid.
    terms
        Scale and bias of the logits at the start.
    schedule
        How training runs.
    anchors
        What should stay as it is; None lets everything move.
    """

    def __init__(
        self,
        image: Side,
        text: Side,
        loss: Loss,
        terms: tuple[float, float],
        schedule: Schedule,
        anchors: Anchors | None = None,
    ) -> None:
        self.image, self.text, self.loss, self.schedule = image, text, loss, schedule
        self.anchors = anchors
        self._anchored: list[tuple[Side, Indices, NDArray[np.float32]]] = []
        scale, bias = terms
        self.log_scale = torch.nn.Parameter(torch.tensor(math.log(scale), device=image.device))
        self.bias = torch.nn.Parameter(torch.tensor(float(bias), device=image.device))
        self.named: dict[str, torch.nn.Parameter] = {
            **{f"image.{name}": parameter for name, parameter in image.trained()},
            **{f"text.{name}": parameter for name, parameter in text.trained()},
        }
        if not self.named:
            raise EncoderError("no weight of the model is trained with these settings.")
        matrices = [parameter for parameter in self.named.values() if parameter.dim() > 1]
        others = [parameter for parameter in self.named.values() if parameter.dim() <= 1]
        if schedule.train_scale:
            self.named["scale"] = self.log_scale
            others.append(self.log_scale)
            if loss == "sigmoid":
                self.named["bias"] = self.bias
                others.append(self.bias)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": schedule.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=schedule.learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.start = self.state()

    def state(self) -> dict[str, torch.Tensor]:
        """Return a copy of the trained parameters."""
        return {name: value.detach().clone() for name, value in self.named.items()}

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Take over trained parameters."""
        for name, value in state.items():
            self.named[name].copy_(value)

    def terms(self) -> tuple[float, float]:
        """Return scale and bias of the logits."""
        scale = float(self.log_scale.detach().exp())
        return min(scale, HIGHEST_SCALE), float(self.bias.detach())

    def loss_of(
        self, images: torch.Tensor, texts: torch.Tensor, same: NDArray[np.bool_]
    ) -> torch.Tensor:
        """Return the loss of a batch of embeddings."""
        return contrastive(
            images,
            texts,
            loss=self.loss,
            scale=self.log_scale.exp().clamp(max=HIGHEST_SCALE),
            bias=self.bias,
            same=torch.from_numpy(same).to(images.device),
        )

    def backward(self, pictures: Indices, texts: Indices, same: NDArray[np.bool_]) -> float:
        """Add the gradients of a batch to the parameters; return its loss."""
        chunk = self.schedule.chunk or len(pictures)
        if chunk >= len(pictures):
            loss = self.loss_of(self.image.embed(pictures), self.text.embed(texts), same)
            torch.autograd.backward(self._pulled(loss))
            return float(loss.detach())
        parts = [slice(at, at + chunk) for at in range(0, len(pictures), chunk)]
        # The second pass must drop out the same units as the first.
        seeds = torch.randint(2**31, (len(parts), 2)).tolist()
        sides = (self.image, pictures), (self.text, texts)
        whole = []
        with torch.no_grad():
            for column, (side, rows) in enumerate(sides):
                made = []
                for part, seed in zip(parts, seeds, strict=True):
                    with torch.random.fork_rng(devices=[]):
                        torch.manual_seed(seed[column])
                        made.append(side.embed(rows[part]))
                whole.append(torch.cat(made).requires_grad_())
        loss = self.loss_of(whole[0], whole[1], same)
        torch.autograd.backward(self._pulled(loss))
        for column, (side, rows) in enumerate(sides):
            if not side.trained():
                continue
            gradient = whole[column].grad
            assert gradient is not None  # noqa: S101  (the loss depends on every embedding)
            for part, seed in zip(parts, seeds, strict=True):
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(seed[column])
                    torch.autograd.backward(side.embed(rows[part]), gradient[part])
        return float(loss.detach())

    def _hold(self, count: int, rng: np.random.Generator) -> float:
        """Add the gradients of what should stay as it is, on some of it; return that loss."""
        assert self.anchors is not None  # noqa: S101  (asked by the only caller)
        total = 0.0
        for side, rows, before in self._anchored:
            some = rng.choice(len(rows), min(count, len(rows)), replace=False)
            for part in np.array_split(some, math.ceil(len(some) / (self.schedule.chunk or count))):
                wanted = torch.from_numpy(before[part]).to(side.device)
                moved = 1 - (side.embed(rows[part]) * wanted).sum(dim=1)
                loss = self.anchors.weight * moved.sum() / len(some)
                torch.autograd.backward(loss)
                total += float(loss.detach())
        return total

    def _pulled(self, loss: torch.Tensor) -> torch.Tensor:
        if not self.schedule.pull:
            return loss
        away = [
            (value - self.start[name]).square().sum()
            for name, value in self.named.items()
            if name not in ("scale", "bias")
        ]
        return loss + self.schedule.pull * torch.stack(away).sum()

    def fit(
        self,
        pairs: Pairs,
        pictures: Indices,
        validate: Callable[[], float],
        *,
        folder: Path | None = None,
        board: Board | None = None,
        on_step: OnStep | None = None,
    ) -> Trained:
        """Train, and end in the state of the best epoch.

        Parameters
        ----------
        pairs
            Which texts belong to which pictures.
        pictures
            Rows of the pictures that are learned from; each has a text.
        validate
            Scores the present state on other pictures, higher is better.
        folder
            Where the state after each epoch is kept, so that a stopped training goes on there.
        board
            Where loss and validation score are shown.
        on_step
            Called after each step.

        Raises
        ------
        OutputError
            If the state cannot be written or read.
        """
        schedule = self.schedule
        size = min(schedule.batch_size, len(pictures))
        per_epoch = math.ceil(len(pictures) / size)
        total = per_epoch * schedule.epochs
        self.image.prepare()
        self.text.prepare()
        if self.anchors is not None:
            held = (self.image, self.anchors.pictures), (self.text, self.anchors.texts)
            # A tower that is not trained stays where it is by itself, and has no gradients.
            self._anchored = [
                (side, rows, side.embed_all(rows))
                for side, rows in held
                if len(rows) and side.trained()
            ]
        run = read_state(folder)
        # The weights now, of the best epoch and at the start, and AdamW's two moments of each.
        size = 5 * sum(value.numel() * value.element_size() for value in self.start.values())
        if all(value.device.type == "cpu" for value in self.start.values()):
            require_memory(size)
        if folder is not None:
            # Twice, because a state is written before the last one is removed.
            advice = "or write it elsewhere"
            require_space(folder, "the states of this training", 2 * size, advice)
        if run is None:
            before = Epoch(0, math.nan, validate(), 0.0, self.terms()[0], 0.0)
            run = {"epoch": 0, "best": 0, "history": [vars(before)], "state": self.start}
            run |= {"now": self.start, "start": self.start}
            if board is not None:
                board.epoch(0, before)
        else:
            self.start = run["start"]
            self.restore(run["now"])
            self.optimizer.load_state_dict(run["optimizer"])
        stopped = None
        while run["epoch"] < schedule.epochs and stopped is None:
            epoch = run["epoch"] + 1
            if schedule.patience and epoch - 1 - run["best"] >= schedule.patience:
                stopped = "patience"
                break
            start = time.perf_counter()
            rng = np.random.default_rng((schedule.seed, epoch))
            torch.manual_seed(int(rng.integers(2**31)))
            losses: list[float] = []
            try:
                for batch in np.array_split(rng.permutation(pictures), per_epoch):
                    step = run["epoch"] * per_epoch + len(losses)
                    rate = _rate(step, total) * schedule.learning_rate
                    losses.append(self._step(pairs, batch, rate, rng))
                    if not math.isfinite(losses[-1]):
                        stopped = f"not a number at step {step + 1}"
                        break
                    if board is not None:
                        board.step(step + 1, losses[-1])
                    if on_step is not None:
                        on_step(step + 1, total, losses[-1])
            except KeyboardInterrupt:
                stopped = "interrupted"
            if stopped is not None:
                break
            score = validate()
            seconds = time.perf_counter() - start
            entry = Epoch(epoch, float(np.mean(losses)), score, rate, self.terms()[0], seconds)
            run["history"].append(vars(entry))
            run["epoch"] = epoch
            if board is not None:
                board.epoch(epoch * per_epoch, entry)
            if score > run["history"][run["best"]]["validation"]:
                run |= {"best": epoch, "state": self.state()}
            run |= {"now": self.state(), "optimizer": self.optimizer.state_dict()}
            write_state(folder, run)
        if board is not None:
            board.close()
        self.restore(run["state"])
        history = [Epoch(**entry) for entry in run["history"]]
        return Trained(dict(run["state"]), dict(run["start"]), run["best"], history, stopped)

    def _step(self, pairs: Pairs, batch: Indices, rate: float, rng: np.random.Generator) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        texts = np.array([rng.choice(pairs.texts[i]) for i in batch], np.intp)
        self.image.module.train()
        self.text.module.train()
        self.optimizer.zero_grad()
        loss = self.backward(batch, texts, pairs.same(batch, texts))
        if self.anchors is not None:
            loss += self._hold(len(batch), rng)
        if math.isfinite(loss):
            torch.nn.utils.clip_grad_norm_(list(self.named.values()), 1.0)
            self.optimizer.step()
        return loss


def interpolated(trained: Trained, share: float) -> dict[str, torch.Tensor]:
    """Return the state at a share of the way from before to after (WiSE-FT, Wortsman et al. 2022).

    Of a low-rank pair only the second matrix is scaled: their product then is that share of the
    change.
    """
    return {
        name: after
        if ".lora_A." in name
        else trained.start[name] + share * (after - trained.start[name])
        for name, after in trained.state.items()
    }


def _rate(step: int, total: int) -> float:
    rise = max(1, round(0.05 * total))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))
