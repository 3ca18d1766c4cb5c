from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import RidgeCV

from pareja.analysis import Bridge, bridges, crossfit, geometry
from pareja.analysis.blocks import Blocks
from pareja.analysis.significance import Floats, Indices, grouped_pairings
from pareja.arrays import unit
from pareja.errors import AnalysisError

NAMES = ("random_projection", "ridge", "cca", "procrustes", "relative")


def related(n: int, seed: int, noise: float = 0.3) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 6))
    return tuple(
        shared @ rng.standard_normal((6, dim)) + noise * rng.standard_normal((n, dim)) + 1
        for dim in (40, 25)
    )  # type: ignore[return-value]


def by_name(
    images: Floats, captions: Floats, owner: Indices, permutations: int = 19
) -> dict[str, Bridge]:
    found = bridges(images, captions, owner, permutations=permutations, resamples=9)
    assert tuple(bridge.name for bridge in found) == NAMES
    return {bridge.name: bridge for bridge in found}


@cache
def small() -> tuple[Floats, Floats, Indices, dict[str, Bridge]]:
    """Eight pictures: one without caption, one with two."""
    images, _ = related(8, seed=1)
    owner = np.array([0, 1, 2, 3, 3, 4, 6, 7])
    captions = related(8, seed=1)[1][owner]
    captions[4] += 0.2
    return images, captions, owner, by_name(images, captions, owner)


def kept(bridge: Bridge) -> Floats:
    assert bridge.similarity is not None
    return bridge.similarity


def held_out(i: int, j: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Training pairs without picture i and the picture of caption j; both of these, centred."""
    images, captions, owner, _ = small()
    x, y = unit(images), unit(captions)
    out = {i, int(owner[j])}
    if i == owner[j]:
        blocks = Blocks.of(owner, 8, seed=0)
        slot = list(blocks.captioned).index(i)
        following = (blocks.block[slot] + 1) % blocks.n_blocks
        out.add(int(blocks.captioned[blocks.block == following][0]))
    train = [k for k in np.unique(owner) if k not in out]
    pairs = x[train], np.array([y[owner == k].mean(axis=0) for k in train])
    centre = pairs[0].mean(axis=0), pairs[1].mean(axis=0)
    return pairs[0] - centre[0], pairs[1] - centre[1], x[i] - centre[0], y[j] - centre[1]


def cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def every_entry() -> list[tuple[int, int]]:
    return [(i, j) for i in range(8) for j in range(8)]


def test_ridge_equals_scikit_learn_trained_without_either() -> None:
    similarity = kept(small()[3]["ridge"])
    for i, j in every_entry():
        xs, ys, x, y = held_out(i, j)
        mean = np.trace(xs @ xs.T) / (len(xs) - 1)
        model = RidgeCV(alphas=np.logspace(-3, 3, 13) * mean).fit(xs, ys)
        assert similarity[i, j] == pytest.approx(cosine(model.predict([x])[0], y), abs=1e-9)


def test_procrustes_equals_scipy_without_either() -> None:
    similarity = kept(small()[3]["procrustes"])
    for i, j in every_entry():
        xs, ys, x, y = held_out(i, j)
        # Seven captioned pictures leave five, of which half are components.
        axes = [np.linalg.svd(rows)[2][:2].T for rows in (xs, ys)]
        turn, _ = linalg.orthogonal_procrustes(xs @ axes[0], ys @ axes[1])
        assert similarity[i, j] == pytest.approx(cosine(x @ axes[0] @ turn, y @ axes[1]), abs=1e-9)


def test_relative_equals_the_paper_without_either() -> None:
    similarity = kept(small()[3]["relative"])
    for i, j in every_entry():
        xs, ys, x, y = held_out(i, j)
        described = [[cosine(v, row) for row in rows] for v, rows in ((x, xs), (y, ys))]
        expected = cosine(np.array(described[0]), np.array(described[1]))
        assert similarity[i, j] == pytest.approx(expected, abs=1e-9)


def test_cca_is_the_correlation_weighted_sum_of_canonical_pairs() -> None:
    similarity = kept(small()[3]["cca"])
    for i, j in every_entry():
        xs, ys, x, y = held_out(i, j)
        weights, whitened = [], []
        for rows, v in ((xs, x), (ys, y)):
            kappa = np.trace(rows @ rows.T) / (len(rows) - 1)
            root = linalg.inv(linalg.sqrtm(rows.T @ rows + kappa * np.eye(rows.shape[1])).real)
            whitened.append((rows @ root, root @ v))
            weights.append(np.linalg.solve(rows @ rows.T + kappa * np.eye(len(rows)), rows @ v))
        (xw, xt), (yw, yt) = whitened
        u, correlation, v_t = np.linalg.svd(xw.T @ yw, full_matrices=False)
        expected = (xt @ u * correlation) @ (v_t @ yt)
        assert weights[0] @ weights[1] == pytest.approx(expected, abs=1e-9)
        assert similarity[i, j] == pytest.approx(cosine(*weights), abs=1e-9)


def test_scikit_learns_cca_agrees_on_which_caption_is_whose() -> None:
    images, captions = related(20, seed=3)
    found = by_name(images, captions, np.arange(20))["cca"]
    model = CCA(n_components=3).fit(images[1:], captions[1:])
    x, y = model.transform(images, captions)
    assert cosine(x[0], y[0]) > 0.5
    assert kept(found)[0].argmax() == 0


@pytest.mark.parametrize("n", [20, 33])
def test_related_spaces_are_bridged_but_not_by_the_baseline(n: int) -> None:
    images, captions = related(n, seed=2)
    found = by_name(images, captions, np.arange(n), permutations=99)
    for name in NAMES[1:]:
        assert found[name].image_to_text.recall[1].value > 0.7
        assert found[name].matching.test.p_value == 0.02
        assert np.abs(kept(found[name])).max() <= 1
    assert found["random_projection"].image_to_text.recall[1].value < 0.2
    assert found["random_projection"].matching.test.p_value > 0.02


@pytest.mark.parametrize("n", [12, 23])
@pytest.mark.parametrize("name", NAMES[1:])
def test_the_own_pair_is_not_seen(n: int, name: str) -> None:
    # If picture i or its caption took part in the maps, moving one would move the other's entries.
    images, captions = related(n, seed=7)
    owner = np.arange(n)
    before = kept(by_name(images, captions, owner)[name])
    moved = captions.copy()
    moved[4] = -3 * captions[4] + np.linspace(-9, 9, captions.shape[1])
    after = kept(by_name(images, moved, owner)[name])
    others = owner != 4
    assert after[4, others] == pytest.approx(before[4, others], abs=1e-9)
    assert np.abs(after[4, 4] - before[4, 4]) > 1e-3
    assert np.abs(after[others][:, others] - before[others][:, others]).max() > 1e-3


@cache
def unrelated() -> dict[str, tuple[Floats, Floats, Floats]]:
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in NAMES}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        # Spectra that fall off and an offset, as networks have them.
        images, captions = (
            rng.standard_normal((10, dim)) * np.arange(1, dim + 1) ** -0.7
            + 0.5 * rng.standard_normal(dim)
            for dim in (30, 20)
        )
        for bridge in bridges(
            images, captions, np.arange(10), permutations=19, resamples=2, seed=seed
        ):
            found[bridge.name].append(
                (
                    bridge.matching.test.p_value,
                    bridge.matching.auc.value,
                    bridge.image_to_text.mrr.value,
                )
            )
    return {name: tuple(np.array(rows).T) for name, rows in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_unrelated_spaces_are_at_chance(name: str) -> None:
    p, auc, mrr = unrelated()[name]
    assert stats.kstest(p, "uniform").pvalue > 0.002
    assert np.mean(p <= 0.1) < 0.25
    assert abs(auc.mean() - 0.5) < 4 * stats.sem(auc)
    chance = np.mean(1 / np.arange(1, 11))
    assert abs(mrr.mean() - chance) < 4 * stats.sem(mrr)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**16))
def test_rotation_scale_and_order_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, captions = related(6, seed=seed)
    turn = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    order = rng.permutation(6)
    # Which picture is left out beside an own pair is drawn by position.
    others = ~np.eye(6, dtype=bool)
    first = by_name(images, captions, np.arange(6), permutations=1)
    second = by_name(3 * images[order] @ turn, captions[order], np.arange(6), permutations=1)
    for name in NAMES[1:]:
        expected = kept(first[name])[np.ix_(order, order)]
        assert kept(second[name])[others] == pytest.approx(expected[others], abs=1e-7)
    before = geometry(images, captions, np.arange(6), permutations=1)
    after = geometry(3 * images[order] @ turn, captions[order], np.arange(6), permutations=1)
    for name in ("rsa", "cka", "mutual_knn"):
        statistic = getattr(before, name).statistic
        assert getattr(after, name).statistic == pytest.approx(statistic, abs=1e-9)


@pytest.mark.parametrize("n", [9, 22])
@pytest.mark.parametrize("name", ["cca", "procrustes", "relative"])
def test_the_null_is_what_fitting_again_gives(n: int, name: str) -> None:
    images, captions = related(n, seed=4)
    blocks = Blocks.of(np.arange(n), n, seed=0)
    pairing = grouped_pairings(blocks.block, blocks.n_blocks, 1, seed=0)[0][0]
    observed = by_name(images, captions, np.arange(n), permutations=1)[name].matching.test
    again = by_name(images, captions[pairing], np.arange(n), permutations=1)[name].matching
    if n <= 20:
        assert observed.null_mean == pytest.approx(again.difference.value, abs=1e-9)
    assert observed.null_mean == pytest.approx(again.test.statistic, abs=0.05)
    assert observed.statistic > again.test.statistic


def test_of_very_many_pictures_vectors_are_single(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("alignment", "blocks"):
        monkeypatch.setattr(f"pareja.analysis.{module}.MANY", 10)
    monkeypatch.setattr(crossfit, "LARGE", 100)
    images, captions = related(24, seed=2)
    owner = np.concatenate([np.arange(23), [4, 4]])
    found = by_name(images, captions[owner], owner, permutations=150)
    for name in ("ridge", "cca", "procrustes", "relative"):
        assert kept(found[name]).dtype == np.float32
        assert found[name].image_to_text.recall[1].value > 0.6
        assert found[name].matching.test.p_value == 0.02
        assert found[name].matching.test.permutations == 99


@pytest.mark.parametrize("name", NAMES[1:])
def test_of_many_pictures_tests_compare_what_the_same_maps_score(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("pareja.analysis.blocks._FEW", 10)
    images, captions = related(23, seed=2, noise=2)
    owner = np.concatenate([np.delete(np.arange(23), 20), [4, 4]])
    captions = captions[owner] + np.linspace(0, 1, 24)[:, None]
    bridge = by_name(images, captions, owner)[name]
    blocks = Blocks.of(owner, 23, seed=0)
    own, others = [], []
    for i in range(23):
        for j, of in enumerate(owner):
            image, caption = blocks.image_block[[i, of]]
            if i == of:
                own.append(kept(bridge)[i, j])
            elif image < blocks.n_blocks and abs(image - caption) in (0, 1, blocks.n_blocks - 1):
                others.append(kept(bridge)[i, j])
    assert bridge.matching.test.statistic == pytest.approx(np.mean(own) - np.mean(others))


def test_only_the_similarities_that_are_asked_for_are_kept() -> None:
    images, captions = related(6, seed=0)
    found = bridges(
        images, captions, np.arange(6), permutations=1, resamples=2, keep=["cca", "ridge"]
    )
    assert [b.name for b in found if b.similarity is not None] == ["ridge", "cca"]


def test_a_small_link_stands_for_long_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    images, captions = related(12, seed=3, noise=1)
    owner = np.concatenate([np.arange(11), [4, 4]])
    long = by_name(images, captions[owner], owner)
    monkeypatch.setattr(Blocks, "many", True)
    short = by_name(images, captions[owner], owner)
    for name in ("cca", "relative"):
        assert kept(short[name]) == pytest.approx(kept(long[name]), abs=1e-5)
        tests = short[name].matching.test, long[name].matching.test
        for field in ("statistic", "null_mean", "null_low", "null_high"):
            one, other = (getattr(test, field) for test in tests)
            assert one == pytest.approx(other, abs=1e-5)


def test_captions_that_are_all_the_same_score_chance() -> None:
    images, _ = related(8, seed=0)
    for bridge in by_name(images, np.ones((8, 5)), np.arange(8)).values():
        assert bridge.image_to_text.recall[1].value == pytest.approx(1 / 8)
        assert bridge.matching.auc.value == pytest.approx(0.5)
    for bridge in by_name(np.ones((8, 5)), images, np.arange(8)).values():
        assert bridge.text_to_image.recall[1].value == pytest.approx(1 / 8)
    found = geometry(images, np.ones((8, 5)), np.arange(8), k=3)
    assert (found.rsa.statistic, found.rsa.p_value) == (0, 1)
    assert (found.cka.statistic, found.cka.p_value) == (0, 1)
    assert found.mutual_knn.statistic == pytest.approx(3 / 7)


def test_geometry_equals_slow_references() -> None:
    rng = np.random.default_rng(11)
    images, captions = related(9, seed=11, noise=2)
    owner = np.concatenate([np.arange(9), [2, 5]])
    captions = np.vstack([captions, captions[[2, 5]] + rng.standard_normal((2, 25))])
    x = unit(images)
    y = np.array([unit(captions)[owner == k].mean(axis=0) for k in range(9)])
    found = geometry(images, captions, owner, k=3, permutations=9)

    upper = np.triu_indices(9, 1)
    a, b = unit(x) @ unit(x).T, unit(y) @ unit(y).T
    assert found.rsa.statistic == pytest.approx(
        stats.spearmanr(a[upper], b[upper]).statistic, abs=1e-12
    )

    def hsic(k: Floats, m: Floats) -> float:
        # Song et al. (2012), equation 4, as it is printed.
        n, one = len(k), np.ones(len(k))
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        product = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return float((product - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3)))

    k, m = x @ x.T, y @ y.T
    cka = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    assert found.cka.statistic == pytest.approx(cka, abs=1e-9)

    shared = 0
    for row in range(9):
        nearest = [set(sorted(set(range(9)) - {row}, key=lambda q: -s[row, q])[:3]) for s in (a, b)]
        shared += len(nearest[0] & nearest[1])
    assert found.mutual_knn.statistic == pytest.approx(shared / 27, abs=1e-12)


def test_geometry_is_at_chance_on_unrelated_spaces() -> None:
    rng = np.random.default_rng(0)
    found = [
        geometry(
            rng.standard_normal((8, 50)),
            rng.standard_normal((8, 20)) + 2,
            np.arange(8),
            k=2,
            permutations=59,
        )
        for _ in range(300)
    ]
    for name, chance in (("rsa", 0), ("cka", 0), ("mutual_knn", 2 / 7)):
        tests = [getattr(one, name) for one in found]
        statistics = np.array([test.statistic for test in tests])
        assert abs(statistics.mean() - chance) < 4 * stats.sem(statistics)
        p = np.array([test.p_value for test in tests])
        assert np.mean(p <= 0.1) < 0.16
        assert np.mean([test.null_mean for test in tests]) == pytest.approx(chance, abs=0.02)


def test_equal_arrangements_are_recognised() -> None:
    images, _ = related(12, seed=5)
    found = geometry(images, images, np.arange(12), permutations=999)
    for test in (found.rsa, found.cka, found.mutual_knn):
        assert test.statistic == pytest.approx(1)
        assert test.p_value == 0.001
    assert found.k == 2


def test_bad_input() -> None:
    images, captions = related(4, seed=0)
    with pytest.raises(AnalysisError, match="at least 5 pictures with captions, got 4"):
        bridges(images, captions, np.arange(4))
    with pytest.raises(AnalysisError, match="at least 4 pictures with captions, got 3"):
        geometry(images, captions[:3], np.arange(3))
    with pytest.raises(AnalysisError, match="less than the 4 pictures"):
        geometry(images, captions, np.arange(4), k=4)
    images[2, 3] = np.nan
    with pytest.raises(AnalysisError, match="row 2 is the first of 1 with NaN"):
        geometry(images, captions, np.arange(4))
    with pytest.raises(AnalysisError, match="at most 10000 pictures, got 10001"):
        bridges(np.ones((10001, 2)), np.ones((10001, 2)), np.arange(10001))
