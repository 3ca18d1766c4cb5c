"""A plane in which both modalities can be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pareja.analysis.significance import Floats
from pareja.analysis.validation import checked_pairs
from pareja.arrays import unit
from pareja.errors import AnalysisError


@dataclass(frozen=True)
class Plane:
    """Two-dimensional positions of pictures and captions.

    Parameters
    ----------
    images, captions
        Positions, ``(n_images, 2)`` and ``(n_captions, 2)``.
    shared
        True: one principal-component plane of both modalities together (a dual encoder). False:
        each modality has its own plane, and the captions' was turned, mirrored and scaled onto
        the pictures' (orthogonal Procrustes), which flatters: nearness across modalities means
        little there.
    explained
        Share of the variance that the plane keeps, images and captions, each in [0, 1].
    """

    images: Floats
    captions: Floats
    shared: bool
    explained: tuple[float, float]


def plane(images: ArrayLike, captions: ArrayLike, owner: ArrayLike, *, shared: bool) -> Plane:
    """Place pictures and captions on a plane, by principal components.

    Parameters
    ----------
    images, captions
        Embeddings, shapes ``(n_images, p)`` and ``(n_captions, q)``; lengths do not matter.
    owner
        The picture of each caption, shape ``(n_captions,)``.
    shared
        True: both lie in one space, ``p == q``, and get one plane. False: each gets its own, and
        the captions' is turned, mirrored, scaled and shifted onto the pictures' (orthogonal
        Procrustes, Schönemann 1966), captions beside their pictures as far as that goes.

    Returns
    -------
    Plane
        Deterministic: along each axis the point that lies farthest out is positive. What has only
        one point, or no spread, lies at 0 and keeps all of its variance, which is none.

    Raises
    ------
    AnalysisError
        If an array is malformed, or ``shared`` and the dimensions differ.

    Notes
    -----
    Each modality is centred by itself. CLIP keeps pictures and captions in two narrow cones
    (Liang et al. 2022, "Mind the gap"), and the first component of both together would be the gap
    between these and nothing else. The gap is a measure of its own and not visible here.
    Two dimensions keep a small share of an embedding's variance: `Plane.explained` says which.
    """
    pictures, texts, owners = checked_pairs(images, captions, owner)
    pictures, texts = unit(pictures), unit(texts)
    x, y = pictures - pictures.mean(axis=0), texts - texts.mean(axis=0)
    if shared:
        if x.shape[1] != y.shape[1]:
            raise AnalysisError(
                f"one plane needs one space, got images of shape {x.shape} and captions of shape "
                f"{y.shape}"
            )
        both = _positions(np.concatenate([x, y]))
        left, right = both[: len(x)], both[len(x) :]
        explained = _kept(left, x), _kept(right, y)
    else:
        left, right = _positions(x), _positions(y)
        explained = _kept(left, x), _kept(right, y)
        right = _onto(right, left[owners])
    return Plane(images=left, captions=right, shared=shared, explained=explained)


def _positions(centred: Floats) -> Floats:
    """Return the first two principal components of the rows, ``(n, 2)``, with fixed signs."""
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    # Directions without spread are rounding; drawn to scale they would look like structure.
    s = np.where(s > 1e-9, s, 0.0)
    scores = (u * s)[:, :2]
    farthest = np.take_along_axis(scores, np.abs(scores).argmax(axis=0)[None, :], axis=0)
    placed = np.zeros((len(centred), 2))
    placed[:, : scores.shape[1]] = scores * np.where(farthest < 0, -1.0, 1.0)
    return placed


def _kept(positions: Floats, centred: Floats) -> float:
    """Return the share of the variance that the positions keep."""
    total = float(np.vdot(centred, centred))
    return min(1.0, float(np.vdot(positions, positions)) / total) if total > 1e-18 else 1.0


def _onto(points: Floats, targets: Floats) -> Floats:
    """Turn, mirror, scale and shift points onto their targets, by least squares."""
    middle, goal = points.mean(axis=0), targets.mean(axis=0)
    centred = points - middle
    u, s, v = np.linalg.svd(centred.T @ (targets - goal))
    spread = float(np.vdot(centred, centred))
    scale = s.sum() / spread if spread > 0 else 0.0
    moved: Floats = scale * centred @ (u @ v) + goal
    return moved
