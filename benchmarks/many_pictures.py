"""Whether intervals and tests hold what they promise where there are more than 64 pictures.

There they take shorter ways: intervals of the AUC, of the difference of means and of the rank
correlation of two matrices come from each picture's influence, permutations from turns of a circle,
and a bridge's test compares own pairs with the strangers of the same maps alone.

    python benchmarks/many_pictures.py [--studies 400]

Two tables: how often a 95 % interval holds the truth (the mean over all studies), and how often the
p of a test is at most 0.05 and 0.1 where pictures and captions have nothing to do with each other.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np

from pareja.analysis import bridges, geometry, matching
from pareja.analysis.comparison import compare
from pareja.analysis.first_place import first_place
from pareja.analysis.significance import Estimate, Floats
from pareja.arrays import unit

PICTURES = 72
DIM = 12
PAIRINGS = 199
REFITS = 39


def coverage(studies: int) -> Iterator[str]:
    """Yield the table of intervals."""
    yield "| 95 % interval of | truth | coverage | mean width |"
    yield "| --- | ---: | ---: | ---: |"
    found: dict[str, list[Estimate]] = defaultdict(list)
    owner = np.arange(PICTURES)
    for seed in range(studies):
        rng = np.random.default_rng(seed)
        images = rng.standard_normal((PICTURES, DIM))
        captions = images + 2 * rng.standard_normal(images.shape)
        first = unit(images) @ unit(captions).T
        for noise in (0.5, 2.0):
            others = (
                unit(side + noise * rng.standard_normal(side.shape)) for side in (images, captions)
            )
            left, right = others
            both = compare(
                "a", "b", first, left @ right.T, owner, permutations=1, resamples=1000, seed=seed
            )
            found[f"the matrices' rank correlation, noise {noise:g}"].append(both.matrix_spearman)
            found[f"the matched pairs' rank correlation, noise {noise:g}"].append(
                both.matched_spearman
            )
        pairs = matching(first, owner, permutations=1, resamples=1000, seed=seed)
        found["AUC"].append(pairs.auc)
        found["difference of means"].append(pairs.difference)
    for name, estimates in found.items():
        truth = np.mean([one.value for one in estimates])
        held = np.mean([one.low <= truth <= one.high for one in estimates])
        width = np.mean([one.high - one.low for one in estimates])
        yield f"| {name} | {truth:.3f} | {held:.3f} | {width:.3f} |"


def errors(studies: int) -> Iterator[str]:
    """Yield the table of tests."""
    yield "| test of | pairings | p ≤ 0.05 | p ≤ 0.1 |"
    yield "| --- | ---: | ---: | ---: |"
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for seed in range(studies):
        for (name, pairings), p in _under_chance(seed):
            found[name, pairings].append(p)
    for (name, pairings), ps in found.items():
        shares = (np.mean(np.array(ps) <= level + 1e-9) for level in (0.05, 0.1))
        yield f"| {name} | {pairings} | " + " | ".join(f"{share:.3f}" for share in shares) + " |"


def _under_chance(seed: int) -> Iterator[tuple[tuple[str, int], float]]:
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(PICTURES), rng.integers(1, 3, PICTURES))

    def rows(n: int) -> Floats:
        # Spectra that fall off and a shared direction, as networks have them.
        raw = rng.standard_normal((n, DIM)) * np.arange(1, DIM + 1) ** -0.7
        return raw + 0.5 * rng.standard_normal(DIM)

    images, captions = rows(PICTURES), rows(len(owner))
    draw: dict[str, int] = {"permutations": PAIRINGS, "seed": seed}
    similarity = unit(images) @ unit(captions).T
    yield (
        ("matched against mismatched", PAIRINGS),
        matching(similarity, owner, resamples=2, **draw).test.p_value,
    )
    for direction, test in first_place(similarity, owner, **draw).items():
        yield (f"R@1, {direction.replace('_', ' ')}", PAIRINGS), test.p_value
    arranged = geometry(images, captions, owner, **draw)
    for name, test in (
        ("RSA", arranged.rsa),
        ("CKA", arranged.cka),
        ("mutual k-NN", arranged.mutual_knn),
    ):
        yield (name, PAIRINGS), test.p_value
    other = unit(rows(PICTURES)) @ unit(rows(len(owner))).T
    both = compare(
        "a", "b", similarity, other, owner, permutations=PAIRINGS, resamples=2, seed=seed
    )
    yield ("the matched pairs' rank correlation", PAIRINGS), both.matched_p
    yield ("the matrices' rank correlation", PAIRINGS), both.matrix_p
    for bridge in bridges(
        images, captions, owner, permutations=REFITS, resamples=2, seed=seed, keep=()
    ):
        yield (f"bridge: {bridge.name.replace('_', ' ')}", REFITS), bridge.matching.test.p_value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    arguments = parser.parse_args()
    tables: tuple[Callable[[int], Iterator[str]], ...] = (coverage, errors)
    for table in tables:
        print(f"\n{PICTURES} pictures, {arguments.studies} studies\n")
        for line in table(arguments.studies):
            print(line, flush=True)


if __name__ == "__main__":
    main()
