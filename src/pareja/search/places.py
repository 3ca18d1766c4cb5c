"""What lies at the places that a user names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import TypeAlias

from pareja.datasets import load_dataset
from pareja.datasets.formats import only_split, spelled_split
from pareja.datasets.formats.folders import FileSource, is_picture
from pareja.datasets.records import Dataset, Record
from pareja.decimals import counted
from pareja.embedding.cache import Stamp
from pareja.errors import CollectionError, DatasetError, InputError
from pareja.inputs import BytesSource, ImageSource, find_pictures
from pareja.names import printable
from pareja.search.catalogue import Catalogue
from pareja.search.filing import Found

Places: TypeAlias = "str | os.PathLike[str] | Dataset | Iterable[str | os.PathLike[str] | Dataset]"
"""One place with pictures, or several."""


@dataclass(frozen=True)
class Place:
    """What lies at a place that is indexed.

    Parameters
    ----------
    path
        Absolute path, or address, that the pictures' paths begin with.
    pictures
        What was found.
    skipped
        ``(name, reason)`` of what lies there and does not belong to it.
    whole
        Whether these are all pictures there: what is known besides has gone.
    split
        The part of the dataset that this is; None for all of it.
    closed
        Names of folders in it that cannot be listed: nobody knows what is in them.
    """

    path: str
    pictures: Sequence[Found]
    skipped: Sequence[tuple[str, str]] = ()
    whole: bool = True
    split: str | None = None
    closed: Sequence[str] = ()

    def may_hold(self, path: bytes) -> bool:
        """Return whether a file lies in a folder that cannot be listed, and may still be there."""
        shown = printable(os.fsdecode(path))
        return any(f"/{folder}/" in shown for folder in self.closed)

    def is_all_of(self, location: str) -> bool:
        """Return whether what came from a dataset and is not found here has gone."""
        return self.whole and (self.split is None or location == self.path)


def look(given: Places, catalogue: Catalogue, split: str | None = None) -> list[Place]:
    """List the pictures at one place or several, reading none of them.

    Parameters
    ----------
    given
        Pictures, patterns, datasets, and whatever `load_dataset` reads.
    catalogue
        Of a collection that may know the places already.
    split
        Of each place only this part, as ``test``.

    Raises
    ------
    DatasetError
        If one does not exist or holds no pictures, with what to do about those that are known; or
        if it has no such split.
    CollectionError
        If another split of a place, or all of it, is in the collection.
    InputError
        If something was given that is at no place.
    """
    if isinstance(given, str | os.PathLike | Dataset):
        given = [given]
    if isinstance(given, bytes | Mapping) or not isinstance(given, Iterable):
        raise _no_place(given)
    places: list[Place] = []
    for one in given:
        if isinstance(one, Dataset):
            part = one if split is None else only_split(one, split)
            places.append(_place_of(part, split, whole=False))
        elif isinstance(one, str | os.PathLike):
            places += [_look_or_explain(each, catalogue, split) for each in _matches(one)]
        else:
            raise _no_place(one)
    if not places:
        raise DatasetError("there is nothing to index. Name at least one place with pictures.")
    for place in places:
        _check_split(place, catalogue.splits(place.path))
    return places


def _check_split(place: Place, known: AbstractSet[str | None]) -> None:
    """Refuse to mix splits of one dataset, or to take one for another that has gone."""
    if known <= {place.split}:
        return
    here = " and ".join(sorted(f"its split {part!r}" if part else "all of it" for part in known))
    asked = "no split is given" if place.split is None else f"split is {place.split!r}"
    raise CollectionError(
        f"{asked}, and of {place.path} the collection has {here}. It keeps one choice for each "
        "dataset: make the same one, let the collection forget that place first, or index into "
        "another collection."
    )


def _matches(location: str | os.PathLike[str]) -> list[str | os.PathLike[str]]:
    """Return the pictures that a pattern stands for; anything else stands for itself."""
    if Path(location).expanduser().exists() or not has_magic(os.fspath(location)):
        return [location]
    return list(find_pictures(location).places)


def _no_place(given: object) -> InputError:
    return InputError(
        f"a {type(given).__name__} is at no place, and a collection keeps where its pictures are. "
        "Give paths, folders, patterns, the names of datasets, or a dataset."
    )


def _look_or_explain(
    location: str | os.PathLike[str], catalogue: Catalogue, split: str | None
) -> Place:
    try:
        return _look(location, split)
    except DatasetError as error:
        if known := len(catalogue.files_below(absolute(location))):
            raise DatasetError(
                f"{error} The collection keeps what it knows from there: {counted(known, 'file')}. "
                f"If that is gone for good, let it forget {location}."
            ) from error
        raise


def absolute(location: str | os.PathLike[str]) -> str:
    """Return the absolute path of a place, which need not be there."""
    return str(Path(location).expanduser().absolute())


def _look(location: str | os.PathLike[str], split: str | None) -> Place:
    path = Path(absolute(location))
    if is_picture(path.name) and path.is_file():
        if split is not None:
            raise DatasetError(
                f"split is {split!r}, and {location} is a single picture, which has no splits. "
                "Give a dataset."
            )
        record = Record(path.name, FileSource(path))
        return Place(str(path), [Found(str(path), str(path), record, False, Stamp.of(path))])
    given = location if isinstance(location, str) else Path(location)
    return _place_of(load_dataset(given, split=split, on_missing="keep"), split)


def _place_of(dataset: Dataset, split: str | None, *, whole: bool = True) -> Place:
    place = str(dataset.location)
    archive = Stamp.of(Path(place)) if Path(place).is_file() else None
    skipped = list(dataset.skipped)
    skipped += [(name, "is not listed in the dataset's metadata") for name in dataset.unlisted]
    if any(isinstance(record.source, BytesSource | ImageSource) for record in dataset):
        raise InputError(
            f"{dataset.name} holds pictures that are in memory alone, and a collection keeps where "
            "its pictures are. Save them to a folder, and index that."
        )
    part = None if split is None else spelled_split(split)
    found = [_found(record, place, archive, part) for record in dataset]
    closed = [note.path for note in dataset.notes if note.code == "folder_closed"]
    return Place(place, found, skipped, whole, part, closed)


def _found(record: Record, place: str, archive: Stamp | None, split: str | None) -> Found:
    source = record.source
    if isinstance(source, FileSource):
        return Found(str(source.path), place, record, False, Stamp.of(source.path), split)
    return Found(f"{place}{os.sep}{record.file_name}", place, record, True, archive, split)
