"""Retrieval of a study as MTEB keeps results, one file for each encoder and direction."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pareja.analysis.ranking import ranking
from pareja.analysis.retrieval import DIRECTIONS, Direction
from pareja.analysis.significance import Floats, Indices
from pareja.datasets.records import Dataset
from pareja.encoders.catalogue import find_card
from pareja.files import staged_file
from pareja.tasks.encoder_measures import EncoderResult
from pareja.tasks.study import StudyResult

CUTOFFS = (1, 5, 10)
"""The k of every measure."""

_TASKS = {"image_to_text": "I2TRetrieval", "text_to_image": "T2IRetrieval"}
_LANGUAGES = {"caption": "eng-Latn", "caption_es": "spa-Latn"}
_ROWS_AT_ONCE = 1024


def write_mteb(result: StudyResult, folder: Path | str, *, force: bool = False) -> list[Path]:
    """Write ``results/ORG__MODEL/REVISION/TASK.json``, which ``mteb.ResultCache(folder)`` reads.

    Parameters
    ----------
    result
        The study. An encoder is called by its repository, or else ``pareja/NAME``; tasks are called
        by the dataset, as in ``pareja20T2IRetrieval`` and ``pareja20I2TRetrieval``.
    folder
        Where ``results`` is, or will be.
    force
        Replace files that exist.

    Returns
    -------
    list[Path]
        The files, with the scores that `mteb_result` gives. ``model_meta.json`` is beside them.

    Raises
    ------
    OutputError
        If a file exists and `force` is off, or cannot be written.
    """
    written = []
    for encoder in result.encoders:
        model, revision = _model(encoder), _revision(encoder)
        place = Path(folder) / "results" / model.replace("/", "__") / revision
        for direction in DIRECTIONS:
            document = mteb_result(result, encoder, direction)
            written.append(place / f"{document['task_name']}.json")
            _write(document, written[-1], force=force)
        # MTEB passes over results without it. It says the same of every task, and may be there.
        meta = {
            "name": model,
            "revision": revision,
            "embed_dim": encoder.image_dim,
            "modalities": ["image", "text"],
            "similarity_fn_name": "cosine",
        }
        _write(meta, place / "model_meta.json", force=True)
    return written


def mteb_result(
    result: StudyResult, encoder: EncoderResult, direction: Direction
) -> dict[str, Any]:
    """Return what MTEB's ``TaskResult`` holds, with nDCG@10 as its main score.

    Parameters
    ----------
    result
        The study.
    encoder
        One of its encoders.
    direction
        ``"text_to_image"``: captions are the queries; ``"image_to_text"``: pictures are.

    Returns
    -------
    dict
        The scores of split ``test`` have a subset for each column of captions. ``ndcg_at_k``,
        ``precision_at_k``, ``recall_at_k`` and ``mrr_at_k`` are means over the queries, with wrong
        answers before right ones where scores are equal. ``hit_rate_at_k`` is the R@k of the
        study, with ``hit_rate_at_k_low`` and ``_high`` around it (95 %). ``dataset_revision``
        is a digest of the file names and captions. ``mteb_version`` is null: MTEB ran nothing.
    """
    subsets = [(result.captions, encoder)]
    subsets += [
        (other.column, other.encoder)
        for other in result.others
        if other.encoder.name == encoder.name
    ]
    return {
        "dataset_revision": _digest(result.dataset),
        "task_name": re.sub(r"\W", "", result.dataset.name) + _TASKS[direction],
        "mteb_version": None,
        "scores": {
            "test": [
                {
                    # Columns are studied together only where each has one text a picture.
                    **_scores(measured, result.dataset.owner, direction),
                    "hf_subset": column,
                    "languages": [_LANGUAGES.get(column, "und-Zyyy")],
                }
                for column, measured in subsets
            ]
        },
        "evaluation_time": encoder.seconds,
    }


def _write(document: Mapping[str, Any], path: Path, *, force: bool) -> None:
    with staged_file(path, force=force) as stream:
        stream.write(json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")


def _scores(encoder: EncoderResult, owner: Indices, direction: Direction) -> dict[str, float]:
    found, counts = [], []
    for relevance, count in _ranked(encoder.similarity, owner, direction):
        found.append(relevance)
        counts.append(count)
    scores: dict[str, float] = {}
    for k in CUTOFFS:
        measured = ranking([row[:k] for row in found], counts, cutoffs=[k], ndcg_at=k, resamples=1)
        hits = measured.precision_by_query[k] * k
        scores |= {
            f"ndcg_at_{k}": measured.ndcg.value,
            f"precision_at_{k}": measured.precision[k].value,
            f"recall_at_{k}": float(np.mean(hits / counts)),
            f"mrr_at_{k}": measured.mrr.value,
        }
    studied = encoder.text_to_image if direction == "text_to_image" else encoder.image_to_text
    for k in CUTOFFS:
        estimate = studied.recall[k]
        scores |= {
            f"hit_rate_at_{k}": estimate.value,
            f"hit_rate_at_{k}_low": estimate.low,
            f"hit_rate_at_{k}_high": estimate.high,
        }
    return {"main_score": scores["ndcg_at_10"], **scores}


def _ranked(
    similarity: Floats, owner: Indices, direction: Direction
) -> Iterator[tuple[list[bool], int]]:
    """Yield whether each of a query's first answers is right, and how many right ones there are."""
    images = np.arange(len(similarity))
    queries, answers = (images, owner) if direction == "image_to_text" else (owner, images)
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        cosines = similarity[rows] if direction == "image_to_text" else similarity[:, rows].T
        right = queries[rows, None] == answers
        # A right answer stands behind the wrong ones that score the same.
        lowered = np.where(right, np.nextafter(cosines, -np.inf), cosines)
        first = np.argsort(-lowered, axis=1, kind="stable")[:, : max(CUTOFFS)]
        found = np.take_along_axis(right, first, axis=1)
        for row, count in zip(found, right.sum(axis=1), strict=True):
            # A picture without a caption is no query.
            if count:
                yield row.tolist(), int(count)


def _model(encoder: EncoderResult) -> str:
    card = find_card(encoder.name)
    name = card.repository if card is not None and card.repository else f"pareja/{encoder.name}"
    owner, _, model = name.partition("/")
    return f"{_plain(owner)}/{_plain(Path(model).name)}"


def _revision(encoder: EncoderResult) -> str:
    parts = (encoder.image_fingerprint.revision, encoder.text_fingerprint.revision)
    return _plain("+".join(dict.fromkeys(parts)))


def _plain(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", name)


def _digest(dataset: Dataset) -> str:
    told = [[record.file_name, *record.captions] for record in dataset]
    return hashlib.sha256(json.dumps(told, ensure_ascii=True).encode()).hexdigest()[:40]
