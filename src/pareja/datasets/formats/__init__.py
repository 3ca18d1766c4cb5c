"""Reading datasets in every layout that people have them in."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from zipfile import is_zipfile

from pareja.datasets.bundled import BUNDLED, bundled_path
from pareja.datasets.formats.archives import ZipTree
from pareja.datasets.formats.coco import read_coco
from pareja.datasets.formats.folders import FolderTree, is_picture
from pareja.datasets.formats.imagefolder import METADATA_NAMES, OnMissing, read_imagefolder
from pareja.datasets.formats.tables import HUB_SCHEME, read_hub, read_parquet
from pareja.datasets.formats.webdataset import read_webdataset
from pareja.datasets.records import Dataset
from pareja.errors import DatasetError

__all__ = ["OnMissing", "load_dataset"]


def load_dataset(
    location: str | Path, *, on_missing: OnMissing = "error", limit: int | None = None
) -> Dataset:
    """Read a dataset; its pictures are read later, one by one, where they are needed.

    Parameters
    ----------
    location
        One of

        - the name of a bundled dataset, ``pareja20`` or ``commons200`` (a folder of that name is
          ``./pareja20``),
        - a folder or a zip in the imagefolder layout, or its metadata file,
        - a folder with a folder of pictures for each class, or with nothing but pictures,
        - WebDataset shards: a ``.tar``, a folder of them, or ``shard-{000..003}.tar``,
        - a ``.json`` with COCO captions, beside its pictures,
        - a ``.parquet``,
        - ``hf://owner/name`` or ``hf://owner/name/split``.
    on_missing
        What to do about an entry whose picture is not there: raise an error, skip it, or leave it
        out and keep a note of it in `Dataset.missing`.
    limit
        Read only the first so many pictures; at least 1.

    Returns
    -------
    Dataset
        At least one record, or at least one note of a missing picture.

    Raises
    ------
    DatasetError
        If there is no dataset, it holds no pictures, or it cannot be read.
    MetadataError
        If what is written about the pictures is wrong; the message starts with the place.
    MissingDependencyError
        If the format needs a package that is not installed.
    """
    if limit is not None and limit < 1:
        raise DatasetError(f"limit must be at least 1, not {limit}.")
    dataset = _read(location, on_missing, limit)
    return replace(dataset, records=dataset.records[:limit])


def _read(location: str | Path, on_missing: OnMissing, limit: int | None) -> Dataset:
    """Find out what is there, and read it."""
    if not str(location):
        # As a path it would be the current folder.
        raise DatasetError("no dataset is named. Give a folder, a zip, or a bundled name.")
    if isinstance(location, str):
        if location in BUNDLED:
            return read_imagefolder(FolderTree(bundled_path(location)), location, on_missing)
        if location.startswith(HUB_SCHEME):
            return read_hub(location, limit)
    try:
        path = Path(location).expanduser().absolute()
        if path.is_dir():
            return _read_folder(path, on_missing, limit)
        if path.is_file():
            return _read_file(path, on_missing, limit)
    except (OSError, RuntimeError) as error:
        # a folder above may not be searched; ~nobody has no home
        raise DatasetError(f"{location} cannot be read: {error}.") from error
    if "{" in path.name:
        return read_webdataset(path, path.name.partition("{")[0].rstrip("-_"), on_missing, limit)
    near = get_close_matches(str(location), BUNDLED, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DatasetError(
        f"{location} does not exist.{hint} Give a folder, a zip, another file with a dataset, or "
        f"one of the bundled ones: {', '.join(BUNDLED)}."
    )


def _read_folder(path: Path, on_missing: OnMissing, limit: int | None) -> Dataset:
    tree = FolderTree(path)
    shards = any(Path(name).suffix == ".tar" and "/" not in name for name in tree.names)
    if shards and not any(
        is_picture(name) or Path(name).name.lower() in METADATA_NAMES for name in tree.names
    ):
        return read_webdataset(path, path.name, on_missing, limit)
    return read_imagefolder(tree, path.name, on_missing)


def _read_file(path: Path, on_missing: OnMissing, limit: int | None) -> Dataset:
    suffix = path.suffix.lower()
    if path.name.lower() in METADATA_NAMES:
        return read_imagefolder(FolderTree(path.parent), path.parent.name, on_missing)
    if suffix == ".tar":
        return read_webdataset(path, path.stem, on_missing, limit)
    if suffix == ".json":
        return read_coco(path, path.stem, on_missing)
    if suffix == ".parquet":
        return read_parquet(path, path.stem, on_missing, limit)
    if suffix == ".zip" or is_zipfile(path):
        return read_imagefolder(ZipTree(path), path.stem, on_missing)
    raise DatasetError(
        f"{path} is no dataset: a zip, .tar, .json (COCO captions), .parquet or a folder is one. "
        "Of a single picture, give the folder that it is in."
    )
