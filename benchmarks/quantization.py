r"""Measure what codes of a byte or a bit a number find, save and cost, beside those of faiss.

    python benchmarks/quantization.py --rows 20000 --rows 200000 --rows 1000000 \
        --peers-up-to 200000 --write PAGE

The vectors are those of `benchmarks/search.py`. Collections answer as users get it, from their own
database. The same vectors are in faiss in memory: bytes that are put in order again by float32
(`IndexScalarQuantizer` with `IndexRefineFlat`), the signs of plain numbers (`IndexBinaryFlat`),
which Qdrant and sentence-transformers make, and bits after RaBitQ. What they find is put in order
by float32, so that all differ in the codes alone; sentence-transformers puts the signs in order by
the query's own numbers instead. All are asked one after the other for each query, so that a busy
machine is the same for all; times are medians.

Codes as Qdrant makes them are in NumPy here, since no server can be had where this runs: its scheme
is measured, and not the server.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
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
# How many rows Qdrant puts in order for each that is asked for: its `oversampling`.
OVERSAMPLING = (1, 1.5, 2, 4, 8, 16)
LEVELS = 127  # of a byte, in Qdrant

Answers = list[list[int]]


def recall(answers: Answers, truth: Answers) -> float:
    return float(np.mean([len(set(a) & set(t)) / K for a, t in zip(answers, truth, strict=True)]))


def nearest(matrix: Rows, query: Rows) -> list[int]:
    scores = matrix @ query
    best = np.argpartition(scores, -K)[-K:]
    return [int(key) for key in best[np.argsort(-scores[best])]]


def nearest_of(matrix: Rows, queries: Rows) -> Answers:
    """Return the nearest to each query, reading all vectors once."""
    keys = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(matrix), BATCH):
        block = queries @ matrix[start : start + BATCH].T
        keys = np.hstack([keys, np.tile(np.arange(start, start + block.shape[1]), (len(keys), 1))])
        scores = np.hstack([scores, block])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        keys = np.take_along_axis(keys, best, axis=1)
        scores = np.take_along_axis(scores, best, axis=1)
    return [[int(key) for key in row] for row in keys]


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
) -> tuple[list[str], list[str], list[str]]:
    """Return the lines of the tables for so many vectors, of all but the first if wanted."""
    world = World()
    matrix = np.empty((rows, DIM), np.float32)
    for first, batch in world.batches(rows):
        matrix[first : first + len(batch)] = batch
    queries = {"text": world.vectors(3, QUERIES, text=True), "picture": world.vectors(4, QUERIES)}
    truth = {kind: nearest_of(matrix, some) for kind, some in queries.items()}

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
    if not by_factor:
        return lines, [], []
    return (
        lines,
        list(share_lines(pareja_scores(matrix), FACTORS, matrix, queries, truth)),
        list(share_lines(qdrant_scores(matrix), OVERSAMPLING, matrix, queries, truth)),
    )


def stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


Scores = dict[str, Callable[[Rows], Rows]]
"""What estimates the closeness of all rows to a query, by the name of the codes."""


def pareja_scores(matrix: Rows) -> Scores:
    """Return the codes of a collection without a server, and what its steps bring."""
    mean = matrix[:: max(1, len(matrix) // SAMPLE)].mean(axis=0)
    nowhere = np.zeros(DIM, np.float32)
    books = {
        "a byte, around the mean and turned": Codebook.around(mean, "int8"),
        "a bit, around the mean and turned": Codebook.around(mean, "binary"),
        "a bit, turned": Codebook.around(nowhere, "binary"),
        "a bit, around the mean": not_turned(mean),
        "a bit": not_turned(nowhere),
    }
    return {name: estimated(book, matrix) for name, book in books.items()}


def qdrant_scores(matrix: Rows) -> Scores:
    """Return the codes that Qdrant makes: levels between two numbers, and signs.

    Both numbers are of the whole collection, and its outermost ones unless a quantile is given.
    Values are cut down to a level, those of the query too, and the levels are multiplied.

    References
    ----------
    https://qdrant.tech/documentation/manage-data/quantization/, and `encoded_vectors_u8.rs` and
    `encoded_vectors_binary.rs` of the server (Apache-2.0).
    """
    sample = matrix[:: max(1, len(matrix) // SAMPLE)]
    signs = np.packbits(matrix > 0, axis=1).view(np.uint64)
    return {
        "int8, whole range": between(matrix, float(matrix.min()), float(matrix.max())),
        "int8, quantile 0.99": between(matrix, *map(float, np.quantile(sample, [0.005, 0.995]))),
        "binary": lambda query: (
            -np.bitwise_count(signs ^ np.packbits(query > 0).view(np.uint64)).sum(
                axis=1, dtype=np.float32
            )
        ),
    }


def between(matrix: Rows, low: float, high: float) -> Callable[[Rows], Rows]:
    """Return what multiplies the levels of rows and a query, and brings them back to cosines."""
    step = (high - low) / LEVELS

    def levels(rows: Rows) -> Rows:
        whole: Rows = np.floor(np.clip((rows - low) / step, 0, LEVELS))
        return whole

    coded = levels(matrix)
    sums = coded.sum(axis=1)

    def scores(query: Rows) -> Rows:
        # Products and sums of whole numbers below 2**24 are exact in float32. What all rows have
        # in common changes no order.
        found: Rows = step**2 * (coded @ levels(query)) + step * low * sums
        return found

    return scores


def share_lines(
    scorings: Scores,
    factors: Sequence[float],
    matrix: Rows,
    queries: dict[str, Rows],
    truth: dict[str, Answers],
) -> Iterator[str]:
    """Yield which share of the nearest several codes find, by how many rows are put in order."""
    counts = np.array([int(factor * K) for factor in factors])
    for name, scores in scorings.items():
        for kind, some in queries.items():
            shares = []
            for query, best in zip(some, truth[kind], strict=True):
                first = np.argsort(-scores(query), kind="stable")[: counts.max()]
                found = np.isin(first, best)
                shares.append([found[:count].sum() / K for count in counts])
            shown = " | ".join(f"{share:.3f}" for share in np.mean(shares, axis=0))
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
    served: list[str] = []
    for rows in given.rows:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            more, further, of_qdrant = measure(
                rows,
                Path(folder),
                beside_peers=rows <= given.peers_up_to,
                by_factor=rows == given.rows[0],
            )
        print("\n".join([*more, *further, *of_qdrant]), flush=True)
        lines += more
        factors += further
        served += of_qdrant
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
            _SERVED.strip(),
            "",
            f"| vectors | codes | queries | {' | '.join(f'{one:g}' for one in OVERSAMPLING)} |",
            f"| ---: | --- | --- |{' ---: |' * len(OVERSAMPLING)}",
            *served,
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

_SERVED = (
    "## Codes as Qdrant makes them\n"
    "\n"
    "Its published scheme, done again in NumPy: no server was asked, and no graph searched. "
    "Recall@10 after what codes find\n"
    "was put in order by the whole vectors, by `oversampling`: so many times 10 are put in "
    "order. `pareja` asks the server\n"
    "for 16 more than are wanted, so that more are put in order than here.\n"
)

if __name__ == "__main__":
    main()
