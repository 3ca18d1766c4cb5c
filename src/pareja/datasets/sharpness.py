"""How sharp a picture is: the variance of its Laplacian, where it is sharpest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WORKING_SIDE = 320
"""Longer side, in pixels, at which pictures are compared; smaller ones are not enlarged.

About what an encoder sees, so blur that no encoder can see does not count.
"""

SOFT = 250.0
"""Below this a picture looks soft, by `sharpness`.

``benchmarks/sharpness.py`` measures it on the 240 bundled pictures: none of them lies below, and
all lie below after a Gaussian blur whose standard deviation is 0.5 % of the longer side (10 pixels
of 1920), 12 % of them after half as much. None of 240 leaves a false-alarm rate of at most 1.2 %
(95 % confidence).
"""

BLURRED = 40.0
"""Below this a picture is blurred beyond doubt.

All of the same pictures are after a Gaussian blur of 1 % of the longer side.
"""

MIN_SIDE = 32
"""Pictures whose shorter side is below this have too few pixels to judge."""

_TILES = 8
_SHARPEST = 4


def sharpness(image: Image.Image) -> float:
    """Return the variance of the Laplacian over the sharpest parts of a picture.

    The luminance is scaled down to `WORKING_SIDE`, so that one threshold serves all resolutions,
    and cut into 8 x 8 tiles; the mean of the four highest tiles counts, because a subject in focus
    before a soft background makes a sharp picture. A sharp frame, caption or watermark on a
    blurred picture misleads it, and so does fog.

    Parameters
    ----------
    image
        An RGB or greyscale picture, at least 3 pixels wide and high once scaled down.

    Returns
    -------
    float
        At least 0, without a unit; photographs lie between about 400 and 90,000.

    Notes
    -----
    After J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative
    study", ICPR 2000, section 2 (LAPV).
    """
    luminance = image.convert("L")
    luminance.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.LANCZOS)
    grey = np.asarray(luminance, dtype=np.float64)
    laplacian = (
        grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    )
    # Narrow pictures get fewer tiles: a tile of a few pixels measures noise.
    rows, columns = (int(np.clip(side // _TILES, 1, _TILES)) for side in laplacian.shape)
    return float(np.sort(_variances(laplacian, rows, columns), axis=None)[-_SHARPEST:].mean())


def _variances(values: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Return the variance of each of ``(rows, columns)`` tiles.

    The first tiles are one longer where the sides do not divide. All are computed at once, since a
    call of NumPy for each would cost more than decoding the picture.
    """
    tops, lefts = (
        np.arange(parts) * (side // parts) + np.minimum(np.arange(parts), side % parts)
        for parts, side in zip((rows, columns), values.shape, strict=True)
    )
    heights, widths = (
        np.diff(starts, append=side)
        for starts, side in zip((tops, lefts), values.shape, strict=True)
    )

    def means(of: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.add.reduceat(np.add.reduceat(of, tops, axis=0), lefts, axis=1)
        return sums / np.outer(heights, widths)

    # A Laplacian of pixels has whole numbers: their sums and those of their squares are exact.
    return means(values**2) - means(values) ** 2
