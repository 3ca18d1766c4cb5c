"""What else could be searched in place of pareja's graph: structures of other libraries.

python benchmarks/structures.py --rows 200000 --rows 1000000 --write docs/benchmarks/structures.md

The vectors and queries are those of benchmarks/search.py. Each structure is searched ever more
widely, until it finds 98 in 100 of the 10 nearest; what it finds is put in order with float16
vectors, as pareja does. One query at a time, by one thread; two build. A structure that is not
installed is left out (`pip install faiss-cpu scalable-vs`).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from quantization import filled, nearest_of
from workers import machine

from pareja.files import atomic_write
from pareja.search.database import Database
from pareja.search.vectors.sqlite import SqliteVectors
from search import DIM, QUERIES, K, Rows, World, read_once, recall, store_search, timed

FOUND = 0.98
LOOKED_UP = 200
THREADS = 2
DEGREE, WINDOW = 64, 100
Keys = NDArray[np.int64]
# Searches for a query, at a width.
Near = Callable[[Rows, int], Keys]


@dataclass(frozen=True)
class Structure:
    """Something that was built, and how widely it can be searched."""

    name: str
    build: float
    widths: tuple[int, ...]
    near: Near


def lists(matrix: Rows) -> Structure:
    """Sort vectors into lists; every two numbers are four bits, and 32 vectors compared at once."""
    import faiss

    faiss.omp_set_num_threads(THREADS)
    start = time.perf_counter()
    count = 2 ** round(np.log2(4 * len(matrix) ** 0.5))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(DIM, DIM)))[0].astype(np.float32)
    index: Any = faiss.index_factory(
        DIM, f"IVF{count},PQ{DIM // 2}x4fs", faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter = 8
    index.train(matrix[:: max(1, len(matrix) // (64 * count))] @ turn)
    for first in range(0, len(matrix), 50_000):
        index.add(matrix[first : first + 50_000] @ turn)
    build = time.perf_counter() - start
    faiss.omp_set_num_threads(1)

    def near(query: Rows, width: int) -> Keys:
        index.nprobe = width
        keys: Keys = index.search((query @ turn)[None], LOOKED_UP)[1][0]
        return keys[keys >= 0]

    widths = tuple(2**power for power in range(4, 20) if 2**power <= count)
    return Structure(f"faiss {version('faiss-cpu')}, {count:,} lists", build, widths, near)


def vamana(matrix: Rows) -> Structure:
    """Build a graph of float16 vectors, which compiled code walks."""
    import svs

    start = time.perf_counter()
    index = svs.Vamana.build(
        svs.VamanaBuildParameters(alpha=1.2, graph_max_degree=DEGREE, window_size=WINDOW),
        matrix.astype(np.float16),
        svs.DistanceType.L2,
        num_threads=THREADS,
    )
    build = time.perf_counter() - start
    index.num_threads = 1

    def near(query: Rows, width: int) -> Keys:
        index.search_window_size = width
        keys: Keys = index.search(query[None], min(width, 3 * K // 2))[0][0].astype(np.int64)
        return keys

    widths = (15, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448)
    return Structure(f"SVS {version('scalable-vs')}, Vamana", build, widths, near)


# By the module that each needs.
OTHERS = {"faiss": lists, "svs": vamana}


def ordered(halves: NDArray[np.float16], near: Near, width: int) -> Any:
    """Return a search that puts what is near in order with float16 vectors."""

    def search(query: Rows) -> list[int]:
        keys = np.sort(near(query, width))
        scores = halves[keys].astype(np.float32) @ query
        best: list[int] = keys[np.argsort(-scores)][:K].tolist()
        return best

    return search


def measured(rows: int, folder: Path) -> Iterator[str]:
    """Build and search everything with so many vectors; yield rows of Markdown."""
    world = World()
    queries = {
        "texts": world.vectors(3, QUERIES, text=True),
        "pictures": world.vectors(4, QUERIES),
    }
    matrix = np.concatenate([batch for _, batch in world.batches(rows)])
    truth = {kind: nearest_of(matrix, some) for kind, some in queries.items()}
    halves = matrix.astype(np.float16)
    for module, made in OTHERS.items():
        if importlib.util.find_spec(module) is None:
            continue
        structure = made(matrix)
        cells = []
        for kind, some in queries.items():
            for width in structure.widths:
                search = ordered(halves, structure.near, width)
                answers, p50, _ = timed(search, some)
                found = recall(answers, truth[kind])
                if found >= FOUND:
                    break
            cells.append(f"{p50:.2f} | {found:.3f}")
        yield row(rows, structure.name, structure.build, cells)
    del halves
    filled(folder, matrix)
    cells = []
    with Database(folder) as database:
        store = SqliteVectors(database, 1, DIM, graph_from=1)
        start = time.perf_counter()
        store.optimise()
        build = time.perf_counter() - start
        read_once(folder)
        for kind, some in queries.items():
            answers, p50, _ = timed(store_search(store), some)
            cells.append(f"{p50:.2f} | {recall(answers, truth[kind]):.3f}")
    yield row(rows, "pareja's graph", build, cells)


def row(rows: int, name: str, build: float, cells: list[str]) -> str:
    return f"| {rows:,} | {name} | {build:,.0f} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, action="append", required=True)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    options = parser.parse_args()
    load = os.getloadavg()[1]
    lines = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            for line in measured(rows, Path(folder)):
                print(line, flush=True)
                lines.append(line)
    page = "\n".join(
        [
            "# What else could be searched",
            "",
            "Made by `python benchmarks/structures.py "
            f"{' '.join(f'--rows {rows}' for rows in options.rows)}`, whose first lines say what",
            f"is measured. {machine(('numpy', 'usearch'))}. {DIM} numbers a vector, milliseconds",
            "of the middle query, and the share of the 10 nearest that was found. Others ran at a",
            f"load of {load:.1f}.",
            "",
            "| vectors | structure | build, s | text, ms | recall@10 | picture, ms | recall@10 |",
            "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
            *lines,
            "",
        ]
    )
    if options.write:
        atomic_write(options.write, page, force=True)


if __name__ == "__main__":
    main()
