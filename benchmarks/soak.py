"""What was tried against pareja, how often, and what came of it.

Kills commands, flips bits, takes memory away, gives odd names, hostile archives and links that lead
out, and bothers a server. Everything happens in a temporary folder and on loopback; each trial has
a count and the whole a time, after which no further trial begins. Prints a table, and with
``--write`` puts it on a page.

    python benchmarks/soak.py --write docs/benchmarks/soak.md
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import soak_data
import soak_kills
import soak_places
import soak_server
from soak_row import Row

from pareja.files import atomic_write

Trial = Callable[[Path, int], Iterator[Row]]

TRIALS: tuple[Trial, ...] = (
    soak_kills.killed_commands,
    soak_kills.killed_changes,
    soak_kills.stopped_commands,
    soak_kills.forked_programs,
    soak_kills.killed_conversions,
    soak_kills.short_memory,
    soak_kills.indexing_at_once,
    soak_data.flipped_bits,
    soak_data.other_versions,
    soak_data.copies_of_an_open_collection,
    soak_data.odd_names,
    soak_data.hostile_archives,
    soak_data.ways_out,
    soak_data.hostile_captions,
    soak_places.odd_outputs,
    soak_places.odd_places,
    soak_places.set_clocks,
    soak_server.bothered_server,
    soak_server.described_requests,
    soak_server.hostile_pages,
    soak_server.wrong_tokens,
    soak_server.large_pictures,
    soak_server.moved_collections,
    soak_server.graphs_cut_short,
)

_HEAD = """# What was tried against pareja

Made by `make soak`, which runs `python benchmarks/soak.py`: in a temporary folder, on loopback,
with a bounded count and time. A row says what was done, how often, and how often that ended well.

| tried | count | ended well | what came of it |
| --- | ---: | ---: | --- |
"""


def main() -> None:
    """Run the trials one after the other and print their rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1200, help="no trial begins later")
    parser.add_argument("--times", type=int, default=1, help="how many times the usual counts")
    parser.add_argument("--only", default="", help="trials whose name holds this")
    parser.add_argument("--write", type=Path, help="the page to write")
    options = parser.parse_args()
    start = time.monotonic()
    lines = []
    for trial in TRIALS:
        if options.only not in trial.__name__:
            continue
        if time.monotonic() - start > options.seconds:
            lines.append(f"| {trial.__name__.replace('_', ' ')} | 0 | 0 | no time was left |")
            continue
        with tempfile.TemporaryDirectory(prefix="pareja-soak-") as folder:
            os.environ["XDG_CACHE_HOME"] = os.environ["XDG_DATA_HOME"] = str(Path(folder, "user"))
            for row in _rows(trial, Path(folder), options.times):
                lines.append(row.line())
                print(lines[-1], flush=True)
    minutes = (time.monotonic() - start) / 60
    foot = f"\n{minutes:.0f} minutes, {os.cpu_count()} cores, {platform.system()}, Python "
    foot += f"{platform.python_version()}.\n"
    if options.write is not None:
        atomic_write(options.write, _HEAD + "\n".join(lines) + "\n" + foot, force=True)


def _rows(trial: Trial, folder: Path, times: int) -> Iterator[Row]:
    """Run a trial; if it ends with an error, that is a row, and the others follow."""
    try:
        yield from trial(folder, times)
    except Exception as error:  # whatever it is, the page shall say it
        row = Row(trial.__name__.replace("_", " "), [])
        row.add(f"the trial ended with {type(error).__name__}: {error}"[:200])
        yield row


if __name__ == "__main__":
    main()
