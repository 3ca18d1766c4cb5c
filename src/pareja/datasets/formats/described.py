"""A folder or a zip of pictures, with whatever in it describes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from pareja.datasets.formats.class_names import CLASS_FILES, names_beside, with_class_names
from pareja.datasets.formats.folders import NameIndex, Tree, is_picture
from pareja.datasets.formats.imagefolder import (
    listed_records,
    tree_dataset,
    unlabelled,
    why_empty,
)
from pareja.datasets.formats.layouts import find_descriptions, plain_name
from pareja.datasets.formats.metadata import read_rows
from pareja.datasets.formats.parquet import metadata_rows
from pareja.datasets.formats.places import split_named
from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.rows import Row, with_split
from pareja.datasets.formats.sidecars import find_sidecars, sidecar_cells, sidecar_row
from pareja.datasets.records import Dataset
from pareja.errors import DatasetError, MetadataError


def read_tree(tree: Tree, name: str, reading: Reading) -> Dataset:
    """Read a dataset from a folder or an archive.

    Where there is metadata of the imagefolder layout, it alone counts: in each branch of the tree
    the file that lies highest, with names relative to its own folder. Else tables of other layouts
    and texts beside the pictures describe them, and pictures that nothing describes have the name
    of their folder as category, as ``cats/1.jpg`` and ``dogs/1.jpg``.

    Parameters
    ----------
    tree
        The files.
    name
        The dataset's name.
    reading
        Takes note of what is wrong, left out or not read.

    Raises
    ------
    DatasetError
        If there are no pictures.
    MetadataError
        If the metadata is wrong, unless `reading` keeps that.
    """
    index = NameIndex((*tree.names, *tree.left_out))
    found = find_descriptions(tree, index, reading)
    if found.metadata:
        records = listed_records(tree, _metadata(tree, found.metadata, reading), reading)
        if not records and not reading.missing and not reading.notes:
            raise MetadataError(f"{found.metadata[0]}: lists no pictures. Add a row for each.")
    else:
        if not any(map(is_picture, tree.names)):
            raise DatasetError(f"{tree.location} {why_empty(tree)}")
        rows = [row for table in found.tables.values() for row in _safely(table, reading)]
        records = unlabelled(
            tree, listed_records(tree, [*rows, *_sidecars(tree, reading)], reading)
        )
    class_files = {
        file: tree.read(file)
        for file in tree.names
        if PurePosixPath(file).name.lower() in CLASS_FILES and file not in found.tables
    }
    names, _ = names_beside(class_files)
    return tree_dataset(tree, name, with_class_names(records, names, reading), reading)


def _metadata(tree: Tree, files: Iterable[str], reading: Reading) -> Iterator[Row]:
    """Yield the rows of metadata files; a folder that is a split says so."""
    for file in files:
        content = tree.read(file)
        folder = PurePosixPath(file).parent
        if plain_name(file).lower().endswith(".parquet"):
            rows = metadata_rows(file, content)
        else:
            read_as = (folder / plain_name(file)).as_posix()
            rows = read_rows(read_as, content, reading)
        split = split_named(folder.name)
        for row in _safely(rows, reading):
            placed = replace(row, folder=folder.as_posix() if folder.name else "")
            yield with_split(placed, split)


def _safely(rows: Iterable[Row], reading: Reading) -> Iterator[Row]:
    """Yield rows until one cannot be read, which is noted."""
    try:
        yield from rows
    except MetadataError as error:
        reading.refuse(error)


def _sidecars(tree: Tree, reading: Reading) -> Iterator[Row]:
    for picture, files in find_sidecars(tree).items():
        cells = sidecar_cells(tree, files, reading)
        if cells:
            yield sidecar_row(picture, files, cells)
