"""Pictures in folders, described by a metadata file, by the folders' names, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Literal

from pareja.datasets.formats.folders import (
    NameIndex,
    Tree,
    describe_files,
    is_picture,
    relative_name,
)
from pareja.datasets.formats.metadata import (
    Row,
    decode_text,
    merge_records,
    read_rows,
    record_from,
)
from pareja.datasets.records import Dataset, Record
from pareja.errors import DatasetError, MetadataError

OnMissing = Literal["error", "skip", "keep"]
"""What to do about a picture that the metadata names and that is not there."""

METADATA_NAMES = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
"""How a metadata file is called, in any case."""


def read_imagefolder(tree: Tree, name: str, on_missing: OnMissing) -> Dataset:
    """Read a dataset in the imagefolder layout.

    The metadata lies in the root, or, where there is none, in the folders right below it (the
    splits of a published dataset). Without any, a tree with pictures in several folders has the
    folders' names as categories, as ``cats/1.jpg`` and ``dogs/1.jpg``; pictures that all lie in one
    folder have neither category nor caption.

    Parameters
    ----------
    tree
        The files.
    name
        The dataset's name.
    on_missing
        What to do about metadata rows without a picture.

    Raises
    ------
    DatasetError
        If there are no pictures.
    MetadataError
        If the metadata is wrong.
    """
    metadata = _metadata_files(tree)
    if not metadata:
        records = _unlabelled(tree)
        if not records:
            raise DatasetError(f"{tree.location} {_why_empty(tree)}")
        return tree_dataset(tree, name, records, [], on_missing)
    records, missing = [], []
    for file in metadata:
        folder = PurePosixPath(file).parent.as_posix()
        found, lost = listed_records(tree, read_rows(file, tree.read(file)), folder, on_missing)
        records += found
        missing += lost
    if not records and not missing:
        raise MetadataError(f"{metadata[0]}: lists no pictures. Add a row for each.")
    return tree_dataset(tree, name, records, missing, on_missing)


def listed_records(
    tree: Tree, rows: Iterable[Row], folder: str, on_missing: OnMissing
) -> tuple[list[Record], list[tuple[str, str]]]:
    """Return the records that rows describe, and the rows whose picture is not there.

    Parameters
    ----------
    tree
        The files.
    rows
        What the metadata says; several rows may be about one picture.
    folder, on_missing
        As `record_or_missing`.

    Raises
    ------
    MetadataError
        If a row is wrong or contradicts another.
    """
    index = NameIndex(tree.names)
    records: dict[str, list[Record]] = {}
    missing: list[tuple[str, str]] = []
    for row in rows:
        found = record_or_missing(tree, index, row, folder, on_missing)
        if isinstance(found, Record):
            records.setdefault(found.file_name, []).append(found)
        else:
            missing.append(found)
    return [merge_records(same) for same in records.values()], missing


def tree_dataset(
    tree: Tree,
    name: str,
    records: Sequence[Record],
    missing: Sequence[tuple[str, str]],
    on_missing: OnMissing,
    location: Path | None = None,
) -> Dataset:
    """Assemble a dataset whose pictures are files of a tree.

    Parameters
    ----------
    tree
        The files, from which its attribution and its unlisted pictures come.
    name
        The dataset's name.
    records, missing
        What the metadata lists; kept as missing only where `on_missing` says so.
    on_missing
        What to do about missing pictures.
    location
        Where it was read from, if that is not the tree itself.
    """
    listed = {record.file_name for record in records}
    return Dataset(
        name,
        tuple(records),
        location or tree.location,
        attribution=_attribution(tree),
        unlisted=tuple(file for file in tree.names if is_picture(file) and file not in listed),
        missing=tuple(missing) if on_missing == "keep" else (),
    )


def record_or_missing(
    tree: Tree, index: NameIndex, row: Row, folder: str, on_missing: OnMissing
) -> Record | tuple[str, str]:
    """Return the record of a row, or ``(where, file_name)`` if its picture is not there.

    Parameters
    ----------
    tree, index
        The files.
    row
        What the metadata says.
    folder
        The folder that the row's file name is relative to; empty for the root.
    on_missing
        What to do where the picture is not there.

    Raises
    ------
    MetadataError
        If the row is wrong, or names no picture and `on_missing` is ``"error"``.
    """
    given = row.file_name
    try:
        wanted = PurePosixPath(folder, relative_name(given)).as_posix()
    except ValueError as error:
        raise MetadataError(f"{row.where}: file_name {given!r} {error}.") from error
    found = index.find(wanted)
    if found:
        return record_from(row, found, tree.source(found))
    if wanted in tree.refused:
        raise MetadataError(
            f"{row.where}: image {given!r} {tree.refused[wanted]}. Copy the picture instead."
        )
    if on_missing == "error":
        near = index.resembling(wanted)
        hint = f"Did you mean {near!r}? " if near else ""
        raise MetadataError(
            f"{row.where}: image {given!r} not found under {tree.location.name}. "
            f"{hint}Fix the path, or remove the row. 'pareja check' lists all such rows."
        )
    return row.where, given


def _metadata_files(tree: Tree) -> Sequence[str]:
    """Return the metadata files that count, at most one in a folder."""
    found = [
        PurePosixPath(name)
        for name in tree.names
        if PurePosixPath(name).name.lower() in METADATA_NAMES
    ]
    depth = min((len(path.parts) for path in found if len(path.parts) <= 2), default=0)
    chosen = [path for path in found if len(path.parts) == depth]
    for first, second in pairwise(chosen):
        if first.parent == second.parent:
            raise DatasetError(
                f"{tree.location} has both {first} and {second}. Keep the one that counts."
            )
    return [path.as_posix() for path in chosen]


def _unlabelled(tree: Tree) -> list[Record]:
    """Return the records of pictures that no metadata describes."""
    pictures = filter(is_picture, tree.names)
    folders = {name: PurePosixPath(name).parent.name or None for name in pictures}
    classes = len(set(folders.values())) > 1
    return [
        Record(name, tree.source(name), category=folder if classes else None)
        for name, folder in folders.items()
    ]


def _why_empty(tree: Tree) -> str:
    """Return what to say about a tree without pictures."""
    kinds = "Pictures end in .jpg, .png, .webp, .gif, .tif, .bmp, .heic, .avif or the like."
    if tree.names:
        found = describe_files(tree.names)
        return f"and the folders in it hold no pictures, only {found}. {kinds}"
    if tree.refused:
        name, reason = next(iter(tree.refused.items()))
        return f"holds no pictures that may be read: {name!r} {reason}."
    return f"is empty, or all in it is hidden. {kinds}"


def _attribution(tree: Tree) -> str | None:
    """Return the text of ATTRIBUTION.md."""
    file = next((name for name in tree.names if name.lower() == "attribution.md"), None)
    return decode_text(tree.read(file)) if file else None
