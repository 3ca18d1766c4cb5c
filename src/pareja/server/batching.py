"""One encoder for all requests: those that arrive together are embedded together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from threading import Lock
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.encoders.bases import ImageEncoderBase, TextEncoderBase
from pareja.encoders.protocols import DualEncoder, Embeddings, Encoder, Fingerprint, Pixels
from pareja.encoders.truncation import dims_of

Item = TypeVar("Item", str, Pixels)
OnBatch = Callable[[int, int], None]

MAX_BATCH = 64
"""Most texts or pictures of several requests that an encoder gets at once."""

MAX_RECENT = 4_096
"""So many texts' embeddings are kept: whoever filters a search, or goes back, asks it again."""


@dataclass
class _Job(Generic[Item]):
    """What one request wants embedded, and what became of it."""

    items: Sequence[Item]
    rows: Embeddings | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.rows is not None or self.error is not None


class Batcher(Generic[Item]):
    """Turns concurrent calls into few calls.

    While one thread runs the encoder, others queue; the next to run takes along all that wait. A
    single request is never kept waiting for company.

    Parameters
    ----------
    encode
        What embeds a list of items.
    turn
        Held while the encoder runs.
    on_batch
        Called with the number of requests and of items of each run.
    """

    def __init__(
        self,
        encode: Callable[[Sequence[Item]], Embeddings],
        turn: Lock,
        on_batch: OnBatch | None = None,
    ) -> None:
        self._encode: Callable[[Sequence[Item]], Embeddings] = encode
        self._on_batch = on_batch
        self._waiting: list[_Job[Item]] = []
        self._queue = Lock()
        self._turn = turn

    def __call__(self, items: Sequence[Item]) -> Embeddings:
        """Embed items, at least one; returns ``(n, dim)``, in their order."""
        job = _Job(items)
        with self._queue:
            self._waiting.append(job)
        with self._turn:
            while not job.done:
                self._run(self._take())
        if job.error is not None:
            raise job.error
        assert job.rows is not None  # noqa: S101  done, and no error
        return job.rows

    def _take(self) -> list[_Job[Item]]:
        """Take the jobs that have waited longest, as many as fit into a batch, at least one."""
        with self._queue:
            total = 0
            taken = 0
            for job in self._waiting:
                total += len(job.items)
                if taken and total > MAX_BATCH:
                    break
                taken += 1
            jobs, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return jobs

    def _run(self, jobs: Sequence[_Job[Item]]) -> None:
        items = [item for job in jobs for item in job.items]
        if self._on_batch is not None:
            self._on_batch(len(jobs), len(items))
        try:
            rows = iter(self._encode(items))
            for job in jobs:
                job.rows = np.stack(list(islice(rows, len(job.items))))
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].error = error
                return
            # One request's text must not fail another's.
            for job in jobs:
                self._run([job])


class SharedEncoder(ImageEncoderBase, TextEncoderBase):
    """An encoder that any number of threads may call at once.

    Parameters
    ----------
    encoder
        The encoder; it is called by one thread at a time.
    on_batch
        Called with the number of requests and of items of each run.
    """

    def __init__(self, encoder: Encoder, on_batch: OnBatch | None = None) -> None:
        turn = Lock()
        self._encoder = encoder
        self._recent: OrderedDict[str, Embeddings] = OrderedDict()
        self._recent_lock = Lock()
        self._texts: Batcher[str] = Batcher(encoder.encode_texts, turn, on_batch)
        self._pixels: Batcher[Pixels] = Batcher(
            lambda pixels: encoder.encode_pixels(np.stack(pixels)), turn, on_batch
        )

    @property
    def name(self) -> str:
        """How the encoder is called."""
        return self._encoder.name

    @property
    def kind(self) -> Literal["dual", "pair"]:
        """Whether both towers share one space."""
        return self._encoder.kind

    @property
    def image_dim(self) -> int:
        """Length of a picture's embedding."""
        return self._encoder.image_dim

    @property
    def text_dim(self) -> int:
        """Length of a text's embedding."""
        return self._encoder.text_dim

    @property
    def dims(self) -> tuple[int, ...]:
        """Shorter lengths that its vectors may be cut to, because it was trained for them."""
        return dims_of(self._encoder)

    @property
    def image_side(self) -> int:
        """Side in pixels of the square that the image network sees."""
        return self._encoder.image_side

    @cached_property
    def image_fingerprint(self) -> Fingerprint:
        """The space of pictures."""
        return self._encoder.image_fingerprint

    @cached_property
    def text_fingerprint(self) -> Fingerprint:
        """The space of texts."""
        return self._encoder.text_fingerprint

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop one picture to what the network sees, ``(side, side, 3)``."""
        return self._encoder.prepare(image)

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        return self._pixels(list(pixels))

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        with self._recent_lock:
            rows = {text: self._recent[text] for text in texts if text in self._recent}
        missing = [text for text in dict.fromkeys(texts) if text not in rows]
        if missing:
            rows.update(zip(missing, self._texts(missing), strict=True))
        with self._recent_lock:
            for text in rows:
                self._recent[text] = rows[text]
                self._recent.move_to_end(text)
            while len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)
        return np.stack([rows[text] for text in texts])


class SharedDualEncoder(SharedEncoder):
    """A `SharedEncoder` of a dual encoder, whose similarities become probabilities."""

    def __init__(self, encoder: DualEncoder, on_batch: OnBatch | None = None) -> None:
        super().__init__(encoder, on_batch)
        self._dual = encoder

    @property
    def alone(self) -> DualEncoder:
        """The encoder without the batches that requests share: its maps have none."""
        return self._dual

    @property
    def loss(self) -> Literal["softmax", "sigmoid"]:
        """How the model was trained, hence how its logits become probabilities."""
        return self._dual.loss

    def logits(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scale cosine similarities, ``(n_images, n_texts)``, into the model's logits."""
        return self._dual.logits(similarity)
