"""Measure what a study costs as it grows: seconds, memory, and how fast they grow.

    python benchmarks/study_scale.py
    python benchmarks/study_scale.py --vs /path/to/another/checkout --vs-up-to 200

Embeddings are made up: pictures and five captions each that share 64 directions, of 512 numbers for
a dual encoder, and captions of 384 numbers for a pair. Every measure runs in a process of its own,
on one thread, at the settings of ``pareja study`` (9,999 permutations, 2,000 resamples). Beside
retrieval stands what a search alone costs: the ten nearest in both directions with NumPy.

Seconds are those of the processor, which other programs on the machine change little. The growth is
the exponent between the two largest sizes: 2 is quadratic.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CAPTIONS = 5
SIZES = (20, 100, 1000, 5000)
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


def world(n: int) -> tuple[NDArray[np.float32], ...]:
    """Return pictures, captions of the same space and of another, ``(n, 512)`` and so on."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((n, 64))
    owner = np.repeat(np.arange(n), CAPTIONS)

    def rows(
        mixing: NDArray[np.float64], of: NDArray[np.intp], noise: float
    ) -> NDArray[np.float32]:
        raw = shared[of] @ mixing
        raw += noise * rng.standard_normal(raw.shape)
        raw /= np.linalg.norm(raw, axis=1, keepdims=True)
        return raw.astype(np.float32)

    own, other = rng.standard_normal((64, 512)), rng.standard_normal((64, 384))
    return rows(own, np.arange(n), 6.0), rows(own, owner, 8.0), rows(other, owner, 8.0)


def topk(similarity: NDArray[np.floating]) -> None:
    """Search the ten nearest of every row and of every column."""
    for scores in (similarity, similarity.T.copy()):
        found = np.argpartition(-scores, 9, axis=1)[:, :10]
        near = np.take_along_axis(scores, found, axis=1)
        np.take_along_axis(found, np.argsort(-near, axis=1), axis=1)


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
    kinds = [f"kind {i % 10}" for i in range(n)]
    spaces = ("bridges", "geometry", "plane", "gap")
    similarity = np.zeros((1, 1)) if what in spaces else cosine_similarity(images, captions)
    other = similarity
    if what == "compare":
        noise = np.random.default_rng(1).standard_normal(captions.shape).astype(np.float32)
        other = cosine_similarity(images, captions + 0.03 * noise)
    runs: dict[str, Callable[[], object]] = {
        "topk": lambda: topk(similarity),
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
    cpu, wall = time.process_time(), time.perf_counter()
    runs[what]()
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_a_process(what: str, n: int, source: Path, limit: float) -> dict[str, float] | None:
    """Run one measure by the code of a checkout; None where it takes longer than the limit."""
    environment = {**os.environ, "PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--one", what, str(n)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=limit, check=True
        )
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def seconds(found: dict[str, float] | None, limit: float) -> str:
    if found is None:
        return f"> {limit:.0f} of clock"
    return f"{found['cpu']:.2f}" if found["cpu"] < 9.95 else f"{found['cpu']:.0f}"


def table(rows: dict[str, dict[int, dict[str, float] | None]], limit: float) -> list[str]:
    """Return the table of one checkout."""
    sizes = sorted({n for found in rows.values() for n in found})
    lines = [
        "| seconds of one core | "
        + " | ".join(f"{n:,} × {n * CAPTIONS:,}" for n in sizes)
        + " | growth | peak MB |",
        "| --- |" + " ---: |" * (len(sizes) + 2),
    ]
    for what, found in rows.items():
        known = {n: one for n, one in found.items() if one is not None}
        growth = "–"
        if len(known) > 1:
            small, large = sorted(known)[-2:]
            ratio = known[large]["cpu"] / max(known[small]["cpu"], 1e-3)
            growth = f"{math.log(ratio) / math.log(large / small):.1f}"
        peak = f"{known[max(known)]['mb']:,.0f}" if known else "–"
        cells = [seconds(found.get(n), limit) if n in found else "" for n in sizes]
        lines.append(f"| {TITLES[what]} | " + " | ".join(cells) + f" | {growth} | {peak} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("MEASURE", "N"), help=argparse.SUPPRESS)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--measures", nargs="+", choices=list(TITLES), default=list(TITLES))
    parser.add_argument("--vs", type=Path, help="another checkout, measured as well")
    parser.add_argument("--vs-up-to", type=int, default=200, help="its largest size")
    parser.add_argument("--limit", type=float, default=600, help="seconds a measure may take")
    arguments = parser.parse_args()
    if arguments.one:
        what, n = arguments.one
        print(json.dumps(measured(what, int(n))))
        return
    here = Path(__file__).parents[1]
    print(f"{platform.machine()}, {os.cpu_count()} cores, NumPy {np.__version__}\n")
    for source in [here] + ([arguments.vs] if arguments.vs else []):
        other = source is not here
        sizes = [n for n in arguments.sizes if not other or n <= arguments.vs_up_to]
        rows: dict[str, dict[int, dict[str, float] | None]] = {}
        for what in arguments.measures:
            rows[what] = {}
            for n in sizes:
                rows[what][n] = in_a_process(what, n, source, arguments.limit)
                print(what, n, rows[what][n], file=sys.stderr, flush=True)
        print("\n".join([f"{'before' if other else 'now'}", "", *table(rows, arguments.limit), ""]))


if __name__ == "__main__":
    main()
