"""What 1, 2 and 4 examples a label bring on commons200: the table and figure of docs/few_shot.md.

python benchmarks/few_shot.py [--seeds 20] [--figure docs/images/few_shot.svg]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from pareja.analysis.repeated import RepeatedAccuracy
from pareja.analysis.significance import Estimate
from pareja.datasets import load_dataset
from pareja.embedding import EmbeddingCache
from pareja.encoders import load
from pareja.files import atomic_write
from pareja.report.drawing import FULL_WIDTH, MARKERS, MUTED, SERIES, finish, sheet
from pareja.tasks.examples import Examples, gather_examples, usable_methods
from pareja.tasks.learning_curves import LearningCurves, learning_curves

SECOND_COPIES = {"colosseum_2", "great_pyramid"}
SPACES = {"starter": None, "starter-unaligned": "starter-unaligned"}


def measured(seeds: int) -> dict[str, tuple[Examples, LearningCurves]]:
    dataset = load_dataset("commons200")
    dataset = replace(
        dataset,
        records=tuple(r for r in dataset if PurePosixPath(r.file_name).stem not in SECOND_COPIES),
    )
    found = {}
    with EmbeddingCache() as cache:
        for space, features in SPACES.items():
            examples = gather_examples(
                dataset,
                load("starter"),
                features=None if features is None else load(features),
                cache=cache,
            )
            curves = learning_curves(
                examples.images,
                examples.answers,
                examples.labels,
                examples.prior,
                methods=usable_methods(examples),
                shots=examples.shots,
                seeds=seeds,
            )
            found[space] = examples, curves
    return found


def cell(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def row(space: str, method: str, shots: str, scores: RepeatedAccuracy) -> str:
    gain = "" if scores.gain is None else cell(scores.gain)
    return (
        f"| {space} | {method} | {shots} | {cell(scores.balanced)} | {gain} "
        f"| {cell(scores.accuracy)} |"
    )


def table(found: Mapping[str, tuple[Examples, LearningCurves]]) -> None:
    for space, (examples, curves) in found.items():
        if space == next(iter(found)):
            counts = np.bincount(examples.answers)
            named = ", ".join(f"{n} ({c})" for n, c in zip(curves.labels, counts, strict=True))
            print(
                f"{curves.n_images} pictures, {len(curves.labels)} labels: {named}. "
                f"{curves.n_tests} tests in each of {curves.seeds} draws.\n"
            )
            print("| pictures of | method | shots | balanced accuracy | gain | accuracy |")
            print("|---|---|---|---|---|---|")
            if curves.zero_shot is not None:
                print(row("`starter`", "zero-shot", "0", curves.zero_shot))
        for point in curves.points:
            print(row(f"`{space}`", point.method, str(point.shots), point.scores))


def chosen(found: Mapping[str, tuple[Examples, LearningCurves]]) -> None:
    print("\nMost often chosen:\n")
    for space, (_, curves) in found.items():
        for point in curves.points:
            if point.shots == max(curves.shots):
                count = Counter(tuple(settings.items()) for settings in point.settings)
                settings, times = count.most_common(1)[0]
                told = ", ".join(f"{name} {value:g}" for name, value in settings)
                print(f"- {space}, {point.method}, {point.shots} shots: {told} ({times}x)")


def draw(found: Mapping[str, tuple[Examples, LearningCurves]], out: Path) -> None:
    with sheet(FULL_WIDTH, 3.3) as figure:
        panels = figure.subplots(1, len(found), sharey=True)
        for axes, (space, (_, curves)) in zip(panels, found.items(), strict=True):
            shots = np.array(curves.shots, dtype=float)
            methods = list(dict.fromkeys(point.method for point in curves.points))
            if curves.zero_shot is not None:
                level = curves.zero_shot.balanced
                axes.axhspan(level.low, level.high, color=MUTED, alpha=0.15, linewidth=0)
                axes.axhline(level.value, color=MUTED, linestyle=(0, (4, 3)), label="zero-shot")
            for slot, method in enumerate(methods):
                own = [p.scores.balanced for p in curves.points if p.method == method]
                value = np.array([estimate.value for estimate in own])
                spread = np.array([[e.value - e.low, e.high - e.value] for e in own]).T
                axes.errorbar(
                    shots * 2 ** (0.09 * (slot - (len(methods) - 1) / 2)),
                    value,
                    yerr=spread,
                    color=SERIES[slot],
                    marker=MARKERS[slot],
                    markersize=4.5,
                    linewidth=1.2,
                    elinewidth=0.9,
                    label=method,
                )
            axes.set_xscale("log", base=2)
            axes.set_xticks(shots, [str(n) for n in curves.shots])
            axes.minorticks_off()
            axes.set_xlabel("examples a label")
            axes.set_title(f"examples seen by {space}")
            axes.grid(axis="y")
        panels[0].set_ylabel("balanced accuracy, 95 % interval")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
        drawing = finish(figure, "few-shot")
    atomic_write(out, drawing.svg, force=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many times examples are drawn")
    parser.add_argument("--figure", type=Path, help="the .svg to write")
    options = parser.parse_args()
    found = measured(options.seeds)
    table(found)
    chosen(found)
    if options.figure is not None:
        draw(found, options.figure)


if __name__ == "__main__":
    main()
