"""Pictures that are in a dataset twice, byte for byte or nearly so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HASH_BITS = 256

NEAR_DUPLICATE_BITS = 70
"""Two pictures whose hashes differ in at most this many of `HASH_BITS` bits are near duplicates.

``benchmarks/near_duplicates.py`` measures it on the 240 bundled pictures. Of their 28,680 pairs two
lie below 70 (differing in 2 bits: the same photograph twice); the next is at 84, two views of one
castle. Copies at half size, at 160 pixels, as JPEG of quality 15, 20 % brighter, in grey or cropped
by 2 % at every edge all differ in at most 56. Cropping 4 % at every edge leaves 80 % of the copies
below the threshold. Mirrored and rotated copies are not found.
"""

# Pairs are compared in strips of rows that take about this many bytes.
_STRIP_BYTES = 32 * 2**20


def perceptual_hash(image: Image.Image) -> NDArray[np.uint64]:
    """Return a hash of what a picture looks like: alike pictures differ in few bits.

    Parameters
    ----------
    image
        The picture, in any mode.

    Returns
    -------
    ndarray of uint64
        `HASH_BITS` bits, ``(4,)``: the signs of its low-frequency cosine coefficients about their
        median (pHash, as the ImageHash library computes it).
    """
    import imagehash

    bits = imagehash.phash(image, hash_size=16).hash
    return np.packbits(bits.ravel()).view(np.uint64)


def near_duplicates(
    hashes: Sequence[NDArray[np.uint64]], *, threshold: int = NEAR_DUPLICATE_BITS
) -> list[tuple[int, int, int]]:
    """Find for each picture the most similar earlier one, where it is similar enough.

    Parameters
    ----------
    hashes
        One `perceptual_hash` for each picture.
    threshold
        Largest number of bits that may differ.

    Returns
    -------
    list of tuple
        ``(earlier, later, bits)`` by position in `hashes`, at most one for each later picture, so
        that five copies give four findings instead of ten. In order of the later picture.
    """
    if len(hashes) < 2:
        return []
    words = np.ascontiguousarray(np.stack(hashes).T)
    number = len(hashes)
    strip = max(1, _STRIP_BYTES // (8 * number))
    found = []
    for start in range(0, number, strip):
        end = min(start + strip, number)
        distance = np.zeros((end - start, end), np.uint16)
        for word in words:
            distance += np.bitwise_count(word[start:end, None] ^ word[None, :end])
        itself_or_after = np.arange(end) >= np.arange(start, end)[:, None]
        distance[itself_or_after] = HASH_BITS + 1
        for row in np.flatnonzero((distance <= threshold).any(axis=1)):
            earlier = int(distance[row].argmin())
            found.append((earlier, start + int(row), int(distance[row, earlier])))
    return found
