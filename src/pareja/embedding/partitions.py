"""How the embedding of very many pictures is cut into partitions, the same way on every machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from pareja.datasets.formats import of_split, shard_files, shard_suffix
from pareja.datasets.formats.folders import ending
from pareja.datasets.formats.remote import RemoteTree, fetched, is_remote, read_remote
from pareja.datasets.records import Dataset, Record
from pareja.encoders.bases import is_list
from pareja.errors import DatasetError, ImageError, InputError
from pareja.inputs import BytesSource, Given, ImageSource, find_pictures
from pareja.names import printable

PARTITION_SIZE = 2048
"""Pictures of a partition unless told otherwise; a kill costs at most so many."""

Sources: TypeAlias = "str | os.PathLike[str] | Dataset | Iterable[str | os.PathLike[str] | Dataset]"
"""One place with pictures, or several."""


@dataclass(frozen=True)
class UnreadableSource:
    """A picture that is part of a dataset and that nobody can read.

    Parameters
    ----------
    name
        How messages call it.
    reason
        Why, as one clause.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        return self.name

    def read(self) -> bytes:
        """Raise `ImageError`."""
        raise ImageError(self.name, self.reason)


@dataclass(frozen=True)
class Item:
    """One picture of a partition.

    Parameters
    ----------
    record
        The picture, and what is known about it.
    place
        The absolute path of its file, or of its archive followed by its name in there.
    """

    record: Record
    place: str


@dataclass(frozen=True)
class Partition:
    """Some of the pictures, which one worker embeds into one shard; it can be pickled.

    Parameters
    ----------
    number
        Its place among the partitions, from 1.
    listed
        Its pictures, where they were listed when the plan was made.
    shard
        The WebDataset or Parquet file whose pictures they are, where they were not; a URL if it is
        on other storage.
    prefix
        What the names of pictures of `shard` begin with.
    split
        Of `shard` only this part; None for all of it.
    """

    number: int
    listed: tuple[Item, ...] = ()
    shard: Path | str | None = None
    prefix: str = ""
    split: str | None = None

    @property
    def name(self) -> str:
        """How messages call it."""
        if self.shard is not None:
            return printable(str(self.shard))
        return f"{self.listed[0].place} to {self.listed[-1].record.file_name}"

    @contextmanager
    def opened(self) -> Iterator[tuple[Item, ...]]:
        """Yield its pictures, which can be read inside; none where a shard has none of the split.

        Raises
        ------
        DatasetError
            If the shard cannot be read.
        MachineError
            If the storage that it is on does not answer.
        """
        if self.shard is None:
            yield self.listed
        elif isinstance(self.shard, Path):
            yield self._items(self.shard)
        else:
            # Whole and once: a request for each picture would take longer than to embed it.
            with fetched(self.shard) as path:
                above = path.as_posix()
                yield tuple(
                    replace(item, place=printable(self.shard) + item.place.removeprefix(above))
                    for item in self._items(path)
                )

    def _items(self, shard: Path) -> tuple[Item, ...]:
        found = _items(find_pictures(shard))
        if self.split is not None:
            part = of_split(Dataset("", tuple(item.record for item in found), ""), self.split)
            names = {record.file_name for record in part}
            found = tuple(item for item in found if item.record.file_name in names)
        return tuple(
            replace(
                item, record=replace(item.record, file_name=self.prefix + item.record.file_name)
            )
            for item in found
        )


@dataclass(frozen=True)
class Plan:
    """How some pictures are cut into partitions.

    Parameters
    ----------
    partitions
        In the order of the pictures.
    sources
        The places as they were given.
    pictures
        How many there are; None where shards were counted and not their pictures.
    digest
        Stands for the names of all pictures, or of the shards that they are in, and for the cuts.
        Machines that see the same files below whatever folder have the same.
    """

    partitions: tuple[Partition, ...]
    sources: tuple[str, ...]
    pictures: int | None
    digest: str

    def part(self, number: int, count: int) -> tuple[Partition, ...]:
        """Return every `count`-th partition: the share of one machine of several.

        Parameters
        ----------
        number
            Which share, from 1 to `count`.
        count
            How many shares there are.

        Raises
        ------
        InputError
            If there is no such share.
        """
        if not 1 <= number <= count:
            raise InputError(
                f"`part` is {number}/{count}. Give i/n with 1 <= i <= n: this machine's number, "
                "and how many machines there are."
            )
        return self.partitions[number - 1 :: count]


def planned(
    sources: Sources, *, split: str | None = None, partition_size: int | None = None
) -> Plan:
    """Cut pictures into partitions; no picture is read.

    Each file of a dataset of several WebDataset or Parquet shards is one partition, and is not
    opened now. All other pictures are listed and cut into stretches of one length.

    Parameters
    ----------
    sources
        Folders, pictures, patterns, and whatever else `pareja.load_dataset` reads; or the URL of a
        folder on other storage, as ``s3://bucket/folder``, with pictures or with shards.
    split
        Of each dataset only this part, as ``test``.
    partition_size
        Pictures of a partition that is no file; 2048 by default.

    Raises
    ------
    InputError
        If something was given that is at no place, so that another machine could not read it.
    DatasetError
        If there are no pictures at a place, or there is no such split.
    """
    size = partition_size or PARTITION_SIZE
    if size < 1:
        raise InputError(f"`partition_size` is {size}. Give at least 1.")
    given = list(_places(sources))
    if not given:
        raise DatasetError("sources is empty: there are no pictures. Give at least one place.")
    listed: list[str | os.PathLike[str] | Dataset] = []
    shards: list[tuple[str, Path | str]] = []
    for place in given:
        if is_remote(place):
            tree = RemoteTree(place)
            if suffix := shard_suffix(tree.names):
                urls = [tree.source(name).url for name in tree.names if ending(name) == suffix]
                shards += _named(place, urls, several=len(given) > 1)
            else:
                listed.append(read_remote(tree, place))
            continue
        files = () if isinstance(place, Dataset) else shard_files(_spelled(place))
        # One file alone is cut into stretches, so that several workers can share it.
        if len(files) > 1:
            shards += _named(place, files, several=len(given) > 1)
        else:
            listed.append(place)
    items = (
        _items(find_pictures(listed if len(listed) > 1 else listed[0], "sources", split=split))
        if listed
        else ()
    )
    if any(isinstance(item.record.source, BytesSource | ImageSource) for item in items):
        raise InputError(
            "sources holds pictures that are in memory alone, and a partition may be embedded by "
            "another process. Save them to a folder, and give that."
        )
    stretches = [items[start : start + size] for start in range(0, len(items), size)]
    partitions = [Partition(number, stretch) for number, stretch in enumerate(stretches, 1)]
    partitions += [
        Partition(number, (), path, f"{name}/", split)
        for number, (name, path) in enumerate(shards, len(stretches) + 1)
    ]
    cut = hashlib.sha256(f"{size}\n{split or ''}\n".encode())
    for name in (*(item.record.file_name for item in items), *(name for name, _ in shards)):
        cut.update(name.encode("utf-8", "surrogatepass") + b"\0")
    return Plan(
        partitions=tuple(partitions),
        sources=tuple(printable(str(_name_of(place))) for place in given),
        pictures=None if shards else len(items),
        digest=cut.hexdigest(),
    )


def _places(sources: Sources) -> Iterator[str | os.PathLike[str] | Dataset]:
    several: Iterable[object] = sources if is_list(sources) else [sources]  # type: ignore[assignment]
    for place in several:
        if not isinstance(place, str | os.PathLike | Dataset):
            raise InputError(
                f"sources holds a {type(place).__name__}, and other processes read the pictures "
                "too. Give paths, folders, patterns, the names of datasets, or a dataset."
            )
        yield place


def _spelled(place: str | os.PathLike[str]) -> str | Path:
    return place if isinstance(place, str) else Path(place)


def _name_of(place: str | os.PathLike[str] | Dataset) -> object:
    return place.location if isinstance(place, Dataset) else os.fspath(place)


def _named(
    place: str | os.PathLike[str] | Dataset, files: Sequence[Path | str], *, several: bool
) -> Iterator[tuple[str, Path | str]]:
    """Yield the files of a dataset with their names in it, without ending."""
    paths = [PurePosixPath(file) if isinstance(file, str) else file for file in files]
    root = os.path.commonpath([path.parent for path in paths])
    above = f"{printable(str(_name_of(place))).rstrip('/')}/" if several else ""
    for file, path in zip(files, paths, strict=True):
        yield above + printable(path.relative_to(root).with_suffix("").as_posix()), file


def _items(given: Given) -> tuple[Item, ...]:
    """Return all pictures, those too that are part of what was given and cannot be read."""
    found = [Item(record, place) for record, place in zip(given.dataset, given.places, strict=True)]
    lost = [
        Item(Record(name, UnreadableSource(name, reason)), name) for name, reason in given.skipped
    ]
    return (*found, *lost)
