"""One training from its start to the state that is kept: the epoch, and the share of the change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pareja.arrays import unit
from pareja.training.board import Board
from pareja.training.loop import Anchors, OnStep, Pairs, Trained, Trainer, interpolated
from pareja.training.losses import Loss
from pareja.training.material import Texts
from pareja.training.methods import Adaptation
from pareja.training.schedule import Schedule
from pareja.training.scoring import mean_reciprocal_rank, validation_rows

Indices = NDArray[np.intp]

SHARES = (1.0, 0.75, 0.5, 0.25)
"""How much of the change may be kept; validation chooses, and the largest wins a tie."""


@dataclass(frozen=True)
class Course:
    """Everything that trainings of one encoder on one dataset have in common.

    Parameters
    ----------
    begin
        Puts an encoder into the state that training begins with, given the rows of the pictures
        that are learned from.
    texts
        What belongs to the pictures, by row.
    labels
        Whether pictures choose among all texts, which are prompts of labels; otherwise pictures
        and captions search each other.
    loss, terms
        Softmax or sigmoid, and the scale and bias that the logits begin with. A bias of None makes
        the sigmoid of an encoder that was trained with softmax begin with what softmax says.
    schedule
        How training runs.
    anchors
        What should stay as it is.
    partial
        Whether a share of the change may be kept.
    """

    begin: Callable[[Indices], Adaptation]
    texts: Texts
    labels: bool
    loss: Loss
    terms: tuple[float, float | None]
    schedule: Schedule
    anchors: Anchors | None = None
    partial: bool = True

    def learn(
        self,
        train: Indices,
        validation: Indices,
        *,
        states: Path | None = None,
        board: Board | None = None,
        on_step: OnStep | None = None,
    ) -> Learned:
        """Train on some pictures and let others choose what is kept.

        Parameters
        ----------
        train, validation
            Rows of pictures, each with a text.
        states
            Where the state after each epoch is kept.
        board
            Where loss and validation score are shown.
        on_step
            Called after each step.
        """
        adaptation = self.begin(train)
        image, text = adaptation.image, adaptation.text
        scale, bias = self.terms
        if bias is None:
            bias = self._first_bias(adaptation, train, scale)
        trainer = Trainer(image, text, self.loss, (scale, bias), self.schedule, self.anchors)
        candidates, owned = validation_rows(self.texts, validation, labels=self.labels)

        def validate() -> float:
            return mean_reciprocal_rank(
                image.embed_all(validation),
                text.embed_all(candidates),
                owned,
                both=not self.labels,
            )

        pairs = Pairs(self.texts.owned, np.arange(len(self.texts.texts)))
        trained = trainer.fit(pairs, train, validate, folder=states, board=board, on_step=on_step)
        share = 1.0 if trained.best else 0.0
        scores: dict[float, float] = {}
        if trained.best and self.partial:
            for one in SHARES:
                trainer.restore(interpolated(trained, one))
                scores[one] = validate()
            share = max(SHARES, key=lambda one: scores[one])
            trainer.restore(interpolated(trained, share))
            scores[0.0] = trained.history[0].validation
        return Learned(adaptation, trainer, trained, share, scores)

    def _first_bias(self, adaptation: Adaptation, train: Indices, scale: float) -> float:
        """Return what a batch's softmax subtracts from logits to make probabilities of them.

        Without it, all cosines of a batch, which are above 0 even for strangers, would be pushed
        far below that in the first steps.
        """
        rows = train[: self.schedule.batch_size]
        texts = np.array([self.texts.owned[i][0] for i in rows])
        cosines = adaptation.image.embed_all(rows) @ adaptation.text.embed_all(texts).T
        return -float(np.logaddexp.reduce(scale * cosines, axis=1).mean())


@dataclass(frozen=True)
class Learned:
    """What a training ended with; its networks are in the state that is kept.

    Parameters
    ----------
    adaptation
        The encoder.
    trainer
        What trained it.
    trained
        Its epochs.
    share
        How much of the change was kept, in [0, 1].
    shares
        The validation score of each share that could have been kept, and of none of the change;
        empty where there was nothing to choose.
    """

    adaptation: Adaptation
    trainer: Trainer
    trained: Trained
    share: float
    shares: Mapping[float, float]

    def similarity(self, pictures: Indices, groups: Sequence[Indices]) -> NDArray[np.float32]:
        """Return the cosines of pictures with means of texts, as they are now.

        Parameters
        ----------
        pictures
            Rows of pictures, ``(n,)``.
        groups
            For each column the rows of its texts, whose embeddings are averaged, ``m`` of them.

        Returns
        -------
        ndarray
            ``(n, m)``.
        """
        images = self.adaptation.image.embed_all(pictures)
        texts = self.adaptation.text.embed_all(np.concatenate(groups))
        ends = np.cumsum([len(group) for group in groups])[:-1]
        means = [part.mean(axis=0) for part in np.split(texts, ends)]
        similarity: NDArray[np.float32] = images @ unit(np.stack(means)).T
        return similarity

    def rewind(self) -> None:
        """Bring the networks back to the state before training."""
        self.trainer.restore(self.trained.start)
