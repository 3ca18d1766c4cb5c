"""From texts to token ids, with the ``tokenizers`` library alone.

transformers is not imported unless a model has no ``tokenizer.json``, so that a text is embedded
quickly in a new process.
"""

from __future__ import annotations

import html
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.protocols import warn_of_truncation

if TYPE_CHECKING:
    import tokenizers

Cleaning = Literal[
    "none",
    "lower",
    "canonical",
    "open_clip whitespace",
    "open_clip lower",
    "open_clip canonicalize",
]
"""What is done to a text first: nothing; lower case; lower case and no punctuation (SigLIP); or
what open_clip's tokenizers do, which also repair text that was decoded wrongly and make curly
quotation marks straight (``ftfy``)."""

# Tokens up to which a batch has as many texts as it may have.
_LONG = 512
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, eq=False)
class Tokeniser:
    """Texts to token ids as a text network wants them.

    Parameters
    ----------
    name
        The encoder that truncation warnings speak of.
    backend
        The vocabulary and rules, read from ``tokenizer.json``.
    max_length
        Tokens that the network reads, special ones included.
    pad_id
        Fills up the shorter texts of a batch.
    pad_to_max
        Whether every text is padded to `max_length`, not to the longest of its batch.
    cleaning
        What is done to a text before.
    prefix
        Put before every text.
    cut
        At which end a text that is too long is cut.
    """

    name: str
    backend: tokenizers.Tokenizer = field(repr=False)
    max_length: int
    pad_id: int
    pad_to_max: bool = False
    cleaning: Cleaning = "none"
    prefix: str = ""
    cut: Literal["right", "left"] = "right"

    def __post_init__(self) -> None:
        self.backend.no_padding()
        self.backend.enable_truncation(self.max_length, direction=self.cut)

    def identity(self) -> str:
        """Everything here that changes the network's input, as one line for a fingerprint."""
        padding = ", padded" if self.pad_to_max else ""
        prefix = f", prefix {self.prefix!r}" if self.prefix else ""
        cut = "" if self.cut == "right" else ", cut on the left"
        return f"{self.cleaning}, {self.max_length} tokens{cut}{padding}{prefix}"

    def clean(self, text: str, prefix: str | None = None) -> str:
        """Return the text as it is tokenised, with its own prefix or with another.

        SigLIP's canonical form is that of its training (big_vision, ``prompt_engineering.py``):
        ``"Hello,  World!"`` becomes ``"hello world"``.
        """
        # A lone surrogate, as from a file name that is no UTF-8, has no encoding.
        text = (
            ((self.prefix if prefix is None else prefix) + text)
            .encode("utf-8", "replace")
            .decode("utf-8")
        )
        if self.cleaning == "none":
            return text
        if self.cleaning.startswith("open_clip"):
            from ftfy import fix_text

            text = fix_text(text)
            text = html.unescape(html.unescape(text))
            if self.cleaning == "open_clip canonicalize":
                text = text.replace("_", " ").translate(_PUNCTUATION)
            if self.cleaning != "open_clip whitespace":
                text = text.lower()
            return " ".join(text.split())
        text = text.lower()
        if self.cleaning == "lower":
            return text
        return re.sub(r"\s+", " ", text.translate(_PUNCTUATION)).strip()

    def encode(self, texts: Sequence[str], prefix: str | None = None) -> list[list[int]]:
        """Return the token ids of each text, with one `TruncationWarning` for those cut."""
        encodings = self.backend.encode_batch_fast([self.clean(text, prefix) for text in texts])
        warn_of_truncation(
            self.name,
            f"{self.max_length} tokens",
            [text for text, encoding in zip(texts, encodings, strict=True) if encoding.overflowing],
        )
        # A tokenizer without special tokens makes nothing of an empty text, and no network takes
        # a sequence of length 0.
        return [encoding.ids or [self.pad_id] for encoding in encodings]

    def batches(
        self, texts: Sequence[str], size: int, prefix: str | None = None
    ) -> Iterator[tuple[NDArray[np.intp], dict[str, NDArray[np.int64]]]]:
        """Yield batches of texts of similar length.

        Parameters
        ----------
        texts
            In any order.
        size
            Texts in a batch at most; of long ones there are fewer.
        prefix
            Put before every text in the place of the tokeniser's own.

        Yields
        ------
        indices, inputs
            Which texts they are, and ``input_ids`` and ``attention_mask``, int64 ``(n, length)``.
        """
        ids = self.encode(texts, prefix)
        lengths = np.array([len(row) for row in ids], dtype=np.intp)
        order = np.argsort(lengths, kind="stable")
        start = 0
        while start < len(order):
            chosen = order[start : start + size]
            # What attention holds in memory grows with the square of the length.
            most = max(1, size * _LONG**2 // max(_LONG, int(lengths[chosen].max())) ** 2)
            chosen = chosen[:most]
            start += len(chosen)
            longest = self.max_length if self.pad_to_max else int(lengths[chosen].max())
            inputs = {
                "input_ids": np.full((len(chosen), longest), self.pad_id, dtype=np.int64),
                "attention_mask": np.zeros((len(chosen), longest), dtype=np.int64),
            }
            for row, index in enumerate(chosen):
                inputs["input_ids"][row, : lengths[index]] = ids[index]
                inputs["attention_mask"][row, : lengths[index]] = 1
            yield chosen, inputs


def token_text(value: Any) -> str | None:
    """Return the text of a special token, which configs write as text or as a table."""
    return value.get("content") if isinstance(value, dict) else value
