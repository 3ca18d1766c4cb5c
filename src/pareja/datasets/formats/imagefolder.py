"""Pictures in folders, described by files of many layouts, by the folders' names, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pareja.datasets.formats.encodings import decode_text
from pareja.datasets.formats.folders import (
    NameIndex,
    Tree,
    describe_files,
    is_picture,
    relative_name,
)
from pareja.datasets.formats.places import Folders
from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.rows import Row, join_records, record_from
from pareja.datasets.records import Dataset, Record
from pareja.errors import MetadataError


def listed_records(tree: Tree, rows: Iterable[Row], reading: Reading) -> list[Record]:
    """Return the records that rows describe.

    Parameters
    ----------
    tree
        The files.
    rows
        What the metadata says; several rows may be about one picture.
    reading
        Takes note of rows that are wrong, that contradict another, or whose picture is not there.

    Raises
    ------
    MetadataError
        For the first such row, unless `reading` keeps them.
    """
    index = NameIndex((*tree.names, *tree.left_out))
    return join_records(_found(tree, index, rows, reading), reading)


def tree_dataset(
    tree: Tree,
    name: str,
    records: Sequence[Record],
    reading: Reading,
    location: Path | None = None,
) -> Dataset:
    """Assemble a dataset whose pictures are files of a tree.

    Parameters
    ----------
    tree
        The files, from which its attribution and its unlisted pictures come.
    name
        The dataset's name.
    records
        What the metadata lists.
    reading
        What was noticed.
    location
        Where it was read from, if that is not the tree itself.
    """
    for folder, number in Counter(
        folder for file, folder in tree.left_out.items() if is_picture(file)
    ).items():
        reading.note(
            "pictures_left_out",
            folder,
            f"Pictures left out: {number}, since a system or a photo program made this folder.",
        )
    for folder, reason in tree.closed.items():
        reading.note("folder_closed", folder, f"{reason}; what it holds is left out.")
    listed = {record.file_name for record in records}
    return Dataset(
        name,
        tuple(records),
        location or tree.location,
        attribution=_attribution(tree),
        unlisted=tuple(file for file in tree.names if is_picture(file) and file not in listed),
        missing=tuple(reading.missing),
        notes=tuple(reading.notes),
    )


def unlabelled(tree: Tree, described: Sequence[Record] = ()) -> list[Record]:
    """Return the records of all pictures, with their folders' names where nothing else is known.

    Parameters
    ----------
    tree
        The files.
    described
        Records of those that something is written about.
    """
    known = {record.file_name: record for record in described}
    names = list(filter(is_picture, tree.names))
    folders = Folders(names)
    categories = {name: folders.category(name) for name in names}
    if len(set(categories.values())) < 2:
        categories = {}
    records = []
    for name in (*known, *(name for name in names if name not in known)):
        record = known.get(name) or Record(name, tree.source(name))
        split = record.split or folders.split(name)
        records.append(
            replace(
                record,
                category=record.category or categories.get(name),
                extra={**record.extra, "split": split} if split else record.extra,
            )
        )
    return records


def why_empty(tree: Tree) -> str:
    """Return what to say about a tree without pictures."""
    kinds = "Pictures end in .jpg, .png, .webp, .gif, .tif, .bmp, .heic, .avif or the like."
    if tree.names:
        found = describe_files(tree.names)
        return f"and the folders in it hold no pictures, only {found}. {kinds}"
    if tree.refused:
        name, reason = next(iter(tree.refused.items()))
        return f"holds no pictures that may be read: {name!r} {reason}."
    return f"is empty, or all in it is hidden. {kinds}"


def _found(tree: Tree, index: NameIndex, rows: Iterable[Row], reading: Reading) -> Iterator[Record]:
    """Yield the record of each row whose picture is there."""
    for row in rows:
        try:
            found = _find(tree, index, row, reading)
            if found is not None:
                yield record_from(row, found, tree.source(found))
        except MetadataError as error:
            reading.refuse(error)


def _find(tree: Tree, index: NameIndex, row: Row, reading: Reading) -> str | None:
    """Return the picture of a row; None where it is not there and that is no error.

    Raises
    ------
    MetadataError
        If the row names no file that may be read; or, where `reading` says so, none that is there.
    """
    given = row.file_name
    below = f"{row.folder}/" if row.folder else ""
    exact = index.find(below + given)
    if exact:
        return exact
    try:
        plain = relative_name(given)
    except ValueError as error:
        raise MetadataError(f"{row.where}: file_name {given!r} {error}.") from error
    wanted = below + plain
    found = index.find(wanted)
    if found is None and row.anywhere:
        found = index.find_below(row.folder, plain)
    if found:
        return found
    if wanted in tree.refused:
        raise MetadataError(
            f"{row.where}: image {given!r} {tree.refused[wanted]}. Copy the picture instead."
        )
    near = index.resembling(wanted)
    hint = f"Did you mean {near!r}? " if near else ""
    reading.lacks(
        row.where,
        given,
        MetadataError(
            f"{row.where}: image {given!r} not found under {tree.location.name}. "
            f"{hint}Fix the path, or remove the row. 'pareja check' lists all such rows."
        ),
    )
    return None


def _attribution(tree: Tree) -> str | None:
    """Return the text of ATTRIBUTION.md."""
    file = next((name for name in tree.names if name.lower() == "attribution.md"), None)
    return decode_text(tree.read(file)) if file else None
