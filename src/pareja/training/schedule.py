"""How training runs, and what each of its epochs ended with."""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True)
class Epoch:
    """One pass: mean loss, validation score (higher is better), learning rate, seconds."""

    epoch: int
    loss: float
    validation: float
    learning_rate: float
    scale: float
    seconds: float
