"""How long ``pareja check`` takes over zips of many small pictures.

Makes zips of different pictures of 64 x 64 pixels with captions in ``metadata.csv``, the same ones
for a seed, and checks each with the command in a process of its own. Prints the page
docs/benchmarks/check.md. Each check is ended after half an hour.

    python benchmarks/large_archives.py                          # 1,000 to 70,000 pictures
    python benchmarks/large_archives.py --pictures 1000 4000
"""

from __future__ import annotations

import argparse
import csv
import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from PIL import Image

SIZES = (1_000, 10_000, 70_000)
SIDE = 64
_LONGEST = 1_800.0
_MOST = 200_000

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


def check(archive: Path) -> tuple[float, float]:
    """Run the command; return its seconds, and its peak of memory in MB."""
    start = time.perf_counter()
    done = subprocess.Popen(
        [sys.executable, "-m", "pareja", "check", str(archive), "--json"],
        stdout=subprocess.DEVNULL,
    )
    try:
        status = done.wait(_LONGEST)
    except subprocess.TimeoutExpired:
        done.kill()
        raise SystemExit(f"{archive.name}: not done after {_LONGEST:.0f} s") from None
    if status not in (0, 1):
        raise SystemExit(f"{archive.name}: pareja check ended with {status}")
    # Of all children the largest, which is this one: the archives grow.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    return time.perf_counter() - start, peak


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if max(given.pictures) > _MOST:
        parser.error(f"at most {_MOST} pictures")
    with tempfile.TemporaryDirectory() as folder:
        print("| pictures | size, MB | seconds | pictures/s | peak memory, MB |")
        print("| ---: | ---: | ---: | ---: | ---: |")
        for pictures in sorted(given.pictures):
            archive = Path(folder, f"{pictures}.zip")
            make_archive(archive, pictures, given.seed)
            size = archive.stat().st_size / 1e6
            seconds, peak = check(archive)
            print(
                f"| {pictures:,} | {size:.0f} | {seconds:.0f} | {pictures / seconds:.0f} "
                f"| {peak:.0f} |",
                flush=True,
            )
            archive.unlink()


if __name__ == "__main__":
    main()
