"""Measure how far the hashes of different pictures, and of copies of one picture, lie apart.

The threshold of pareja.datasets.duplicates comes from this table. Run from the repository:

    python benchmarks/near_duplicates.py
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from pareja.datasets.duplicates import NEAR_DUPLICATE_BITS, SAME_COLOURS, Looks, looks
from pareja.datasets.formats import load_dataset
from pareja.datasets.images import decode_image


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return decode_image(file.getvalue())


def cropped(image: Image.Image, fraction: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (
            round(width * fraction),
            round(height * fraction),
            round(width * (1 - fraction)),
            round(height * (1 - fraction)),
        )
    )


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "160 pixels": lambda image: ImageOps.contain(image, (160, 160)),
    "JPEG quality 50": lambda image: jpeg(image, 50),
    "JPEG quality 15": lambda image: jpeg(image, 15),
    "1 % off each edge": lambda image: cropped(image, 0.01),
    "2 % off each edge": lambda image: cropped(image, 0.02),
    "4 % off each edge": lambda image: cropped(image, 0.04),
    "20 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
}


def seen(image: Image.Image) -> Looks:
    found = looks(image)
    if found is None:
        raise SystemExit("a photograph was taken for a plain picture")
    return found


def bits(one: Looks, other: Looks) -> int:
    return int(np.bitwise_count(one.hash ^ other.hash).sum())


def colours(one: Looks, other: Looks) -> float:
    """Return the cosine of the colours; NaN where one is grey."""
    both = one.colours.any() and other.colours.any()
    return float(one.colours @ other.colours) if both else np.nan


def main() -> None:
    hashes: dict[str, Looks] = {}
    copies: dict[str, list[int]] = {name: [] for name in COPIES}
    cosines: dict[str, list[float]] = {name: [] for name in COPIES}
    for location in ("pareja20", "data/commons200"):
        for record in load_dataset(location):
            image = decode_image(record.source)
            original = hashes[f"{location}/{record.file_name}"] = seen(image)
            for name, copy in COPIES.items():
                copied = seen(copy(image))
                copies[name].append(bits(original, copied))
                cosines[name].append(colours(original, copied))
    names = list(hashes)
    pairs = sorted(
        (bits(hashes[one], hashes[other]), one, other)
        for position, one in enumerate(names)
        for other in names[:position]
    )
    print(f"{len(names)} pictures, {len(pairs)} pairs; threshold {NEAR_DUPLICATE_BITS} bits")
    print("closest pairs:")
    for distance, one, other in pairs[:8]:
        print(f"{distance:5d}  {one}  {other}")
    print(f"{'copies':18} {'median':>7} {'95 %':>6} {'max':>5} {'found':>7} {'colours, least':>15}")
    for name, distances in copies.items():
        median, high, top = np.quantile(distances, [0.5, 0.95, 1])
        same = ~(np.array(cosines[name]) < SAME_COLOURS)
        found = np.mean(np.less_equal(distances, NEAR_DUPLICATE_BITS) & same)
        known = [cosine for cosine in cosines[name] if np.isfinite(cosine)]
        least = f"{min(known):.2f}" if known else "grey"
        print(f"{name:18} {median:7.0f} {high:6.0f} {top:5.0f} {found:7.1%} {least:>15}")


if __name__ == "__main__":
    main()
