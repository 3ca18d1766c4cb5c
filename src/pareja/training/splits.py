"""Which pictures are learned from, which choose the best epoch, and which are only measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareja.datasets.duplicates import Looks, looks, near_duplicates
from pareja.datasets.formats.places import split_named
from pareja.datasets.images import decode_image
from pareja.datasets.records import Dataset
from pareja.errors import DatasetError, ImageError

Indices = NDArray[np.intp]

LEAST = 8
"""Fewer pictures than this cannot be split in three."""

_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Positions of pictures in a dataset, rising, each in one part only.

    Parameters
    ----------
    train
        Learned from.
    validation
        Chooses the best epoch and how much of the change is kept.
    test
        Looked at once, after everything was chosen; may be empty.
    by
        ``"splits"`` where the dataset's own splits said it, ``"chance"`` otherwise.
    """

    train: Indices
    validation: Indices
    test: Indices
    by: str


def groups_of(dataset: Dataset) -> Indices:
    """Return a group for each picture, equal for near duplicates, ``(n,)``.

    Where more than half of the pictures would be near duplicates of each other (drawings of one
    kind), the hash cannot tell these pictures apart, and only equal bytes count.
    """
    found: list[Looks] = []
    seen: list[int] = []
    for i, record in enumerate(dataset):
        try:
            look = looks(decode_image(record.source))
        except ImageError:
            continue
        if look is not None:
            found.append(look)
            seen.append(i)
    groups = np.arange(len(dataset))
    for first, second, _ in near_duplicates(found):
        a, b = groups[seen[first]], groups[seen[second]]
        groups[groups == max(a, b)] = min(a, b)
    if len(groups) and np.bincount(groups).max() > len(groups) / 2:
        contents = [record.source.read() for record in dataset]
        places = {content: i for i, content in reversed(list(enumerate(contents)))}
        groups = np.array([places[content] for content in contents])
    return groups


def split_pictures(
    dataset: Dataset,
    groups: Callable[[Dataset], Sequence[int] | Indices] = groups_of,
    *,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
) -> Split:
    """Split a dataset by picture, near duplicates on one side.

    Parameters
    ----------
    dataset
        If every record names its split (train, validation or test), that is the split.
    groups
        Returns a number for each picture, ``(n,)``; equal numbers stay together. It is not asked
        where the dataset names its splits.
    validation, test
        Their shares of the pictures, in [0, 1); 0 leaves `test` empty.
    seed
        Of the draw.

    Raises
    ------
    DatasetError
        If there are too few pictures, or a split of the dataset has fewer than two.
    """
    named = [split_named(record.split or "") for record in dataset]
    if all(named):
        return _by_column(dataset, named)
    count = len(dataset)
    if count < LEAST:
        raise DatasetError(
            f"{dataset.name}: {count} pictures are too few to learn from some and measure on "
            f"others. At least {LEAST} are needed."
        )
    numbers = np.asarray(groups(dataset))
    order = np.random.default_rng(seed).permutation(np.unique(numbers))
    wanted = {"test": round(test * count), "validation": max(round(validation * count), 2)}
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for group in order:
        members = np.flatnonzero(numbers == group).tolist()
        part = next((p for p, n in wanted.items() if len(parts[p]) + len(members) <= n), "train")
        parts[part] += members
    if min(len(parts["train"]), len(parts["validation"])) < 2:
        raise DatasetError(
            f"{dataset.name}: nearly all pictures are near duplicates of each other, so they "
            "cannot be split into some to learn from and others to measure on."
        )
    return Split(
        **{name: np.array(sorted(part), np.intp) for name, part in parts.items()}, by="chance"
    )


def _by_column(dataset: Dataset, named: Sequence[str | None]) -> Split:
    parts = {
        part: np.array([i for i, name in enumerate(named) if name == part], np.intp)
        for part in _PARTS
    }
    for part in ("train", "validation"):
        if len(parts[part]) < 2:
            raise DatasetError(
                f"{dataset.name}: its splits mark {len(parts[part])} pictures as {part}, and at "
                "least 2 are needed. Add some, or leave the splits out."
            )
    return Split(**parts, by="splits")
