"""An encoder for all requests whose similarities become probabilities."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.protocols import DualEncoder
from pareja.server.batching import OnBatch, SharedEncoder


class SharedDualEncoder(SharedEncoder):
    """A dual encoder that any number of threads may call at once.

    Parameters
    ----------
    encoder
        The encoder; it is called by one thread at a time.
    on_batch
        As for `Batcher`.
    """

    def __init__(self, encoder: DualEncoder, on_batch: OnBatch | None = None) -> None:
        super().__init__(encoder, on_batch)
        self._dual = encoder

    @property
    def loss(self) -> Literal["softmax", "sigmoid"]:
        """How the model was trained, hence how its logits become probabilities."""
        return self._dual.loss

    def logits(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scale cosine similarities, ``(n_images, n_texts)``, into the model's logits."""
        return self._dual.logits(similarity)
