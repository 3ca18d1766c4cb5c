"""Datasets of captioned pictures: reading, decoding, checking and packing them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pareja.datasets.checks import CheckReport, Problem, check_dataset
    from pareja.datasets.formats import load_dataset
    from pareja.datasets.images import decode_image, image_size
    from pareja.datasets.packing import PackResult, pack
    from pareja.datasets.records import Dataset, Record, Source

_HOMES = {
    "CheckReport": "checks",
    "Dataset": "records",
    "PackResult": "packing",
    "Problem": "checks",
    "Record": "records",
    "Source": "records",
    "check_dataset": "checks",
    "decode_image": "images",
    "image_size": "images",
    "load_dataset": "formats",
    "pack": "packing",
}

__all__ = [
    "CheckReport",
    "Dataset",
    "PackResult",
    "Problem",
    "Record",
    "Source",
    "check_dataset",
    "decode_image",
    "image_size",
    "load_dataset",
    "pack",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
