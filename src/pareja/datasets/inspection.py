"""Looking at every picture of a dataset once, for all checks together."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pareja.datasets.duplicates import Looks, looks
from pareja.datasets.images import decode_image, image_size
from pareja.datasets.provenance import Sign, signs_of_generation
from pareja.datasets.records import Record
from pareja.datasets.sharpness import MIN_SIDE, WORKING_SIDE, sharpness
from pareja.errors import ImageError

# Each worker holds one picture, so more would cost memory that small machines lack.
_WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Appearance:
    """What the pixels of a picture say.

    Parameters
    ----------
    size
        Width and height in pixels.
    sharpness
        As `pareja.datasets.sharpness.sharpness` measures it; None where the picture is too small.
    looks
        By which near duplicates are found; None where the picture is plain.
    """

    size: tuple[int, int]
    sharpness: float | None
    looks: Looks | None


@dataclass(frozen=True)
class Inspection:
    """What looking at one picture brought up.

    Parameters
    ----------
    digest
        SHA-256 of the file; None where it cannot be read.
    signs
        Signs that it was generated.
    appearance
        What the pixels say; None where it cannot be decoded.
    reason
        Why it cannot be read or decoded; empty where it can.
    """

    digest: bytes | None
    signs: tuple[Sign, ...]
    appearance: Appearance | None
    reason: str = ""


def inspect_pictures(records: Sequence[Record]) -> Iterator[Inspection]:
    """Read and decode pictures, several at a time, and yield what there is to say of each.

    Parameters
    ----------
    records
        The pictures. No more of them are in memory at once than workers.

    Yields
    ------
    Inspection
        One for each record, in order; never an exception for a picture's sake.
    """
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="check") as pool:
        pending: deque[Future[Inspection]] = deque()
        try:
            for record in records:
                pending.append(pool.submit(_inspect, record))
                if len(pending) > 2 * _WORKERS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _inspect(record: Record) -> Inspection:
    try:
        encoded = record.source.read()
    except ImageError as error:
        return Inspection(None, (), None, error.reason)
    digest, signs = hashlib.sha256(encoded).digest(), signs_of_generation(encoded)
    try:
        width, height = image_size(encoded)
        # The working size is small, so that a JPEG need not be decoded in full.
        image = decode_image(encoded, network_side=WORKING_SIDE)
    except ImageError as error:
        return Inspection(digest, signs, None, error.reason)
    appearance = Appearance(
        size=(width, height),
        sharpness=sharpness(image) if min(image.size) >= MIN_SIDE else None,
        looks=looks(image),
    )
    return Inspection(digest, signs, appearance)
