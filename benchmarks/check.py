"""How fast ``pareja check`` is: beside CleanVision on photographs, and on zips of many pictures.

The photographs are those of data/commons200, each ten times with small changes, and with their
captions. CleanVision is asked for everything that it looks for by default; pareja also judges the
captions, the rights and signs of generation. Every run is a process of its own; the two take turns,
and medians are compared. The zips hold different pictures of 64 x 64 pixels with captions. All are
made anew and the same ones for a seed. A run is ended after half an hour. Near duplicates are
looked for by comparing all hashes, which is timed alone too: of drawn hashes that all differ, and
of one and the same.

    python benchmarks/check.py > docs/benchmarks/check.md
    python benchmarks/check.py --cleanvision /path/to/a/python/that/has/it
    python benchmarks/check.py --photographs 0 --zips 1000 4000 --hashes
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from PIL import Image

from pareja.arrays import unit
from pareja.datasets.duplicates import Looks, near_duplicates
from pareja.datasets.formats import load_dataset
from pareja.datasets.images import decode_image

PHOTOGRAPHS = 2_200
ZIPS = (1_000, 10_000, 70_000)
HASHES = (1_000, 4_000, 16_000, 64_000)
TURNS = 3
SIDE = 64
_LONGEST = 1_800.0
_MOST = 200_000
_CLEANVISION = (
    "import sys; from cleanvision import Imagelab;"
    "Imagelab(data_path=sys.argv[1]).find_issues(verbose=False)"
)

_WORDS = [
    line.split()
    for line in """
    small large old young red white black brown grey wild quiet wet dusty bright
    dog cat horse bird boat bridge church tower market garden tree lamp bicycle bus
    beside under behind above near before along opposite
    small large old young red white black brown grey wild quiet wet dusty bright
    river wall field harbour street hill forest beach station square road lake
    """.strip().splitlines()
]


def caption(generator: np.random.Generator) -> str:
    """Return a caption of the kind that people write."""
    chosen = (words[generator.integers(len(words))] for words in _WORDS)
    return "A {} {} {} the {} {}".format(*chosen)


def picture(generator: np.random.Generator) -> bytes:
    """Return a JPEG with forms and grain of its own."""
    forms = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
    pixels = np.asarray(forms.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
    grain = generator.integers(-24, 25, (SIDE, SIDE, 1), np.int16)
    stream = io.BytesIO()
    Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def make_archive(path: Path, pictures: int, seed: int) -> None:
    """Write a zip of pictures in folders of 1,000, with their captions."""
    generator = np.random.default_rng(seed)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("file_name", "caption"))
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for number in range(pictures):
            name = f"images/{number // 1000:03}/{number:06}.jpg"
            archive.writestr(name, picture(generator))
            writer.writerow((name, caption(generator)))
        archive.writestr("metadata.csv", table.getvalue(), ZIP_DEFLATED)


def make_photographs(folder: Path, number: int, seed: int) -> None:
    """Write changed copies of the bundled photographs, with their captions."""
    generator = np.random.default_rng(seed)
    records = load_dataset("data/commons200").records
    with (folder / "metadata.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file_name", "caption"))
        for copy in range(number):
            record = records[copy % len(records)]
            image = decode_image(record.source)
            left, top, right, bottom = generator.uniform(0, 0.1, 4)
            width, height = image.size
            image = image.crop(
                (
                    round(left * width),
                    round(top * height),
                    round((1 - right) * width),
                    round((1 - bottom) * height),
                )
            )
            name = f"{copy:05}.jpg"
            image.save(folder / name, "JPEG", quality=int(generator.integers(70, 96)))
            writer.writerow((name, record.caption))


def run(command: list[str], most: int) -> tuple[float, float]:
    """Run a command whose status is at most `most`; return its seconds and peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _, status, used = _waited(process, start + _LONGEST)
    except TimeoutError:
        process.kill()
        raise SystemExit(f"not done after {_LONGEST:.0f} s: {' '.join(command)}") from None
    if not 0 <= status <= most:
        raise SystemExit(f"ended with {status}: {' '.join(command)}")
    return time.perf_counter() - start, used.ru_maxrss / 1e3


def _waited(
    process: subprocess.Popen[bytes], until: float
) -> tuple[int, int, resource.struct_rusage]:
    """Wait for a process, since only that tells what it alone has used."""
    while time.perf_counter() < until:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return pid, process.returncode, used
        time.sleep(0.02)
    raise TimeoutError


def check(dataset: Path) -> list[str]:
    return [sys.executable, "-m", "pareja", "check", str(dataset), "--json"]


def compare(folder: Path, pictures: int, cleanvision: str) -> None:
    """Print how fast pareja and CleanVision are, in turns."""
    commands = {
        "`pareja check`": (check(folder), 1),
        "CleanVision": ([cleanvision, "-c", _CLEANVISION, str(folder)], 0),
    }
    runs: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(TURNS):
        for name, (command, most) in commands.items():
            runs[name].append(run(command, most)[0])
    print("| | pictures/s | slowest turn | fastest turn |")
    print("| --- | ---: | ---: | ---: |")
    for name, seconds in runs.items():
        rates = sorted(pictures / each for each in seconds)
        print(f"| {name} | {statistics.median(rates):.0f} | {rates[0]:.0f} | {rates[-1]:.0f} |")


def seconds_to_compare(hashes: int, seed: int, *, alike: bool) -> float:
    """Return how long it takes to find the near duplicates among drawn hashes."""
    generator = np.random.default_rng(seed)
    drawn = [
        Looks(
            generator.integers(0, 2**64, 4, np.uint64),
            unit(generator.standard_normal(128).astype(np.float32)),
        )
        for _ in range(1 if alike else hashes)
    ]
    start = time.perf_counter()
    near_duplicates(drawn * hashes if alike else drawn)
    return time.perf_counter() - start


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=PHOTOGRAPHS)
    parser.add_argument("--zips", type=int, nargs="*", default=ZIPS, metavar="PICTURES")
    parser.add_argument("--hashes", type=int, nargs="*", default=HASHES, metavar="PICTURES")
    parser.add_argument("--cleanvision", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if max(given.photographs, *given.zips, *given.hashes, 0) > _MOST:
        parser.error(f"at most {_MOST} pictures")
    print("# How fast a dataset is checked")
    print(
        "\nMade by `python benchmarks/check.py`, which says how it is measured, on "
        f"{os.cpu_count()} cores that other programs used as well."
    )
    with tempfile.TemporaryDirectory() as made:
        if given.photographs:
            folder = Path(made, "photographs")
            folder.mkdir()
            make_photographs(folder, given.photographs, given.seed)
            print(f"\n{given.photographs:,} photographs, median of {TURNS} turns:\n", flush=True)
            compare(folder, given.photographs, given.cleanvision)
        if given.zips:
            print(f"\n`pareja check` on a zip of captioned pictures of {SIDE} x {SIDE} pixels:\n")
            print("| pictures | size, MB | seconds | pictures/s | peak memory, MB |")
            print("| ---: | ---: | ---: | ---: | ---: |", flush=True)
        for pictures in given.zips:
            archive = Path(made, f"{pictures}.zip")
            make_archive(archive, pictures, given.seed)
            size = archive.stat().st_size / 1e6
            seconds, peak = run(check(archive), 1)
            print(
                f"| {pictures:,} | {size:.0f} | {seconds:.0f} | {pictures / seconds:.0f} "
                f"| {peak:.0f} |",
                flush=True,
            )
            archive.unlink()
    if given.hashes:
        print("\nComparing the hashes alone, which grows with the square of their number:\n")
        print("| pictures | s, all differ | s, all alike |")
        print("| ---: | ---: | ---: |", flush=True)
    for hashes in given.hashes:
        times = [seconds_to_compare(hashes, given.seed, alike=alike) for alike in (False, True)]
        print(f"| {hashes:,} | {times[0]:.2f} | {times[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
