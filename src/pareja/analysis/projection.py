"""A plane in which both modalities can be drawn."""

from __future__ import annotations

from dataclasses import dataclass

from pareja.analysis.significance import Floats


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
