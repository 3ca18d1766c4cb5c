from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import procrustes
from sklearn.decomposition import PCA

from pareja.analysis import plane
from pareja.arrays import unit
from pareja.errors import AnalysisError

RNG = np.random.default_rng(0)
IMAGES, CAPTIONS = RNG.standard_normal((9, 12)), RNG.standard_normal((9, 7))
OWNER = np.arange(9)


def test_each_plane_is_scikit_learns_principal_components() -> None:
    found = plane(IMAGES, CAPTIONS, OWNER, shared=False)
    reference = PCA(n_components=2)
    positions = reference.fit_transform(unit(IMAGES))
    assert np.abs(found.images) == pytest.approx(np.abs(positions), abs=1e-9)
    assert found.explained[0] == pytest.approx(reference.explained_variance_ratio_.sum())
    farthest = found.images[np.abs(found.images).argmax(axis=0), [0, 1]]
    assert (farthest > 0).all()


def test_captions_are_turned_onto_their_pictures_as_scipy_does() -> None:
    found = plane(IMAGES, CAPTIONS, OWNER, shared=False)
    own = PCA(n_components=2).fit_transform(unit(CAPTIONS))
    fixed, moved, _ = procrustes(found.images, own)
    size = np.linalg.norm(found.images)
    assert found.images == pytest.approx(size * fixed, abs=1e-9)
    assert found.captions == pytest.approx(size * moved, abs=1e-9)


def test_a_shared_plane_does_not_show_the_gap() -> None:
    captions = unit(IMAGES) + 0.1 * RNG.standard_normal((9, 12))
    gap = np.zeros(12)
    gap[0] = 40
    found = plane(IMAGES, captions, OWNER, shared=True)
    assert found.images.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert found.captions.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)
    own = np.linalg.norm(found.images - found.captions, axis=1)
    others = np.linalg.norm(found.images[:, None] - found.captions[None], axis=2)
    assert own.mean() < others.mean() / 2
    apart = plane(IMAGES + gap, captions - gap, OWNER, shared=True)
    assert apart.images.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert apart.captions.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)


def test_turning_a_space_does_not_move_its_points() -> None:
    turn = np.linalg.qr(RNG.standard_normal((12, 12)))[0]
    first = plane(IMAGES, CAPTIONS, OWNER, shared=False)
    second = plane(5 * IMAGES @ turn, CAPTIONS, OWNER, shared=False)
    assert second.images == pytest.approx(first.images, abs=1e-9)
    assert second.captions == pytest.approx(first.captions, abs=1e-9)


@pytest.mark.parametrize("shared", [True, False])
def test_what_has_no_spread_lies_in_the_middle(shared: bool) -> None:
    found = plane([[1.0, 2.0]], [[3.0, 4.0], [3.0, 4.0]], [0, 0], shared=shared)
    assert found.images.tolist() == [[0, 0]]
    assert found.captions.tolist() == [[0, 0], [0, 0]]
    assert found.explained == (1, 1)


def test_one_dimension_fills_one_axis() -> None:
    found = plane([[1.0], [-1.0], [1.0]], [[1.0], [1.0]], [0, 1], shared=True)
    assert found.images.shape == (3, 2)
    assert (found.images[:, 1] == 0).all()


def test_a_shared_plane_needs_one_dimension() -> None:
    with pytest.raises(AnalysisError, match=r"\(9, 12\).*\(9, 7\)"):
        plane(IMAGES, CAPTIONS, OWNER, shared=True)
