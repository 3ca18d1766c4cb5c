"""A workbench for picture-and-word embeddings: compare, search, classify.

>>> import pareja
>>> dataset = pareja.load_dataset("pareja20")
>>> len(dataset), dataset.categories
(20, ('birds', 'mammals', 'castles', 'landmarks'))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pareja.classifiers.zero_shot import classify
    from pareja.datasets import (
        Dataset,
        Record,
        check_dataset,
        decode_image,
        load_dataset,
        pack,
    )
    from pareja.embedding import Embedded, embed, embed_texts
    from pareja.encoders import list_models, load
    from pareja.errors import ParejaError
    from pareja.report import write_folder, write_report
    from pareja.search import Collection, Query
    from pareja.tasks.study import StudyResult, run_study

_HOMES = {
    "Collection": "search",
    "Dataset": "datasets",
    "Embedded": "embedding",
    "ParejaError": "errors",
    "Query": "search",
    "Record": "datasets",
    "StudyResult": "tasks.study",
    "check_dataset": "datasets",
    "classify": "classifiers.zero_shot",
    "decode_image": "datasets",
    "embed": "embedding",
    "embed_texts": "embedding",
    "list_models": "encoders",
    "load": "encoders",
    "load_dataset": "datasets",
    "pack": "datasets",
    "run_study": "tasks.study",
    "write_folder": "report",
    "write_report": "report",
}

__all__ = [
    "Collection",
    "Dataset",
    "Embedded",
    "ParejaError",
    "Query",
    "Record",
    "StudyResult",
    "check_dataset",
    "classify",
    "decode_image",
    "embed",
    "embed_texts",
    "list_models",
    "load",
    "load_dataset",
    "pack",
    "run_study",
    "write_folder",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
