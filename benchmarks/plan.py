"""What embedding very many pictures takes, from the figures that docs/benchmarks states.

python benchmarks/plan.py                         the table of docs/guides/cluster.md, written there
python benchmarks/plan.py --pictures 5000000 --print

Everything is a product of measured figures; nothing is measured here.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
GUIDE = DOCS / "guides" / "cluster.md"
BEGIN = "<!-- plan: written by python benchmarks/plan.py -->"
END = "<!-- end of plan -->"
CORES = (64, 512, 2048)
SHARD = 10_000
DIM = 512


@dataclass(frozen=True)
class Figures:
    """What the pages of docs/benchmarks state.

    Parameters
    ----------
    rates
        Pictures a second and core of CLIP ViT-B/32, by the size of the pictures.
    costs_more
        What Ray adds to the time of one machine beside its start, as a factor.
    row
        Bytes of a picture in a shard.
    listed
        Bytes of memory for each picture that is listed.
    vectors
        Vectors a second into a collection.
    collection, graph
        Bytes of a picture in a collection's database, and in its graph.
    graph_seconds
        Seconds that the graph of a million vectors takes to build.
    """

    rates: dict[str, float]
    costs_more: float
    row: float
    listed: float
    vectors: float
    collection: float
    graph: float
    graph_seconds: float

    @classmethod
    def stated(cls) -> Figures:
        embedding, cluster, search = (
            (DOCS / "benchmarks" / f"{name}.md").read_text(encoding="utf-8")
            for name in ("embedding", "cluster", "search")
        )
        cores = number(r"(\d+) cores of", embedding)
        rates = {
            size: number(rf"\*\*{size}\*\*.*?\| pareja \| ([\d.]+) ", embedding) / cores
            for size in ("12 megapixels", "640x480")
        }
        million = r"1,000,000 vectors"
        return cls(
            rates=rates,
            # Less time than without Ray is chance, and nothing to plan with.
            costs_more=1
            + max(0, number(r"Without these seconds it takes ([+-]\d+) %", cluster)) / 100,
            row=number(r"A picture takes ([\d,]+) bytes", cluster),
            listed=number(r"MB: ([\d,]+) bytes a picture", cluster),
            vectors=number(rf"{million}: ([\d,]+) a second", search),
            collection=number(rf"{million}: .*?; ([\d,]+) MB on disk", search),
            graph=number(rf"{million}, graph: ([\d,]+) MB on disk", search),
            graph_seconds=number(rf"{million}, graph: .*?built in ([\d,]+) s", search),
        )


def number(pattern: str, page: str) -> float:
    """Return the number that a page states."""
    found = re.search(pattern, page, re.DOTALL)
    if found is None:
        raise RuntimeError(f"no page states {pattern}. Make it with its command first.")
    return float(found[1].replace(",", ""))


def plan(pictures: int, figures: Figures) -> Iterator[str]:
    """Yield the table."""
    yield f"| {pictures:,} pictures, CLIP ViT-B/32 | | from |"
    yield "| --- | ---: | --- |"
    for size, rate in figures.rates.items():
        hours = pictures / rate / 3600 * figures.costs_more
        told = (
            f"{rate:.1f} pictures/s a core ([measured](../benchmarks/embedding.md)), "
            f"{figures.costs_more - 1:+.0%} for Ray ([measured](../benchmarks/cluster.md))"
        )
        yield f"| {size}: core hours | {hours:,.0f} | {told} |"
        spread = ", ".join(f"{hours / cores:,.1f}" for cores in CORES)
        yield f"| {size}: hours on {', '.join(f'{c:,}' for c in CORES)} cores | {spread} | |"
    shards = -(-pictures // SHARD)
    bytes_each = [
        ("shards of embeddings", figures.row, "[measured](../benchmarks/cluster.md)"),
        ("vectors alone, float32", 4 * DIM, f"4 bytes x {DIM}"),
        ("vectors alone, int8", DIM, f"1 byte x {DIM}"),
        ("vectors alone, binary", DIM / 8, f"1 bit x {DIM}"),
        ("one collection's database", figures.collection, "[measured](../benchmarks/search.md)"),
        ("its graph", figures.graph, "[measured](../benchmarks/search.md)"),
    ]
    for what, each, source in bytes_each:
        told = f"{each:,.0f} bytes a picture, {source}"
        yield f"| {what}: GB | {pictures * each / 1e9:,.0f} | {told} |"
    yield (
        f"| partitions, of WebDataset files of {SHARD:,} pictures | {shards:,} | "
        "one is begun anew if its worker dies |"
    )
    yield (
        f"| memory of the command, if all pictures were single files: GB | "
        f"{pictures * figures.listed / 1e9:,.0f} | {figures.listed:,.0f} bytes a picture, "
        "[measured](../benchmarks/cluster.md) |"
    )
    hours = pictures / figures.vectors / 3600
    yield (
        f"| writing all vectors into one collection: hours | {hours:,.1f} | "
        f"{figures.vectors:,.0f} a second, [measured](../benchmarks/search.md) |"
    )
    yield (
        f"| its graph, on 2 cores: hours, at least | "
        f"{pictures / 1e6 * figures.graph_seconds / 3600:,.0f} | {figures.graph_seconds:,.0f} s a "
        "million, [measured](../benchmarks/search.md) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=400_000_000)
    parser.add_argument("--print", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    table = "\n".join(plan(arguments.pictures, Figures.stated()))
    print(table)
    if not arguments.print:
        guide = GUIDE.read_text(encoding="utf-8")
        before, _, rest = guide.partition(BEGIN)
        _, _, after = rest.partition(END)
        GUIDE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
