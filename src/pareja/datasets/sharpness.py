"""How sharp a picture is: the variance of its Laplacian, where it is sharpest."""

from __future__ import annotations

import numpy as np
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
    tiles = sorted(
        float(tile.var())
        for band in np.array_split(laplacian, rows, axis=0)
        for tile in np.array_split(band, columns, axis=1)
    )
    return float(np.mean(tiles[-_SHARPEST:]))
