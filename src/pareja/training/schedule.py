"""How training runs, and what each of its epochs ended with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pareja.errors import InputError


@dataclass(frozen=True)
class Schedule:
    """How training runs.

    Parameters
    ----------
    epochs
        At most so many passes over the pictures.
    batch_size
        Pairs whose logits are compared with each other.
    chunk
        Pairs that are in the networks at once; fewer than `batch_size` need a second pass for the
        gradients and less memory (Gao et al. 2021, "gradient caching").
    learning_rate, weight_decay
        Of AdamW; the rate rises over the first 5 % of the steps and falls along a cosine.
    pull
        How strongly weights are drawn back to where they began: ``pull * |W - W0|^2``.
    patience
        Epochs without a better validation score after which training ends; 0 never ends early.
    keep
        How much it counts that the embeddings of `Anchors` stay as they are.
    train_scale
        Whether the logits' scale (and bias) are trained too.
    seed
        Of the order of the pictures, the choice among their captions, and dropout.

    Raises
    ------
    InputError
        If one of them is out of its range.
    """

    epochs: int = 20
    batch_size: int = 64
    chunk: int | None = None
    learning_rate: float = 2e-4
    weight_decay: float = 0.01
    pull: float = 0.0
    patience: int = 5
    keep: float = 4.0
    train_scale: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        require("epochs", self.epochs, 1)
        require("batch_size", self.batch_size, 2)
        require("chunk", self.chunk, 1)
        require("learning_rate", self.learning_rate, 0, above=True)
        require("patience", self.patience, 0)
        for name in ("weight_decay", "pull", "keep"):
            require(name, getattr(self, name), 0)


@dataclass(frozen=True)
class Epoch:
    """One pass: mean loss, validation score (higher is better), learning rate, seconds."""

    epoch: int
    loss: float
    validation: float
    learning_rate: float
    scale: float
    seconds: float

    def record(self) -> dict[str, float | None]:
        """Return it as JSON holds it: what is no number, as the loss before training, is null."""
        return {name: value if math.isfinite(value) else None for name, value in vars(self).items()}


def require(parameter: str, value: float | None, least: float, *, above: bool = False) -> None:
    """Raise `InputError` unless a parameter is None or a finite number from `least` on.

    Parameters
    ----------
    parameter, value
        Its name and what was given.
    least
        The least that is allowed; with `above` the least that is not.
    above
        Whether it must be greater.
    """
    if value is None or (math.isfinite(value) and (value > least if above else value >= least)):
        return
    wanted = f"above {least}" if above else f"from {least} on"
    raise InputError(f"`{parameter}` must be a number {wanted}, got {value}.")
