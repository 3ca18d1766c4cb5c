"""What a model takes on this machine: time, money, disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pareja.datasets.records import Source
from pareja.embedding.pipeline import embed_sources
from pareja.encoders.catalogue import find_card
from pareja.encoders.protocols import DualEncoder

_TIMED_PICTURES = 64


@dataclass(frozen=True)
class Cost:
    """What a model takes, measured on this machine when the comparison ran.

    Parameters
    ----------
    pictures_per_second
        From file to embedding, wall clock.
    cpu_seconds
        Seconds of one core for 1,000 pictures.
    money
        Price of these at the price of a core-hour that was given; None where none was.
    size_mb
        Of the weights, in MB (10^6 bytes); None where nobody says.
    timed
        How many pictures were timed; all of them can be decoded.
    """

    pictures_per_second: float
    cpu_seconds: float
    money: float | None
    size_mb: float | None
    timed: int


def measured_cost(
    sources: Sequence[Source],
    encoder: DualEncoder,
    *,
    batch_size: int | None = None,
    price: float | None = None,
) -> Cost:
    """Embed pictures by the clock, whatever a cache knows of them.

    First the network is loaded and every file read once, so that no model waits for the disk on
    behalf of the next.

    Parameters
    ----------
    sources
        Pictures, at least one; the first 64 are timed.
    encoder
        Embeds them.
    batch_size
        Pictures that it gets at once, 32 by default.
    price
        Of one core for one hour, in any currency.

    Raises
    ------
    ImageError
        If a file cannot be read any more.
    """
    sources = sources[:_TIMED_PICTURES]
    embed_sources(sources[:2], encoder)
    for source in sources:
        source.read()
    wall, cpu = time.perf_counter(), time.process_time()
    embed_sources(sources, encoder, batch_size=batch_size)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    seconds = 1000 * cpu / len(sources)
    card = find_card(encoder.name)
    size = card.download_mb if card is not None else _weights_mb(Path(encoder.name))
    return Cost(
        pictures_per_second=len(sources) / max(wall, 1e-9),
        cpu_seconds=seconds,
        money=None if price is None else seconds / 3600 * price,
        size_mb=size,
        timed=len(sources),
    )


def _weights_mb(folder: Path) -> float | None:
    """Return the size of the weights in a model's folder."""
    sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
    return sum(sizes) / 1e6 if sizes else None
