"""Measure searching 200,000 and 1,000,000 vectors, beside numpy, faiss and Qdrant's local mode.

    python benchmarks/search.py --rows 200000 --rows 1000000 --peers-up-to 200000 --out PAGE

The vectors are made up, with what makes those of a dual encoder hard to search: they share a
direction (two random pictures have a cosine of about 0.5), lie in topics of very different size,
and vary in few directions much and in many a little. There are two kinds of queries. Pictures are
drawn like the vectors themselves. Texts share another direction than the pictures, as they do in
CLIP (Liang et al. 2022, "Mind the Gap"), so that their best cosine is about 0.3; graphs find such
neighbours less easily than those of vectors of their own kind. The graph's connectivity and beams
were chosen on these vectors, with other queries of the same kinds.

faiss has such a graph over bytes too, searched with the fewest and with the most nodes in sight
that pareja knows; its answers are put in order with the float32 vectors.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pareja.files import atomic_write
from pareja.search.database import Database
from pareja.search.vectors.graph import CONNECTIVITY, EXPANSION_ADD
from pareja.search.vectors.graph_search import BEAMS
from pareja.search.vectors.sqlite import SqliteVectors

DIM = 512
K = 10
QUERIES = 500
TOPICS = 4_000
BATCH = 2_000
QDRANT_ROWS = 20_000

Rows = NDArray[np.float32]
Search = Callable[[Rows], list[int]]


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    rows: int
    what: str
    p50: float
    p95: float
    recall_text: float | None = None
    recall_picture: float | None = None
    build: float | None = None

    def markdown(self) -> str:
        """Return it as a row of Markdown."""

        def number(value: float | None, form: str) -> str:
            return "" if value is None else format(value, form)

        return (
            f"| {self.rows:,} | {self.what} | {self.p50:.2f} | {self.p95:.2f} "
            f"| {number(self.recall_text, '.4f')} | {number(self.recall_picture, '.4f')} "
            f"| {number(self.build, ',.0f')} |"
        )


class World:
    """Where vectors come from: the same topics for pictures and texts."""

    def __init__(self, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        spread = (1.0 + np.arange(DIM)) ** -0.5
        self._spread = (spread / np.linalg.norm(spread)).astype(np.float32)
        self._topics = 0.5 * self._draw(generator, TOPICS)
        weights = 1.0 / np.arange(1, TOPICS + 1) ** 0.7
        self._weights = weights / weights.sum()
        centres = generator.normal(size=(2, DIM))
        self._centres = 0.7 * centres / np.linalg.norm(centres, axis=1, keepdims=True)

    def _draw(self, generator: np.random.Generator, count: int) -> Rows:
        return generator.standard_normal((count, DIM), np.float32) * self._spread

    def vectors(self, seed: int, count: int, *, text: bool = False) -> Rows:
        """Draw pictures, or texts, ``(count, DIM)``."""
        generator = np.random.default_rng(seed)
        topics = generator.choice(TOPICS, count, p=self._weights)
        rows: Rows = self._centres[int(text)].astype(np.float32) + self._topics[topics]
        rows += 0.5 * self._draw(generator, count)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def batches(self, count: int) -> Iterator[tuple[int, Rows]]:
        """Yield pictures in batches, each with the number of its first row."""
        for start in range(0, count, BATCH):
            yield start, self.vectors(1_000 + start, min(BATCH, count - start))


def timed(search: Search, queries: Rows) -> tuple[list[list[int]], float, float]:
    """Search for each query; return the answers, and p50 and p95 in milliseconds."""
    search(queries[0])
    answers, took = [], []
    for query in queries:
        start = time.perf_counter()
        answers.append(search(query))
        took.append(1e3 * (time.perf_counter() - start))
    return answers, float(np.percentile(took, 50)), float(np.percentile(took, 95))


def recall(answers: list[list[int]], truth: list[list[int]]) -> float:
    return float(np.mean([len(set(a) & set(t)) / K for a, t in zip(answers, truth, strict=True)]))


def read_once(folder: Path) -> None:
    """Let the system hold a collection's files in memory, as it does where they are in use."""
    for path in folder.iterdir():
        path.read_bytes()


def store_search(store: SqliteVectors) -> Search:
    return lambda query: [key for key, _ in store.search(query, K)]


def fresh_process(folder: Path) -> dict[str, float]:
    """Open the collection and search once in a new process; seconds and memory."""
    code = (
        "import json, sys, time\n"
        "import numpy as np, numkong, usearch.index\n"
        "from pathlib import Path\n"
        "from pareja.search.database import Database\n"
        "from pareja.search.vectors.sqlite import SqliteVectors\n"
        "def memory():\n"
        "    status = Path('/proc/self/status').read_text()\n"
        "    return int(status.split('RssAnon:')[1].split()[0]) / 1024\n"
        "before, start = memory(), time.perf_counter()\n"
        "store = SqliteVectors(Database(Path(sys.argv[1])), 1, int(sys.argv[2]))\n"
        "query = np.random.default_rng(9).normal(size=int(sys.argv[2])).astype(np.float32)\n"
        "store.search(query, 10)\n"
        "seconds = time.perf_counter() - start\n"
        "print(json.dumps({'seconds': seconds, 'megabytes': memory() - before}))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, folder, str(DIM)], capture_output=True, text=True, check=True
    )
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def measure(rows: int, folder: Path, world: World, *, peers: bool) -> tuple[list[Line], list[str]]:
    """Measure everything with so many vectors, beside other libraries or alone."""
    texts = world.vectors(3, QUERIES, text=True)
    pictures = world.vectors(4, QUERIES)
    notes, lines = [], []
    database = Database(folder / "collection", create=True)
    store = SqliteVectors(database, 1, DIM, graph_from=rows + 1)
    spent = 0.0
    matrix = np.empty((rows, DIM), np.float32)
    for first, batch in world.batches(rows):
        matrix[first : first + len(batch)] = batch
        start = time.perf_counter()
        store.upsert(range(first, first + len(batch)), batch, [{}] * len(batch))
        spent += time.perf_counter() - start
    size = sum(path.stat().st_size for path in database.folder.iterdir()) / 1e6
    notes.append(
        f"{rows:,} vectors: {rows / spent:,.0f} a second into SQLite, durably, in batches of "
        f"{BATCH:,}; {size:,.0f} MB on disk"
    )
    opened = fresh_process(database.folder)
    notes.append(
        f"{rows:,} vectors, exact: opened and searched once in {opened['seconds']:.2f} s, "
        f"{opened['megabytes']:,.0f} MB of memory"
    )

    truth_texts, p50, p95 = timed(store_search(store), texts)
    truth_pictures, _, _ = timed(store_search(store), pictures)
    lines.append(Line(rows, "pareja, exact", p50, p95, 1, 1))

    def numpy_search(query: Rows) -> list[int]:
        scores = matrix @ query
        best = np.argpartition(scores, -K)[-K:]
        return [int(key) for key in best[np.argsort(-scores[best])]]

    if peers:
        answers, p50, p95 = timed(numpy_search, texts[:100])
        lines.append(Line(rows, "numpy, float32", p50, p95, recall(answers, truth_texts[:100])))

    store = SqliteVectors(database, 1, DIM, graph_from=1)
    start = time.perf_counter()
    store.optimise()
    build = time.perf_counter() - start
    graph = sum(path.stat().st_size for path in database.folder.glob("*.usearch")) / 1e6
    opened = fresh_process(database.folder)
    notes.append(
        f"{rows:,} vectors, graph: {graph:,.0f} MB on disk, built in {build:,.0f} s; opened and "
        f"searched once in {opened['seconds']:.2f} s, {opened['megabytes']:,.0f} MB of memory "
        "beside the mapped file"
    )
    read_once(database.folder)
    answers_texts, p50, p95 = timed(store_search(store), texts)
    answers_pictures, p50_pictures, p95_pictures = timed(store_search(store), pictures)
    lines.append(
        Line(
            rows,
            "pareja, graph, texts",
            p50,
            p95,
            recall(answers_texts, truth_texts),
            None,
            build,
        )
    )
    lines.append(
        Line(
            rows,
            "pareja, graph, pictures",
            p50_pictures,
            p95_pictures,
            None,
            recall(answers_pictures, truth_pictures),
        )
    )
    if peers:
        lines += faiss_lines(rows, matrix, texts, pictures, truth_texts, truth_pictures)
        lines += qdrant_lines(matrix[:QDRANT_ROWS], texts[:50])
    database.close()
    return lines, notes


def faiss_lines(
    rows: int,
    matrix: Rows,
    texts: Rows,
    pictures: Rows,
    truth_texts: list[list[int]],
    truth_pictures: list[list[int]],
) -> list[Line]:
    try:
        import faiss
    except ImportError:
        return []
    lines = []
    flat = faiss.IndexFlatIP(DIM)
    flat.add(matrix)
    answers, p50, p95 = timed(lambda query: flat.search(query[None], K)[1][0].tolist(), texts[:100])
    lines.append(Line(rows, "faiss, flat", p50, p95, recall(answers, truth_texts[:100])))
    flat.reset()
    graph = faiss.IndexHNSWSQ(
        DIM, faiss.ScalarQuantizer.QT_8bit, CONNECTIVITY, faiss.METRIC_INNER_PRODUCT
    )
    graph.hnsw.efConstruction = EXPANSION_ADD
    start = time.perf_counter()
    graph.train(matrix[:: max(1, rows // 100_000)])
    graph.add(matrix)
    build: float | None = time.perf_counter() - start
    for beam in (BEAMS[0], BEAMS[-1]):
        graph.hnsw.efSearch = beam

        def search(query: Rows) -> list[int]:
            found = graph.search(query[None], 3 * K // 2)[1][0]
            # Bytes order them roughly: looked up again, as pareja does.
            best: list[int] = found[np.argsort(-(matrix[found] @ query))][:K].tolist()
            return best

        for kind, queries, truth in (
            ("texts", texts, truth_texts),
            ("pictures", pictures, truth_pictures),
        ):
            answers, p50, p95 = timed(search, queries)
            found = recall(answers, truth)
            lines.append(
                Line(
                    rows,
                    f"faiss, HNSW of bytes, beam {beam}, {kind}",
                    p50,
                    p95,
                    found if kind == "texts" else None,
                    found if kind == "pictures" else None,
                    build,
                )
            )
            build = None
    return lines


def qdrant_lines(matrix: Rows, queries: Rows) -> list[Line]:
    from pareja.search.vectors.qdrant import QdrantVectors
    from pareja.search.vectors.qdrant_server import QdrantAddress, QdrantServer

    server = QdrantServer(QdrantAddress.parse("qdrant://:memory:/benchmark"))
    store = QdrantVectors(server, "space", DIM)
    start = time.perf_counter()
    store.upsert(range(len(matrix)), matrix, [{}] * len(matrix))
    build = time.perf_counter() - start
    _, p50, p95 = timed(lambda query: [key for key, _ in store.search(query, K)], queries)
    server.close()
    return [Line(len(matrix), "Qdrant, local mode", p50, p95, build=build)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append", required=True)
    parser.add_argument(
        "--peers-up-to", type=int, default=10**9, help="measure no other library with more rows"
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines: list[Line] = []
    notes: list[str] = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            more_lines, more_notes = measure(
                rows, Path(folder), World(), peers=rows <= options.peers_up_to
            )
        lines += more_lines
        notes += more_notes
        print("\n".join([*(line.markdown() for line in more_lines), *more_notes]), flush=True)
    written = [f"--rows {rows}" for rows in options.rows]
    if options.peers_up_to < max(options.rows):
        written.append(f"--peers-up-to {options.peers_up_to}")
    page = "\n".join(
        [
            "# How fast searches are",
            "",
            f"Made by `python benchmarks/search.py {' '.join(written)}`,",
            "which says how the vectors are made up. "
            f"{DIM} numbers each, the {K} nearest are asked for, one query at a time, on "
            f"{os.cpu_count()} cores. Times in milliseconds.",
            "",
            "| vectors | search | p50 | p95 | recall@10, texts | recall@10, pictures | build, s |",
            "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
            *(line.markdown() for line in lines),
            "",
            *(f"- {note}" for note in notes),
            "",
        ]
    )
    if options.out:
        atomic_write(options.out, page, force=True)


if __name__ == "__main__":
    main()
