"""Which pictures are learned from, which choose the best epoch, and which are only measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pareja.datasets.duplicates import Looks, looks, near_duplicates
from pareja.datasets.formats.places import split_named
from pareja.datasets.images import decode_image
from pareja.datasets.records import Dataset, Record
from pareja.decimals import counted
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
        ``"splits"`` where the dataset's own splits said it, ``"folds"`` in a cross-validation,
        ``"chance"`` otherwise.
    """

    train: Indices
    validation: Indices
    test: Indices
    by: str

    def among(self, pictures: Indices) -> Split:
        """Return the same split without pictures that are not among these, given rising."""
        train, validation, test = (
            np.intersect1d(part, pictures) for part in (self.train, self.validation, self.test)
        )
        return Split(train, validation, test, self.by)


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
    pairs = [(seen[first], seen[second]) for first, second, _ in near_duplicates(found)]
    groups = _connected(len(dataset), pairs)
    if len(groups) and np.bincount(groups).max() > len(groups) / 2:
        digests = [hashlib.sha256(record.source.read()).digest() for record in dataset]
        places = {digest: i for i, digest in reversed(list(enumerate(digests)))}
        groups = np.array([places[digest] for digest in digests])
    return groups


def _connected(count: int, pairs: Sequence[tuple[int, int]]) -> Indices:
    """Return for each of `count` things the first that it is connected with by pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.array(pairs, np.intp).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs), np.int8), (first, second)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    _, firsts = np.unique(labels, return_index=True)
    return np.asarray(firsts[labels], np.intp)


def refuse_few(dataset: Dataset) -> None:
    """Raise `DatasetError` where there are too few pictures to learn from some of them."""
    if len(dataset) < LEAST:
        raise DatasetError(
            f"{dataset.name}: {counted(len(dataset), 'picture is', 'pictures are')} too few to "
            f"learn from some and measure on others. At least {LEAST} are needed."
        )


def has_splits(dataset: Dataset) -> bool:
    """Whether every record names its split: train, validation or test."""
    return all(split_named(record.split or "") for record in dataset)


def split_pictures(
    dataset: Dataset,
    groups: Sequence[int] | Indices,
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
        Equal numbers stay together, ``(n,)``; not looked at where the dataset names its splits.
    validation, test
        Their shares of the pictures, in [0, 1); 0 leaves `test` empty.
    seed
        Of the draw.

    Raises
    ------
    DatasetError
        If there are too few pictures, or a split of the dataset has fewer than two.
    """
    if has_splits(dataset):
        return _by_column(dataset, [split_named(record.split or "") for record in dataset])
    refuse_few(dataset)
    count = len(dataset)
    numbers = np.asarray(groups)
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


def fold_pictures(
    dataset: Dataset,
    groups: Sequence[int] | Indices,
    count: int,
    *,
    validation: float = 0.15,
    seed: int = 0,
) -> list[Split]:
    """Split a dataset several times, so that each picture is in one test part.

    Parameters
    ----------
    dataset
        Its own splits do not count.
    groups
        Equal numbers stay together, ``(n,)``.
    count
        How many folds, at least 2.
    validation
        The share of the validation part in what a fold leaves, in (0, 1).
    seed
        Of the draw.

    Raises
    ------
    DatasetError
        If there are too few pictures.
    """
    numbers = np.asarray(groups)
    sizes = np.bincount(numbers, minlength=len(numbers))
    order = np.random.default_rng(seed).permutation(np.unique(numbers))
    held: list[list[int]] = [[] for _ in range(count)]
    # The largest groups first, each to the fold that has fewest: folds of one size.
    for group in sorted(order, key=lambda group: -sizes[group]):
        min(held, key=len).extend(np.flatnonzero(numbers == group).tolist())
    splits = []
    for test in held:
        rest = np.setdiff1d(np.arange(len(dataset)), test)
        left = replace(dataset, records=tuple(_unsplit(dataset.records[i]) for i in rest))
        inner = split_pictures(left, numbers[rest], validation=validation, test=0.0, seed=seed)
        splits.append(
            Split(
                rest[inner.train], rest[inner.validation], np.array(sorted(test), np.intp), "folds"
            )
        )
    return splits


def _unsplit(record: Record) -> Record:
    return replace(record, extra={k: v for k, v in record.extra.items() if k != "split"})


def _by_column(dataset: Dataset, named: Sequence[str | None]) -> Split:
    parts = {
        part: np.array([i for i, name in enumerate(named) if name == part], np.intp)
        for part in _PARTS
    }
    for part in ("train", "validation"):
        if len(parts[part]) < 2:
            raise DatasetError(
                f"{dataset.name}: its splits mark {counted(len(parts[part]), 'picture')} as "
                f"{part}, and at least 2 are needed. Add some, or leave the splits out."
            )
    return Split(**parts, by="splits")
