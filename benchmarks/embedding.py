"""From picture files to CLIP ViT-B/32 embeddings: pareja beside the usual ways, in one run.

python benchmarks/embedding.py                 the table and the plot of docs/benchmarks/embedding
python benchmarks/embedding.py --out PAGE.md   another page, as of a processor without bfloat16
python benchmarks/embedding.py --many 10000    also: memory and second run over so many files
python benchmarks/embedding.py --print         print the table, write nothing

The weights are random, made by the script in the architecture of openai/clip-vit-base-patch32: the
arithmetic is the same. So are the pictures, of data/commons200, with the grain of a camera. Every
contestant is a process of its own; they take turns, and medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from clip_inputs import make_checkpoint, make_pictures
from PIL import Image
from workers import Worker, machine, peak_memory

from pareja.encoders.backends import choose

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "embedding.md"
BATCH = 32
# Of one picture: 49 patches and the class token, 12 layers of width 768 and inner width 3072, each
# with four square matrices, two oblong ones and attention over 50 tokens; two operations a product.
TOKENS, WIDTH, INNER, LAYERS, DIM = 50, 768, 3072, 12, 512
OPERATIONS = 2 * (
    (TOKENS - 1) * 3 * 32 * 32 * WIDTH
    + LAYERS * (TOKENS * (4 * WIDTH**2 + 2 * WIDTH * INNER) + 2 * TOKENS**2 * WIDTH)
    + WIDTH * DIM
)
SIZES = {"12 megapixels": (4000, 3000), "640x480": (640, 480)}
PACKAGES = ("torch", "transformers", "sentence-transformers", "openvino", "pillow")
CONTESTANTS = {
    "pareja": "pareja",
    "pareja-int8": "pareja, `:int8`",
    "sentence-transformers": "sentence-transformers",
    "transformers": "transformers, processor and model",
    "transformers-bf16": "transformers, the same in bfloat16",
}
Embed = Callable[[list[Path]], np.ndarray[Any, Any]]


@dataclass
class Timing:
    """What was measured of one contestant on pictures of one size."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    megabytes: float = 0.0
    embeddings: Any = None


def number_type() -> str:
    """Return what pareja computes in on this machine."""
    return choose(None, None)[1]


def contestants() -> list[str]:
    """Return who takes part: without instructions for bfloat16, nobody uses it."""
    if number_type() == "bfloat16":
        return list(CONTESTANTS)
    return [name for name in CONTESTANTS if name != "transformers-bf16"]


def open_encoder(checkpoint: Path) -> Any:
    from pareja.encoders.opening import open_folder

    return open_folder(checkpoint, "clip", commit="random")


def open_pareja(checkpoint: Path, *, int8: bool = False) -> Embed:
    from pareja.embedding import EmbeddingCache, embed_sources
    from pareja.encoders.int8 import in_int8

    encoder = open_encoder(checkpoint)
    if int8:
        encoder = in_int8(encoder)

    def embed(paths: list[Path]) -> np.ndarray[Any, Any]:
        # With a cache that starts empty, since that is what the commands do.
        with tempfile.TemporaryDirectory() as folder, EmbeddingCache(Path(folder, "c")) as cache:
            return embed_sources(paths, encoder, batch_size=BATCH, cache=cache).vectors

    return embed


def open_sentence_transformers(checkpoint: Path) -> Embed:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(checkpoint), device="cpu")

    def embed(paths: list[Path]) -> np.ndarray[Any, Any]:
        batches = [
            model.encode([Image.open(path) for path in batch], batch_size=BATCH)
            for batch in in_batches(paths)
        ]
        return np.concatenate(batches)

    return embed


def open_transformers(checkpoint: Path, dtype: str = "float32") -> Embed:
    import torch
    from transformers import AutoModel, AutoProcessor

    processors: Any = AutoProcessor
    processor = processors.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint, dtype=getattr(torch, dtype)).eval()

    @torch.inference_mode()
    def embed(paths: list[Path]) -> np.ndarray[Any, Any]:
        rows = []
        for batch in in_batches(paths):
            pictures = [Image.open(path) for path in batch]
            inputs = processor(images=pictures, return_tensors="pt").to(model.dtype)
            rows.append(model.get_image_features(**inputs).pooler_output.float().numpy())
        return np.concatenate(rows)

    return embed


OPEN: dict[str, Callable[[Path], Embed]] = {
    "pareja": open_pareja,
    "pareja-int8": lambda checkpoint: open_pareja(checkpoint, int8=True),
    "sentence-transformers": open_sentence_transformers,
    "transformers": open_transformers,
    "transformers-bf16": lambda checkpoint: open_transformers(checkpoint, "bfloat16"),
}


def in_batches(paths: list[Path]) -> Iterator[list[Path]]:
    for start in range(0, len(paths), BATCH):
        yield paths[start : start + BATCH]


def work(name: str, checkpoint: Path) -> None:
    """Answer requests, a folder of pictures a line: the process of one contestant."""
    # What the libraries print must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    embed = OPEN[name](checkpoint)
    for request in sys.stdin:
        folder, out = map(Path, json.loads(request))
        paths = sorted(folder.iterdir())
        wall, cpu = time.perf_counter(), time.process_time()
        embeddings = embed(paths)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        np.save(out, embeddings)
        answer = wall / len(paths), cpu / len(paths), peak_memory()
        print(json.dumps(answer), file=answers)
        answers.flush()


class Contestant(Worker):
    """A process that embeds on request."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__([__file__, "--worker", name, "--folder", folder])
        self.name = name
        self._out = folder / f"{name}.npy"

    def embed(self, folder: Path, timing: Timing) -> None:
        """Embed a folder and add what it took to the timing."""
        seconds, cpu, timing.megabytes = self.ask([str(folder), str(self._out)])
        timing.seconds.append(seconds)
        timing.cpu.append(cpu)
        timing.embeddings = np.load(self._out)


def race(folder: Path, repeats: int) -> dict[str, dict[str, Timing]]:
    """Let the contestants take turns; the first turn, which warms up, does not count."""
    timings = {size: {name: Timing() for name in contestants()} for size in SIZES}
    for size in SIZES:
        with ExitStack() as stack:
            racing = [stack.enter_context(Contestant(name, folder)) for name in contestants()]
            for contestant in racing:
                contestant.embed(folder / size, Timing())
            for _ in range(repeats):
                for contestant in racing:
                    contestant.embed(folder / size, timings[size][contestant.name])
                    print(end=".", flush=True, file=sys.stderr)
    return timings


def measure_encoder(checkpoint: Path, repeats: int) -> tuple[float, float]:
    """Return a matrix product's best speed, in GFLOP/s, and the encoder's share of it.

    Both compute in the encoder's own kind of number. The two take turns, and the share is the
    median of the turns' ratios.
    """
    import torch

    encoder = open_encoder(checkpoint)
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, 224, 224, 3), np.uint8)
    side = 2048
    matrix = torch.ones(side, side, dtype=getattr(torch, number_type()))
    encoder.encode_pixels(pixels)
    torch.mm(matrix, matrix)
    peaks, speeds = [], []
    for _ in range(4 * repeats):
        start = time.perf_counter()
        for _ in range(8):
            torch.mm(matrix, matrix)
        peaks.append(8 * 2 * side**3 / (time.perf_counter() - start) / 1e9)
        start = time.perf_counter()
        encoder.encode_pixels(pixels)
        speeds.append(BATCH * OPERATIONS / (time.perf_counter() - start) / 1e9)
    shares = (speed / peak for speed, peak in zip(speeds, peaks, strict=True))
    return max(peaks), statistics.median(shares)


def measure_many(folder: Path, count: int) -> tuple[float, float, float]:
    """Return seconds of a first and a second `pareja embed` of many files, and its memory in MB."""
    pictures = [path.read_bytes() for path in sorted((folder / "640x480").iterdir())]
    many = folder / "many"
    many.mkdir(exist_ok=True)
    for index in range(count):
        # What follows the end of a JPEG is ignored, and makes it another file.
        content = pictures[index % len(pictures)] + index.to_bytes(4, "big")
        (many / f"{index:06}.jpg").write_bytes(content)
    runs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, __file__, "--worker", "many", "--folder", folder],
            check=True,
            capture_output=True,
            text=True,
        )
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return runs[0][0], runs[1][0], max(run[1] for run in runs)


def quantise(folder: Path) -> None:
    """Make the network in int8, from the smaller pictures."""
    from pareja.encoders.int8 import quantisable, quantised

    encoder = open_encoder(folder / "checkpoint")
    pictures = [Image.open(path) for path in sorted((folder / "640x480").iterdir())]
    quantised(quantisable(encoder), [encoder.prepare(picture)[None] for picture in pictures])


def embed_many(folder: Path) -> None:
    """Do what `pareja embed` does, and print the seconds that it took and the memory."""
    from pareja.embedding import EmbeddingCache, embed_paths

    start = time.perf_counter()
    encoder = open_encoder(folder / "checkpoint")
    cache = EmbeddingCache(folder / "many.sqlite3")
    embed_paths([folder / "many"], encoder, folder / "many.parquet", force=True, cache=cache)
    print(json.dumps([time.perf_counter() - start, peak_memory()]))


SETUP: dict[str, Callable[[Path], None]] = {"many": embed_many, "quantise": quantise}


def smallest_cosine(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], *, centred: bool) -> float:
    """Return the smallest cosine of two contestants' embeddings of the same picture."""
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))
    if centred:
        a, b = (rows - rows.mean(axis=0) for rows in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / lengths).min())


def ratio(timings: dict[str, Timing], name: str) -> float:
    """Return the median, over the turns, of a contestant's time divided by pareja's."""
    pairs = zip(timings[name].seconds, timings["pareja"].seconds, strict=True)
    return statistics.median(theirs / ours for theirs, ours in pairs)


def table(timings: dict[str, dict[str, Timing]]) -> Iterator[str]:
    for size, by_name in timings.items():
        yield f"**{size}**"
        yield ""
        yield "| | pictures/s | pareja is faster by | CPU ms a picture | peak memory |"
        yield "| --- | ---: | ---: | ---: | ---: |"
        for name, timing in by_name.items():
            faster = "" if name == "pareja" else f"{ratio(by_name, name):.1f}x"
            yield (
                f"| {CONTESTANTS[name]} | {1 / statistics.median(timing.seconds):.1f} | {faster} "
                f"| {1000 * statistics.median(timing.cpu):.0f} | {timing.megabytes:.0f} MB |"
            )
        yield ""
        ours, int8, theirs = (
            by_name[name].embeddings for name in ("pareja", "pareja-int8", "sentence-transformers")
        )
        yield (
            f"Smallest cosine to sentence-transformers' output: "
            f"{smallest_cosine(ours, theirs, centred=False):.5f}, and "
            f"{smallest_cosine(ours, theirs, centred=True):.4f} once the mean of all pictures, "
            "which random weights give a large share, is taken away. Of `:int8` to the network "
            f"before: {smallest_cosine(int8, ours, centred=False):.5f}, and "
            f"{smallest_cosine(int8, ours, centred=True):.4f}."
        )
        yield ""


def plot(timings: dict[str, dict[str, Timing]], limit: float, path: Path) -> None:
    """Draw pictures a second as bars, with what the matrix products alone would allow."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(timings), figsize=(9, 2.6), sharey=True)
    for panel, (size, by_name) in zip(axes, timings.items(), strict=True):
        speeds = [1 / statistics.median(timing.seconds) for timing in by_name.values()]
        colours = ["#0067a9" if name.startswith("pareja") else "#b9c2d0" for name in by_name]
        bars = panel.barh([CONTESTANTS[name] for name in by_name], speeds, color=colours)
        panel.bar_label(bars, fmt="%.1f", padding=3, fontsize=8.5)
        panel.axvline(limit, color="#c24e00", linestyle="--", linewidth=1)
        panel.set_xlim(0, 1.12 * max(limit, *speeds))
        panel.set_title(f"{size} JPEG", loc="left", fontsize=10, fontweight="bold")
        panel.set_xlabel("pictures a second")
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8.5)
    axes[0].invert_yaxis()
    axes[-1].text(limit, -0.62, f"{number_type()} peak", color="#c24e00", fontsize=8, ha="right")
    figure.tight_layout()
    figure.savefig(path, dpi=160)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--pictures", type=int, nargs=2, default=(32, 96), help="large and small")
    parser.add_argument("--many", type=int, default=0, help="files of the test of memory")
    parser.add_argument("--folder", type=Path, help="keep checkpoint and pictures here")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page; its plot lies beside it")
    parser.add_argument("--print", action="store_true", help="write no files")
    parser.add_argument("--worker", choices=[*OPEN, *SETUP], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker in SETUP:
        SETUP[arguments.worker](arguments.folder)
        return
    if arguments.worker:
        work(arguments.worker, arguments.folder / "checkpoint")
        return
    with ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        report(folder, arguments)


def report(folder: Path, arguments: argparse.Namespace) -> None:
    """Measure everything and write it down."""
    checkpoint = folder / "checkpoint"
    # The converted network must not stay behind in the user's own cache.
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    if not checkpoint.exists():
        make_checkpoint(checkpoint)
    for (size, pixels), count in zip(SIZES.items(), arguments.pictures, strict=True):
        if not (folder / size).exists():
            make_pictures(folder / size, pixels, count)
    with Contestant("pareja", folder) as first:
        # Converts the network, in a process whose memory does not count.
        first.embed(folder / "640x480", Timing())
    command = [sys.executable, __file__, "--worker", "quantise", "--folder", str(folder)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    timings = race(folder, arguments.repeats)
    peak, share = measure_encoder(checkpoint, arguments.repeats)
    limit = 1e9 * peak / OPERATIONS
    lines = [
        "# From files to embeddings: CLIP ViT-B/32",
        "",
        f"Made by `python {' '.join(sys.argv)}`. {machine(PACKAGES)}. Medians of "
        f"{arguments.repeats} turns, batches of {BATCH}, random weights (the arithmetic is "
        "that of the real ones).",
        "",
        f"![Pictures a second]({arguments.out.with_suffix('.png').name})",
        "",
        *table(timings),
        f"**The encoder alone**, in batches of {BATCH}: {share:.0%} of the speed of a "
        f"{number_type()} matrix product of 2048 in turns with it, which reaches {peak:.0f} "
        f"GFLOP/s at best. With nothing but matrix products at that peak, {limit:.0f} pictures a "
        "second would be the limit of this machine, the dashed line.",
        "",
    ]
    if arguments.many:
        once, again, megabytes = measure_many(folder, arguments.many)
        lines += [
            f"**{arguments.many:,} files of 640x480** with `embed_paths`: {once:.0f} s, at most "
            f"{megabytes:.0f} MB of memory; the second time, from the cache, {again:.1f} s.",
            "",
        ]
    print("\n".join(lines))
    if not arguments.print:
        page = arguments.out
        page.write_text("\n".join(lines), encoding="utf-8")
        plot(timings, limit, page.with_suffix(".png"))


if __name__ == "__main__":
    main()
