"""What `tune.py` compares: trainings in processes of their own, an epoch or a run a request."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from clip_inputs import COMMONS200
from numpy.typing import NDArray
from PIL import Image
from workers import peak_memory

BLOCKS, RATE, SCALE = 4, 1e-3, 100.0
EMBEDDED, WIDE, CHUNK = 1000, 1024, 64

Step = tuple[float, list[int]]
"""The learning rate and the pictures of one step."""


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
    from pareja.training.loop import Pairs, Trainer
    from pareja.training.lora import Rank
    from pareja.training.material import prepared_pixels
    from pareja.training.methods import begin
    from pareja.training.schedule import Schedule

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
    from pareja.arrays import unit
    from pareja.training.loop import Pairs, Trainer
    from pareja.training.projection import Projections
    from pareja.training.schedule import Schedule
    from pareja.training.scoring import mean_reciprocal_rank

    answers = Answers()
    # What is learned from, the last blocks' output, is as long with 3 blocks as with 12.
    projections = Projections(open_clip(folder / "short"))
    still, rng = projections.before, np.random.default_rng(0)
    images, texts = (
        unit(rng.standard_normal((EMBEDDED, width), np.float32))
        for width in (still.image_dim, still.text_dim)
    )
    made = projections.over(images, texts, loss="softmax", device=device)
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
    from pareja.training.loop import Pairs, Trainer
    from pareja.training.lora import Rank
    from pareja.training.methods import begin
    from pareja.training.schedule import Schedule

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


def work(name: str, folder: Path, device: str) -> None:
    """Be the process of one contestant or measurement."""
    match name:
        case "pareja":
            train_with_pareja(folder, device)
        case "projection":
            train_projection(folder, device)
        case "wide":
            train_wide(folder, device)
        case _:
            train_with_peft(name, folder, device)
