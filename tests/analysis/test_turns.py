from __future__ import annotations

from itertools import permutations as every_order

import numpy as np
import pytest

from pareja.analysis.significance import Indices
from pareja.analysis.turns import Turns

OWNERS = {
    "one caption each": np.arange(7),
    "two captions each": np.repeat(np.arange(5), 2),
    "most have two, some have other numbers": np.array([0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 6, 6]),
    "no two have the same number": np.array([0, 1, 1, 2, 2, 2]),
    "most have none": np.array([1, 1, 4]),
}


def explicit(turns: Turns) -> list[tuple[Indices, Indices]]:
    """Return every draw as who takes the place of each picture and of each caption."""
    size = len(turns.circle)
    drawn = []
    for place in turns.kept:
        start, turn = divmod(int(place), size)
        images, captions = np.arange(turns.images.shape[1]), np.arange(turns.captions.shape[1])
        images[turns.circle] = np.roll(turns.circle, -turn)
        captions[turns.slots] = np.roll(turns.slots, -turn, axis=0)
        drawn.append((turns.images[start][images], turns.captions[start][captions]))
    return drawn


@pytest.mark.parametrize("name", OWNERS)
def test_products_are_those_of_each_pairing_by_itself(name: str) -> None:
    owner = OWNERS[name]
    n = 8 if name == "most have none" else int(owner.max()) + 1
    fixed, moved = np.random.default_rng(0).standard_normal((2, n, len(owner)))
    turns = Turns.of(owner, n, permutations=40, seed=5)
    expected = [np.sum(fixed * moved[np.ix_(*pairing)]) for pairing in explicit(turns)]
    assert turns.products(fixed, moved) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", OWNERS)
def test_products_of_vectors_are_those_of_each_pairing_by_itself(name: str) -> None:
    owner = OWNERS[name]
    n = 8 if name == "most have none" else int(owner.max()) + 1
    fixed, moved = np.random.default_rng(3).standard_normal((2, len(owner)))
    turns = Turns.of(owner, n, permutations=40, seed=4)
    expected = [fixed @ moved[captions] for _, captions in explicit(turns)]
    assert turns.vector_products(fixed, moved) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", OWNERS)
def test_pairings_carry_captions_with_their_pictures(name: str) -> None:
    owner = OWNERS[name]
    n = 8 if name == "most have none" else int(owner.max()) + 1
    for images, captions in explicit(Turns.of(owner, n, permutations=40, seed=3)):
        assert sorted(images) == list(range(n))
        assert sorted(captions) == list(range(len(owner)))
        assert owner[captions].tolist() == images[owner].tolist()


def test_hits_and_sums_are_those_of_each_pairing_by_itself() -> None:
    rng = np.random.default_rng(1)
    asked, answered = rng.integers(0, 6, (2, 20))
    shares = rng.random(20)
    turns = Turns.of_pictures(6, permutations=30, seed=2)
    expected = [shares @ (images[asked] == answered) for images, _ in explicit(turns)]
    assert turns.hits(asked, answered, shares) == pytest.approx(expected)
    matrix = rng.standard_normal((6, 6))
    expected = [matrix[np.arange(6), images].sum() for images, _ in explicit(turns)]
    assert turns.sums(matrix) == pytest.approx(expected)


def test_every_pairing_is_equally_likely() -> None:
    turns = Turns.of_pictures(4, permutations=5999, seed=0)
    drawn = [tuple(images.tolist()) for images, _ in explicit(turns)]
    shares = [drawn.count(order) / len(drawn) for order in every_order(range(4))]
    assert shares == pytest.approx(np.full(24, 1 / 24), abs=0.01)


@pytest.mark.parametrize("permutations", [1, 19, 500])
def test_there_are_as_many_draws_as_asked_for(permutations: int) -> None:
    turns = Turns.of_pictures(11, permutations, seed=0)
    assert len(np.unique(turns.kept)) == permutations
    assert 0 < turns.kept.min() <= turns.kept.max() < 11 * len(turns.images)


def test_p_is_uniform_even_where_neighbours_in_the_data_are_alike() -> None:
    """Pictures sorted by category are alike to their neighbours, and turns keep neighbours."""
    rng = np.random.default_rng(7)
    kind = np.arange(12) // 3
    alike = (kind[:, None] == kind).astype(np.float64) - 0.25
    p = []
    for seed in range(400):
        order = rng.permutation(12)
        observed = float(np.sum(alike * alike[np.ix_(order, order)]))
        null = Turns.of_pictures(12, 99, seed).products(alike, alike[np.ix_(order, order)])
        p.append((1 + np.sum(null >= observed - 1e-9)) / 100)
    for level in (0.05, 0.1, 0.3):
        assert np.mean(np.array(p) <= level) <= level + 3 * (level * (1 - level) / 400) ** 0.5
