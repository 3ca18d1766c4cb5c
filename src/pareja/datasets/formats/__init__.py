"""Reading datasets in every layout that people have them in."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from zipfile import is_zipfile

from pareja.datasets.bundled import BUNDLED, bundled_path
from pareja.datasets.formats.archives import ZipTree
from pareja.datasets.formats.coco import read_coco
from pareja.datasets.formats.described import read_tree
from pareja.datasets.formats.folders import FolderTree, ending, is_picture
from pareja.datasets.formats.hub import HUB_SCHEME, read_hub
from pareja.datasets.formats.layouts import is_metadata
from pareja.datasets.formats.parquet import read_parquet
from pareja.datasets.formats.places import split_named
from pareja.datasets.formats.reading import OnMissing, Reading
from pareja.datasets.formats.remote import is_remote
from pareja.datasets.formats.webdataset import read_webdataset, shards_of
from pareja.datasets.records import Dataset, Record
from pareja.datasets.shapes import DRAWN, is_shapes, load_shapes
from pareja.errors import DatasetError
from pareja.names import printable

__all__ = ["OnMissing", "load_dataset", "of_split", "only_split", "shard_files", "spelled_split"]

WARNED = frozenset({"file_unread", "folder_closed", "encoding_guessed"})
"""The notes that `load_dataset` warns of: what is computed may then be of something else."""


SHARD_SUFFIXES = (".tar", ".parquet")
"""Endings, in lower case, of the files that shards of a dataset are."""


def load_dataset(
    location: str | Path,
    *,
    split: str | None = None,
    on_missing: OnMissing = "error",
    limit: int | None = None,
) -> Dataset:
    """Read a dataset; its pictures are read later, one by one, where they are needed.

    Parameters
    ----------
    location
        One of

        - the name of a dataset of drawn pictures, as ``shapes:2000`` (`pareja.datasets.shapes`),
        - the name of a bundled dataset, ``pareja20`` or ``commons200`` (a folder of that name is
          ``./pareja20``), or after ``boxes_`` those of its pictures that have boxes,
        - a folder or a zip of pictures: in the imagefolder layout, with a table or a JSON file of
          another known layout, with a text beside each picture, or with nothing but pictures in a
          folder for each class,
        - its metadata file,
        - WebDataset shards: a ``.tar``, a folder of them, or ``shard-{000..003}.tar``,
        - a ``.json`` with COCO captions, beside its pictures,
        - a ``.parquet``, or a folder of them,
        - ``hf://owner/name`` or ``hf://owner/name/split``.
    split
        Read only this part, as ``train``, ``validation`` (or ``val``) or ``test``; by default all.
    on_missing
        What to do about an entry whose picture is not there: raise an error, skip it, or leave it
        out and keep a note of it in `Dataset.missing`. With ``"keep"`` whatever else is wrong with
        the metadata is kept in `Dataset.notes` too, and nothing is warned of.
    limit
        Read only the first so many pictures; at least 1.

    Returns
    -------
    Dataset
        At least one record, or at least one note of what is missing or wrong.

    Raises
    ------
    DatasetError
        If there is no dataset, it holds no pictures or no such split, or it cannot be read.
    MetadataError
        If what is written about the pictures is wrong; the message starts with the place.
    MissingDependencyError
        If the format needs a package that is not installed.

    Warns
    -----
    UserWarning
        If a file that seems to describe the pictures is not read, or an encoding had to be guessed.
    """
    if limit is not None and limit < 1:
        raise DatasetError(f"limit must be at least 1, not {limit}.")
    reading = Reading(on_missing)
    dataset = _read(location, reading, None if split else limit, split)
    if split is not None:
        dataset = only_split(dataset, split)
    if on_missing != "keep":
        for note in dataset.notes:
            if note.code in WARNED:
                warnings.warn(f"{note.path or dataset.name}: {note.message}", stacklevel=2)
    return replace(dataset, records=dataset.records[:limit])


def only_split(dataset: Dataset, split: str) -> Dataset:
    """Return the part of a dataset that is one split.

    Parameters
    ----------
    dataset
        The dataset.
    split
        Its name; ``val``, ``valid``, ``dev`` and ``validation`` mean the same.

    Raises
    ------
    DatasetError
        If there is no such split.
    """
    kept = of_split(dataset, split)
    if not kept:
        there = f"the splits {', '.join(dataset.splits)}" if dataset.splits else "no splits"
        raise DatasetError(f"{dataset.location} has no split {split!r}; it has {there}.")
    return replace(dataset, records=kept, unlisted=())


def of_split(dataset: Dataset, split: str) -> tuple[Record, ...]:
    """Return the pictures of a dataset that belong to one split; none where it has no such split.

    Parameters
    ----------
    dataset
        The dataset.
    split
        Its name, in any spelling.
    """
    wanted = spelled_split(split)
    return tuple(r for r in dataset if r.split is not None and spelled_split(r.split) == wanted)


def shard_files(location: str | Path) -> tuple[Path, ...]:
    """Return the files of a dataset of WebDataset or Parquet shards, in the order of reading.

    Parameters
    ----------
    location
        As `load_dataset` takes it.

    Returns
    -------
    tuple of Path
        Absolute paths; none where the dataset has another layout, or is not there.

    Raises
    ------
    DatasetError
        If a pattern names a shard that is not there.
    """
    if isinstance(location, str) and (
        location in BUNDLED or is_shapes(location) or location.startswith(HUB_SCHEME)
    ):
        return ()
    path = Path(location).expanduser().absolute()
    if path.is_dir():
        tree = FolderTree(path)
        if suffix := shard_suffix(tree.names):
            return shards_of(path) if suffix == ".tar" else tuple(_named_shards(tree))
    elif path.is_file():
        return (path,) if path.suffix.lower() in SHARD_SUFFIXES else ()
    elif "{" in path.name:
        return shards_of(path)
    return ()


def shard_suffix(names: Sequence[str]) -> str | None:
    """Return the ending of the shards that a folder's dataset consists of; None if it has no such.

    Parameters
    ----------
    names
        All files of the folder and of the folders in it.
    """
    if any(is_picture(name) or is_metadata(name) for name in names):
        return None
    return next(
        (suffix for suffix in SHARD_SUFFIXES if any(ending(name) == suffix for name in names)), None
    )


def spelled_split(split: str) -> str:
    """Return a split's name in the one spelling by which splits are compared.

    Examples
    --------
    >>> spelled_split("val"), spelled_split("Fold-1")
    ('validation', 'fold-1')
    """
    return split_named(split) or split.lower()


def _read(location: str | Path, reading: Reading, limit: int | None, split: str | None) -> Dataset:
    """Find out what is there, and read it."""
    if not str(location):
        # As a path it would be the current folder.
        raise DatasetError("no dataset is named. Give a folder, a zip, or a bundled name.")
    if isinstance(location, str):
        if location in BUNDLED:
            path = bundled_path(location)
            if path.is_file():
                return read_coco(path, location, reading)
            return read_tree(FolderTree(path), location, reading)
        if is_shapes(location):
            return load_shapes(location, limit)
        if location.startswith(HUB_SCHEME):
            return read_hub(location, reading, limit, split)
    if is_remote(location):
        raise DatasetError(
            f"{location} is on other storage, which is read only to embed it in partitions, with "
            "`part`. Copy it to a disk for anything else."
        )
    try:
        path = Path(location).expanduser().absolute()
        if path.is_dir():
            return _named(_read_folder(path, reading, limit))
        if path.is_file():
            return _named(_read_file(path, reading, limit))
    except (OSError, RuntimeError) as error:
        # a folder above may not be searched; ~nobody has no home
        raise DatasetError(f"{location} cannot be read: {error}.") from error
    if "{" in path.name:
        return read_webdataset(path, path.name.partition("{")[0].rstrip("-_"), reading, limit)
    near = get_close_matches(str(location), (*BUNDLED, *DRAWN), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DatasetError(
        f"{location} does not exist.{hint} Give a folder, a zip, another file with a dataset, or "
        f"one that comes with pareja: {', '.join((*BUNDLED, *DRAWN))}."
    )


def _named(dataset: Dataset) -> Dataset:
    """Call a dataset by a name that can be written everywhere."""
    return replace(dataset, name=printable(dataset.name))


def _read_folder(path: Path, reading: Reading, limit: int | None) -> Dataset:
    """Read a folder: of pictures, or, where there is none, of shards."""
    tree = FolderTree(path)
    suffix = shard_suffix(tree.names)
    if suffix == ".tar":
        return read_webdataset(path, path.name, reading, limit)
    if suffix == ".parquet":
        return read_parquet(_named_shards(tree), path, path.name, reading, limit)
    return read_tree(tree, path.name, reading)


def _named_shards(tree: FolderTree) -> list[Path]:
    return [tree.path(name) for name in tree.names if ending(name) == ".parquet"]


def _read_file(path: Path, reading: Reading, limit: int | None) -> Dataset:
    suffix = path.suffix.lower()
    if is_metadata(path.name):
        return read_tree(FolderTree(path.parent), path.parent.name, reading)
    if suffix == ".tar":
        return read_webdataset(path, path.stem, reading, limit)
    if suffix == ".json":
        return read_coco(path, path.stem, reading)
    if suffix == ".parquet":
        return read_parquet([path], path, path.stem, reading, limit)
    if suffix == ".zip" or is_zipfile(path):
        return read_tree(ZipTree(path), path.stem, reading)
    raise DatasetError(
        f"{path} is no dataset: a zip, .tar, .json (COCO captions), .parquet or a folder is one. "
        "Of a single picture, give the folder that it is in."
    )
