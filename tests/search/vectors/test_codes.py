"""Codes of a byte or a bit a number: what they find, and what they say two rows have in common."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pareja.search.vectors import codes as codes_module
from pareja.search.vectors.codes import Block, Codebook, Codes
from pareja.search.vectors.quantization import Compressed

ROWS = 3000
Rows = NDArray[np.float32]


def cloud(seed: int, count: int, dim: int, *, axis: int = 0) -> Rows:
    """Unit vectors that share a direction, and vary along a few axes most."""
    rows = np.random.default_rng(seed).normal(size=(count, dim)) / np.sqrt(1 + np.arange(dim))
    rows[:, axis] += 2
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def coded(rows: Rows, kind: Compressed, block: int = 700) -> Codes:
    book = Codebook.around(rows.mean(axis=0), kind)
    blocks = []
    for start in range(0, len(rows), block):
        codes, scales = book.coded(rows[start : start + block])
        keys = np.arange(start, start + len(codes)) * 2 + 1
        blocks.append(Block(keys, book.held(codes), scales))
    return Codes(book, blocks)


def estimates(codes: Codes, query: Rows) -> Rows:
    asked = codes.book.query(query)
    scores = [
        block.scales[0] * asked.products(block.held) + block.scales[1] for block in codes.blocks
    ]
    return np.concatenate(scores)


@pytest.mark.parametrize("dim", [64, 97, 512])
@pytest.mark.parametrize(("kind", "error"), [("int8", 0.1), ("binary", 0.9)])
def test_an_estimate_is_the_cosine_up_to_a_constant_and_an_error_that_is_right_on_average(
    kind: Compressed, error: float, dim: int
) -> None:
    rows = cloud(0, ROWS, dim)
    codes = coded(rows, kind)
    for query in (cloud(1, 1, dim)[0], cloud(2, 1, dim, axis=3)[0]):
        mean = codes.book.mean
        off = estimates(codes, query) - rows @ query - (mean - query) @ mean
        lengths = np.linalg.norm(rows - mean, axis=1) * np.linalg.norm(query - mean)
        assert (off / lengths).std() < error / np.sqrt(dim)
        assert abs((off / lengths).mean()) < 0.1 * error / np.sqrt(dim)


@pytest.mark.parametrize("kind", ["int8", "binary"])
def test_how_far_off_estimates_are_is_known(kind: Compressed) -> None:
    rows = cloud(0, ROWS, 256)
    codes = coded(rows, kind)
    factors = np.concatenate([block.scales[0] for block in codes.blocks])
    for query in (cloud(1, 1, 256)[0], cloud(2, 1, 256, axis=3)[0]):
        mean = codes.book.mean
        off = estimates(codes, query) - rows @ query - (mean - query) @ mean
        known = codes_module._ERRORS[kind] * np.linalg.norm(query - mean) * factors
        assert 0.8 < (off / known).std() < 1.25


@pytest.mark.parametrize(("kind", "least"), [("int8", 0.995), ("binary", 0.95)])
def test_most_of_the_nearest_are_found(kind: Compressed, least: float) -> None:
    rows = cloud(3, ROWS, 96)
    codes = coded(rows, kind)
    found = 0
    for query in cloud(4, 50, 96, axis=5):
        keys = codes.nearest(query, 10)
        assert len(keys) < ROWS / 3
        found += len(set((np.argsort(-(rows @ query))[:10] * 2 + 1).tolist()) & set(keys.tolist()))
    assert found / 500 > least


def test_turned_bits_around_the_mean_find_what_plain_signs_lose() -> None:
    """Plain signs: most numbers have the sign of the direction that all rows share."""
    rows = cloud(5, ROWS, 96)
    codes = coded(rows, "binary")
    best = {"turned": 0, "plain": 0}
    for query in cloud(6, 50, 96):
        nearest = set(np.argsort(-(rows @ query))[:10].tolist())
        shared = ((rows >= 0) == (query >= 0)).sum(axis=1)
        for name, scores in (("turned", estimates(codes, query)), ("plain", shared)):
            best[name] += len(nearest & set(np.argsort(-scores)[:40].tolist()))
    assert best["turned"] > 1.3 * best["plain"]


@pytest.mark.parametrize("kind", ["int8", "binary"])
def test_only_some_rows(kind: Compressed) -> None:
    rows = cloud(7, ROWS, 32)
    codes = coded(rows, kind)
    some = np.sort(np.random.default_rng(0).choice(ROWS, 900, replace=False))
    within = Codes(codes.book, codes.blocks, among=some * 2 + 1)
    assert len(within) == 900
    query = cloud(8, 1, 32)[0]
    keys = within.nearest(query, 10)
    assert set(keys.tolist()) <= set((some * 2 + 1).tolist())
    assert set((some[np.argsort(-(rows[some] @ query))[:5]] * 2 + 1).tolist()) <= set(keys.tolist())
    assert len(Codes(codes.book, codes.blocks, among=some[:0]).nearest(query, 10)) == 0
    assert sorted(within.nearest(query, 900).tolist()) == (some * 2 + 1).tolist()


@pytest.mark.parametrize("kind", ["int8", "binary"])
@pytest.mark.parametrize("dim", [1, 2, 3, 17])
def test_short_vectors_and_rows_that_are_the_mean(kind: Compressed, dim: int) -> None:
    rows = np.repeat(cloud(9, 1, dim), 20, axis=0)
    codes = coded(rows, kind, block=7)
    assert np.isfinite(estimates(codes, rows[0])).all()
    assert len(codes.nearest(rows[0], 1)) == 20


@pytest.mark.parametrize("kind", ["int8", "binary"])
def test_all_that_are_as_near_as_the_last_place_are_found(kind: Compressed) -> None:
    rows = cloud(10, ROWS, 64)
    rows[500:2500] = rows[500]
    codes = coded(rows, kind)
    assert set(range(1001, 5000, 2)) <= set(codes.nearest(rows[500], 1).tolist())
