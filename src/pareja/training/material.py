"""What is learned from: prepared pictures and tokenised texts, each once, as rows of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareja.arrays import available_cores
from pareja.datasets.images import decode_image
from pareja.datasets.records import Dataset, Source
from pareja.decimals import counted
from pareja.encoders.protocols import ImageEncoder, Pixels
from pareja.encoders.tokenisation import Tokeniser
from pareja.errors import DatasetError, ImageError
from pareja.training.room import room_for

Indices = NDArray[np.intp]

OnPicture = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""


@dataclass(frozen=True)
class Texts:
    """The texts of a dataset's pictures, each distinct one once.

    Parameters
    ----------
    texts
        Distinct texts.
    owned
        For each picture the positions of its texts, none or several.
    """

    texts: tuple[str, ...]
    owned: tuple[Indices, ...]

    @property
    def with_text(self) -> Indices:
        """The pictures that have one."""
        return np.array([i for i, own in enumerate(self.owned) if len(own)], np.intp)


def caption_texts(dataset: Dataset) -> Texts:
    """Return the captions of a dataset. Captions that differ in case or spaces are one text.

    Raises
    ------
    DatasetError
        If fewer than two pictures have a caption, or all captions are equal.
    """
    return _texts(dataset, [record.captions for record in dataset], "caption")


def label_texts(
    dataset: Dataset, answers: Sequence[str | None], templates: Sequence[str], place: str
) -> Texts:
    """Return a prompt for each template and label.

    Parameters
    ----------
    dataset
        For messages.
    answers
        Each picture's label; None where it has none.
    templates
        Prompts with `place` for the label.
    place
        What stands for the label, ``{}``.

    Raises
    ------
    DatasetError
        If there are fewer than two labels.
    """
    if len(set(answers) - {None}) == 1:
        raise _all_the_same(dataset, "label", next(a for a in answers if a is not None))
    prompts = [
        () if answer is None else tuple(t.replace(place, answer) for t in templates)
        for answer in answers
    ]
    return _texts(dataset, prompts, "label")


def _texts(dataset: Dataset, said: Sequence[Sequence[str]], what: str) -> Texts:
    places: dict[str, int] = {}
    texts: list[str] = []
    owned = []
    for own in said:
        rows = []
        for text in own:
            key = " ".join(text.split()).casefold()
            if key not in places:
                places[key] = len(texts)
                texts.append(text)
            rows.append(places[key])
        owned.append(np.unique(np.array(rows, np.intp)))
    speaking = sum(len(own) > 0 for own in owned)
    if speaking < 2:
        raise DatasetError(
            f"{dataset.name}: {counted(speaking, 'picture has', 'pictures have')} a {what}, and "
            "at least 2 are needed."
        )
    if len(texts) < 2:
        raise _all_the_same(dataset, what, texts[0])
    return Texts(tuple(texts), tuple(owned))


def _all_the_same(dataset: Dataset, what: str, text: str) -> DatasetError:
    return DatasetError(
        f"{dataset.name}: all pictures have the same {what}, {text!r}, so there is nothing to tell "
        "apart."
    )


def prepared_pixels(
    sources: Sequence[Source], encoder: ImageEncoder, progress: OnPicture | None = None
) -> tuple[Pixels, Indices, tuple[tuple[str, str], ...]]:
    """Decode and resize pictures once, in parallel.

    Returns
    -------
    pixels, kept, skipped
        ``(n, side, side, 3)`` uint8, the positions of these pictures in `sources`, and
        ``(name, reason)`` of the others.

    Raises
    ------
    OutputError
        If they do not fit into memory and there is no space for a file of them.
    """
    side = encoder.image_side
    pixels = room_for("the prepared pictures", (len(sources), side, side, 3), np.uint8)
    skipped: dict[int, tuple[str, str]] = {}

    def prepare(i: int) -> None:
        try:
            pixels[i] = encoder.prepare(decode_image(sources[i], network_side=side))
        except ImageError as error:
            skipped[i] = (str(sources[i]), error.reason)

    with ThreadPoolExecutor(available_cores(), thread_name_prefix="pareja-decode") as pool:
        for done, _ in enumerate(pool.map(prepare, range(len(sources))), 1):
            if progress is not None and (done % 32 == 0 or done == len(sources)):
                progress(done, len(sources))
    kept = np.array([i for i in range(len(sources)) if i not in skipped], np.intp)
    for row, i in enumerate(kept if skipped else ()):
        pixels[row] = pixels[i]
    return pixels[: len(kept)], kept, tuple(skipped[i] for i in sorted(skipped))


def token_rows(tokeniser: Tokeniser, texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Tokenise texts, padded to the longest: ids and mask by name, ``(n, length)`` each."""
    (order, inputs), *_ = tokeniser.batches(texts, len(texts))
    rows = np.argsort(order)
    return {name: array[rows] for name, array in inputs.items()}
