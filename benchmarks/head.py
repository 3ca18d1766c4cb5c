"""Whether contrastive training of a head beats the ridge regression that it begins with.

    python benchmarks/head.py --seeds 5

``starter-unaligned`` is two networks that never met. Half of commons200 and pareja20, drawn anew
for each seed, teaches a head (``pareja.tune(..., method="head")``, which begins with the ridge
regression from pictures to captions); the other half measures both. R@1 among about 100 pictures,
and AUC: the chance that a picture is closer to its own caption than to another one.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

import pareja
from pareja.analysis.matching import matching
from pareja.analysis.retrieval import retrieval
from pareja.embedding.pipeline import embed_dataset
from pareja.tasks.tuned import Tuned
from pareja.tasks.tuning import tune, usual_schedule


def halves(seed: int) -> tuple[pareja.Dataset, pareja.Dataset]:
    """Return two random halves of the bundled photographs that have captions."""
    records = [r for name in ("commons200", "pareja20") for r in pareja.load_dataset(name)]
    captioned = [record for record in records if record.captions]
    order = np.random.default_rng(seed).permutation(len(captioned))
    parts = np.array_split(order, 2)
    first, second = (
        pareja.Dataset(f"half-{i}", tuple(captioned[k] for k in part), f"half-{i}-{seed}")
        for i, part in enumerate(parts)
    )
    return first, second


def measured(result: Tuned, test: pareja.Dataset) -> dict[str, tuple[float, float, float]]:
    """Return R@1 from pictures, R@1 from captions and AUC, for ridge and for the head."""
    found = {}
    for name, encoder in (("ridge", result.before), ("head", result.encoder)):
        rows = embed_dataset(test, encoder)
        similarity = rows.images @ rows.captions.T
        owner = rows.dataset.owner
        forward, backward = retrieval(similarity, owner, resamples=100)
        auc = matching(similarity, owner, resamples=100, permutations=100).auc.value
        found[name] = forward.recall[1].value, backward.recall[1].value, auc
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    rows = []
    print("| seed | epochs kept | ridge R@1 i→t, t→i, AUC | head R@1 i→t, t→i, AUC |")
    print("| --- | --- | --- | --- |")
    for seed in range(seeds):
        learn, test = halves(seed)
        schedule = replace(usual_schedule("head"), seed=seed)
        result = tune(
            "starter-unaligned", learn, method="head", test=test, folds=0, schedule=schedule
        )
        both = measured(result, test)
        rows.append([both["ridge"], both["head"]])
        cells = [", ".join(f"{value:.3f}" for value in both[name]) for name in ("ridge", "head")]
        print(f"| {seed} | {result.best} | {cells[0]} | {cells[1]} |", flush=True)
    means = np.mean(rows, axis=0)
    cells = [", ".join(f"{value:.3f}" for value in row) for row in means]
    print(f"| mean | | {cells[0]} | {cells[1]} |")
    gain = np.array(rows)[:, 1] - np.array(rows)[:, 0]
    print("head minus ridge, mean and standard error over seeds:")
    error = gain.std(axis=0, ddof=1) / np.sqrt(len(gain))
    for name, mean, of in zip(("R@1 i→t", "R@1 t→i", "AUC"), gain.mean(axis=0), error, strict=True):
        print(f"  {name} {mean:+.3f} ± {of:.3f}")


if __name__ == "__main__":
    main()
