"""What `make demo` takes from nothing, at two commits: an empty folder, and empty caches.

python benchmarks/demo.py COMMIT COMMIT          the table of docs/benchmarks/demo.md
python benchmarks/demo.py COMMIT COMMIT --print  print it, write nothing

Each commit is cloned, and `make demo` runs in the clone: it makes an environment, installs what it
needs, makes a study and its report, and indexes and searches 200 pictures. It runs a second time in
the same environment, with empty caches again. The commits take turns. Packages come from the index
that pip is set up with, without pip's own cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workers import machine

from pareja.files import atomic_write

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks" / "demo.md"


@dataclass(frozen=True)
class Turn:
    """What one clone took: seconds of the first and the second run, bytes of its packages."""

    first: float
    again: float
    packages: int
    names: int


def turn(commit: str) -> Turn:
    """Run the demo of a commit twice in a clone of its own."""
    with tempfile.TemporaryDirectory(prefix="pareja-demo-") as folder:
        clone = Path(folder) / "pareja"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        subprocess.run(["git", "-C", clone, "checkout", "--quiet", commit], check=True)
        first, again = (seconds(clone, Path(folder) / f"home-{run}") for run in range(2))
        (packages,) = clone.glob(".venv/lib/python*/site-packages")
        sizes = [path.lstat().st_size for path in packages.rglob("*") if not path.is_dir()]
        return Turn(first, again, sum(sizes), len(list(packages.glob("*.dist-info"))))


def seconds(clone: Path, home: Path) -> float:
    """Run `make demo` with nothing in its caches."""
    home.mkdir()
    # The demo refuses to write into a report that is there.
    shutil.rmtree(clone / "pareja-demo", ignore_errors=True)
    shutil.rmtree(clone / "pareja-demo-index", ignore_errors=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    start = time.perf_counter()
    subprocess.run(
        ["make", "demo"],
        cwd=clone,
        env={**kept, "HOME": str(home), "PIP_NO_CACHE_DIR": "1"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def page(commits: Sequence[str], repeats: int) -> str:
    """Measure all commits in turns, as Markdown."""
    turns: dict[str, list[Turn]] = {commit: [] for commit in commits}
    for _ in range(repeats):
        for commit in commits:
            turns[commit].append(turn(commit))
            print(commit, turns[commit][-1], flush=True)
    lines = [
        "# What `make demo` takes from nothing\n",
        f"Made by `python benchmarks/demo.py {' '.join(commits)} --repeats {repeats}`, whose first",
        f"lines say what is measured. {machine(['pip'])}. Medians of the turns.\n",
        "| commit | from nothing, s | the same again, s | packages | MB of packages |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for commit, some in turns.items():
        first = statistics.median(one.first for one in some)
        again = statistics.median(one.again for one in some)
        lines.append(
            f"| {commit} | {first:.0f} | {again:.0f} | {some[-1].names} "
            f"| {some[-1].packages / 1e6:,.0f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commits", nargs="+", metavar="COMMIT")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--print", action="store_true", help="write nothing")
    options = parser.parse_args()
    text = page(options.commits, options.repeats)
    print(text)
    if not options.print:
        atomic_write(PAGE, text, force=True)


if __name__ == "__main__":
    main()
