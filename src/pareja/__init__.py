"""A workbench for picture-and-word embeddings: compare, search, classify.

>>> import pareja
>>> dataset = pareja.load_dataset("pareja20")
>>> len(dataset), dataset.categories
(20, ('birds', 'mammals', 'castles', 'landmarks'))
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareja.tasks import results as _results

if TYPE_CHECKING:
    from pareja.agents import serve_agents
    from pareja.classifiers.learned import load_classifier
    from pareja.datasets import Dataset, Record, decode_image, load_dataset
    from pareja.delivery.checking import check_delivery
    from pareja.delivery.making import deliver
    from pareja.delivery.memoria import memoria
    from pareja.embedding import Embedded, EmbeddingCache, embed, embed_texts
    from pareja.encoders import Fingerprint, list_models, load, recommend_models
    from pareja.errors import ParejaError
    from pareja.search import Collection, Query
    from pareja.search.collection import open  # noqa: A004  inside pareja it is no built-in
    from pareja.server.serving import serve
    from pareja.tasks.checks import check, pack
    from pareja.tasks.compare import compare
    from pareja.tasks.labelling import classify
    from pareja.tasks.learning import fewshot, learn
    from pareja.tasks.locating import locate
    from pareja.tasks.moderation import moderate
    from pareja.tasks.quantising import quantise
    from pareja.tasks.study import study
    from pareja.tasks.tuning import tune

_HOMES = {
    "Collection": "search",
    "Dataset": "datasets",
    "Embedded": "embedding",
    "EmbeddingCache": "embedding",
    "Fingerprint": "encoders",
    "ParejaError": "errors",
    "Query": "search",
    "Record": "datasets",
    "check": "tasks.checks",
    "check_delivery": "delivery.checking",
    "classify": "tasks.labelling",
    "compare": "tasks.compare",
    "decode_image": "datasets",
    "deliver": "delivery.making",
    "embed": "embedding",
    "embed_texts": "embedding",
    "fewshot": "tasks.learning",
    "learn": "tasks.learning",
    "list_models": "encoders",
    "load": "encoders",
    "load_classifier": "classifiers.learned",
    "load_dataset": "datasets",
    "locate": "tasks.locating",
    "memoria": "delivery.memoria",
    "moderate": "tasks.moderation",
    "open": "search.collection",
    "pack": "tasks.checks",
    "quantise": "tasks.quantising",
    "recommend_models": "encoders",
    "serve": "server.serving",
    "serve_agents": "agents",
    "study": "tasks.study",
    "tune": "tasks.tuning",
}

__all__ = [
    "Collection",
    "Dataset",
    "Embedded",
    "EmbeddingCache",
    "Fingerprint",
    "ParejaError",
    "Query",
    "Record",
    "check",
    "check_delivery",
    "classify",
    "compare",
    "decode_image",
    "deliver",
    "embed",
    "embed_texts",
    "fewshot",
    "learn",
    "list_models",
    "load",
    "load_classifier",
    "load_dataset",
    "locate",
    "memoria",
    "moderate",
    "open",
    "pack",
    "quantise",
    "recommend_models",
    "serve",
    "serve_agents",
    "study",
    "tune",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _write(result: object, path: Path, **options: Any) -> Path:
    from pareja.report.saving import save

    return save(result, path, **options)


# Results lie below the reports that they are written as; this is the one place above both.
_results.written_by(_write)
