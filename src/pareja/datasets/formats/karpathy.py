"""The splits of Karpathy and Fei-Fei (2015) of Flickr8k, Flickr30k and COCO: one JSON file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pareja.datasets.formats.rows import Row


def is_karpathy(content: object) -> bool:
    """Return whether parsed JSON looks like ``dataset_flickr8k.json`` or one of its kind."""
    images = content.get("images") if isinstance(content, dict) else None
    return isinstance(images, list) and all(
        isinstance(image, dict) and "filename" in image and "sentences" in image for image in images
    )


def karpathy_rows(file: str, content: Any) -> Iterator[Row]:
    """Yield one row for each picture, with its sentences and its split."""
    for number, image in enumerate(content["images"], start=1):
        # of COCO the picture is filepath/filename; restval is more to train with
        split = image.get("split")
        yield Row(
            f"{file}: image {number}",
            {
                "file_name": image["filename"],
                "captions": [
                    said.get("raw") if isinstance(said, dict) else said
                    for said in image["sentences"]
                ],
                "split": "train" if split == "restval" else split,
            },
            anywhere=True,
        )
