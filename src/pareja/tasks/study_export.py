"""A study as JSON and CSV."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pareja.analysis.alignment import Bridge, Geometry
from pareja.analysis.comparison import Comparison
from pareja.analysis.matching import MatchingScores
from pareja.analysis.modality import DualScores
from pareja.analysis.retrieval import Direction, RetrievalScores
from pareja.analysis.significance import Estimate, Floats, PermutationTest
from pareja.datasets.records import Dataset
from pareja.tables import table
from pareja.tasks.encoder_measures import MOST_CELLS, EncoderResult
from pareja.tasks.locating_export import place_to_json
from pareja.tasks.study import StudyResult


def study_to_json(result: StudyResult, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the study as plain values.

    Parameters
    ----------
    result
        The study.
    files
        What was written beside it: a kind of file and its path, relative to the study's folder.

    Returns
    -------
    dict
        ``dataset``, ``encoders`` (by name), ``comparisons``, ``skipped``, ``captions``
        (each encoder with the texts of each further column), ``settings``,
        ``versions``, ``command`` and ``files``; only JSON's own types, no NaN.
    """
    dataset = result.dataset
    return {
        "dataset": {
            "name": dataset.name,
            "images": len(dataset),
            "captions": len(dataset.captions),
            "categories": list(dataset.categories),
        },
        "encoders": {encoder.name: _encoder(encoder) for encoder in result.encoders},
        "comparisons": [_comparison(c, dataset) for c in result.comparisons],
        "skipped": [{"path": path, "reason": reason} for path, reason in result.skipped],
        "captions": [
            {
                "encoder": other.encoder.name,
                "column": other.column,
                **_measured(other.encoder),
                "comparison": _comparison(other.comparison, dataset),
            }
            for other in result.others
        ],
        "settings": {
            "captions": result.captions,
            "seed": result.seed,
            "permutations": result.permutations,
            "resamples": result.resamples,
        },
        "versions": dict(result.versions),
        "command": result.command,
        "files": dict(files or {}),
    }


def write_csv(result: StudyResult, out: Path) -> dict[str, Path]:
    """Write every similarity matrix and the scores of every matched pair.

    Files are UTF-8 with a byte-order mark, which spreadsheets need to read accents.

    Parameters
    ----------
    result
        The study.
    out
        An existing folder.

    Returns
    -------
    dict
        ``pairs``: one row for each caption, with its similarity and ranks under each encoder, and
        under each way across the spaces of a pair. ``similarity-NAME``: pictures as rows,
        captions as columns; for an encoder pair it is that of the bridge that stands for it, and
        ``similarity-NAME-BRIDGE`` is there for each. Matrices of more than `MOST_CELLS` are left
        out: no spreadsheet opens them, and the embeddings give them back.
    """
    written = {"pairs": _write(out / "pairs.csv", _pair_rows(result))}
    stems = _file_stems([encoder.name for encoder in result.encoders])
    cells = len(result.dataset) * len(result.dataset.captions)
    for stem, encoder in zip(stems, result.encoders, strict=True):
        if cells > MOST_CELLS:
            break
        matrices = {f"similarity-{stem}": encoder.similarity} | {
            f"similarity-{stem}-{bridge.name}": bridge.similarity
            for bridge in encoder.bridges
            if bridge.similarity is not None
        }
        for key, similarity in matrices.items():
            rows = _similarity_rows(result.dataset, similarity)
            written[key] = _write(out / f"{key}.csv", rows)
    return written


def _encoder(encoder: EncoderResult) -> dict[str, Any]:
    return {
        "kind": encoder.kind,
        "image_fingerprint": str(encoder.image_fingerprint),
        "text_fingerprint": str(encoder.text_fingerprint),
        "image_dim": encoder.image_dim,
        "text_dim": encoder.text_dim,
        "seconds": round(encoder.seconds, 3),
        "bridge": encoder.bridge,
        **_measured(encoder),
        "maps": [
            {"path": look.located.record.file_name, "caption": look.caption, **place}
            for look in encoder.looks
            for place in (place_to_json(look.located.places[0], maps=False),)
        ],
        "bridges": {bridge.name: _measured(bridge) for bridge in encoder.bridges},
        "dual": encoder.dual and _dual(encoder.dual),
        "geometry": _geometry(encoder.geometry),
        "categories": {
            scores.category: {
                "images": scores.n_images,
                "image_to_text": _estimates({"R@1": scores.image_to_text}),
                "text_to_image": _estimates({"R@1": scores.text_to_image}),
                "matched_mean": scores.matched_mean,
                "mismatched_mean": scores.mismatched_mean,
            }
            for scores in encoder.categories
        },
        "confusion": encoder.confusion
        and {
            "categories": list(encoder.confusion.categories),
            "image_to_text": encoder.confusion.image_to_text.tolist(),
            "text_to_image": encoder.confusion.text_to_image.tolist(),
            "same": {
                direction: {
                    "value": same.value,
                    "ci": [same.low, same.high],
                    "chance": encoder.confusion.chance[direction],
                }
                for direction, same in encoder.confusion.same.items()
            },
        },
    }


def _measured(scores: EncoderResult | Bridge) -> dict[str, Any]:
    return {
        "image_to_text": _retrieval(scores.image_to_text, scores.first_place),
        "text_to_image": _retrieval(scores.text_to_image, scores.first_place),
        **_matching(scores.matching),
    }


def _retrieval(
    scores: RetrievalScores, tests: Mapping[Direction, PermutationTest]
) -> dict[str, Any]:
    estimates = {f"R@{k}": estimate for k, estimate in scores.recall.items()}
    estimates |= {"MRR": scores.mrr, "median_rank": scores.median_rank}
    chance = {f"R@{k}": value for k, value in scores.chance_recall.items()}
    chance |= {"MRR": scores.chance_mrr, "median_rank": scores.chance_median_rank}
    return {
        **_estimates(estimates),
        "chance": chance,
        "queries": scores.n_queries,
        "candidates": scores.n_candidates,
        "R@1_p": tests[scores.direction].p_value,
    }


def _matching(scores: MatchingScores) -> dict[str, Any]:
    return {
        "matched_mean": scores.matched_mean,
        "mismatched_mean": scores.mismatched_mean,
        "difference": scores.difference.value,
        "difference_ci": [scores.difference.low, scores.difference.high],
        "auc": scores.auc.value,
        "auc_ci": [scores.auc.low, scores.auc.high],
        "permutation_p": scores.test.p_value,
    }


def _dual(scores: DualScores) -> dict[str, Any]:
    return {
        "modality_gap": _test(scores.gap),
        "ece": scores.ece.value,
        "ece_ci": [scores.ece.low, scores.ece.high],
        "honest_ece": scores.honest_ece,
        "prompts": {
            prompt.template: {
                direction: _estimates({"R@1": recall})
                for direction, recall in prompt.recall.items()
            }
            for prompt in scores.prompts
        },
    }


def _geometry(geometry: Geometry) -> dict[str, Any]:
    return {
        "rsa": _test(geometry.rsa),
        "cka": _test(geometry.cka),
        "mutual_knn": {**_test(geometry.mutual_knn), "k": geometry.k},
    }


def _test(test: PermutationTest) -> dict[str, float]:
    return {
        "value": test.statistic,
        "p": test.p_value,
        "null_mean": test.null_mean,
        "null_low": test.null_low,
        "null_high": test.null_high,
    }


def _comparison(comparison: Comparison, dataset: Dataset) -> dict[str, Any]:
    matched, matrix = comparison.matched_spearman, comparison.matrix_spearman
    return {
        "a": comparison.a,
        "b": comparison.b,
        "spearman": matched.value,
        "ci": [matched.low, matched.high],
        "p": comparison.matched_p,
        "matrix_spearman": matrix.value,
        "matrix_ci": [matrix.low, matrix.high],
        "matrix_p": comparison.matrix_p,
        "agreement": {
            direction: {
                "both": agreement.both,
                "only_a": agreement.only_a,
                "only_b": agreement.only_b,
                "neither": agreement.neither,
                "difference": agreement.difference.value,
                "difference_ci": [agreement.difference.low, agreement.difference.high],
                "p": agreement.p_value,
            }
            for direction, agreement in comparison.agreement.items()
        },
        "categories": {
            category: {"difference": estimate.value, "ci": [estimate.low, estimate.high]}
            for category, estimate in comparison.category_differences.items()
        },
        "disagreements": [
            {
                "path": dataset.records[item.image].file_name,
                "rank_a": item.rank_a,
                "rank_b": item.rank_b,
            }
            for item in comparison.disagreements
        ],
    }


def _estimates(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    values: dict[str, Any] = {name: estimate.value for name, estimate in estimates.items()}
    values["ci"] = {name: [estimate.low, estimate.high] for name, estimate in estimates.items()}
    return values


def _pair_rows(result: StudyResult) -> Iterable[Sequence[object]]:
    dataset = result.dataset
    ways: list[tuple[str, EncoderResult | Bridge]] = []
    for encoder in result.encoders:
        ways += [(encoder.name, encoder)] if encoder.kind == "dual" else []
        ways += [(f"{encoder.name} {bridge.name}", bridge) for bridge in encoder.bridges]
    yield [
        "file_name",
        "category",
        "caption",
        *(f"{measure} {name}" for name, _ in ways for measure in _PAIR_MEASURES),
    ]
    for j, (caption, i) in enumerate(zip(dataset.captions, dataset.owner, strict=True)):
        record = dataset.records[i]
        cells: list[object] = [record.file_name, record.category or "", caption]
        for _, way in ways:
            cells.append(f"{way.matching.matched[j]:.6f}")
            cells.append(f"{way.image_to_text.ranks[i]:g}")
            cells.append(f"{way.text_to_image.ranks[j]:g}")
        yield cells


_PAIR_MEASURES = ("similarity", "rank image_to_text", "rank text_to_image")


def _similarity_rows(dataset: Dataset, similarity: Floats) -> Iterable[Sequence[object]]:
    yield ["file_name", *dataset.captions]
    for record, row in zip(dataset.records, similarity, strict=True):
        yield [record.file_name, *(f"{value:.6f}" for value in row)]


def _write(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    path.write_text(table(rows), encoding="utf-8", newline="")
    return path


def _file_stems(names: Sequence[str]) -> list[str]:
    """Make file names of encoders' names, which may be long paths, owner/repo or end in :int8.

    >>> _file_stems(["openai/clip", "clip-shapes:int8"])
    ['openai--clip', 'clip-shapes-int8']
    """
    stems = [
        re.sub(r'[<>:"|?*]', "-", re.sub(r"[/\\]", "--", name.strip("/")))[-80:] for name in names
    ]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{place}-{stem}" for place, stem in enumerate(stems, start=1)]
