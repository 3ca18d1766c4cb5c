"""How well places are found, where it is known what is in the pictures and where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from pareja.analysis.pointing import PointingScores, pointing
from pareja.analysis.rejection import RejectionScores, choose_threshold, rejection
from pareja.datasets.records import Record
from pareja.encoders.protocols import Rectangle
from pareja.errors import DatasetError, some_of
from pareja.regions.maps import Box
from pareja.regions.thresholds import Threshold


@dataclass(frozen=True)
class TruePlaces:
    """What is in one picture.

    Parameters
    ----------
    labels
        What it shows.
    boxes
        Where these are: a label's rectangles, in pixels of the upright picture; empty where the
        dataset has no boxes.
    """

    labels: frozenset[str]
    boxes: Mapping[str, tuple[Rectangle, ...]]


def true_places(record: Record) -> TruePlaces:
    """Read what is in a picture from its label and its column ``boxes``.

    The column holds a JSON list of ``{"label": ..., "box": [left, top, width, height]}``, in pixels
    of the upright picture, as ``shapes`` and COCO's annotations have them.

    Raises
    ------
    DatasetError
        If the column holds something else; the message says which picture, and what.
    """
    boxes: dict[str, list[Rectangle]] = {}
    column = record.extra.get("boxes", "")
    try:
        for entry in json.loads(column or "[]"):
            left, top, width, height = map(float, entry["box"])
            if not (width > 0 and height > 0 and np.isfinite([left, top, width, height]).all()):
                raise ValueError(f"{entry['box']} has no area")
            boxes.setdefault(str(entry["label"]), []).append((left, top, width, height))
    except (ValueError, TypeError, KeyError) as error:
        raise DatasetError(
            f"{record.where or record.file_name}: the column 'boxes' is no list of boxes "
            f'({error}). Write [{{"label": "cat", "box": [left, top, width, height]}}], in pixels.'
        ) from error
    labels = {record.label} if record.label else set()
    return TruePlaces(
        frozenset(labels | boxes.keys()), {name: tuple(found) for name, found in boxes.items()}
    )


def labels_of(truths: Iterable[TruePlaces], name: str) -> tuple[str, ...]:
    """Return every label of a dataset, sorted; those that differ in case alone are one.

    Raises
    ------
    DatasetError
        If it has none.
    """
    every = sorted(set().union(*(truth.labels for truth in truths)))
    labels = {label.casefold(): label for label in reversed(every)}
    if not labels:
        raise DatasetError(
            f"{name}: nothing says what its pictures show. Measuring needs a column 'boxes' or "
            "'label', or COCO's annotations."
        )
    return tuple(sorted(labels.values()))


@dataclass(frozen=True)
class PlaceScores:
    """How well a model says whether words are in a picture, and where.

    Parameters
    ----------
    presence
        How well scores tell words for what is in a picture from words for what is not. Each pair of
        a picture and words counts, and the intervals are over pictures.
    threshold
        The best threshold on them, with its error rates on these same pictures.
    pointing
        Whether the best places lie on the things; None where the dataset has no boxes.
    precision
        COCO's average precision of the boxes, ``AP`` (mean over overlaps of 0.5 to 0.95), ``AP50``
        and ``AP75``, in [0, 1]; None without boxes, or without ``faster-coco-eval``.
    empty
        Words that are a label of no picture, and were taken to be in none of them.
    """

    presence: RejectionScores
    threshold: Threshold
    pointing: PointingScores | None
    precision: Mapping[str, float] | None
    empty: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a model said of some words in one picture.

    Parameters
    ----------
    score, point, boxes
        As a `pareja.tasks.locating.Place` has them.
    """

    score: float
    point: tuple[float, float]
    boxes: tuple[Box, ...]


def score_places(
    answers: Sequence[Mapping[str, Answer]],
    truths: Sequence[TruePlaces],
    sizes: Sequence[tuple[int, int]],
    source: str,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> PlaceScores:
    """Measure answers against what is in the pictures.

    Parameters
    ----------
    answers
        For each picture what was said of each of the words, whether they are in it or not.
    truths, sizes
        What is in each picture, and its width and height. The case of words and labels does not
        count.
    source
        What the pictures are called.
    resamples, seed
        Of the bootstrap behind every interval.

    Raises
    ------
    DatasetError
        If all of the words are in all of the pictures, or none is in any.
    """
    given, truths = truths, [_folded(truth) for truth in truths]
    pairs = [(number, words) for number, answered in enumerate(answers) for words in answered]
    scores = np.array([answers[number][words].score for number, words in pairs])
    present = np.array([words.casefold() in truths[number].labels for number, words in pairs])
    if present.all() or not present.any():
        own = some_of(labels_of(given, source))
        raise DatasetError(
            f"{source}: {'all' if present.any() else 'none'} of the words are in the pictures. "
            "Measuring needs words that are in a picture and words that are not; the dataset's own "
            f"are {own}."
        )
    limit = choose_threshold(scores, present)
    told = rejection(
        scores,
        present,
        limit,
        picture=[number for number, _ in pairs],
        resamples=_affordable(len(pairs), resamples),
        seed=seed,
    )
    located = [(n, w) for n, w in pairs if w.casefold() in truths[n].boxes]
    seen = {words for (_, words), here in zip(pairs, present, strict=True) if here}
    return PlaceScores(
        presence=told,
        threshold=Threshold(
            score=limit,
            missed=1 - told.kept.value,
            false=1 - told.refused.value,
            pictures=len(truths),
            source=source,
        ),
        pointing=_pointing(located, answers, truths, sizes, resamples, seed) if located else None,
        precision=_precision(answers, truths, sizes) if located else None,
        empty=tuple(dict.fromkeys(words for _, words in pairs if words not in seen)),
    )


def _folded(truth: TruePlaces) -> TruePlaces:
    """Return what is in a picture, its labels in lower case."""
    boxes: dict[str, tuple[Rectangle, ...]] = {}
    for label, found in truth.boxes.items():
        boxes[label.casefold()] = boxes.get(label.casefold(), ()) + found
    return TruePlaces(frozenset(map(str.casefold, truth.labels)), boxes)


def _affordable(pairs: int, resamples: int) -> int:
    """Return how many draws take no more than some seconds."""
    return max(100, min(resamples, 60_000_000 // pairs))


def _inside(point: tuple[float, float], box: Rectangle) -> bool:
    return box[0] <= point[0] < box[0] + box[2] and box[1] <= point[1] < box[1] + box[3]


def _covered(boxes: Sequence[Rectangle], size: tuple[int, int]) -> float:
    """Return the share of a picture's pixels that lie in one of the boxes."""
    mask = np.zeros((size[1], size[0]), bool)
    for left, top, width, height in boxes:
        mask[
            max(round(top), 0) : max(round(top + height), 0),
            max(round(left), 0) : max(round(left + width), 0),
        ] = True
    return float(mask.mean())


def _pointing(
    located: Sequence[tuple[int, str]],
    answers: Sequence[Mapping[str, Answer]],
    truths: Sequence[TruePlaces],
    sizes: Sequence[tuple[int, int]],
    resamples: int,
    seed: int,
) -> PointingScores:
    hit, centre, covered = [], [], []
    for number, words in located:
        boxes = truths[number].boxes[words.casefold()]
        middle = sizes[number][0] / 2, sizes[number][1] / 2
        point = answers[number][words].point
        hit.append(any(_inside(point, box) for box in boxes))
        centre.append(any(_inside(middle, box) for box in boxes))
        covered.append(_covered(boxes, sizes[number]))
    pictures = [number for number, _ in located]
    return pointing(pictures, hit, centre, covered, resamples=resamples, seed=seed)


def _precision(
    answers: Sequence[Mapping[str, Answer]],
    truths: Sequence[TruePlaces],
    sizes: Sequence[tuple[int, int]],
) -> dict[str, float] | None:
    """Return COCO's average precision, by the library that computes it."""
    if find_spec("faster_coco_eval") is None:
        return None
    from faster_coco_eval import COCO, COCOeval_faster

    names = sorted({words for answered in answers for words in answered})
    number_of = {words: number for number, words in enumerate(names, 1)}
    true: list[dict[str, Any]] = [
        {"image_id": n, "category_id": number_of[words], "bbox": list(box)}
        for n, (truth, answered) in enumerate(zip(truths, answers, strict=True), 1)
        for words in answered
        for box in truth.boxes.get(words.casefold(), ())
    ]
    found = [
        {
            "image_id": n,
            "category_id": number_of[words],
            "bbox": list(box.rectangle),
            "score": box.score,
        }
        for n, answered in enumerate(answers, 1)
        for words, answer in answered.items()
        for box in answer.boxes
    ]
    if not found:
        return dict.fromkeys(("AP", "AP50", "AP75"), 0.0)
    known = COCO(
        {
            "images": [
                {"id": n, "width": width, "height": height}
                for n, (width, height) in enumerate(sizes, 1)
            ],
            "annotations": [
                entry | {"id": n, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
                for n, entry in enumerate(true, 1)
            ],
            "categories": [{"id": n, "name": words} for words, n in number_of.items()],
        }
    )
    evaluation = COCOeval_faster(
        known, known.loadRes(found), iouType="bbox", print_function=lambda *_: None
    )
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    values = [float(value) for value in evaluation.stats[:3]]
    return dict(zip(("AP", "AP50", "AP75"), values, strict=True))
