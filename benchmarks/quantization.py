"""Measure what codes of a byte or a bit a number find, save and cost, beside those of faiss.

    python benchmarks/quantization.py --rows 20000 --rows 200000 --write PAGE

The vectors are those of `benchmarks/search.py`. Collections answer as users get it, from their own
database. The same vectors are in faiss in memory: bytes that are put in order again by float32
(`IndexScalarQuantizer` with `IndexRefineFlat`), the signs of plain numbers (`IndexBinaryFlat`),
which Qdrant and sentence-transformers make, and bits after RaBitQ. What they find is put in order
by float32, so that all differ in the codes alone; sentence-transformers puts the signs in order by
the query's own numbers instead. All are asked one after the other for each query, so that a busy
machine is the same for all; times are medians.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pareja.files import atomic_write
from pareja.search.database import Database
from pareja.search.vectors.codes import Codebook
from pareja.search.vectors.quantization import Compressed, choose
from pareja.search.vectors.sqlite import SqliteVectors
from search import BATCH, DIM, K, Rows, Search, World, fresh_process, read_once, store_search

QUERIES = 100
# How many rows are put in order for each that is wanted.
FACTORS = (1, 2, 4, 8, 16, 32, 64)
REFINED = 64
SAMPLE = 10_000

Answers = list[list[int]]


def recall(answers: Answers, truth: Answers) -> float:
    return float(np.mean([len(set(a) & set(t)) / K for a, t in zip(answers, truth, strict=True)]))


def nearest(matrix: Rows, query: Rows) -> list[int]:
    scores = matrix @ query
    best = np.argpartition(scores, -K)[-K:]
    return [int(key) for key in best[np.argsort(-scores[best])]]


def filled(folder: Path, matrix: Rows) -> None:
    """Make a collection of vectors, compared as they are."""
    with Database(folder, create=True) as database:
        store = SqliteVectors(database, 1, DIM)
        for start in range(0, len(matrix), BATCH):
            rows = matrix[start : start + BATCH]
            store.upsert(range(start, start + len(rows)), rows, [{}] * len(rows))


def peers(matrix: Rows) -> Iterator[tuple[str, float, Search]]:
    """Yield what else searches codes: a name, bytes a vector, and a search."""
    try:
        import faiss
    except ImportError:
        return
    faiss.omp_set_num_threads(1)

    def refined(found: NDArray[np.int64], query: Rows) -> list[int]:
        return [int(found[place]) for place in nearest(matrix[found], query)]

    half = np.ascontiguousarray(matrix[:, : DIM // 2])
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    yield (
        "numpy, the first half of each vector",
        DIM,
        lambda query: nearest(half, query[: DIM // 2]),
    )

    scalar = faiss.IndexScalarQuantizer(
        DIM, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    scalar.train(matrix[:: max(1, len(matrix) // SAMPLE)])
    scalar.add(matrix)
    yield (
        "faiss, bytes, 2 times put in order",
        DIM,
        lambda query: refined(scalar.search(query[None], 2 * K)[1][0], query),
    )

    signs = faiss.IndexBinaryFlat(DIM)
    signs.add(np.packbits(matrix >= 0, axis=1))

    def by_signs(query: Rows) -> NDArray[np.int64]:
        found: NDArray[np.int64] = signs.search(np.packbits(query >= 0)[None], REFINED * K)[1][0]
        return found

    yield (
        f"faiss, plain signs, {REFINED} times put in order",
        DIM / 8,
        lambda query: refined(by_signs(query), query),
    )

    def by_the_query(query: Rows) -> list[int]:
        found = by_signs(query)
        bits = np.unpackbits(np.packbits(matrix[found] >= 0, axis=1), axis=1)
        return [int(found[place]) for place in nearest(2.0 * bits.astype(np.float32) - 1, query)]

    yield f"the same, put in order by the query ({REFINED} times)", DIM / 8, by_the_query

    bits = faiss.IndexRaBitQ(DIM, faiss.METRIC_INNER_PRODUCT)
    bits.qb = 4
    # It leaves the turn to whoever uses it.
    turned = faiss.IndexPreTransform(faiss.RandomRotationMatrix(DIM, DIM), bits)
    turned.train(matrix[:: max(1, len(matrix) // SAMPLE)])
    turned.add(matrix)
    yield (
        f"faiss, RaBitQ, {REFINED} times put in order",
        bits.code_size,
        lambda query: refined(turned.search(query[None], REFINED * K)[1][0], query),
    )


def measure(
    rows: int, folder: Path, *, beside_peers: bool, by_factor: bool
) -> tuple[list[str], list[str]]:
    """Return the lines of both tables for so many vectors, of the second if it is wanted."""
    world = World()
    matrix = np.empty((rows, DIM), np.float32)
    for first, batch in world.batches(rows):
        matrix[first : first + len(batch)] = batch
    queries = {"text": world.vectors(3, QUERIES, text=True), "picture": world.vectors(4, QUERIES)}
    truth = {kind: [nearest(matrix, query) for query in some] for kind, some in queries.items()}

    told: dict[str, tuple[str, str, str]] = {}
    searches: dict[str, Search] = {}
    filled(folder / "float16", matrix)
    databases = []
    options: tuple[Compressed, ...] = ("int8", "binary")
    for quantization in ("float16", *options):
        place, seconds = folder / quantization, ""
        if quantization in options:
            shutil.copytree(folder / "float16", place)
        with Database(place) as database:
            if quantization in options:
                choose(database, quantization)
                start = time.perf_counter()
                SqliteVectors(database, 1, DIM).optimise()
                seconds = f"{time.perf_counter() - start:.0f}"
        disk = stored(place) - (stored(folder / "float16") if seconds else 0)
        read_once(place)
        opened = fresh_process(place)
        name = f"pareja, {quantization}"
        told[name] = (
            f"{disk / 1e6:,.0f}" + " more" * bool(seconds),
            f"{opened['megabytes'] * 2**20 / 1e6:,.0f}",
            seconds,
        )
        databases.append(Database(place))
        searches[name] = store_search(SqliteVectors(databases[-1], 1, DIM, graph_from=rows + 1))
    for name, memory, search in peers(matrix) if beside_peers else ():
        told[name] = ("", f"{memory * rows / 1e6:,.0f}", "")
        searches[name] = search

    answers: dict[tuple[str, str], Answers] = {}
    took: dict[tuple[str, str], list[float]] = {}
    for kind, some in queries.items():
        for query in some:
            for name, search in searches.items():
                start = time.perf_counter()
                found = search(query)
                took.setdefault((name, kind), []).append(1e3 * (time.perf_counter() - start))
                answers.setdefault((name, kind), []).append(found)
    for database in databases:
        database.close()
    lines = [
        f"| {rows:,} | {name} | {' | '.join(told[name])} "
        + " ".join(
            f"| {np.median(took[name, kind]):.2f} | {recall(answers[name, kind], truth[kind]):.4f}"
            for kind in queries
        )
        + " |"
        for name in searches
    ]
    return lines, list(factor_lines(matrix, queries, truth)) if by_factor else []


def stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def factor_lines(
    matrix: Rows, queries: dict[str, Rows], truth: dict[str, Answers]
) -> Iterator[str]:
    """Yield what several codes find, by how many rows are put in order."""
    mean = matrix[:: max(1, len(matrix) // SAMPLE)].mean(axis=0)
    nowhere = np.zeros(DIM, np.float32)
    books = {
        "a byte, around the mean and turned": Codebook.around(mean, "int8"),
        "a bit, around the mean and turned": Codebook.around(mean, "binary"),
        "a bit, turned": Codebook.around(nowhere, "binary"),
        "a bit, around the mean": not_turned(mean),
        "a bit": not_turned(nowhere),
    }
    scorings: dict[str, Callable[[Rows], Rows]] = {
        name: estimated(book, matrix) for name, book in books.items()
    }
    signs = np.packbits(matrix >= 0, axis=1).view(np.uint64)
    scorings["a bit of vector and query: plain signs"] = lambda query: (
        -np.bitwise_count(signs ^ np.packbits(query >= 0).view(np.uint64)).sum(
            axis=1, dtype=np.float32
        )
    )
    for name, scores in scorings.items():
        for kind, some in queries.items():
            ranks = []
            for query, best in zip(some, truth[kind], strict=True):
                order = scores(query)
                last = np.sort(-order)[[factor * K - 1 for factor in FACTORS]]
                ranks.append([(-order[best] <= place).mean() for place in last])
            shown = " | ".join(f"{share:.3f}" for share in np.mean(ranks, axis=0))
            yield f"| {len(matrix):,} | {name} | {kind}s | {shown} |"


def not_turned(mean: Rows) -> Codebook:
    return Codebook("binary", mean, np.empty((0, DIM), np.int8))


def estimated(book: Codebook, matrix: Rows) -> Callable[[Rows], Rows]:
    """Return what estimates the cosines of all rows with a query."""
    codes, (factors, offsets) = book.coded(matrix)
    held = book.held(codes)
    return lambda query: factors * book.query(query).products(held) + offsets


def main() -> None:
    """Print both tables, and write them down where that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append", required=True)
    parser.add_argument(
        "--peers-up-to", type=int, default=10**9, help="measure no other library with more rows"
    )
    parser.add_argument("--write", type=Path, help="The page to write.")
    given = parser.parse_args()
    lines: list[str] = []
    factors: list[str] = []
    for rows in given.rows:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            more, further = measure(
                rows,
                Path(folder),
                beside_peers=rows <= given.peers_up_to,
                by_factor=rows == given.rows[0],
            )
        print("\n".join([*more, *further]), flush=True)
        lines += more
        factors += further
    command = " ".join(f"--rows {rows}" for rows in given.rows)
    if given.peers_up_to < max(given.rows):
        command += f" --peers-up-to {given.peers_up_to}"
    header = (
        f"# What compressed vectors find, save and cost\n\n"
        f"Made by `python benchmarks/quantization.py {command}`,\n"
        f"which says what is compared. {DIM} numbers a vector, the {K} nearest of {QUERIES} texts "
        f"and of {QUERIES} pictures, one query at a time, on {os.cpu_count()} cores at a load of "
        f"{os.getloadavg()[0]:.0f}. Recall is of the nearest by float32.\n\n"
    )
    page = header + "\n".join(
        [
            "| vectors | search | disk, MB | memory, MB | to code, s | text, ms "
            "| recall@10 | picture, ms | recall@10 |",
            "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *lines,
            "",
            _BETWEEN.strip(),
            "",
            f"| vectors | codes | queries | {' | '.join(f'{factor * K}' for factor in FACTORS)} |",
            f"| ---: | --- | --- |{' ---: |' * len(FACTORS)}",
            *factors,
            "",
        ]
    )
    if given.write:
        atomic_write(given.write, page, force=True)


_BETWEEN = (
    "A collection keeps its float16 vectors in any case; codes lie beside them. Its "
    "memory is what a new process holds after its\n"
    "first search. That of the others is what their codes take; the float32 vectors that "
    "they are put in order by are in memory,\n"
    "too. Pairs of times compare one query after the other, on whatever else the machine "
    "did.\n"
    "\n"
    "How many of the 10 nearest are among the best 10, 20, … 640 by codes alone, as a "
    "share:\n"
)

if __name__ == "__main__":
    main()
