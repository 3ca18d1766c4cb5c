"""How long `pareja index` takes for pictures that nobody has embedded: those of commons200.

    python benchmarks/index.py
    python benchmarks/index.py --vs /path/to/another/checkout
    python benchmarks/index.py --vs /path/to/aac0608 --write docs/benchmarks/index.md

Each turn is a process of its own that starts, indexes the pictures into a new collection, with an
empty cache of embeddings, and ends. The model is `starter`. Files are in the page cache, and what
Python compiles is kept, as after the first time; the first turn is for that and does not count.
This checkout and the other one take turns, in the same environment, and medians are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clip_inputs import COMMONS200
from workers import machine

from pareja.files import atomic_write

HERE = Path(__file__).parents[1]
PACKAGES = ("torch", "openvino", "numpy", "pillow")
Turn = dict[str, float]


def index(source: Path, folder: Path) -> Turn:
    """Index the pictures by a checkout; return seconds of clock and of processor, and peak MB."""
    environment = {**os.environ, "PYTHONPATH": str(source / "src")}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        environment["XDG_CACHE_HOME"] = f"{empty}/cache"
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "pareja", "index", COMMONS200, "--index", f"{empty}/index"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        clock = time.perf_counter() - start
    if status:
        raise SystemExit(f"pareja index failed in {source}")
    megabytes = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"clock": clock, "cpu": used.ru_utime + used.ru_stime, "mb": megabytes}


def medians(sources: list[Path], repeats: int) -> list[Turn]:
    """Let checkouts take turns; return the medians of each, with its fastest turn."""
    runs: list[list[Turn]] = [[] for _ in sources]
    with tempfile.TemporaryDirectory(prefix="pareja-index-") as folder:
        for turn in range(repeats + 1):
            for source, found in zip(sources, runs, strict=True):
                one = index(source, Path(folder))
                print(source, json.dumps(one), file=sys.stderr)
                if turn:
                    found.append(one)
    rows = []
    for found in runs:
        row = {key: statistics.median(one[key] for one in found) for key in found[0]}
        rows.append(row | {"least": min(one["clock"] for one in found)})
    return rows


def commit_of(source: Path) -> str:
    """Return the commit that a checkout is at."""
    command = ["git", "-C", str(source), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def page(arguments: argparse.Namespace) -> str:
    """Measure as Markdown."""
    sources = [HERE, *([arguments.vs] if arguments.vs else [])]
    titles = ["this version", *(f"commit {commit_of(source)}" for source in sources[1:])]
    rows = medians(sources, arguments.repeats)
    words = ["CHECKOUT" if word == str(arguments.vs) else word for word in sys.argv[1:]]
    lines = [
        "# How long new pictures take to be indexed\n",
        f"Made by `{' '.join(['python', 'benchmarks/index.py', *words])}`,",
        "whose first lines say how it is measured.",
        f"{machine(PACKAGES)}. Medians of {arguments.repeats} turns; other programs ran at a load",
        f"of {os.getloadavg()[1]:.1f}.\n",
        "| `pareja index commons200` | seconds of clock | least | seconds of processor | peak MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for title, row in zip(titles, rows, strict=True):
        lines.append(
            f"| {title} | {row['clock']:.1f} | {row['least']:.1f} | {row['cpu']:.1f} "
            f"| {row['mb']:,.0f} |"
        )
    if len(rows) > 1:
        times = rows[1]["clock"] / rows[0]["clock"]
        lines.append(f"\n{titles[1].capitalize()} takes {times:.1f} times as long.")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vs", type=Path, help="another checkout, measured as well")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", type=Path, help="the page that gets the table")
    arguments = parser.parse_args()
    text = page(arguments)
    print(text)
    if arguments.write:
        atomic_write(arguments.write, text, force=True)


if __name__ == "__main__":
    main()
