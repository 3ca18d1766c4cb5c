"""COCO: one JSON file about a folder of pictures (Chen et al. 2015, section 3)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pareja.addresses import leads_out
from pareja.datasets.formats.encodings import decode_text
from pareja.datasets.formats.folders import FolderTree, relative_name, too_large
from pareja.datasets.formats.imagefolder import listed_records, tree_dataset
from pareja.datasets.formats.metadata import parse_json
from pareja.datasets.formats.places import split_in_file_name
from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.rows import Row, with_split
from pareja.datasets.images import MAX_FILE_BYTES
from pareja.datasets.records import Dataset
from pareja.errors import DatasetError, MetadataError


def read_coco(path: Path, name: str, reading: Reading) -> Dataset:
    """Read a file in COCO's format: captions, and the category where a picture has but one.

    The pictures lie in the file's own folder, in ``images`` beside it, or, as COCO is unpacked,
    ``annotations/captions_val2017.json`` describes what is in ``val2017``.

    Parameters
    ----------
    path
        The JSON file.
    name
        The dataset's name.
    reading
        Takes note of what is wrong, and of pictures that are not there.

    Raises
    ------
    DatasetError
        If the file is not in that format, or the pictures are not found.
    MetadataError
        If an entry is wrong, unless `reading` keeps that.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DatasetError(f"{path} {too_large(path.stat().st_size)}.")
    content = parse_json(path.name, decode_text(path.read_bytes()))
    if not is_coco(content):
        raise DatasetError(
            f"{path} is no COCO captions file: it has no lists 'images' and 'annotations'. "
            "Metadata as JSON lines is called metadata.jsonl."
        )
    split = split_in_file_name(path.name)
    rows = [with_split(row, split) for row in coco_rows(path.name, content)]
    tree = FolderTree(_picture_folder(path, rows))
    return tree_dataset(tree, name, listed_records(tree, rows, reading), reading, path)


def is_coco(content: object) -> bool:
    """Return whether parsed JSON looks like a file of COCO."""
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def coco_rows(file: str, content: Any) -> Iterator[Row]:
    """Yield one row for each entry of ``images``, with all its captions and boxes.

    Parameters
    ----------
    file
        The file's name, for messages.
    content
        What it holds.

    Raises
    ------
    MetadataError
        If the file's lists are none, or ``images`` is empty.
    """
    licenses = {
        item.get("id"): item.get("name") for item in _objects(file, content, "licenses", [])
    }
    kinds = {item.get("id"): item.get("name") for item in _objects(file, content, "categories", [])}
    captions: dict[str, list[object]] = {}
    seen: dict[str, set[object]] = {}
    boxes: dict[str, list[dict[str, object]]] = {}
    for annotation in _objects(file, content, "annotations"):
        image = str(annotation.get("image_id"))
        if annotation.get("caption") is not None:
            captions.setdefault(image, []).append(annotation["caption"])
        if annotation.get("category_id") in kinds:
            kind = kinds[annotation["category_id"]]
            seen.setdefault(image, set()).add(kind)
            # A crowd's box is around many, none of which can be pointed at.
            if annotation.get("bbox") and not annotation.get("iscrowd"):
                boxes.setdefault(image, []).append({"label": kind, "box": annotation["bbox"]})
    images = _objects(file, content, "images")
    if not images:
        raise MetadataError(f"{file}: lists no pictures.")
    for entry in images:
        key = str(entry.get("id"))
        things = seen.get(key, set())
        yield Row(
            f"{file}: image {entry.get('id')}",
            {
                "file_name": entry.get("file_name"),
                "caption": captions.get(key, []),
                "label": next(iter(things)) if len(things) == 1 else None,
                "license": licenses.get(entry.get("license")),
                "source_url": entry.get("flickr_url") or entry.get("coco_url"),
                "boxes": json.dumps(boxes[key]) if key in boxes else None,
            },
        )


def _objects(
    file: str, content: Mapping[str, Any], key: str, default: Any = None
) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects from the file."""
    items = content.get(key, default)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MetadataError(f"{file}: {key!r} is no list of objects.")
    return items


def _picture_folder(path: Path, rows: Sequence[Row]) -> Path:
    """Return the folder that the pictures are in: the first in which any of them is."""
    split = path.stem.rpartition("_")[2]
    bases = (path.parent, path.parent.parent)
    candidates = [
        (base, base / part) for part in (split, "images", f"images/{split}", "") for base in bases
    ]
    names = []
    for row in rows:
        try:
            names.append(relative_name(row.file_name))
        except (MetadataError, ValueError):
            continue
    if not names:
        # each is wrong, and is told so with its place
        return path.parent
    for base, folder in candidates:
        if folder.is_dir() and any((folder / name).is_file() for name in names):
            if leads_out(folder, base):
                raise DatasetError(
                    f"{path}: its pictures are in {folder}, a link that leads out of the dataset. "
                    "Copy them, or move the file to where they are."
                )
            return folder
    looked = ", ".join(str(folder) for _, folder in candidates if folder.is_dir())
    raise DatasetError(
        f"{path}: its pictures, as {names[0]!r}, are in none of: {looked}. "
        f"Put them into {path.parent / 'images'}."
    )
