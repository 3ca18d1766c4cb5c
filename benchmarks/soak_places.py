"""Trials of commands whose output, working folder, files or clock are not as they should be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

from soak_row import PATIENCE, Row, run

import pareja
from pareja.search import Collection

_PRINTING = (
    ("check", "pareja20"),
    ("check", "pareja20", "--json"),
    ("moderate", "pareja20"),
    ("classify", "pareja20", "--labels", "cat,dog", "--json"),
    ("search", "a bird", "--index", "index"),
    ("search", "a bird", "--index", "index", "--json"),
    ("models", "list"),
    ("study", "--help"),
)


def _ended(words: tuple[str, ...], folder: Path, **options: object) -> tuple[int, str]:
    """Run a command in a folder; return its status and what it says of errors."""
    done = subprocess.run(
        [sys.executable, "-m", "pareja", *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    return done.returncode, done.stderr


def odd_outputs(folder: Path, times: int) -> Iterator[Row]:
    """Print to a reader that went away, to a full disk, and to nobody."""
    run("index", "pareja20", "--index", str(folder / "index"))
    gone = Row("commands whose reader went away", ["ended with 141, without a word"])
    full = Row("commands that print to a full disk", ["refused in one line"])
    closed = Row("commands whose standard output is closed", ["ended well"])
    for words in _PRINTING * times:
        reader, writer = os.pipe()
        os.close(reader)
        status, said = _ended(words, folder, stdout=writer)
        os.close(writer)
        quiet = status == 141 and not said
        gone.add("ended with 141, without a word" if quiet else f"{status} {said[-60:]}")
        with open("/dev/full", "w") as device:  # noqa: PTH123  a device
            status, said = _ended(words, folder, stdout=device)
        one_line = status == 1 and said.startswith("pareja: ") and said.count("\n") == 1
        full.add("refused in one line" if one_line else f"{status} {said[-60:]}")
        status, said = _ended(words, folder, preexec_fn=lambda: os.close(1))
        closed.add("ended well" if status == 0 and not said else f"{status} {said[-60:]}")
    yield from (gone, full, closed)


def odd_places(folder: Path, times: int) -> Iterator[Row]:
    """Work where the folder is gone, a file is a pipe, and nothing can be kept."""
    row = Row(
        "a working folder that is gone, a pipe for a file, a cache that is no folder",
        ["refused in one line", "went on without"],
    )
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "file").write_text("")
    os.mkfifo(folder / "pipe.parquet")
    for number in range(2 * times):
        gone = folder / f"gone-{number}"
        gone.mkdir()
        for words, options in (
            (("check", "."), {"preexec_fn": lambda gone=gone: shutil.rmtree(gone)}),
            (("index", ".", "--index", "i"), {"preexec_fn": lambda gone=gone: shutil.rmtree(gone)}),
            (("classify", "pareja20", "--classifier", "pipe.safetensors"), {}),
            (("index", "pipe.parquet", "--index", "i"), {}),
            (
                ("embed", "pareja20", "-o", f"{number}.npz"),
                {"env": {**os.environ, "XDG_CACHE_HOME": str(folder / "file")}},
            ),
        ):
            gone.mkdir(exist_ok=True)
            inside = gone if options.get("preexec_fn") else folder
            status, said = _ended(words, inside, stdout=subprocess.DEVNULL, **options)
            if status == 0:
                row.add("went on without")
            else:
                row.add("a traceback" if "Traceback" in said else "refused in one line")
    yield row


def set_clocks(folder: Path, times: int) -> Iterator[Row]:
    """Set the clock an hour ahead or back between runs over the same pictures."""
    row = Row(
        "`index` again after the clock was set an hour ahead or back", ["all found, none changed"]
    )
    pictures = folder / "pictures"
    with Collection.open(folder / "index", create=True) as collection:
        shutil.copytree(pareja.load_dataset("pareja20").location, pictures)
        collection.index(pictures)
        time.sleep(2.5)  # until what was just written counts as settled
        collection.index(pictures)
        now, now_ns = time.time, time.time_ns
        for number in range(10 * times):
            jump = 3600 * (1 if number % 2 else -1)
            ahead: Callable[[], float] = lambda jump=jump: now() + jump  # type: ignore[misc]  # noqa: E731
            ahead_ns: Callable[[], int] = lambda jump=jump: now_ns() + jump * 10**9  # type: ignore[misc]  # noqa: E731
            with patch("time.time", ahead), patch("time.time_ns", ahead_ns):
                report = collection.index(pictures)
                same = (report.added, report.updated, report.removed) == (0, 0, 0)
                same = same and len(collection.search("a bird", k=20)) == 20
            row.add("all found, none changed" if same else str(report))
    yield row
