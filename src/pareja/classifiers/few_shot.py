"""Learning labels from a few pictures of each, on embeddings that are computed already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import softmax

from pareja.analysis.significance import Floats, Indices
from pareja.analysis.similarity import normalise
from pareja.analysis.validation import checked_rows
from pareja.arrays import one_blas_thread
from pareja.classifiers.learned import Linear, Nearest, Rule
from pareja.classifiers.linear_probe import linear_probe
from pareja.classifiers.shots import Shots
from pareja.classifiers.tip_adapter import tip_adapter, tip_adapter_f
from pareja.encoders.protocols import Embeddings
from pareja.errors import AnalysisError
from pareja.inputs import one_of

Method = Literal["knn", "prototype", "linear-probe", "tip-adapter", "tip-adapter-f"]
"""How labels are learned from examples."""

METHODS: tuple[Method, ...] = get_args(Method)

_WORTH_THREADS = 1 << 20

Settings = Mapping[str, float]


@dataclass(frozen=True)
class Learned:
    """What a method made of the examples.

    Parameters
    ----------
    rule
        What it learned; gives logits.
    settings
        The hyperparameters that were chosen.
    uses_words
        Whether zero-shot logits are to be added to the rule's.
    """

    rule: Rule
    settings: Settings
    uses_words: bool

    def probabilities(self, images: Embeddings, prior: Floats) -> Floats:
        """Say how probable each label is.

        Parameters
        ----------
        images
            Embeddings, ``(n, dim)``.
        prior
            Zero-shot logits of the same pictures, ``(n, k)``.

        Returns
        -------
        Floats
            ``(n, k)``; each row sums to 1.
        """
        logits = self.rule.logits(images)
        shares: Floats = softmax(logits + prior if self.uses_words else logits, axis=1)
        return shares


def prototype(shots: Shots, *, scale: float) -> Linear:
    """Compare with the mean of each label's examples (Snell et al. 2017, with cosines).

    Parameters
    ----------
    shots
        What to learn from.
    scale
        What the cosines are multiplied by to become logits, above 0.
    """
    means = shots.values.T @ shots.images
    weights = scale * normalise(means)
    return Linear(weights.astype(np.float32), np.zeros(shots.n_labels, np.float32))


def knn(shots: Shots, *, count: float) -> Nearest:
    """Let the nearest examples vote.

    Parameters
    ----------
    shots
        What to learn from.
    count
        How many vote.
    """
    return Nearest(shots.images.astype(np.float32), shots.values.astype(np.float32), int(count))


@dataclass(frozen=True)
class _Recipe:
    """A method with the settings to choose from, and those where nothing can be chosen."""

    fit: Callable[..., Rule]
    default: Settings
    grid: Mapping[str, tuple[float, ...]]
    uses_words: bool = False
    after: Method | None = None
    """The method whose settings are chosen first, and kept."""


_RECIPES: Mapping[Method, _Recipe] = {
    "knn": _Recipe(knn, {"count": 1}, {"count": (1, 2, 4, 8, 16)}),
    "prototype": _Recipe(prototype, {"scale": 20}, {"scale": (5, 10, 20, 50, 100)}),
    "linear-probe": _Recipe(
        linear_probe, {"strength": 100}, {"strength": (1, 10, 100, 1000, 10_000, 100_000)}
    ),
    "tip-adapter": _Recipe(
        tip_adapter,
        {"weight": 1, "beta": 5.5},
        {"weight": (0.1, 0.3, 1, 3, 10), "beta": (1, 2, 5.5, 11)},
        uses_words=True,
    ),
    "tip-adapter-f": _Recipe(
        tip_adapter_f,
        {"anchor": 0.1},
        {"anchor": (0.001, 0.01, 0.1, 1)},
        uses_words=True,
        after="tip-adapter",
    ),
}


def uses_words(method: Method) -> bool:
    """Whether a method starts from zero-shot logits."""
    one_of("method", method, METHODS)
    return _RECIPES[method].uses_words


def learn(
    method: Method, images: Embeddings, answers: Indices, prior: Floats, **settings: float
) -> Learned:
    """Learn labels from examples, and from nothing else.

    Parameters
    ----------
    method
        How.
    images
        Embeddings of the examples, ``(n, dim)``.
    answers
        Index of each one's label, ``(n,)``.
    prior
        Zero-shot logits of the examples, ``(n, k)``; zeros for methods that use no words.
    **settings
        Hyperparameters that are not to be chosen.

    Returns
    -------
    Learned
        With settings that did best (least Brier score; the first of equal ones) in
        cross-validation over the examples, up to five-fold with every label in every fold. With
        one example of a label there is nothing to hold out, and the defaults are taken.

    Raises
    ------
    LabelError
        If a label has no example.
    AnalysisError
        If the arrays do not fit each other.
    """
    shots = _checked(images, answers, prior)
    recipe = _RECIPES[method]
    with one_blas_thread() if shots.images.size < _WORTH_THREADS else nullcontext():
        chosen = _chosen(method, shots, settings)
        return Learned(recipe.fit(shots, **chosen), chosen, recipe.uses_words)


def _chosen(method: Method, shots: Shots, fixed: Settings) -> Settings:
    recipe = _RECIPES[method]
    before: Settings = {}
    if recipe.after is not None:
        known = _RECIPES[recipe.after].default
        before = _chosen(recipe.after, shots, {n: v for n, v in fixed.items() if n in known})
    default = {**before, **recipe.default, **fixed}
    grid = {name: values for name, values in recipe.grid.items() if name not in fixed}
    if not grid:
        return default
    candidates: list[dict[str, Any]] = [
        default,
        *(
            {**default, **dict(zip(grid, values, strict=True))}
            for values in product(*grid.values())
        ),
    ]
    losses = [
        [_brier(recipe, training, held_out, candidate) for candidate in candidates]
        for training, held_out in shots.folds()
    ]
    if not losses:
        return default
    # One row a candidate, one column an example.
    by_example = np.hstack([np.array(of_fold) for of_fold in losses])
    best = by_example.sum(axis=1).argmin()
    saved = by_example[0] - by_example[best]
    # Of a few examples a grid finds by chance what suits them; only what is clear is believed.
    clear = saved.mean() > saved.std(ddof=1) / np.sqrt(len(saved))
    return candidates[int(best)] if clear else default


def _brier(recipe: _Recipe, training: Shots, held_out: Shots, settings: Settings) -> Floats:
    """Return the Brier score of each held-out example, ``(n,)``."""
    fitted = Learned(recipe.fit(training, **settings), settings, recipe.uses_words)
    shares = fitted.probabilities(held_out.images.astype(np.float32), held_out.prior)
    scores: Floats = ((shares - np.eye(held_out.n_labels)[held_out.answers]) ** 2).sum(axis=1)
    return scores


def _checked(images: Embeddings, answers: Indices, prior: Floats) -> Shots:
    rows, logits = checked_rows("images", images), checked_rows("prior", prior)
    given = np.asarray(answers)
    if not len(rows) == len(logits) == given.size or given.ndim != 1:
        raise AnalysisError(
            f"examples need an embedding, a label and zero-shot logits each, got {len(rows)}, "
            f"{given.shape} and {len(logits)}"
        )
    if given.min() < 0 or given.max() >= logits.shape[1]:
        raise AnalysisError(
            f"answers must be indices of the {logits.shape[1]} labels, got {given.min()} to "
            f"{given.max()}"
        )
    return Shots(rows, given, logits)
