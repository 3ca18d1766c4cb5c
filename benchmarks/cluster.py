"""Embedding on a Ray cluster: the same rows as one machine's, and what Ray costs.

python benchmarks/cluster.py              everything; writes docs/benchmarks/cluster.md
python benchmarks/cluster.py --print      print the page, write nothing
python benchmarks/cluster.py --pictures 3000 --turns 1 --seconds 8 --print     a trial

It takes about a quarter of an hour, since it embeds as many pictures for the speeds as fit.

The nodes are real ones of Ray, all on this machine and each bound to a core of its own, which needs
two cores. Commands are measured as a person waits for them, from start to end, in turns.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pyarrow.parquet  # noqa: E402
from PIL import Image  # noqa: E402
from tests.embedding.ray_nodes import Nodes  # noqa: E402  the repository's own, found by its root
from workers import machine, peak_memory  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks" / "cluster.md"
PACKAGES = ("ray", "openvino", "pillow", "pyarrow")
SMALL, LARGE = "clip-shapes", "starter"
PARTITION = 128
BROKEN_EVERY = 1000
SHARES = 4  # that the partitions of the speeds can be cut into evenly


def make_pictures(folder: Path, count: int) -> None:
    """Write small JPEGs that all differ; one of each thousand is none."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:06}.jpg"
        if number % BROKEN_EVERY == BROKEN_EVERY // 2:
            path.write_text("no picture")
            continue
        coarse = Image.fromarray(draw.integers(0, 256, (6, 6, 3), np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(path, quality=85)


def command(folder: Path, out: Path, model: str, *how: str) -> list[str]:
    words = [sys.executable, "-m", "pareja", "embed", str(folder), "-o", str(out), "-m", model]
    return [*words, "--partition-size", str(PARTITION), "--json", *how]


def ran(words: list[str]) -> tuple[dict[str, Any], float]:
    """Run a command to its end; return what it printed, and how long it took."""
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return told_in(done.stdout), seconds


def told_in(printed: str) -> dict[str, Any]:
    """Return what a command printed, which is JSON and nothing else."""
    try:
        told: dict[str, Any] = json.loads(printed)
    except ValueError as error:
        raise RuntimeError(f"no JSON: {printed}") from error
    return told


@contextmanager
def cluster(count: int) -> Iterator[Nodes]:
    nodes = Nodes(count, bound=True)
    try:
        yield nodes
    finally:
        nodes.stop()


def shards(out: Path) -> int:
    return len(list(out.glob("part-*")))


def until(count: int, out: Path, running: subprocess.Popen[str]) -> None:
    while shards(out) < count:
        if running.poll() is not None:
            _, errors = running.communicate()
            raise RuntimeError(
                f"it ended before it was killed, with {shards(out)} shards: {errors}"
            )
        time.sleep(0.02)


def rows(out: Path) -> dict[str, tuple[str | None, bytes | None, str | None]]:
    """Return digest, vector and error of each picture by its name, which may be there once."""
    found: dict[str, tuple[str | None, bytes | None, str | None]] = {}
    for path in sorted(out.glob("part-*")):
        table = pyarrow.parquet.read_table(path)
        names, digests, errors = (
            table[column].to_pylist() for column in ("file_name", "sha256", "error")
        )
        for name, digest, vector, error in zip(
            names, digests, table["embedding"].to_pylist(), errors, strict=True
        ):
            if name in found:
                raise RuntimeError(f"{name} is there twice")
            raw = None if vector is None else np.asarray(vector, np.float32).tobytes()
            found[name] = digest, raw, error
    return found


def killed(work: Path, count: int) -> Iterator[str]:
    """Kill the command, then a node; compare what is there in the end with one machine's rows."""
    folder, out, alone = work / "many", work / "killed", work / "alone"
    make_pictures(folder, count)
    partitions = -(-count // PARTITION)
    _, usual = ran(command(folder, alone, SMALL, "--part", "1/1"))
    with cluster(2) as nodes:
        words = command(folder, out, SMALL, "--cluster", "--address", nodes.address)
        first = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(partitions // 4, out, first)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        after_command = shards(out)
        second = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        begun = time.perf_counter()
        until(partitions // 2, out, second)
        nodes.kill_last()
        after_node = shards(out)
        printed, errors = second.communicate()
        seconds = time.perf_counter() - begun
        if second.returncode:
            raise RuntimeError(errors)
        again, idle = ran(words)
    told = told_in(printed)
    ours, theirs = rows(out), rows(alone)
    same = sum(ours[name] == theirs[name] for name in theirs if name in ours)
    failed = sum(error is not None for _, _, error in ours.values())
    yield f"## {count:,} pictures, the command killed and then a node"
    yield ""
    yield (
        f"{count:,} JPEGs of 64x64, one in {BROKEN_EVERY:,} of them broken, in {partitions} "
        f"partitions of {PARTITION}, with `{SMALL}`. Two nodes of one core each. The command is "
        f"ended with `kill -9` at {after_command} shards and given again; at {after_node} shards "
        "the processes of one node are ended with `kill -9`, and the command goes on to its end "
        "on the other one."
    )
    yield ""
    yield "| | |"
    yield "| --- | ---: |"
    yield f"| rows, and rows of one machine's run | {len(ours):,}, {len(theirs):,} |"
    yield f"| rows lost, rows that are there twice | {len(theirs.keys() - ours.keys())}, 0 |"
    yield f"| rows the same in name, SHA-256, reason and each bit of the vector | {same:,} |"
    yield f"| largest difference of a number of a vector | {largest_difference(ours, theirs):.2g} |"
    yield f"| rows with the reason of a failure | {failed} |"
    found, written = told["found"], told["written"]
    yield f"| shards that the second command found, and wrote | {found}, {written} |"
    yield f"| its seconds, and those of one machine with both cores | {seconds:.0f}, {usual:.0f} |"
    written = again["written"]
    yield f"| the same command once more: shards written, seconds | {written}, {idle:.1f} |"


def largest_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    pairs = [
        (np.frombuffer(ours[name][1], np.float32), np.frombuffer(theirs[name][1], np.float32))
        for name in theirs
        if name in ours and ours[name][1] is not None and theirs[name][1] is not None
    ]
    return max((float(np.abs(one - other).max()) for one, other in pairs), default=0.0)


def in_turns(
    turns: int, contestants: dict[str, Callable[[Path], float]], work: Path
) -> dict[str, float]:
    """Return the median seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns):
        for name, contestant in contestants.items():
            seconds[name].append(contestant(work / f"{name}-{turn}"))
            print(f"{name}: {seconds[name][-1]:.1f} s", file=sys.stderr)
    return {name: statistics.median(each) for name, each in seconds.items()}


def fitting(work: Path, seconds: float) -> int:
    """Return how many pictures one machine embeds in about so long."""
    make_pictures(work / "trial", 2 * PARTITION)
    told, _ = ran(command(work / "trial", work / "trial-out", LARGE, "--part", "1/1"))
    rate: float = told["pictures"] / told["seconds"]
    return SHARES * PARTITION * max(1, round(seconds * rate / PARTITION / SHARES))


def speeds(work: Path, turns: int, seconds: float) -> Iterator[str]:
    """Measure what Ray costs on one machine, and what a second node brings."""
    count = fitting(work, seconds)
    half = count // 2
    folder, fewer = work / "few", work / "fewer"
    make_pictures(folder, count)
    make_pictures(fewer, half)
    alone = in_turns(
        turns,
        {
            "part": lambda out: ran(command(folder, out, LARGE, "--part", "1/1"))[1],
            "cluster": lambda out: ran(command(folder, out, LARGE, "--cluster"))[1],
        },
        work,
    )
    idle = {
        name: ran(command(folder, work / f"{name}-0", LARGE, *how.split()))[1]
        for name, how in (("part", "--part 1/1"), ("cluster", "--cluster"))
    }
    same = rows(work / "part-0") == rows(work / "cluster-0")
    size = sum(path.stat().st_size for path in (work / "part-0").glob("part-*")) / count
    with cluster(1) as one, cluster(2) as two:
        nodes = in_turns(
            turns,
            {
                f"{number} of {pictures}": lambda out, at=at.address, given=given: ran(  # type: ignore[misc]
                    command(given, out, LARGE, "--cluster", "--address", at)
                )[1]
                for given, pictures in ((fewer, half), (folder, count))
                for number, at in ((1, one), (2, two))
            },
            work,
        )
    yield f"## {count:,} pictures, and {half:,}, in turns"
    yield ""
    yield (
        f"With `{LARGE}`, in partitions of {PARTITION}, which two nodes can share evenly; medians "
        f"of whole commands, {turns} of each, with an empty folder."
    )
    yield ""
    yield "| | pictures | seconds | pictures/s | |"
    yield "| --- | ---: | ---: | ---: | --- |"
    more = f"{100 * (alone['cluster'] / alone['part'] - 1):+.0f} %"
    lines = [
        ("`pareja embed --part 1/1`", count, alone["part"], ""),
        ("`pareja embed --cluster`", count, alone["cluster"], more),
    ]
    for pictures in (half, count):
        single, double = nodes[f"1 of {pictures}"], nodes[f"2 of {pictures}"]
        faster = f"{single / double:.2f} times as fast"
        lines.append(("a cluster of 1 node of one core", pictures, single, ""))
        lines.append(("a cluster of 2 nodes of one core each", pictures, double, faster))
    for what, pictures, taken, remark in lines:
        yield f"| {what} | {pictures:,} | {taken:.1f} | {pictures / taken:.0f} | {remark} |"
    yield ""
    beyond = (alone["cluster"] - idle["cluster"]) / (alone["part"] - idle["part"]) - 1
    yield (
        f"With nothing left to do, `--part 1/1` takes {idle['part']:.1f} s and `--cluster` "
        f"{idle['cluster']:.1f} s: it starts Ray ({ray_start()}). Without these seconds it takes "
        f"{100 * beyond:+.0f} % of time. All rows of both are "
        f"{'the same to the bit' if same else 'there, and differ'}. "
        f"A picture takes {size:,.0f} bytes in a shard, with 512 numbers."
    )


def ray_start() -> str:
    """Return what Ray's start and end are made of, as a clause."""
    words = [sys.executable, __file__, "--start"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    steps: dict[str, float] = json.loads(done.stdout)
    return ", ".join(f"{step} {seconds:.1f} s" for step, seconds in steps.items())


def start_ray() -> None:
    """Start Ray in this process, run one task and end it; print the seconds of each step."""
    clock = [time.perf_counter()]

    def taken() -> float:
        clock.append(time.perf_counter())
        return clock[-1] - clock[-2]

    from pareja.embedding.ray_cluster import connected

    steps = {}
    importlib.import_module("ray")
    steps["importing it"] = taken()
    with connected(None) as ray:
        steps["its own processes"] = taken()
        ray.get(ray.remote(load_model).remote())
        steps["the first worker and its model"] = taken()
    steps["ending them"] = taken()
    print(json.dumps(steps))


def load_model() -> None:
    """Load the model of the speeds; runs on a worker."""
    from pareja.encoders import load

    load(LARGE)


def listing(work: Path, count: int) -> Iterator[str]:
    """Measure what the command that leads needs for each picture that it lists."""
    words = [sys.executable, __file__, "--list", str(work / "many")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    megabytes, seconds = json.loads(done.stdout)
    yield "## Listing pictures"
    yield ""
    yield (
        f"The command that leads lists {count:,} pictures of a folder in {seconds:.1f} s and "
        f"{megabytes:.0f} MB: {1e6 * megabytes / count:,.0f} bytes a picture. Files of a dataset "
        "of shards are listed, and their pictures are not."
    )


def list_pictures(folder: str) -> None:
    """Plan one folder in this process; print megabytes and seconds."""
    from pareja.embedding.partitions import planned

    before, begun = peak_memory(), time.perf_counter()
    planned(folder)
    print(json.dumps([peak_memory() - before, time.perf_counter() - begun]))


def page(pictures: int, turns: int, seconds: float) -> Iterator[str]:
    yield "# Embedding on a cluster"
    yield ""
    made = shlex.join(["python", "benchmarks/cluster.py", *sys.argv[1:]])
    yield f"Made by `{made}`. {machine(PACKAGES)}."
    yield ""
    with tempfile.TemporaryDirectory(prefix="pareja-cluster-") as folder:
        work = Path(folder)
        for part in (
            killed(work, pictures),
            speeds(work, turns, seconds),
            listing(work, pictures),
        ):
            yield from part
            yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20_000, help="of the run that is killed")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=40, help="that one machine takes for the speeds, about"
    )
    parser.add_argument("--print", action="store_true", help="write nothing")
    parser.add_argument("--list", help=argparse.SUPPRESS)
    parser.add_argument("--start", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if arguments.list:
        list_pictures(arguments.list)
        return
    if arguments.start:
        start_ray()
        return
    begun = time.perf_counter()
    lines = []
    for line in page(arguments.pictures, arguments.turns, arguments.seconds):
        print(line, flush=True)
        lines.append(line)
    print(f"{time.perf_counter() - begun:.0f} s in all", file=sys.stderr)
    if not arguments.print:
        PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
