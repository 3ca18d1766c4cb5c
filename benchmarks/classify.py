"""The figures of docs/classify.md: prompts, unknown pictures, moderation, and speed.

Run from the repository's root: ``python benchmarks/classify.py``. It prints Markdown;
``--speed`` times 10,000 cached pictures x 1,000 labels x 7 templates instead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import softmax

from pareja.analysis.classification import compare_classifiers
from pareja.analysis.rejection import choose_threshold, rejection
from pareja.analysis.significance import Estimate
from pareja.classifiers.prompts import template_sets
from pareja.classifiers.zero_shot import zero_shot
from pareja.datasets import Dataset, load_dataset
from pareja.embedding.cache import EmbeddingCache, Stamp, picture_digest
from pareja.embedding.pipeline import embed_sources
from pareja.encoders import DualEncoder, Embeddings
from pareja.encoders.starter import ConceptSpace, Starter, class_names
from pareja.tasks.evaluation import evaluate, true_labels
from pareja.tasks.moderation import default_prompts, moderation_scores

COMMONS = Path(__file__).parents[1] / "data" / "commons200"
KINDS = (
    "an animal",
    "a person",
    "a plant",
    "food",
    "a vehicle",
    "a building",
    "a tool",
    "furniture",
)
WEAPONS = ("assault rifle", "revolver", "rifle", "holster", "missile", "projectile")


def embedded(dataset: Dataset, encoder: DualEncoder) -> Embeddings:
    sources = [record.source for record in dataset]
    with EmbeddingCache() as cache:
        return embed_sources(sources, encoder, cache=cache).vectors


def interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def accuracy(dataset: Dataset, images: Embeddings, encoder: DualEncoder) -> tuple[str, ...]:
    truth = true_labels(dataset, "label")
    labels = tuple(label for label, n in Counter(truth).most_common() if label and n >= 4)
    known = np.array([label in labels for label in truth])
    print(f"{known.sum()} pictures of {len(labels)} labels: {', '.join(labels)}.\n")
    print("| prompts | top-1 | balanced | macro F1 | ECE (if honest) | against bare: p |")
    print("|:--|--:|--:|--:|--:|--:|")
    sets = {name: list(texts) for name, texts in template_sets().items()}
    found = {
        name: evaluate(zero_shot(labels, encoder, templates=texts).classified(images), truth).scores
        for name, texts in sets.items()
    }
    bare = found["bare"]
    for name, scores in found.items():
        if scores is None or bare is None:
            continue
        paired = compare_classifiers(scores.correct, bare.correct)
        p = "" if name == "bare" else f"{paired.difference.value:+.3f}, {paired.p_value:.3f}"
        print(
            f"| {name} ({len(sets[name])}) | {interval(scores.top1)} | "
            f"{interval(scores.balanced_accuracy)} | {interval(scores.macro_f1)} | "
            f"{scores.ece.value:.3f} ({scores.honest_ece:.3f}) | {p} |"
        )
    if bare is not None:
        print(f"| *by chance* | {bare.chance_top1:.3f} | {bare.chance_top1:.3f} | | | |")
        print(f"| *always the commonest* | {bare.majority:.3f} | | | | |")
    return labels


def unknown(
    dataset: Dataset, images: Embeddings, encoder: DualEncoder, labels: tuple[str, ...]
) -> None:
    known = np.array([label in labels for label in true_labels(dataset, "label")])
    print("\n| prompts | AUROC | threshold | known kept | unknown refused |")
    print("|:--|--:|:--|--:|--:|")
    for name in ("bare", "photo", "clip7"):
        prompts = zero_shot(labels, encoder, templates=template_sets()[name], unknown=0.5)
        certainty = prompts.classified(images).certainty
        fixed = rejection(certainty, known, 0.5)
        print(
            f"| {name} | {interval(fixed.auroc)} | 0.50, from no pictures | "
            f"{fixed.kept.value:.3f} | {fixed.refused.value:.3f} |"
        )
        # The threshold never sees the half that it is measured on.
        kept, refused, thresholds = [], [], []
        for seed in range(50):
            order = np.random.default_rng(seed).permutation(len(known))
            held, test = np.array_split(order, 2)
            thresholds.append(choose_threshold(certainty[held], known[held]))
            scores = rejection(certainty[test], known[test], thresholds[-1], resamples=2)
            kept.append(scores.kept.value)
            refused.append(scores.refused.value)
        print(
            f"| {name} | | {np.mean(thresholds):.2f} on average, from the other half, 50 splits | "
            f"{np.mean(kept):.3f} | {np.mean(refused):.3f} |"
        )

    print("\n| rivals, with bare names | AUROC | known kept at 0.5 | unknown refused |")
    print("|:--|--:|--:|--:|")
    classifier = zero_shot(labels, encoder, templates=["{}"], unknown=0.5)
    for rivals, background in (
        ("none", np.empty((0, encoder.text_dim), np.float32)),
        (f"{len(classifier.background)} about something else", classifier.background),
        (f"{len(KINDS)} kinds of things", encoder.encode_texts(KINDS)),
    ):
        if len(background):
            certainty = replace(classifier, background=background).classified(images).certainty
        else:
            certainty = softmax(classifier.logits(images), axis=1).max(axis=1)
        scores = rejection(certainty, known, 0.5)
        print(
            f"| {rivals} | {interval(scores.auroc)} | {scores.kept.value:.3f} | "
            f"{scores.refused.value:.3f} |"
        )


def moderation(datasets: dict[str, Embeddings], encoder: Starter) -> None:
    print("\n| threshold | " + " | ".join(f"flagged in {name}" for name in datasets) + " |")
    print("|--:|" + "--:|" * len(datasets))
    highest = {
        name: moderation_scores(images, encoder).max(axis=1) for name, images in datasets.items()
    }
    for threshold in (0.5, 0.3, 0.2, 0.1, 0.05):
        cells = [f"{(scores >= threshold).sum()} of {len(scores)}" for scores in highest.values()]
        print(f"| {threshold} | " + " | ".join(cells) + " |")
    names = class_names()
    chosen = [name for name in WEAPONS if name in names]
    logits = np.zeros((len(chosen), len(names)), np.float32)
    for row, name in enumerate(chosen):
        # With the space's temperature, a probability of about 0.9 for that class.
        logits[row, names.index(name)] = 1.5 * np.log(9 * (len(names) - 1))
    scores = moderation_scores(ConceptSpace().project_pictures(logits), encoder)
    flags = list(default_prompts().flags)
    print("\nA picture that the classifier is 90 % sure of, as a stand-in for real ones:\n")
    print("| class | highest flag | score |\n|:--|:--|--:|")
    for name, row in zip(chosen, scores, strict=True):
        print(f"| {name} | {flags[int(row.argmax())]} | {row.max():.2f} |")


def speed(encoder: Starter) -> None:
    """Time the whole command on pictures that lie in the cache, texts first new and then too."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "pictures"
        folder.mkdir()
        rng = np.random.default_rng(0)
        for i in range(10_000):
            pixels = rng.integers(0, 255, (4, 4, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{i:05}.png")
        # The cache trusts a file only when its time stamp lies a while back.
        time.sleep(2.5)
        with EmbeddingCache(Path(root) / "pareja" / "embeddings.sqlite3") as kept:
            for path in sorted(folder.iterdir()):
                digest, stamp = picture_digest(path.read_bytes()), Stamp.of(path)
                vector = rng.normal(size=encoder.image_dim).astype(np.float32)
                vector /= np.linalg.norm(vector)
                files = [] if stamp is None else [(stamp, digest)]
                kept.store(encoder.image_fingerprint, {digest: vector}, files)
        labels = Path(root) / "labels.txt"
        # Numbered, for two of ImageNet's classes share a name.
        names = [f"{name} {i}" for i, name in enumerate(class_names())]
        labels.write_text("\n".join(names), encoding="utf-8")
        command = [sys.executable, "-m", "pareja", "classify", str(folder)]
        command += ["--labels", str(labels), "--template", "clip7", "--force"]
        command += ["-o", str(Path(root) / "out.csv")]
        print("\n| 10,000 pictures x 1,000 labels x 7 prompts | seconds | memory, MB |")
        print("|:--|--:|--:|")
        for what in ("texts new", "texts cached"):
            start = time.perf_counter()
            child = subprocess.Popen(command, env=os.environ | {"XDG_CACHE_HOME": root})
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                raise subprocess.CalledProcessError(child.returncode, command)
            # The largest resident size, in kB.
            print(f"| {what} | {time.perf_counter() - start:.1f} | {used.ru_maxrss / 1000:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", action="store_true", help="only the speed")
    encoder = Starter()
    if parser.parse_args().speed:
        speed(encoder)
        return
    commons, course = load_dataset(COMMONS), load_dataset("pareja20")
    datasets = {dataset.name: embedded(dataset, encoder) for dataset in (commons, course)}
    images = datasets[commons.name]
    print("### Prompts, on commons200\n")
    labels = accuracy(commons, images, encoder)
    print("\n### None of these: the pictures of commons200 with another label")
    unknown(commons, images, encoder, labels)
    print("\n### Moderation: false alarms on pictures that are all fit for a classroom")
    moderation(datasets, encoder)


if __name__ == "__main__":
    main()
