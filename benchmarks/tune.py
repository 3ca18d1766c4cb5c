"""Training LoRA adapters of CLIP ViT-B/32: pareja beside the usual ways, in one run.

python benchmarks/tune.py                   writes docs/benchmarks/tune.md
python benchmarks/tune.py --print           prints it, writes nothing
python benchmarks/tune.py --device cuda     trains on the graphics card

The weights are random, made by the script in the architecture of openai/clip-vit-base-patch32: the
arithmetic is the same. The last 4 blocks of both towers are adapted. Every contestant is a process
of its own that begins with the same adapters and is given the batches of pareja's epochs, with
their learning rates. They take turns, an epoch each; medians are compared. The first epoch, in
which pareja computes what lies below the blocks that are trained, does not count.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from clip_inputs import make_checkpoint, make_pictures
from PIL import Image
from tune_contestants import BLOCKS, CHUNK, EMBEDDED, SCALE, WIDE, Step, captions_of, work
from workers import Worker, machine

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "tune.md"
PACKAGES = ("torch", "transformers", "peft", "pillow")
LARGE, SMALL = (4000, 3000), (640, 480)
CONTESTANTS = {
    "pareja": "pareja",
    "careful": "careful: pixels and tokens prepared once",
    "usual-large": "usual: processor in every step, files of 12 megapixels",
    "usual-small": "usual: the same, files of 640x480",
}


@dataclass
class Timing:
    """What was measured of one contestant: a number per epoch, losses of all its steps."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    megabytes: float = 0.0
    note: str = ""

    def add(self, answer: dict[str, Any]) -> None:
        """Take over what a worker answers for an epoch."""
        self.seconds.append(answer["seconds"])
        self.cpu.append(answer["cpu"])
        self.losses += answer["losses"]
        self.megabytes = answer["megabytes"]
        self.note = answer.get("note", self.note)


def make_clip(folder: Path, blocks: int = 12) -> None:
    """Write a CLIP with random weights whose tokenizer knows the captions' words."""
    from transformers import AutoTokenizer, CLIPConfig

    tower = {"num_hidden_layers": blocks}
    config = CLIPConfig(
        vision_config=tower, text_config=tower, logit_scale_init_value=math.log(SCALE)
    )
    make_checkpoint(folder, config)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trained = tokenizer.train_new_from_iterator(captions_of(EMBEDDED), 2000)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    trained.save_pretrained(folder)
    path = folder / "config.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    described["text_config"] |= {
        "bos_token_id": trained.bos_token_id,
        "eos_token_id": trained.eos_token_id,
        "pad_token_id": trained.pad_token_id,
    }
    path.write_text(json.dumps(described), encoding="utf-8")


def race(folder: Path, arguments: argparse.Namespace) -> dict[str, Timing]:
    """Let the contestants take turns, an epoch each; the first does not count for the time."""
    timings = {name: Timing() for name in CONTESTANTS}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for turn in range(arguments.turns + 1):
            steps: list[Step] = []
            for name, timing in timings.items():
                if name not in workers:
                    # Only now: pareja has written what all begin with, and nobody is measured.
                    workers[name] = stack.enter_context(worker(name, folder, arguments.device))
                wanted = {"epochs": arguments.turns + 1, "batch": arguments.batch}
                answer = workers[name].ask(wanted if name == "pareja" else steps)
                steps = answer.get("steps", steps)
                timing.add(answer)
                print(f"{turn} {name} {answer['seconds']:.1f} s", flush=True, file=sys.stderr)
    return timings


def worker(name: str, folder: Path, device: str) -> Worker:
    return Worker([__file__, "--worker", name, "--folder", folder, "--device", device])


def ratio(timings: dict[str, Timing], name: str) -> float:
    """Return the median, over the turns, of a contestant's time divided by pareja's."""
    turns = zip(timings[name].seconds[1:], timings["pareja"].seconds[1:], strict=True)
    return statistics.median(theirs / ours for theirs, ours in turns)


def table(timings: dict[str, Timing], pictures: int) -> Iterator[str]:
    yield (
        "| | pictures/s | pareja is faster by | CPU ms a picture | first epoch, s | peak memory "
        "| largest difference of a loss |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    ours = np.array(timings["pareja"].losses)
    for name, timing in timings.items():
        speed = pictures / statistics.median(timing.seconds[1:])
        cpu = 1000 * statistics.median(timing.cpu[1:]) / pictures
        away = np.abs(np.array(timing.losses) - ours).max()
        compared = ("", "") if name == "pareja" else (f"{ratio(timings, name):.1f}x", f"{away:.4f}")
        yield (
            f"| {CONTESTANTS[name]} | {speed:.1f} | {compared[0]} | {cpu:.0f} "
            f"| {timing.seconds[0]:.1f} | {timing.megabytes:.0f} MB | {compared[1]} |"
        )


def report(folder: Path, arguments: argparse.Namespace) -> str:
    """Measure everything and return the page."""
    device, pictures = arguments.device, arguments.pictures
    if not (folder / "clip").exists():
        make_clip(folder / "clip")
        make_clip(folder / "short", blocks=3)
    if not (folder / "large").exists():
        make_pictures(folder / "large", LARGE, pictures)
        (folder / "small").mkdir()
        for path in (folder / "large").iterdir():
            Image.open(path).resize(SMALL).save(folder / "small" / path.name, quality=90)
    timings = race(folder, arguments)
    losses = timings["pareja"].losses
    asked = os.environ.get("OMP_NUM_THREADS")
    cores = int(asked or len(os.sched_getaffinity(0)))
    threads = "one core" if cores == 1 else f"{cores} cores"
    command = f"{f'OMP_NUM_THREADS={asked} ' if asked else ''}python benchmarks/tune.py"
    with worker("projection", folder, device) as one:
        projection = [one.ask(None)["seconds"] for _ in range(3)]
    memories = []
    for batch in (CHUNK, WIDE):
        with worker("wide", folder, device) as one:
            memories.append(one.ask(batch))
    (_, narrow), (prepared, wide) = memories
    lines = [
        "# Training adapters: CLIP ViT-B/32",
        "",
        f"Made by `{command}`, which says how it is measured. {machine(PACKAGES)}"
        f"{'' if device == 'cpu' else '; trained on ' + device}. LoRA of rank 8 on the last "
        f"{BLOCKS} blocks of both towers, {pictures} pictures in batches of {arguments.batch}, "
        f"{arguments.turns} turns of an epoch each, on {threads}; medians. "
        "Weights are random (the arithmetic is that of the real ones).",
        "",
        *table(timings, pictures),
        "",
        timings["careful"].note,
        "",
        "What lies below the first block that is trained is computed in the first epoch and kept; "
        "of the last block only the token that is pooled goes through the two-layer network. The "
        f"losses stay the same: the last column compares all {len(losses)} steps, in which "
        f"pareja's went from {losses[0]:.3f} to {losses[-1]:.3f}. The careful way keeps nothing "
        "and learns from the same pixels; the usual ones decode the files at their full size.",
        "",
        f"**`projection` on {EMBEDDED:,} pictures that are embedded already**, 20 epochs with "
        f"validation: {statistics.median(projection):.1f} s (median of {len(projection)}).",
        "",
        f"**Memory of a large batch**, in the same architecture with 3 blocks, 2 of them trained, "
        f"over {WIDE:,} pictures: with everything prepared {prepared:.0f} MB; at most "
        f"{narrow:.0f} MB in batches of {CHUNK}, and {wide:.0f} MB in one batch of {WIDE:,} "
        f"with `chunk={CHUNK}`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5, help="epochs that count")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--folder", type=Path, help="keep checkpoints and pictures here")
    parser.add_argument("--print", action="store_true", help="write no file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.folder, arguments.device)
        return
    with ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        page = report(folder, arguments)
    print(page)
    if not arguments.print:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
