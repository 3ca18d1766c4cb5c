"""How often the 95 % intervals hold the truth when there are 20 pictures.

Three families of studies are drawn many times:

- hits: each of n queries is right with probability p, for the true R@1 = p;
- pairs: captions are their picture's vector plus noise, n pictures with their n captions, for the
  true R@1, MRR and AUC, which are the means over all such studies (the candidates vary, too);
- ties with several captions: five captions a picture, right or wrong together with correlation 1/2.

Then means over labels of very different sizes: balanced accuracy, macro F1, mean average precision,
and the balanced accuracy of repeated splits with its gain over a baseline.

Every study is measured with the plain percentile bootstrap, BCa (Efron 1987) and the interval that
pareja reports. Run: ``python benchmarks/interval_coverage.py [--studies 1000]``.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from pareja.analysis import matching, retrieval
from pareja.analysis.classification import classification
from pareja.analysis.multilabel import multilabel
from pareja.analysis.repeated import repeated_accuracy
from pareja.analysis.significance import (
    Estimate,
    Floats,
    Indices,
    percentile_interval,
    ratio_draws,
    resample_counts,
    share_interval,
)

PICTURES = 20
RESAMPLES = 1000


def plain(value: float, draws: Floats) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def bca(value: float, draws: Floats, totals: Floats, sizes: Floats) -> Estimate:
    below = np.mean(draws < value) + np.mean(draws == value) / 2
    left_out = (totals.sum() - totals) / (sizes.sum() - sizes)
    skew = left_out.mean() - left_out
    spread = np.sum(skew**2)
    if not 0 < below < 1 or spread == 0:
        return plain(value, draws)
    bias, acceleration = ndtri(below), np.sum(skew**3) / (6 * spread**1.5)
    shifted = bias + ndtri([0.025, 0.975])
    levels = ndtr(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(draws, levels)
    return Estimate(value, float(low), float(high))


def compared(totals: Floats, sizes: Floats, seed: int) -> list[Estimate]:
    """Return the interval of a share by every method."""
    value = float(totals.sum() / sizes.sum())
    draws = ratio_draws(resample_counts(len(totals), RESAMPLES, seed), totals, sizes)
    return [
        plain(value, draws),
        bca(value, draws, totals, sizes),
        percentile_interval(value, draws, len(totals)),
        share_interval(value, draws, len(totals)),
    ]


def row(name: str, truth: float, studies: list[list[Estimate]]) -> None:
    cells = []
    for estimates in zip(*studies, strict=True):
        held = np.mean([one.low - 1e-9 <= truth <= one.high + 1e-9 for one in estimates])
        width = np.mean([one.high - one.low for one in estimates])
        cells.append(f"{held:6.3f} ({width:.2f})")
    print(f"{name:28s} {truth:6.3f}  " + "  ".join(cells))


LABELS: dict[str, tuple[tuple[int, ...], tuple[float, ...]]] = {
    "97 + 3, right .95 .95": ((97, 3), (0.95, 0.95)),
    "97 + 3, right .95 .60": ((97, 3), (0.95, 0.60)),
    "95 + 5, right .90 .90": ((95, 5), (0.90, 0.90)),
    "190 + 10, right .95 .80": ((190, 10), (0.95, 0.80)),
    "50 + 50, right .90 .70": ((50, 50), (0.90, 0.70)),
    "10 labels of 3, right .80": ((3,) * 10, (0.80,) * 10),
    "4 labels of 5, right .85": ((5,) * 4, (0.85,) * 4),
    "5 labels of 20, right .60": ((20,) * 5, (0.60,) * 5),
}
"""Pictures a label, and how often a picture of each is told right."""


def labelled(
    sizes: tuple[int, ...], right: tuple[float, ...], rng: np.random.Generator
) -> tuple[Indices, Floats, NDArray[np.bool_]]:
    """Draw one study: answers, probabilities, and how often each picture is told right."""
    k = len(sizes)
    answers = np.repeat(np.arange(k), sizes)
    hit = rng.random(len(answers)) < np.array(right)[answers]
    told = np.where(hit, answers, (answers + rng.integers(1, k, len(answers))) % k)
    scores = rng.random((len(answers), k)) * 0.5
    scores[np.arange(len(answers)), told] += rng.random(len(answers)) * 0.5 + 0.5
    return answers, scores / scores.max(), hit


def over_labels(studies: int) -> None:
    """Print the coverage of intervals of means over labels."""
    print(f"\nmeans over labels: coverage (mean width) of 95 % intervals, {studies} studies")
    names = ("balanced", "macro F1", "mAP", "repeated", "gain")
    print(f"{'':28s} " + "  ".join(f"{name:13s}" for name in names))
    for title, (sizes, right) in LABELS.items():
        rng = np.random.default_rng(1)
        found: dict[str, list[Estimate]] = {name: [] for name in names}
        for seed in range(studies):
            answers, scores, hit = labelled(sizes, right, rng)
            one = classification(
                scores, answers, [str(c) for c in range(len(sizes))], resamples=400, seed=seed
            )
            several = multilabel(
                scores,
                answers[:, None] == np.arange(len(sizes)),
                [str(c) for c in range(len(sizes))],
                resamples=400,
                seed=seed,
            )
            # Ten splits test half of the pictures each; a picture is right as often in each.
            tested = rng.random((10, len(answers))) < 0.5
            tested[0] |= ~tested.any(axis=0)
            rival = rng.random(len(answers)) < np.array(right)[answers]
            repeated = repeated_accuracy(
                np.tile(hit, (10, 1)),
                tested,
                answers,
                baseline=np.tile(rival, (10, 1)),
                resamples=400,
                seed=seed,
            )
            gain = repeated.gain
            estimates = (one.balanced_accuracy, one.macro_f1, several.mean_average_precision)
            for name, estimate in zip(
                names, (*estimates, repeated.balanced, gain or Estimate(0, 0, 0)), strict=True
            ):
                found[name].append(estimate)
        truths = {
            "balanced": float(np.mean(right)),
            "repeated": float(np.mean(right)),
            "gain": 0.0,
        }
        cells = []
        for name, estimates_of in found.items():
            truth = truths.get(name, float(np.mean([one.value for one in estimates_of])))
            held = np.mean([e.low - 1e-9 <= truth <= e.high + 1e-9 for e in estimates_of])
            width = np.mean([e.high - e.low for e in estimates_of])
            cells.append(f"{held:6.3f} ({width:.2f})")
        print(f"{title:28s} " + "  ".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--labels", action="store_true", help="means over labels alone")
    arguments = parser.parse_args()
    studies = arguments.studies
    if arguments.labels:
        over_labels(studies)
        return
    rng = np.random.default_rng(0)
    one_each = np.ones(PICTURES)
    print(f"coverage (mean width) of 95 % intervals, n = {PICTURES}, {studies} studies")
    print(
        f"{'':28s} {'truth':>6s}  "
        + "  ".join(f"{name:13s}" for name in ("percentile", "BCa", "expanded", "score (pareja)"))
    )
    for p in (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95):
        hits = (rng.random((studies, PICTURES)) < p).astype(np.float64)
        row(f"hits p={p}", p, [compared(one, one_each, seed) for seed, one in enumerate(hits)])

    for p in (0.1, 0.5, 0.9):
        together = rng.random((studies, PICTURES, 1)) < 0.5
        same = rng.random((studies, PICTURES, 1)) < p
        alone = rng.random((studies, PICTURES, 5)) < p
        hits = np.where(together, same, alone).sum(axis=2).astype(np.float64)
        sizes = np.full(PICTURES, 5.0)
        row(f"5 captions p={p}", p, [compared(one, sizes, seed) for seed, one in enumerate(hits)])

    for noise in (1.0, 2.0, 4.0, 1e6):
        found: dict[str, list[list[Estimate]]] = {"R@1": [], "MRR": [], "AUC": []}
        reported: list[tuple[float, float, float]] = []
        for seed in range(studies):
            images = rng.standard_normal((PICTURES, 12))
            captions = images + noise * rng.standard_normal(images.shape)
            similarity = images @ captions.T / np.linalg.norm(captions, axis=1)
            owner = np.arange(PICTURES)
            forward, _ = retrieval(similarity, owner, ks=(1,), resamples=2)
            hits, inverse = (forward.ranks == 1).astype(np.float64), 1 / forward.ranks
            pairs = matching(similarity, owner, permutations=1, resamples=RESAMPLES, seed=seed)
            found["R@1"].append(compared(hits, one_each, seed))
            found["MRR"].append(compared(inverse, one_each, seed))
            found["AUC"].append([pairs.auc])
            reported.append((hits.mean(), inverse.mean(), pairs.auc.value))
        for (name, intervals), truth in zip(found.items(), np.mean(reported, axis=0), strict=True):
            row(f"pairs noise={noise:g} {name}", float(truth), intervals)
    over_labels(studies)


if __name__ == "__main__":
    main()
