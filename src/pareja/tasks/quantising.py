"""Quantising an encoder's image network, and what that costs and saves on one's own pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pareja.analysis.alignment import shared_neighbours
from pareja.analysis.comparison import Agreement, hit_agreement
from pareja.analysis.retrieval import DIRECTIONS, Direction, placement
from pareja.analysis.similarity import cosine_similarity
from pareja.arrays import available_cores
from pareja.datasets.records import Dataset, Record
from pareja.embedding.natural import Model
from pareja.embedding.pipeline import DEFAULT_BATCH, text_vectors
from pareja.embedding.stages import ImageStages
from pareja.encoders import load
from pareja.encoders.int8 import network_folder, quantisable, quantised
from pareja.encoders.protocols import Embeddings, ImageEncoder, Pixels
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import DatasetError
from pareja.inputs import Pictures, find_dataset

LEAST = 20
"""Fewest pictures that are quantised with: half of them is the sample, the others are measured."""

SAMPLE = 300
"""Most pictures whose values decide the steps of int8."""

MEASURED = 2000
"""Most pictures that are measured."""

_NEAREST = 10
_RESAMPLES = 2000
_TIMED, _ROUNDS = 32, 5


@dataclass(frozen=True)
class Quantisation:
    """An image network in int8, beside the one that it was made of.

    Everything is measured on pictures of the dataset that were not in the sample.

    Parameters
    ----------
    model, name
        The model, and the name of its version in int8.
    folder
        Where its network is.
    precision
        What the network computed in that it is compared with.
    sample, pictures
        How many pictures were in the sample, and how many were measured.
    cosine_median, cosine_lowest
        Of the two embeddings of each picture.
    nearest, shared
        Of each picture's ``nearest`` nearest pictures, the share that stays, in [0, 1].
    recall
        R@1 before and after, for each direction; empty without captions, or where texts lie in a
        space of their own.
    agreement
        Hits at the first place before (a) and after (b), for each direction; ``difference`` is
        before minus after, with its interval.
    milliseconds_before, milliseconds_after
        CPU time of the network for a picture on this machine, in batches of 32.
    megabytes_before, megabytes_after
        Of the two networks as they are kept, in MB (10^6 bytes).
    skipped
        ``(name, reason)`` of pictures that did not decode.
    """

    model: str
    name: str
    folder: Path
    precision: str
    sample: int
    pictures: int
    cosine_median: float
    cosine_lowest: float
    nearest: int
    shared: float
    recall: Mapping[Direction, tuple[float, float]]
    agreement: Mapping[Direction, Agreement]
    milliseconds_before: float
    milliseconds_after: float
    megabytes_before: float
    megabytes_after: float
    skipped: tuple[tuple[str, str], ...]

    @property
    def speedup(self) -> float:
        """How many times as fast the network in int8 is on this machine."""
        return self.milliseconds_before / max(self.milliseconds_after, 1e-9)


def quantise(model: Model, dataset: Pictures = "commons200", *, seed: int = 0) -> Quantisation:
    """Make a model's image network compute in int8, and measure what that changes.

    The network is kept beside the converted one and used only where it is asked for, by the name
    of the model with ``:int8`` after it. Texts are embedded as before.

    Parameters
    ----------
    model
        A dual or an image encoder that OpenVINO runs on the CPU.
    dataset
        Pictures like those that it shall embed, at least 20. Half of them, at most 300, are the
        sample whose values decide the steps of int8; of the others at most 2,000 are measured.
    seed
        Of the draw of the sample.

    Raises
    ------
    EncoderError
        If the model has no image network that OpenVINO runs.
    DatasetError
        If too few pictures decode.
    MissingDependencyError
        If NNCF is not installed.
    OutputError
        If the network cannot be kept.

    Notes
    -----
    Post-training quantisation by NNCF, of weights and of what flows between layers, with its
    recipe for transformers where the network attends. How much faster it is depends on the CPU:
    without the instructions of VNNI or AMX it may be slower than before.
    """
    # Of an encoder that is given the device stays, and may be another.
    encoder = quantisable(load(model, device="openvino"))
    data = find_dataset(dataset, "dataset")
    order = np.random.default_rng(seed).permutation(len(data))[: SAMPLE + MEASURED]
    records, pixels, skipped = _prepared([data.records[i] for i in order], encoder)
    if len(records) < LEAST:
        raise DatasetError(
            f"{len(records)} pictures of {data.name} can be read, and a network is quantised with "
            f"at least {LEAST}. Give more, or the bundled ones: commons200."
        )
    sample = min(SAMPLE, len(records) // 2)
    other = quantised(encoder, _batches(pixels[:sample], 1))
    rest, measured = pixels[sample:], replace(data, records=tuple(records[sample:]))
    before, after = (_embedded(each, rest) for each in (encoder, other))
    cosines = (before * after).sum(axis=1)
    nearest = min(_NEAREST, len(rest) - 1)
    recall, agreement = _found(encoder, measured, before, after, seed)
    slow, fast = _milliseconds((encoder, other), rest[:_TIMED])
    folders = (network_folder(encoder), network_folder(other))
    return Quantisation(
        model=encoder.name,
        name=other.name,
        folder=folders[1],
        precision=encoder.precision,
        sample=sample,
        pictures=len(rest),
        cosine_median=float(np.median(cosines)),
        cosine_lowest=float(cosines.min()),
        nearest=nearest,
        shared=shared_neighbours(before, after, nearest),
        recall=recall,
        agreement=agreement,
        milliseconds_before=slow,
        milliseconds_after=fast,
        megabytes_before=_megabytes(folders[0]),
        megabytes_after=_megabytes(folders[1]),
        skipped=skipped,
    )


def _prepared(
    records: Sequence[Record], encoder: ImageEncoder
) -> tuple[list[Record], list[Pixels], tuple[tuple[str, str], ...]]:
    """Decode pictures; return those that can be, as the network sees them, and the others."""
    stages = ImageStages(encoder, None, "skip")
    with ThreadPoolExecutor(available_cores()) as pool:
        done = list(pool.map(stages.prepare, range(len(records)), [r.source for r in records]))
    for one in done:
        if one.shortage is not None:
            raise one.shortage
    kept = [(records[one.index], one.pixels) for one in done if one.pixels is not None]
    skipped = tuple((one.error.path, one.error.reason) for one in done if one.error is not None)
    return [record for record, _ in kept], [pixels for _, pixels in kept], skipped


def _batches(pixels: Sequence[Pixels], size: int) -> list[Pixels]:
    return [np.stack(pixels[i : i + size]) for i in range(0, len(pixels), size)]


def _embedded(encoder: ImageEncoder, pixels: Sequence[Pixels]) -> Embeddings:
    return np.concatenate([encoder.encode_pixels(each) for each in _batches(pixels, DEFAULT_BATCH)])


def _found(
    encoder: ImageEncoder, measured: Dataset, before: Embeddings, after: Embeddings, seed: int
) -> tuple[dict[Direction, tuple[float, float]], dict[Direction, Agreement]]:
    """Return R@1 of the captions before and after, and on what the two agree."""
    recall: dict[Direction, tuple[float, float]] = {}
    agreement: dict[Direction, Agreement] = {}
    if isinstance(encoder, NetworkDualEncoder) and len(set(measured.owner.tolist())) > 1:
        captions = text_vectors(measured.captions, encoder)
        matrices = [cosine_similarity(images, captions) for images in (before, after)]
        for direction in DIRECTIONS:
            places = [placement(each, measured.owner, direction) for each in matrices]
            first, then = (place.hits(1) for place in places)
            recall[direction] = (float(first.mean()), float(then.mean()))
            agreement[direction] = hit_agreement(first, then, places[0].pictures, _RESAMPLES, seed)
    return recall, agreement


def _milliseconds(encoders: Sequence[ImageEncoder], pixels: Sequence[Pixels]) -> list[float]:
    """Return the CPU time of each encoder's network for a picture, median of alternating rounds."""
    batch = np.stack(pixels)
    times = np.empty((_ROUNDS, len(encoders)))
    for turn in times:
        for place, encoder in enumerate(encoders):
            start = time.process_time()
            encoder.encode_pixels(batch)
            turn[place] = time.process_time() - start
    return (1000 * np.median(times, axis=0) / len(batch)).tolist()  # type: ignore[no-any-return]


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6
