"""What a process of `study_scale` does: one measure, one whole study, or one way of retrieval."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from study_data import CAPTIONS, KINDS, encoders, world

import pareja
from pareja.datasets.formats import load_dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.pipeline import embed_dataset, text_vectors
from pareja.tasks.encoder_measures import CAPTION_TEMPLATES

TITLES = {
    "topk": "ten nearest, NumPy",
    "retrieval": "retrieval",
    "matching": "matching",
    "first_place": "test of R@1",
    "categories": "categories",
    "calibration": "calibration",
    "gap": "modality gap",
    "plane": "map of the space",
    "geometry": "geometry",
    "compare": "two encoders compared",
    "bridges": "five bridges of a pair",
}


def topk(similarity: NDArray[np.floating]) -> None:
    """Search the ten nearest of every row and of every column."""
    for scores in (similarity, similarity.T.copy()):
        found = np.argpartition(-scores, 9, axis=1)[:, :10]
        near = np.take_along_axis(scores, found, axis=1)
        np.take_along_axis(found, np.argsort(-near, axis=1), axis=1)


def torch_recall(similarity: NDArray[np.floating], owner: NDArray[np.intp]) -> None:
    """Measure R@1, R@5, R@10 and the reciprocal rank in both directions with torchmetrics."""
    import torch
    from torchmetrics import MetricCollection
    from torchmetrics.retrieval import RetrievalHitRate, RetrievalMRR

    torch.set_num_threads(1)
    right = np.arange(len(similarity))[:, None] == owner
    for scores, answers in ((similarity, right), (similarity.T, right.T)):
        metrics = MetricCollection(
            {
                **{f"hit{k}": RetrievalHitRate(top_k=k) for k in (1, 5, 10)},
                "mrr": RetrievalMRR(),
            }
        )
        queries = np.repeat(np.arange(len(scores)), scores.shape[1])
        metrics.update(
            torch.from_numpy(scores.ravel()),
            torch.from_numpy(answers.ravel()),
            indexes=torch.from_numpy(queries),
        )
        metrics.compute()


def measured(what: str, n: int) -> dict[str, float]:
    """Run one measure; return its seconds of processor and of clock, and the peak in MB."""
    from pareja.analysis import alignment, matching, retrieval
    from pareja.analysis.categories import by_category
    from pareja.analysis.comparison import compare
    from pareja.analysis.first_place import first_place
    from pareja.analysis.modality import caption_calibration, modality_gap
    from pareja.analysis.projection import plane
    from pareja.analysis.similarity import cosine_similarity

    images, captions, foreign = world(n)
    owner = np.repeat(np.arange(n), CAPTIONS)
    kinds = [f"kind {i % KINDS}" for i in range(n)]
    spaces = ("bridges", "geometry", "plane", "gap")
    similarity = np.zeros((1, 1)) if what in spaces else cosine_similarity(images, captions)
    other = similarity
    if what == "compare":
        noise = np.random.default_rng(1).standard_normal(captions.shape).astype(np.float32)
        other = cosine_similarity(images, captions + 0.03 * noise)
    runs: dict[str, Callable[[], object]] = {
        "topk": lambda: topk(similarity),
        "torchmetrics": lambda: torch_recall(similarity, owner),
        "retrieval": lambda: retrieval(similarity, owner),
        "matching": lambda: matching(similarity, owner),
        "first_place": lambda: first_place(similarity, owner),
        "categories": lambda: by_category(similarity, owner, kinds),
        "calibration": lambda: caption_calibration(100 * similarity, owner, loss="softmax"),
        "gap": lambda: modality_gap(images, captions, owner, permutations=9999, seed=0),
        "plane": lambda: plane(images, foreign, owner, shared=False),
        "geometry": lambda: alignment.geometry(images, foreign, owner),
        "compare": lambda: compare("a", "b", similarity, other, owner, kinds),
        "bridges": lambda: alignment.bridges(images, foreign, owner),
    }
    return timed(runs[what])


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of processor and of clock that something takes, and the peak in MB."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def cache(n: int, folder: Path) -> dict[str, float]:
    """Embed the dataset of n pictures that is in ``folder/data``, and keep the embeddings."""
    models = encoders(n)

    def run() -> None:
        data = load_dataset(folder / "data")
        with EmbeddingCache(folder / "cache.sqlite3") as kept:
            for model in models:
                embed_dataset(data, model, cache=kept)
            for template in CAPTION_TEMPLATES[1:]:
                texts = [template.replace("{}", caption) for caption in data.captions]
                text_vectors(texts, models[0], cache=kept)

    return timed(run)


def whole(n: int, folder: Path) -> dict[str, float]:
    """Study a dataset that `cache` has embedded, write the report, and return what it took."""
    models = encoders(n)

    def run() -> None:
        with EmbeddingCache(folder / "cache.sqlite3") as kept:
            pareja.study(str(folder / "data"), models, cache=kept).save(folder / "report")

    found = timed(run)
    sizes = [path.stat().st_size for path in (folder / "report").rglob("*") if path.is_file()]
    page = (folder / "report" / "report.html").stat().st_size
    return {**found, "report_mb": sum(sizes) / 1e6, "page_mb": page / 1e6}
