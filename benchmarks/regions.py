"""How much better small things are found where parts of pictures are indexed too, and the cost.

python benchmarks/regions.py                                        # prints the page
python benchmarks/regions.py --write docs/benchmarks/regions.md

The pictures of commons200 are laid into mosaics of 2 x 2 and 3 x 3, each in one of them, with
borders at random places, so that no window fits by construction. A query is a label; a mosaic
answers it if a picture with that label is in it. Recall@k is the share of the mosaics that answer,
of at most k, among the first k. The intervals are over labels, paired.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

import pareja
from pareja.analysis.significance import paired_difference
from pareja.datasets import Dataset, Record, decode_image
from pareja.encoders import require_dual
from pareja.encoders.protocols import DualEncoder
from pareja.regions.windows import WindowsEncoder, overlapping
from pareja.search import Collection

SIDE = 1200
CUTOFFS = (1, 5, 10)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gallery:
    """Pictures in a folder, and which labels each of them answers."""

    name: str
    folder: Path
    paths: list[Path]
    answers: NDArray[np.bool_]
    """``(labels, pictures)``"""


@dataclass(frozen=True)
class Row:
    """One way of searching a gallery: recall of each label at each cutoff, and the cost."""

    way: str
    recall: Floats
    seconds: float | None = None
    kilobytes: float | None = None
    search_ms: float | None = None


def mosaic(pictures: Sequence[Image.Image], across: int, draw: np.random.Generator) -> Image.Image:
    """Lay pictures into a square, with borders up to 0.3 of a cell from where they would lie."""
    steps = np.arange(1, across)
    x, y = (
        [0, *((steps + draw.uniform(-0.3, 0.3, across - 1)) * SIDE / across).astype(int), SIDE]
        for _ in range(2)
    )
    whole = Image.new("RGB", (SIDE, SIDE))
    for number, picture in enumerate(pictures):
        row, col = divmod(number, across)
        size = int(x[col + 1] - x[col]), int(y[row + 1] - y[row])
        whole.paste(ImageOps.fit(picture, size), (int(x[col]), int(y[row])))
    return whole


def gallery(data: Dataset, labels: Sequence[str], across: int, folder: Path) -> Gallery:
    """Write the pictures of a dataset to a folder, as mosaics or one by one."""
    draw = np.random.default_rng(across)
    folder.mkdir()
    records = list(data)
    order, each = draw.permutation(len(records)), across**2
    groups = [order[start : start + each] for start in range(0, len(order) - each + 1, each)]
    paths, shown = [], []
    for number, group in enumerate(groups):
        inside: list[Record] = [records[i] for i in group]
        pictures = [decode_image(record.source) for record in inside]
        path = folder / f"{number:03}.jpg"
        whole = pictures[0] if across == 1 else mosaic(pictures, across, draw)
        whole.save(path, quality=92)
        paths.append(path)
        shown.append([label in {record.label for record in inside} for label in labels])
    name = "one by one" if across == 1 else f"{across} x {across}"
    return Gallery(name, folder, paths, np.array(shown).T)


def recall(found: Sequence[Sequence[int]], answers: NDArray[np.bool_]) -> Floats:
    """Return recall of each label at each cutoff, ``(labels, cutoffs)``, best first in `found`."""
    return np.array(
        [
            [right[list(numbers[:k])].sum() / min(right.sum(), k) for k in CUTOFFS]
            for numbers, right in zip(found, answers, strict=True)
        ]
    )


def by_collection(
    shown: Gallery, words: Sequence[str], encoder: DualEncoder, index: Path, *, regions: bool
) -> Row:
    """Index and search as everybody does."""
    number = {path: place for place, path in enumerate(shown.paths)}
    with Collection.open(index, create=True) as shelf:
        report = shelf.index(shown.folder, encoder, regions=regions, cache=False)
        results = [shelf.search(text, encoder, k=max(CUTOFFS)) for text in words]
    found = [[number[hit.picture.path] for hit in result] for result in results]
    size = (index / "collection.sqlite3").stat().st_size
    return Row(
        "pictures and 9 halves" if regions else "pictures alone",
        recall(found, shown.answers),
        report.seconds / len(shown.paths),
        size / 1024 / len(shown.paths),
        statistics.median(result.took_ms for result in results),
    )


def by_windows(shown: Gallery, words: Sequence[str], encoder: DualEncoder, across: int) -> Row:
    """Search with other windows, which collections do not have."""
    windows = WindowsEncoder(encoder, overlapping(across))
    pictures = [decode_image(path, network_side=windows.image_side) for path in shown.paths]
    parts = windows.encode_images(pictures).reshape(len(pictures), -1, encoder.image_dim)
    every = np.concatenate([encoder.encode_images(pictures)[:, None], parts], axis=1)
    scores = np.einsum("td,pwd->tpw", encoder.encode_texts(list(words)), every).max(axis=2)
    found = np.argsort(-scores, axis=1, kind="stable").tolist()
    return Row(f"pictures and {len(windows.windows)} thirds", recall(found, shown.answers))


def lines(shown: Gallery, rows: Sequence[Row]) -> list[str]:
    """Return the lines of the table for one gallery; the first row is what others are held to."""
    made = []
    for row in rows:
        cells = [shown.name, str(len(shown.paths)), row.way]
        cells += [f"{value:.2f}" for value in row.recall.mean(axis=0)]
        for column in (1, 2):
            gains = row.recall[:, column] - rows[0].recall[:, column]
            ones = np.ones(len(gains))
            cells.append(str(paired_difference(gains, ones, 2000, 0)) if row != rows[0] else "")
        for cost, shape in ((row.seconds, ".2f"), (row.kilobytes, ".0f"), (row.search_ms, ".1f")):
            cells.append("" if cost is None else format(cost, shape))
        made.append(f"| {' | '.join(cells)} |")
    return made


def page(model: str) -> str:
    encoder = require_dual(pareja.load(model))
    data = pareja.load_dataset("commons200")
    every = sorted({record.label for record in data if record.label})
    made: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for across in (2, 3, 1):
            whole = gallery(data, every, across, Path(scratch) / str(across))
            # A label of which all pictures were left over at the end has no answer.
            kept = [bool(row.any()) for row in whole.answers]
            shown = Gallery(whole.name, whole.folder, whole.paths, whole.answers[kept])
            words = [label for label, there in zip(every, kept, strict=True) if there]
            rows = [
                by_collection(
                    shown, words, encoder, Path(scratch) / f"{across}-{regions}", regions=regions
                )
                for regions in (False, True)
            ]
            if across > 1:
                rows.append(by_windows(shown, words, encoder, 3))
            made += lines(shown, rows)
    head = ["mosaic", "pictures", "compared with", *(f"recall@{k}" for k in CUTOFFS)]
    head += ["gain@5", "gain@10", "s a picture", "KB a picture", "ms a search"]
    table = [f"| {' | '.join(head)} |", "| --- | ---: | --- |" + " ---: |" * (len(head) - 3), *made]
    text = [
        "# How much better small things are found by parts",
        "",
        f"Made by `python benchmarks/regions.py`, which says how it is measured, with `{model}` on "
        f"{os.cpu_count()} cores that other programs used as well. {len(every)} labels of "
        "`commons200` are searched for as words.",
        "",
        *table,
        "",
        "- Gains are over pictures alone, with 95 % intervals over labels, paired.",
        "- *9 halves* is what `pareja index --regions` embeds: windows of half the width and "
        "height, each half over the next one. *25 thirds* are smaller; collections do not have "
        "them.",
        "- KB a picture is the whole database; seconds are those of `pareja index`, with decoding, "
        "with nothing in the cache.",
    ]
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    text = page(asked.model)
    print(text)
    if asked.write:
        asked.write.write_text(text, encoding="utf-8")
