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
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from clip_inputs import COMMONS200, make_checkpoint, make_pictures
from numpy.typing import NDArray
from PIL import Image
from workers import Worker, machine, peak_memory

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "tune.md"
PACKAGES = ("torch", "transformers", "peft", "pillow")
BLOCKS, RATE, SCALE = 4, 1e-3, 100.0
LARGE, SMALL = (4000, 3000), (640, 480)
CONTESTANTS = {
    "pareja": "pareja",
    "careful": "careful: pixels and tokens prepared once",
    "usual-large": "usual: processor in every step, files of 12 megapixels",
    "usual-small": "usual: the same, files of 640x480",
}
EMBEDDED, WIDE, CHUNK = 1000, 1024, 64

Step = tuple[float, list[int]]
"""The learning rate and the pictures of one step."""


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


class Clock:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def answer(self, losses: Sequence[float], device: str) -> dict[str, Any]:
        """Return what a worker answers for an epoch."""
        return {
            "seconds": time.perf_counter() - self._wall,
            "cpu": time.process_time() - self._cpu,
            "losses": list(losses),
            "megabytes": memory(device),
        }


def memory(device: str) -> float:
    """Return the most memory in use at once, in MB: the process's, or the graphics card's."""
    if device != "cuda":
        return peak_memory()
    import torch

    return torch.cuda.max_memory_allocated() / 2**20


def captions_of(count: int) -> list[str]:
    """Return so many different captions."""
    from pareja.datasets import load_dataset

    texts = dict.fromkeys(record.caption for record in load_dataset(COMMONS200))
    said = [text for text in texts if text]
    return [f"{said[i % len(said)]} {i // len(said) or ''}".strip() for i in range(count)]


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


def open_clip(folder: Path) -> Any:
    from pareja.encoders.opening import open_folder

    return open_folder(folder, str(folder), device="cpu", precision="float32")


class Answers:
    """Requests from standard input, answers to standard output, whatever libraries print there."""

    def __init__(self) -> None:
        self._out, sys.stdout = sys.stdout, sys.stderr

    def requests(self) -> Iterator[Any]:
        """Go through the requests as they come."""
        return map(json.loads, sys.stdin)

    def next(self) -> Any:
        """Wait for a request; None after the last."""
        return next(self.requests(), None)

    def give(self, answer: Any) -> None:
        """Answer a request."""
        print(json.dumps(answer), file=self._out, flush=True)


def train_with_pareja(folder: Path, device: str) -> None:
    """Train an epoch a request; each answer holds the steps, for the others to repeat."""
    from pareja.datasets.formats.folders import FileSource
    from pareja.training.loop import Pairs, Schedule, Trainer
    from pareja.training.lora import Rank
    from pareja.training.material import prepared_pixels
    from pareja.training.methods import begin

    answers = Answers()
    asked = answers.next()
    paths = sorted((folder / "large").iterdir())
    encoder = open_clip(folder / "clip")
    pixels, _, _ = prepared_pixels([FileSource(path) for path in paths], encoder)
    np.save(folder / "pixels.npy", encoder.preprocessing.normalise(pixels))
    texts = tuple(captions_of(len(paths)))
    rank = Rank(blocks=BLOCKS)
    adaptation = begin(encoder, pixels, texts, "lora", rank=rank, device=device)
    schedule = Schedule(
        epochs=asked["epochs"],
        batch_size=asked["batch"],
        learning_rate=RATE,
        patience=0,
        train_scale=False,
    )
    trainer = Trainer(adaptation.image, adaptation.text, "softmax", (SCALE, 0.0), schedule)
    steps: list[Step] = []
    losses: list[float] = []

    class Seen(Pairs):
        def same(self, pictures: Any, texts: Any) -> Any:
            steps.append((trainer.optimizer.param_groups[0]["lr"], pictures.tolist()))
            return super().same(pictures, texts)

    numbers = np.arange(len(paths))
    clock = Clock()

    def between_epochs() -> float:
        nonlocal clock
        if not steps:
            (folder / "start").mkdir(exist_ok=True)
            adaptation.save(folder / "start", trainer.terms())
            return 0.0
        answers.give(clock.answer(losses, device) | {"steps": steps})
        steps.clear()
        losses.clear()
        answers.next()
        clock = Clock()
        return 0.0

    pairs = Seen(tuple(numbers[[i]] for i in numbers), numbers)
    trainer.fit(pairs, numbers, between_epochs, on_step=lambda done, of, loss: losses.append(loss))


def train_with_peft(name: str, folder: Path, device: str) -> None:
    """Train as the guides of transformers and PEFT do, with the steps that are asked for."""
    import torch
    from peft import PeftModel
    from transformers import AutoProcessor, CLIPModel

    answers = Answers()
    auto: Any = AutoProcessor
    processor = auto.from_pretrained(folder / "clip")
    base = CLIPModel.from_pretrained(folder / "clip")
    model: Any = PeftModel.from_pretrained(base, folder / "start", is_trainable=True).to(device)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, weight_decay=0.01, betas=(0.9, 0.98))
    paths = sorted((folder / ("small" if name == "usual-small" else "large")).iterdir())
    texts = captions_of(len(paths))

    def process(rows: Sequence[int]) -> dict[str, Any]:
        pictures = [Image.open(paths[i]).convert("RGB") for i in rows]
        said = [texts[i] for i in rows]
        return dict(processor(text=said, images=pictures, return_tensors="pt", padding=True))

    def loss_of(inputs: dict[str, Any], *, bfloat16: bool = False) -> Any:
        moved = {key: value.to(device) for key, value in inputs.items()}
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            return model(**moved, return_loss=True).loss

    note, bfloat16, read = "", False, process
    if name == "careful":
        # The very numbers that pareja learns from, so that the losses can be compared.
        pixels = torch.from_numpy(np.load(folder / "pixels.npy"))
        tokens = dict(processor(text=texts, return_tensors="pt", padding=True))
        read = PreparedOnce(tokens | {"pixel_values": pixels}).take
        few = read(range(2))
        slow = step_time(lambda: loss_of(few))
        fast = step_time(lambda: loss_of(few, bfloat16=True))
        bfloat16 = fast < slow
        model.zero_grad()
        note = (
            f"A step of 2 pictures took {1000 * slow:.0f} ms in float32 and {1000 * fast:.0f} ms "
            "under bfloat16 autocast, so the careful way computes in "
            f"{'bfloat16' if bfloat16 else 'float32'}."
        )
    for steps in answers.requests():
        clock, losses = Clock(), []
        for rate, rows in steps:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            loss = loss_of(read(rows), bfloat16=bfloat16)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
        answers.give(clock.answer(losses, device) | {"note": note})


class PreparedOnce:
    """The inputs of all pictures, of which rows are taken; texts end with their batch's longest."""

    def __init__(self, inputs: dict[str, Any]) -> None:
        self._inputs = inputs

    def take(self, rows: Sequence[int]) -> dict[str, Any]:
        """Return the inputs of some pictures and their texts."""
        taken = {key: value[list(rows)] for key, value in self._inputs.items()}
        longest = int(taken["attention_mask"].sum(dim=1).max())
        return {k: v if k == "pixel_values" else v[:, :longest] for k, v in taken.items()}


def step_time(loss: Callable[[], Any]) -> float:
    """Return the seconds of a step forward and back, the second of two."""
    for _ in range(2):
        start = time.perf_counter()
        loss().backward()
        seconds = time.perf_counter() - start
    return seconds


def random_pixels(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8)


def train_projection(folder: Path, device: str) -> None:
    """Train the last matrices on pictures that are embedded already: 20 epochs, and validation."""
    from pareja.training.loop import Pairs, Schedule, Trainer
    from pareja.training.methods import begin
    from pareja.training.scoring import mean_reciprocal_rank

    answers = Answers()
    texts = tuple(captions_of(EMBEDDED))
    # What is learned from, the last blocks' output, is as long with 3 blocks as with 12.
    made = begin(
        open_clip(folder / "short"), random_pixels(EMBEDDED), texts, "projection", device=device
    )
    numbers = np.arange(EMBEDDED)
    held_out = numbers[-EMBEDDED // 7 :]
    rows = [numbers[[i]] for i in range(len(held_out))]

    def validate() -> float:
        found = made.image.embed_all(held_out), made.text.embed_all(held_out)
        return mean_reciprocal_rank(*found, rows, both=True)

    trainer = Trainer(made.image, made.text, "softmax", (SCALE, 0.0), Schedule(patience=0))
    pairs = Pairs(tuple(numbers[[i]] for i in numbers), numbers)
    for _ in answers.requests():
        clock = Clock()
        trainer.fit(pairs, numbers[: -len(held_out)], validate)
        answers.give(clock.answer([], device))


def train_wide(folder: Path, device: str) -> None:
    """Train some steps of one batch size, and answer with the memory before and at most."""
    from pareja.training.loop import Pairs, Schedule, Trainer
    from pareja.training.lora import Rank
    from pareja.training.methods import begin

    answers = Answers()
    batch = answers.next()
    texts = tuple(captions_of(WIDE))
    made = begin(
        open_clip(folder / "short"),
        random_pixels(WIDE),
        texts,
        "lora",
        rank=Rank(blocks=2),
        device=device,
    )
    schedule = Schedule(epochs=1, batch_size=batch, chunk=CHUNK)
    trainer = Trainer(made.image, made.text, "softmax", (SCALE, 0.0), schedule)
    numbers = np.arange(WIDE)
    before: list[float] = []

    def validate() -> float:
        before.append(memory(device))
        return 0.0

    def stop(done: int, of: int, loss: float) -> None:
        if done == 3:  # a step needs as much memory as the next
            raise KeyboardInterrupt

    pairs = Pairs(tuple(numbers[[i]] for i in numbers), numbers)
    trainer.fit(pairs, numbers, validate, on_step=stop)
    answers.give([before[0], memory(device)])


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
    match arguments.worker:
        case None:
            with ExitStack() as stack:
                folder = arguments.folder or Path(
                    stack.enter_context(tempfile.TemporaryDirectory())
                )
                page = report(folder, arguments)
            print(page)
            if not arguments.print:
                PAGE.write_text(page, encoding="utf-8")
        case "pareja":
            train_with_pareja(arguments.folder, arguments.device)
        case "projection":
            train_projection(arguments.folder, arguments.device)
        case "wide":
            train_wide(arguments.folder, arguments.device)
        case name:
            train_with_peft(name, arguments.folder, arguments.device)


if __name__ == "__main__":
    main()
