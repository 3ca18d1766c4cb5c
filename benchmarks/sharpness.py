"""Measure the sharpness of the bundled pictures, as they are and blurred.

The thresholds of pareja.datasets.sharpness come from this table. Run from the repository:

    python benchmarks/sharpness.py
"""

from __future__ import annotations

import numpy as np
from PIL import ImageFilter

from pareja.datasets.formats import load_dataset
from pareja.datasets.images import decode_image
from pareja.datasets.sharpness import BLURRED, SOFT, sharpness

# Standard deviation of the Gaussian, as a fraction of the longer side.
BLURS = (0.0, 0.0025, 0.005, 0.01, 0.02)


def main() -> None:
    scores: dict[float, list[float]] = {blur: [] for blur in BLURS}
    names = []
    for location in ("pareja20", "data/commons200"):
        for record in load_dataset(location):
            names.append(record.file_name)
            image = decode_image(record.source)
            for blur in BLURS:
                radius = blur * max(image.size)
                blurred = image.filter(ImageFilter.GaussianBlur(radius)) if blur else image
                scores[blur].append(sharpness(blurred))
    print(f"{len(names)} pictures; soft below {SOFT:.0f}, blurred below {BLURRED:.0f}")
    print(f"{'blur':>6} {'min':>8} {'5 %':>8} {'median':>8} {'max':>8} {'soft':>6} {'blurred':>8}")
    for blur, values in scores.items():
        low, fifth, median, high = np.quantile(values, [0, 0.05, 0.5, 1])
        soft, unusable = np.mean(np.less(values, SOFT)), np.mean(np.less(values, BLURRED))
        print(
            f"{blur:6.2%} {low:8.0f} {fifth:8.0f} {median:8.0f} {high:8.0f} "
            f"{soft:6.1%} {unusable:8.1%}"
        )
    print("least sharp as they are:")
    for value, name in sorted(zip(scores[0.0], names, strict=True))[:8]:
        print(f"{value:8.0f}  {name}")


if __name__ == "__main__":
    main()
