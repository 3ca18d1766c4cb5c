"""Pictures that are in a dataset twice, byte for byte or nearly so."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.arrays import available_cores

HASH_BITS = 256

NEAR_DUPLICATE_BITS = 70
"""Two pictures whose hashes differ in at most this many of `HASH_BITS` bits are near duplicates.

``benchmarks/near_duplicates.py`` measures it on the 240 bundled pictures. Of their 28,680 pairs two
lie below 70 (differing in 2 bits: the same photograph twice); the next is at 84, two views of one
castle. Copies at half size, at 160 pixels, as JPEG of quality 15, 20 % brighter, in grey or cropped
by 2 % at every edge all differ in at most 56. Cropping 4 % at every edge leaves 80 % of the copies
below the threshold. Mirrored and rotated copies are not found.
"""

SAME_COLOURS = 0.8
"""Cosine of the colours of two pictures from which they have the same ones.

Without it, a red and a blue disc would be near duplicates: the hash sees luminance alone. By the
same benchmark, copies have 0.83 or more.
"""

# Pictures with less contrast than this have no shapes, and the hash of them is rounding. The
# standard deviation of luminance, of 255; photographs have 12 or more.
_PLAIN = 3.0
# Chroma, of 128, below which a picture is grey and can be a grey copy of any colours.
_GREY = 4.0

# The hash is of so many waves along each side, in a picture of so many shades along each. ImageHash
# has SciPy transform them, which is right in the last digit and takes 0.2 seconds to import; where
# that many digits do not decide a bit, it is the same one.
_WAVES, _SHADES = 16, 64
_ROUNDING = 1e-4

# Hashes are compared in blocks that fit into a processor's cache, which is four times as fast.
_ROWS, _COLUMNS = 32, 4096
# Of each picture so many neighbours are asked for their colours at a time, the nearest first.
_ASKED = 64


@dataclass(frozen=True)
class Looks:
    """What a picture looks like.

    Parameters
    ----------
    hash
        `HASH_BITS` bits, ``(4,)``: the signs of its low-frequency cosine coefficients about their
        median (pHash, as the ImageHash library computes it). Alike pictures differ in few.
    colours
        The chroma of its 8 x 8 parts (Cb and Cr, 0 for grey), as one vector of length 1,
        ``(128,)``; zeros where the picture is grey.
    """

    hash: NDArray[np.uint64]
    colours: NDArray[np.float32]


def looks(image: Image.Image) -> Looks | None:
    """Return what a picture looks like; None where it is plain, and a hash would say nothing.

    Parameters
    ----------
    image
        The picture, in any mode.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    small = rgb.resize((32, 32), Image.Resampling.BOX)
    if np.asarray(small.convert("L"), np.float32).std() < _PLAIN:
        return None
    parts = small.resize((8, 8), Image.Resampling.BOX).convert("YCbCr")
    chroma = (np.asarray(parts, np.float32)[..., 1:] - 128).ravel()
    length = float(np.linalg.norm(chroma))
    coloured = length >= _GREY * np.sqrt(chroma.size)
    return Looks(
        hash=np.packbits(_bits(image).ravel()).view(np.uint64),
        colours=chroma / length if coloured else np.zeros_like(chroma),
    )


def _bits(image: Image.Image) -> NDArray[np.bool_]:
    """Return the bits of `imagehash.phash`, ``(16, 16)``."""
    small = image.convert("L").resize((_SHADES, _SHADES), Image.Resampling.LANCZOS)
    waves = _cosines()
    low = waves @ np.asarray(small, np.float64) @ waves.T
    above = low - np.median(low)
    if np.abs(above).min() > _ROUNDING:
        return above > 0
    # Rounding decides, as in a picture that is its own mirror image: let it be the library's.
    import imagehash

    bits: NDArray[np.bool_] = imagehash.phash(image, hash_size=_WAVES).hash
    return bits


@cache
def _cosines() -> NDArray[np.float64]:
    """Return the first rows of the cosine transform (DCT-II), ``(16, 64)``."""
    places = 2 * np.arange(_SHADES) + 1
    return 2 * np.cos(np.pi * np.arange(_WAVES)[:, None] * places / (2 * _SHADES))


def near_duplicates(
    pictures: Sequence[Looks], *, threshold: int = NEAR_DUPLICATE_BITS, since: int = 0
) -> list[tuple[int, int, int]]:
    """Find for each picture the most similar earlier one, where it is similar enough.

    Every pair is compared, 5 ns each: no index finds all pairs that may differ in a quarter of
    their bits without coming by most of the others.

    Parameters
    ----------
    pictures
        What each looks like. Two with other colours (`SAME_COLOURS`) are not similar; a grey one
        may be similar to one of any colour.
    threshold
        Largest number of bits that may differ.
    since
        Position of the first later picture: what lies before was compared already.

    Returns
    -------
    list of tuple
        ``(earlier, later, bits)`` by position in `pictures`, at most one for each later picture, so
        that five copies give four findings instead of ten. In order of the later picture.
    """
    if len(pictures) - since < 1 or len(pictures) < 2:
        return []
    words = np.ascontiguousarray(np.stack([picture.hash for picture in pictures]).T)
    colours = np.stack([picture.colours for picture in pictures])

    def of_some(start: int) -> list[tuple[int, int, int]]:
        found = []
        end = min(start + _ROWS, len(pictures))
        for later, distances in enumerate(_distances(words, start, end), start):
            before = distances[:later]
            earlier = _nearest_alike(before, colours, later, threshold) if later else None
            if earlier is not None:
                found.append((earlier, later, int(before[earlier])))
        return found

    starts = range(since, len(pictures), _ROWS)
    with ThreadPoolExecutor(available_cores(), thread_name_prefix="duplicates") as pool:
        return list(chain.from_iterable(pool.map(of_some, starts)))


def _distances(words: NDArray[np.uint64], start: int, end: int) -> NDArray[np.uint16]:
    """Count in how many bits pictures from `start` to `end` differ from all before `end`."""
    distances = np.zeros((end - start, end), np.uint16)
    for left in range(0, end, _COLUMNS):
        block = distances[:, left : left + _COLUMNS]
        for word in words:
            block += np.bitwise_count(word[start:end, None] ^ word[left : left + block.shape[1]])
    return distances


def _nearest_alike(
    distances: NDArray[np.uint16], colours: NDArray[np.float32], picture: int, threshold: int
) -> int | None:
    """Return the nearest of those before a picture that has its colours, or may be a grey copy."""
    nearest = int(distances.argmin())
    if distances[nearest] > threshold:
        return None
    if _alike(colours, np.array([nearest]), picture).any():
        return nearest
    near = np.flatnonzero(distances <= threshold)
    near = near[np.argsort(distances[near], kind="stable")]
    for start in range(0, len(near), _ASKED):
        asked = near[start : start + _ASKED]
        alike = _alike(colours, asked, picture)
        if alike.any():
            return int(asked[alike.argmax()])
    return None


def _alike(
    colours: NDArray[np.float32], others: NDArray[np.intp], picture: int
) -> NDArray[np.bool_]:
    """Tell which pictures have the colours of one, or may be a grey copy of it or it of them."""
    theirs, its = colours[others], colours[picture]
    alike: NDArray[np.bool_] = theirs @ its >= SAME_COLOURS
    return alike | ~theirs.any(axis=1) | (not its.any())
