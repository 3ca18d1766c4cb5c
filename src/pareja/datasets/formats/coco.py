"""COCO captions: one JSON file beside a folder of pictures (Chen et al. 2015, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pareja.datasets.formats.folders import FolderTree, too_large
from pareja.datasets.formats.imagefolder import OnMissing, listed_records, tree_dataset
from pareja.datasets.formats.metadata import Row, decode_text, parse_json
from pareja.datasets.images import MAX_FILE_BYTES
from pareja.datasets.records import Dataset
from pareja.errors import DatasetError, MetadataError


def read_coco(path: Path, name: str, on_missing: OnMissing) -> Dataset:
    """Read a captions file in COCO's format.

    The pictures lie in the file's own folder, in ``images`` beside it, or, as COCO is unpacked,
    ``annotations/captions_val2017.json`` describes what is in ``val2017``.

    Parameters
    ----------
    path
        The JSON file.
    name
        The dataset's name.
    on_missing
        What to do about pictures that are not there.

    Raises
    ------
    DatasetError
        If the file is not in that format, or the pictures are not found.
    MetadataError
        If an entry is wrong.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DatasetError(f"{path} {too_large(path.stat().st_size)}.")
    content = parse_json(path.name, decode_text(path.read_bytes()))
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        raise DatasetError(
            f"{path} is no COCO captions file: it has no lists 'images' and 'annotations'. "
            "Metadata as JSON lines is called metadata.jsonl."
        )
    rows = _rows(path.name, content)
    tree = FolderTree(_picture_folder(path, rows))
    records, missing = listed_records(tree, rows, "", on_missing)
    return tree_dataset(tree, name, records, missing, on_missing, path)


def _rows(file: str, content: Mapping[str, Any]) -> Sequence[Row]:
    """Return one row for each picture, with all its captions."""
    licenses = {
        item.get("id"): item.get("name") for item in _objects(file, content, "licenses", [])
    }
    captions: dict[object, list[object]] = {}
    for annotation in _objects(file, content, "annotations"):
        captions.setdefault(str(annotation.get("image_id")), []).append(annotation.get("caption"))
    places: dict[object, str] = {}
    rows = []
    for image in _objects(file, content, "images"):
        where = f"{file}: image {image.get('id')}"
        row = Row(
            where,
            {
                "file_name": image.get("file_name"),
                "caption": captions.get(str(image.get("id")), []),
                "license": licenses.get(image.get("license")),
                "source_url": image.get("flickr_url") or image.get("coco_url"),
            },
        )
        if row.file_name in places:
            raise MetadataError(
                f"{where}: {row.file_name!r} is listed as in {places[row.file_name]}. "
                "Remove one of the two."
            )
        places[row.file_name] = where
        rows.append(row)
    if not rows:
        raise MetadataError(f"{file}: lists no pictures.")
    return rows


def _objects(
    file: str, content: Mapping[str, Any], key: str, default: Any = None
) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects from the file."""
    items = content.get(key, default)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MetadataError(f"{file}: {key!r} is no list of objects.")
    return items


def _picture_folder(path: Path, rows: Sequence[Row]) -> Path:
    """Return the folder that the pictures are in."""
    split = path.stem.rpartition("_")[2]
    bases = (path.parent, path.parent.parent)
    candidates = [
        base / part for part in (split, "images", f"images/{split}", "") for base in bases
    ]
    for folder in candidates:
        if any((folder / row.file_name).is_file() for row in islice(rows, 20)):
            return folder
    looked = ", ".join(str(folder) for folder in candidates if folder.is_dir())
    raise DatasetError(
        f"{path}: its pictures, as {rows[0].file_name!r}, are in none of: {looked}. "
        f"Put them into {path.parent / 'images'}."
    )
