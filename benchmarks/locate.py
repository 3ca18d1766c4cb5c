"""How well places are found, what the thresholds are worth, and what maps cost.

python benchmarks/locate.py                 # the table of docs/guides/locate.md
python benchmarks/locate.py --store         # and src/pareja/regions/thresholds.toml
python benchmarks/locate.py --drawn         # starter on photographs with boxes drawn by eye
python benchmarks/locate.py --cost 320      # time and memory of maps beside embedding alone

What maps cost is measured on CLIP ViT-B/32 and SigLIP ViT-B/16, too, with random weights that the
script makes: they compute what real ones do.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from clip_inputs import make_checkpoint, make_siglip

import pareja
from pareja.analysis.pointing import PointingScores
from pareja.datasets import Record, decode_image
from pareja.embedding.natural import Model
from pareja.encoders import load, require_dual
from pareja.encoders.starter import Starter, StarterRegions
from pareja.encoders.towers import NetworkDualEncoder
from pareja.inputs import find_pictures
from pareja.regions.crops import region_encoder
from pareja.tasks.locating_measures import PlaceScores

TABLE = Path(__file__).parents[1] / "src" / "pareja" / "regions" / "thresholds.toml"
# Drawn with another seed than the pictures that the two small models learned from (seed 0).
UNSEEN = "shapes:200:1"
# Their words name things in other pictures too that have no box: only places are measured on them.
DRAWN = ("boxes_pareja20", "boxes_commons200")
ROWS = (
    ("clip-shapes", UNSEEN, "a {}"),
    ("siglip-shapes", UNSEEN, "a {}"),
    ("starter", "commons200", "{}"),
)


@dataclass
class Row:
    """One line of the table."""

    model: str
    places: str
    pictures: str
    scores: PlaceScores


def measured(model: Model, pictures: str | Sequence[str | Record], template: str) -> PlaceScores:
    found = pareja.locate(None, pictures, model=model, template=template, measure=True)
    return cast(PlaceScores, found.measured)


def with_crops(model: str, pictures: str, template: str) -> PlaceScores:
    """Measure the same model by crops, as an encoder that gives no shares is."""
    encoder = cast(NetworkDualEncoder, load(model))
    return measured(replace(encoder, region_network=None), pictures, template)


def table(rows: list[Row]) -> str:
    lines = [
        "| model | places from | pictures | pointing game | centre | random | AP50 | AP | "
        "AUROC of presence | missed | false |",
        "|" + " --- |" * 11,
    ]
    for row in rows:
        pointing, precision = row.scores.pointing, row.scores.precision
        cells = [row.model, row.places, row.pictures]
        if pointing is None:
            cells += [""] * 3
        else:
            cells += [str(pointing.hits), f"{pointing.centre.value:.2f}", f"{pointing.random:.2f}"]
        cells += [f"{precision[name]:.2f}" if precision else "" for name in ("AP50", "AP")]
        threshold = row.scores.threshold
        cells += [str(row.scores.presence.auroc), f"{threshold.missed:.1%}"]
        cells += [f"{threshold.false:.1%} from {threshold.score:.2f} on"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def stored(rows: list[Row]) -> str:
    lines = ["# Written by: python benchmarks/locate.py --store"]
    for row in rows:
        threshold = row.scores.threshold
        revision = require_dual(load(row.model)).image_fingerprint.revision
        lines += [
            f"\n[{row.model}]",
            f'revision = "{revision}"',
            f"score = {threshold.score:.4f}",
            f"missed = {threshold.missed:.4f}",
            f"false = {threshold.false:.4f}",
            f"pictures = {threshold.pictures}",
            f'source = "{threshold.source}"',
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Detailed(Starter):
    """`starter`, whose places are seen and smoothed as the two numbers say."""

    detail: int = 1
    smoothing: float = 0.0

    @property
    def regions(self) -> StarterRegions:
        """What embeds places."""
        return StarterRegions(self, self.detail, self.smoothing)


PLAIN = Detailed(detail=1, smoothing=0.7)
"""`starter`, which sees places at the side at which it embeds pictures."""


def drawn_boxes() -> str:
    """Measure `starter` on photographs, and how it looks at places on each half of them.

    The side and the smoothing are chosen on one half, and measured on the other.
    """
    records = find_pictures(DRAWN).dataset.records
    lines = [
        "| pictures | side | smoothing | pointing game | centre | random | above centre | "
        "off centre |",
        "|" + " --- |" * 8,
    ]

    def tried(part: str, pictures: Sequence[Record], model: Detailed) -> float:
        pointing = cast(PointingScores, measured(model, pictures, "{}").pointing)
        cells = [part, str(model.detail * model.image_side), str(model.smoothing)]
        cells += [str(pointing.hits), f"{pointing.centre.value:.2f}", f"{pointing.random:.2f}"]
        cells += [str(pointing.above_centre), str(pointing.off_centre)]
        lines.append(f"| {' | '.join(cells)} |")
        return pointing.hits.value

    plain, *others = [
        Detailed(detail=detail, smoothing=smoothing)
        for detail in (1, 2)
        for smoothing in (0.0, 0.7, 1.2)
    ]
    best = max((plain, *others), key=lambda model: tried("one half", records[::2], model))
    for model in (plain, best):
        tried("the other half", records[1::2], model)
    tried("all", records, best)
    return "\n".join(lines)


def cost(model: str | Detailed, pictures: int) -> None:
    """Compare embedding with embedding and mapping, in turn, over the same prepared pictures.

    By the seconds that all cores worked, which what else runs on the machine changes least.
    """
    encoder = model if isinstance(model, Detailed) else require_dual(load(model))
    regions = region_encoder(encoder)
    name = Path(encoder.name).name
    if isinstance(model, Detailed):
        name = f"{name}, places seen at {model.detail * model.image_side} pixels"
    records = pareja.load_dataset("commons200").records
    images = [decode_image(record.source) for record in records[:32]]
    whole, placed = (np.stack([it.prepare(image) for image in images]) for it in (encoder, regions))
    text = encoder.encode_texts(["a dog"])
    times: dict[str, list[float]] = {"embedding": [], "embedding and maps": []}
    for turn in range(1 + max(1, pictures // len(images))):
        for what in times:
            start = time.process_time()
            if what == "embedding":
                encoder.encode_pixels(whole)
            else:
                found = regions.encode_regions(placed)
                np.einsum("nrcd,qd->nqrc", found.cells, text, optimize=True)
            if turn:  # the first loads the networks
                times[what].append(time.process_time() - start)
    alone, both = (sum(values) for values in times.values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name}: {len(images) * len(times['embedding'])} pictures, embedding {alone:.1f} s, "
        f"with maps {both:.1f} s, {both / alone:.2f} times; at most {memory:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--drawn", action="store_true")
    parser.add_argument("--cost", type=int, metavar="PICTURES")
    options = parser.parse_args()
    if options.cost:
        with tempfile.TemporaryDirectory(prefix="pareja-locate-") as made:
            clip, siglip = Path(made) / "clip-vit-b-32", Path(made) / "siglip-vit-b-16"
            make_checkpoint(clip)
            make_siglip(siglip)
            for model in (str(clip), str(siglip), "clip-shapes", "siglip-shapes", PLAIN, "starter"):
                cost(model, options.cost)
        return
    if options.drawn:
        print(drawn_boxes())
        return
    rows = []
    for model, pictures, template in ROWS:
        places = "last feature map" if model == "starter" else "shares of patches"
        rows.append(Row(model, places, pictures, measured(model, pictures, template)))
    if options.store:
        TABLE.write_text(stored(rows), encoding="utf-8")
    crops = with_crops("clip-shapes", UNSEEN, "a {}")
    rows.insert(1, Row("clip-shapes", "crops", UNSEEN, crops))
    rows.append(Row("starter", "last feature map", UNSEEN, measured("starter", UNSEEN, "a {}")))
    print(table(rows))


if __name__ == "__main__":
    main()
