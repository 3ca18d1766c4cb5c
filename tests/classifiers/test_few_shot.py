from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from tests.classifiers.few_shot_points import Points, points, unit

from pareja.analysis.significance import Floats
from pareja.classifiers.few_shot import METHODS, Method, learn, uses_words
from pareja.classifiers.learned import Cache, Linear
from pareja.classifiers.linear_probe import linear_probe
from pareja.classifiers.shots import Shots
from pareja.classifiers.tip_adapter import tip_adapter, tip_adapter_f
from pareja.errors import AnalysisError, LabelError

FIXED: dict[Method, dict[str, float]] = {
    "knn": {"count": 3},
    "prototype": {"scale": 20},
    "linear-probe": {"strength": 10},
    "tip-adapter": {"weight": 1, "beta": 5.5},
    "tip-adapter-f": {"weight": 1, "beta": 5.5, "anchor": 0.1},
}
Rows = NDArray[np.floating]
seeds = st.integers(0, 2**32 - 1)


def shots_of(sample: Points) -> Shots:
    return Shots(sample.images.astype(np.float64), sample.answers, sample.prior)


def uneven(seed: int = 0) -> Points:
    sample = points(each=8, seed=seed)
    kept = np.delete(np.arange(len(sample.answers)), [0, 1, 2, 3, 4, 8, 9])
    return Points(sample.images[kept], sample.answers[kept], sample.prior[kept], sample.words)


@pytest.mark.parametrize("strength", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("sample", [points(), uneven(), points(each=1), points(dim=3)])
def test_the_linear_probe_is_scikit_learns(sample: Points, strength: float) -> None:
    mine = linear_probe(shots_of(sample), strength=strength)
    theirs = LogisticRegression(C=strength, class_weight="balanced", tol=1e-10, max_iter=20_000)
    theirs.fit(sample.images.astype(np.float64), sample.answers)
    tests = points(each=20, dim=sample.images.shape[1], seed=5).images
    shares = np.exp(mine.logits(tests))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, theirs.predict_proba(tests), atol=2e-4)
    np.testing.assert_allclose(mine.weights, theirs.coef_, atol=5e-3)


def test_knn_is_scikit_learns() -> None:
    sample, tests = points(), points(each=9, seed=3).images

    def votes(distances: Floats) -> Floats:
        # Between unit vectors the squared distance is 2 - 2 cos.
        return np.asarray(np.exp((1 - distances**2 / 2) / 0.07))

    theirs = KNeighborsClassifier(5, weights=votes).fit(sample.images, sample.answers)
    learned = learn("knn", sample.images, sample.answers, sample.prior, count=5)
    shares = learned.probabilities(tests, np.zeros((len(tests), 4)))
    np.testing.assert_allclose(shares, theirs.predict_proba(tests), atol=1e-4)


def test_a_prototype_is_the_mean_of_its_examples() -> None:
    sample, tests = uneven(), points(each=3, seed=3).images
    learned = learn("prototype", sample.images, sample.answers, sample.prior, scale=10)
    for row, image in zip(learned.rule.logits(tests), tests, strict=True):
        for label, logit in enumerate(row):
            mean = sample.images[sample.answers == label].mean(axis=0)
            assert logit == pytest.approx(10 * (image @ mean) / np.linalg.norm(mean), abs=1e-4)


def slow_tip(
    image: Rows, keys: Rows, answers: Any, prior: Floats, alpha: float, beta: float
) -> list[float]:
    """Equation 5 of Zhang et al. (2022), word for word."""
    logits = [float(value) for value in prior]
    for key, answer in zip(keys, answers, strict=True):
        closeness = sum(float(a) * float(b) for a, b in zip(image, key, strict=True))
        logits[answer] += alpha * math.exp(-beta * (1 - closeness))
    return logits


def test_tip_adapter_is_the_papers_formula() -> None:
    sample, tests = points(), points(each=2, seed=3)
    cache = tip_adapter(shots_of(sample), weight=0.5, beta=5.5)
    mine = cache.logits(tests.images) + tests.prior
    for row, image, prior in zip(mine, tests.images, tests.prior, strict=True):
        slow = slow_tip(image, sample.images, sample.answers, prior, cache.alpha, 5.5)
        np.testing.assert_allclose(row, slow, atol=1e-4)


@pytest.mark.parametrize("each", [1, 6])
def test_weight_1_lets_words_and_examples_spread_alike_over_wrong_labels(each: int) -> None:
    sample = points(each=each)
    cache = tip_adapter(shots_of(sample), weight=1.0, beta=5.5)
    squares: dict[str, list[float]] = {"words": [], "examples": []}
    for image, answer, prior in zip(sample.images, sample.answers, sample.prior, strict=True):
        told = slow_tip(image, sample.images, sample.answers, np.zeros(4), cache.alpha, 5.5)
        for name, logits in (("words", prior), ("examples", told)):
            wrong = np.array([float(logits[label]) for label in range(4) if label != answer])
            squares[name] += ((wrong - wrong.mean()) ** 2).tolist()
    assert np.mean(squares["words"]) == pytest.approx(np.mean(squares["examples"]), rel=1e-3)
    louder = Points(sample.images, sample.answers, 5 * sample.prior, sample.words)
    assert tip_adapter(shots_of(louder), weight=1.0, beta=5.5).alpha == pytest.approx(
        5 * cache.alpha
    )


def test_two_labels_and_silent_words_have_a_weight_too() -> None:
    two = points(each=3, k=2)
    assert np.isfinite(tip_adapter(shots_of(two), weight=1.0, beta=5.5).alpha)
    silent = Points(two.images, two.answers, np.zeros((6, 2)), two.words)
    assert tip_adapter(shots_of(silent), weight=3.0, beta=5.5).alpha == 3.0


def test_tuned_keys_are_at_the_bottom() -> None:
    sample = points(each=3, noise=1.2)
    start = tip_adapter(shots_of(sample), weight=1.0, beta=3.0)
    tuned = tip_adapter_f(shots_of(sample), weight=1.0, beta=3.0, anchor=0.05)
    images = torch.from_numpy(sample.images).double()
    answers, prior = torch.from_numpy(sample.answers), torch.from_numpy(sample.prior)
    # Three of each label: two others of its own, each counting 3/2, and none of them itself.
    alike = answers[:, None] == answers
    others = torch.where(alike, 1.5, 1.0) * (1 - torch.eye(len(answers)))

    def loss_and_slope(given: NDArray[np.float32]) -> tuple[float, float]:
        free = torch.from_numpy(given).double().requires_grad_()
        keys = free / free.norm(dim=1, keepdim=True)
        closeness = others * torch.exp(-3.0 * (1 - images @ keys.T))
        logits = prior + start.alpha * closeness @ torch.eye(4).double()[answers]
        loss = torch.nn.functional.cross_entropy(logits, answers)
        loss = loss + 0.05 / 2 * ((keys - images) ** 2).sum()
        (slope,) = torch.autograd.grad(loss, free)
        return float(loss.detach()), float(slope.abs().max())

    (loss_before, slope_before), (loss, slope) = map(loss_and_slope, (start.keys, tuned.keys))
    np.testing.assert_allclose(np.linalg.norm(tuned.keys, axis=1), 1, atol=1e-6)
    assert loss < 0.9 * loss_before
    assert slope < 1e-3 * slope_before


@settings(deadline=None, max_examples=40)
@given(seed=seeds, method=st.sampled_from(METHODS))
def test_a_rotation_of_the_space_changes_nothing(seed: int, method: Method) -> None:
    sample, tests = points(each=3, seed=seed % 100), points(each=4, seed=seed % 100 + 1)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((12, 12)))

    def told(images: Rows, asked: Rows) -> Floats:
        learned = learn(method, unit(images), sample.answers, sample.prior, **FIXED[method])
        return learned.probabilities(unit(asked), tests.prior)

    before = told(sample.images, tests.images)
    after = told(sample.images @ turn, tests.images @ turn)
    np.testing.assert_allclose(before, after, atol=2e-3)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, method=st.sampled_from(METHODS))
def test_labels_in_another_order_give_columns_in_that_order(seed: int, method: Method) -> None:
    sample, tests = points(each=3, seed=seed % 100), points(each=4, seed=seed % 100 + 1)
    order = np.random.default_rng(seed).permutation(4)
    before = learn(method, sample.images, sample.answers, sample.prior, **FIXED[method])
    # Column j of the new order is label order[j] of the old one.
    answers, prior = np.argsort(order)[sample.answers], sample.prior[:, order]
    after = learn(method, sample.images, answers, prior, **FIXED[method])
    np.testing.assert_allclose(
        before.probabilities(tests.images, tests.prior)[:, order],
        after.probabilities(tests.images, tests.prior[:, order]),
        atol=2e-3,
    )


@pytest.mark.parametrize("method", METHODS)
def test_examples_beat_misleading_words(method: Method) -> None:
    sample, tests = points(seed=1), points(each=30, seed=1)
    wrong = np.roll(sample.prior, 1, axis=1)
    learned = learn(method, sample.images, sample.answers, wrong)
    shares = learned.probabilities(tests.images, np.roll(tests.prior, 1, axis=1))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (shares.argmax(axis=1) == tests.answers).mean() > 0.9


def test_the_weight_of_the_examples_follows_what_they_are_worth() -> None:
    sample = points(each=8, words=0.0, noise=0.5, seed=2)
    noise = np.random.default_rng(0).standard_normal(sample.images.shape)
    trusting = learn("tip-adapter", sample.images, sample.answers, -sample.prior)
    doubting = learn("tip-adapter", unit(noise), sample.answers, sample.prior)
    assert trusting.settings["weight"] > 1 > doubting.settings["weight"]


@pytest.mark.parametrize("method", METHODS)
def test_one_example_each_leaves_nothing_to_choose_by(method: Method) -> None:
    first, second = (
        learn(method, sample.images, sample.answers, sample.prior).settings
        for sample in (points(each=1), points(each=1, seed=9))
    )
    assert first == second


def test_what_no_candidate_improves_clearly_stays_at_its_default() -> None:
    sample = points(each=4)
    noise = unit(np.random.default_rng(1).standard_normal(sample.images.shape))
    default = learn("knn", points(each=1).images, np.arange(4), np.zeros((4, 4))).settings
    shuffled = np.random.default_rng(2).permutation(sample.answers)
    assert learn("prototype", noise, shuffled, sample.prior).settings["scale"] <= 20
    assert default == {"count": 1}


def test_folds_hold_every_label_in_both_parts() -> None:
    sample = uneven()
    folds = list(shots_of(sample).folds())
    assert len(folds) == 3
    held_out = []
    for training, rest in folds:
        assert set(training.answers) == set(rest.answers) == set(range(4))
        assert len(training.answers) + len(rest.answers) == len(sample.answers)
        held_out += [tuple(row) for row in rest.images]
    assert len(set(held_out)) == len(sample.answers)
    assert not list(shots_of(points(each=1)).folds())


def test_uneven_numbers_of_examples_count_alike_in_sum() -> None:
    shots = shots_of(uneven())
    np.testing.assert_allclose(shots.values.sum(axis=0), len(shots.answers) / 4)
    np.testing.assert_array_equal(shots_of(points()).values.max(axis=1), 1)


def test_words_are_used_where_they_are_said_to_be() -> None:
    sample, tests = points(), points(each=4, seed=3)
    for method in METHODS:
        learned = learn(method, sample.images, sample.answers, sample.prior, **FIXED[method])
        plain = learned.probabilities(tests.images, np.zeros_like(tests.prior))
        worded = learned.probabilities(tests.images, tests.prior)
        assert learned.uses_words == uses_words(method)
        assert np.allclose(plain, worded) != uses_words(method)
        assert isinstance(learned.rule, Cache) or not uses_words(method)


def test_a_label_without_examples_is_named() -> None:
    sample = points()
    with pytest.raises(LabelError, match="label 3 has no picture"):
        learn("knn", sample.images[:18], sample.answers[:18], sample.prior[:18])


@pytest.mark.parametrize(
    ("answers", "says"),
    [([0, 1], "examples need"), ([[0], [1], [1]], "examples need"), ([0, 1, 2], "0 to 2")],
)
def test_arrays_that_do_not_fit_are_refused(answers: list[Any], says: str) -> None:
    with pytest.raises(AnalysisError, match=says):
        learn("prototype", np.eye(3, dtype=np.float32), np.array(answers), np.zeros((3, 2)))


def test_no_picture_is_no_trouble() -> None:
    sample = points()
    for method in METHODS:
        learned = learn(method, sample.images, sample.answers, sample.prior, **FIXED[method])
        none = learned.probabilities(np.empty((0, 12), np.float32), np.empty((0, 4)))
        assert none.shape == (0, 4)


def test_the_probe_does_not_depend_on_useless_axes() -> None:
    sample = points()
    wide = np.hstack([sample.images, np.zeros((24, 40), np.float32)]).astype(np.float64)
    narrow = linear_probe(shots_of(sample), strength=5.0)
    padded = linear_probe(Shots(wide, sample.answers, sample.prior), strength=5.0)
    assert isinstance(padded, Linear)
    np.testing.assert_allclose(padded.weights[:, :12], narrow.weights, atol=1e-3)
    np.testing.assert_allclose(padded.weights[:, 12:], 0, atol=1e-6)
