"""How long somebody waits who types a command: processes that start with nothing loaded.

python benchmarks/cold_start.py                  the table of docs/benchmarks/cold_start.md
python benchmarks/cold_start.py --print          print it, write nothing

Each command is a process of its own that starts, answers and ends; files are in the page cache, as
after the first time. Commands take turns, and medians are shown. The collection is the 200 pictures
of data/commons200. CLIP ViT-B/32 has random weights, made by the script, and was converted before;
its text network loads and runs as with the real ones.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clip_inputs import COMMONS200, make_checkpoint
from workers import machine

from pareja.files import atomic_write

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "cold_start.md"
PACKAGES = ("torch", "transformers", "sentence-transformers", "openvino", "numpy", "typer")
QUERY = "a red castle"
USUAL = (
    "import sys; from sentence_transformers import SentenceTransformer as S;"
    f"S(sys.argv[1], device='cpu').encode([{QUERY!r}])"
)


def run(command: list[str]) -> tuple[float, float]:
    """Run a command to its end; return its seconds of clock and of processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(folder: Path) -> dict[str, list[str]]:
    """Index the pictures with both models; return what is measured, by what it is called."""
    # Neither the converted network nor the embeddings must stay in the user's own cache. What
    # Python compiles is kept, as an installer keeps it.
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    clip = folder / "clip"
    make_checkpoint(clip)
    pareja = [sys.executable, "-m", "pareja"]
    searches = {}
    for model in ("starter", str(clip)):
        index = str(folder / f"index-{Path(model).name}")
        subprocess.run([*pareja, "index", COMMONS200, "-m", model, "--index", index], check=True)
        searches[model] = [*pareja, "search", QUERY, "--index", index, "-m", model]
    return {
        "Python alone": [sys.executable, "-c", "pass"],
        "`pareja --help`": [*pareja, "--help"],
        "`pareja search` with `starter`": searches["starter"],
        "`pareja search` with CLIP ViT-B/32, converted": searches[str(clip)],
        "sentence-transformers: one text by the same CLIP": [
            *(sys.executable, "-c", USUAL, str(clip))
        ],
    }


def page(repeats: int) -> str:
    """Measure every command in turns, as Markdown."""
    with tempfile.TemporaryDirectory(prefix="pareja-start-") as folder:
        named = commands(Path(folder))
        runs: dict[str, list[tuple[float, float]]] = {title: [] for title in named}
        for turn in range(repeats + 1):
            for title, command in named.items():
                found = run(command)
                # The first turn warms the page cache.
                if turn:
                    runs[title].append(found)
        print(json.dumps(runs), file=sys.stderr)
    lines = [
        "# How long a command takes to start\n",
        "Made by `python benchmarks/cold_start.py`, whose first lines say how it is measured.",
        f"{machine(PACKAGES)}. Medians of {repeats} turns; other programs ran at a load of",
        f"{os.getloadavg()[1]:.1f}.\n",
        "| | seconds of clock | least | seconds of processor |",
        "| --- | ---: | ---: | ---: |",
    ]
    for title, times in runs.items():
        clock, cpu = (statistics.median(values) for values in zip(*times, strict=True))
        least = min(seconds for seconds, _ in times)
        lines.append(f"| {title} | {clock:.2f} | {least:.2f} | {cpu:.2f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--print", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    text = page(arguments.repeats)
    print(text)
    if not arguments.print:
        atomic_write(PAGE, text, force=True)


if __name__ == "__main__":
    main()
