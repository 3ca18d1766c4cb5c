"""Train the two small dual encoders that the package brings: ``clip-shapes``, ``siglip-shapes``.

    python benchmarks/shapes_models.py clip-shapes -o src/pareja/encoders/bundled/clip-shapes

They are transformers' own CLIP and SigLIP classes with about a million weights, trained by
``pareja.tune`` on drawn pictures (``shapes:12000``), with softmax and with sigmoid loss: real
networks whose embeddings mean something, for tests, lessons and tries without a network. Each
picture has its captions in English and Spanish, and the names of both of its forms, so that
prompts such as "a red star" mean something as well. Weights are kept in float16.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file

import pareja
from pareja.datasets.shapes import label_es, load_shapes
from pareja.files import staged_directory
from pareja.tasks.tuned import Tuned
from pareja.tasks.tuning import tune
from pareja.training.schedule import Schedule
from pareja.training.scratch import Plan, make_checkpoint

PLANS = {"clip-shapes": Plan("clip"), "siglip-shapes": Plan("siglip")}
VALIDATION = 400
UNSEEN = "shapes:200:1"


def lessons(count: int) -> pareja.Dataset:
    """Return drawn pictures with all that can be said of each, the last of them for validation."""
    dataset = load_shapes(f"shapes:{count + VALIDATION}")
    records = []
    for i, record in enumerate(dataset):
        names = [box["label"] for box in json.loads(record.extra["boxes"])]
        articles = ["an" if name[0] in "aeiou" else "a" for name in names]
        said = (
            record.caption,
            record.caption_es or "",
            *(f"{article} {name}" for article, name in zip(articles, names, strict=True)),
            *(label_es(name) for name in names),
        )
        split = "train" if i < count else "validation"
        # Only whole captions choose the best epoch.
        captions = said if split == "train" else (record.caption,)
        records.append(replace(record, captions=captions, extra={**record.extra, "split": split}))
    return replace(dataset, records=tuple(records))


def words() -> list[str]:
    """Return texts with every word of both kinds of drawn pictures."""
    records = [r for name in ("shapes:2000", "shapes-new:2000") for r in load_shapes(name)]
    return [text for record in records for text in (record.caption, record.caption_es or "")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", choices=PLANS)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=12000)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--force", action="store_true")
    given = parser.parse_args()
    start = time.perf_counter()
    schedule = Schedule(
        epochs=given.epochs, batch_size=128, learning_rate=1e-3, weight_decay=0.05, patience=0
    )
    with TemporaryDirectory() as room:
        make_checkpoint(Path(room), PLANS[given.model], words())
        result = tune(
            room,
            lessons(given.pictures),
            method="full",
            test=UNSEEN,
            schedule=schedule,
            keep=False,
            device="cpu",
            cache=False,
            progress=lambda what, done, of, loss: (
                print(f"{what} {done}/{of} {loss}", flush=True) if done % 50 == 0 else None
            ),
        )
        with staged_directory(given.out, force=given.force) as staged:
            keep_half(result, staged)
    for name, change in result.test.changes.items() if result.test else ():
        print(f"{name}: R@1 {change.after.value:.3f} of {UNSEEN}, chance {change.chance:.3f}")
    print(f"best epoch {result.best}, share {result.share}, {time.perf_counter() - start:.0f} s")


def keep_half(result: Tuned, folder: Path) -> None:
    """Copy a model whose float32 weights become float16; scale and bias stay as they are."""
    for path in result.folder.iterdir():
        if path.suffix == ".safetensors":
            weights = load_file(path)
            half = {
                name: value.half() if value.dtype == torch.float32 and value.numel() > 1 else value
                for name, value in weights.items()
            }
            save_file(half, folder / path.name, metadata={"format": "pt"})
        elif path.suffix == ".json":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "training.jsonl").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
