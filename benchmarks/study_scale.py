"""Measure what a study costs as it grows: seconds, memory, and how fast they grow.

    python benchmarks/study_scale.py
    python benchmarks/study_scale.py --measures bridges --vs /path/to/another/checkout
    python benchmarks/study_scale.py --vs /path/to/13f99db --write docs/benchmarks/study.md

Embeddings are made up: pictures and five captions each that share 64 directions, of 512 numbers for
a dual encoder, and captions of 384 numbers for a pair. Every measure runs in a process of its own,
on one thread, at the settings of ``pareja study`` (9,999 permutations, 2,000 resamples). Retrieval
stands beside what a search alone costs (the ten nearest in both directions with NumPy) and beside
torchmetrics (R@1, R@5, R@10 and MRR in both directions, without intervals); the three take turns.

Whole studies are ``pareja.study`` of one dual encoder and one pair, from cached embeddings of small
pictures, and the report; they use all cores.

Seconds are those of the processor unless said otherwise, which other programs on the machine change
little. The growth is the exponent between the two largest sizes: 2 is quadratic.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from study_data import CAPTIONS, write_dataset
from study_runs import TITLES, cache, measured, whole

from pareja.files import atomic_write

SIZES = (20, 100, 1000, 5000)
BEFORE = (100, 200)
PEERS = {"topk": TITLES["topk"], "retrieval": "pareja", "torchmetrics": "torchmetrics"}
TURNS = 3
LONG = 60
"""Seconds of clock from which a turn is not repeated: noise is small beside it."""

NOTES = """\
## What is drawn

Permutations are drawn as turns of a circle ([how](../methods.md#tests)); p-values and nulls of
another draw differ by Monte Carlo error. Beyond 64 pictures the intervals of AUC and of the rank
correlation of two matrices come from each picture's influence, and a bridge's test compares own
pairs with the strangers that the same maps compare ([why](../methods.md#who-has-seen-what)). Beyond
2,000 pictures a bridge is tested by 99 pairings, and its maps leave out a fifth of the pictures at
a time. Of more than a million cells ranks are taken on a grid of a million steps. Matrices of more
than 16 million cells are kept in float32, and of a pair's five only the one that it is compared by.
"""

Found = dict[str, float] | None
Rows = dict[str, dict[int, Found]]


def in_a_process(
    arguments: list[str], limit: float, source: Path | None = None, threads: int | None = 1
) -> Found:
    """Run this script for one result; None where it takes longer than the limit."""
    root = source or Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    try:
        done = subprocess.run(
            [sys.executable, __file__, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=limit,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(*arguments[1:], *(f"{key} {value:.2f}" for key, value in found.items()), file=sys.stderr)
    return found


def measures(names: list[str], sizes: list[int], limit: float, source: Path | None = None) -> Rows:
    """Run measures, each at every size that a smaller one did not take too long for."""
    rows: Rows = {}
    for what in names:
        rows[what] = {}
        for n in sizes:
            rows[what][n] = in_a_process(["--one", what, str(n)], limit, source)
            if rows[what][n] is None:
                break
    return rows


def peers(sizes: list[int], limit: float) -> Rows:
    """Run retrieval and its peers in turns; the medians."""
    rows: Rows = {what: {} for what in PEERS}
    for n in sizes:
        runs: dict[str, list[Found]] = {what: [] for what in PEERS}
        for _ in range(TURNS):
            for what, found in runs.items():
                if not found or (found[-1] is not None and found[-1]["wall"] <= LONG):
                    found.append(in_a_process(["--one", what, str(n)], limit))
        for what, found in runs.items():
            done = [one for one in found if one is not None]
            rows[what][n] = (
                {key: statistics.median(one[key] for one in done) for key in done[0]}
                if len(done) == len(found)
                else None
            )
    return rows


def studies(sizes: list[int], limit: float, folder: Path) -> dict[int, Found]:
    """Run whole studies, each once to fill the cache and once to be measured."""
    found: dict[int, Found] = {}
    for n in sizes:
        here = folder / str(n)
        write_dataset(n, here / "data")
        in_a_process(["--cache", str(n), str(here)], limit, threads=None)
        found[n] = in_a_process(["--whole", str(n), str(here)], limit, threads=None)
    return found


def seconds(found: Found, limit: float, key: str = "cpu") -> str:
    if found is None:
        return f"> {limit:.0f} of clock"
    return f"{found[key]:.2f}" if found[key] < 9.95 else f"{found[key]:.0f}"


def head(first: str, sizes: list[int], *more: str) -> list[str]:
    columns = [first, *(f"{n:,} × {n * CAPTIONS:,}" for n in sizes), *more]
    return ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]


def table(rows: Rows, limit: float, titles: dict[str, str]) -> list[str]:
    """Return the table of measures by size, with growth and memory."""
    sizes = sorted({n for found in rows.values() for n in found})
    lines = head("seconds of one core", sizes, "growth", "peak MB")
    for what, found in rows.items():
        known = {n: one for n, one in found.items() if one is not None}
        growth = "–"
        if len(known) > 1:
            small, large = sorted(known)[-2:]
            ratio = known[large]["cpu"] / max(known[small]["cpu"], 1e-3)
            growth = f"{math.log(ratio) / math.log(large / small):.1f}"
        peak = f"{known[max(known)]['mb']:,.0f}" if known else "–"
        cells = [seconds(found[n], limit) if n in found else "" for n in sizes]
        lines.append(f"| {titles[what]} | " + " | ".join(cells) + f" | {growth} | {peak} |")
    return lines


def whole_table(found: dict[int, Found], limit: float) -> list[str]:
    """Return the table of whole studies."""
    rows = {
        "seconds of clock": "wall",
        "seconds of processor": "cpu",
        "peak MB": "mb",
        "MB of files": "report_mb",
        "MB of report.html": "page_mb",
    }
    lines = head("", list(found))
    for title, key in rows.items():
        cells = (
            f"{one[key]:,.0f}" if one and key == "mb" else seconds(one, limit, key)
            for one in found.values()
        )
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def repeated(arguments: argparse.Namespace) -> str:
    """Return the command line, without the place of the other checkout."""
    words = ["CHECKOUT" if word == str(arguments.vs) else word for word in sys.argv[1:]]
    return " ".join(["python", "benchmarks/study_scale.py", *words])


def page(arguments: argparse.Namespace) -> str:
    """Measure everything that was asked for, as Markdown."""
    limit, sizes = arguments.limit, arguments.sizes
    parts = [
        "# What a study costs as it grows\n",
        f"Made by `{repeated(arguments)}`, whose first lines say how it is\n"
        f"measured. {os.cpu_count()} cores ({platform.machine()}), which other programs used as "
        f"well, NumPy {np.__version__}. Columns are pictures × captions.\n",
    ]
    if not arguments.measures_only:
        with tempfile.TemporaryDirectory(prefix="pareja-study-") as folder:
            found = studies(sizes, limit, Path(folder))
        parts += [
            "## A whole study\n",
            "`pareja.study` of one dual encoder and one encoder pair, from cached embeddings, with "
            "its report:\n",
            *whole_table(found, limit),
            "",
        ]
    parts += [
        "## Every measure\n",
        "Intervals, nulls and tests are part of every line. An empty cell was not measured.\n",
        *table(measures(arguments.measures, sizes, limit), limit, TITLES),
        "",
    ]
    if not arguments.measures_only:
        parts += [
            "## Retrieval beside others\n",
            f"Medians of {TURNS} turns; what takes more than {LONG} seconds has one. The NumPy "
            "line finds the ten\nnearest of every picture and of every caption; torchmetrics "
            "computes R@1, R@5, R@10 and MRR of\nboth; pareja these and the median rank, each "
            "with its interval.\n",
            *table(peers(sizes[1:], limit), limit, PEERS),
            "",
        ]
    if arguments.vs:
        commit = subprocess.run(
            ["git", "-C", str(arguments.vs), "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        names = [name for name in arguments.measures if name != "topk"]
        parts += [
            "## Before\n",
            f"The same measures by the code of commit {commit}, in the same run:\n",
            *table(measures(names, arguments.before, limit, arguments.vs), limit, TITLES),
            "",
        ]
    return "\n".join([*parts, NOTES])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for hidden in ("--one", "--whole", "--cache"):
        parser.add_argument(hidden, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--measures", nargs="+", choices=list(TITLES), default=list(TITLES))
    parser.add_argument("--measures-only", action="store_true", help="no whole studies, no peers")
    parser.add_argument("--vs", type=Path, help="another checkout, measured as well")
    parser.add_argument("--before", type=int, nargs="+", default=list(BEFORE), help="its sizes")
    parser.add_argument("--limit", type=float, default=600, help="seconds a process may take")
    parser.add_argument("--write", type=Path, help="the page that gets the tables")
    arguments = parser.parse_args()
    if arguments.one:
        what, n = arguments.one
        print(json.dumps(measured(what, int(n))))
    elif arguments.cache or arguments.whole:
        n, folder = arguments.cache or arguments.whole
        work = cache if arguments.cache else whole
        print(json.dumps(work(int(n), Path(folder))))
    else:
        text = page(arguments)
        if arguments.write:
            atomic_write(arguments.write, text, force=True)
        print(text)


if __name__ == "__main__":
    main()
