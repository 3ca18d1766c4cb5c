"""Labelled pictures, and what was measured about them, as JSON and CSV."""

from __future__ import annotations

from typing import Any

from pareja.analysis.classification import ClassificationScores
from pareja.analysis.multilabel import MultiLabelScores
from pareja.analysis.rejection import RejectionScores
from pareja.analysis.significance import Estimate
from pareja.tables import table
from pareja.tasks.evaluation import Evaluation
from pareja.tasks.labelling import Labelled


def labelled_to_json(labelled: Labelled, most: int | None = None) -> dict[str, Any]:
    """Return the result as plain values.

    Parameters
    ----------
    labelled
        The result.
    most
        How many labels of each picture are given, the most probable ones; None gives all.

    Returns
    -------
    dict
        ``model``, ``templates``, ``labels``, ``images`` (each with ``path``, ``label``, which is
        null where it has none, ``labels``, ``scores`` and ``certainty``), ``skipped``,
        ``took_ms``, and ``evaluation`` where the truth is known.
    """
    result = labelled.result
    images = []
    for i, record in enumerate(labelled.dataset):
        assigned = result.assigned(i)
        image = {
            "path": record.file_name,
            "label": assigned[0] if assigned else None,
            "labels": list(assigned),
            "scores": result.scores(i, most),
            "certainty": float(result.certainty[i]),
        }
        if labelled.truth is not None:
            image["truth"] = labelled.truth[i]
        images.append(image)
    return {
        "model": labelled.model,
        "templates": list(labelled.templates),
        "labels": list(result.labels),
        "threshold": result.threshold,
        "images": images,
        "skipped": [{"path": path, "reason": reason} for path, reason in labelled.skipped],
        "took_ms": round(1000 * labelled.seconds),
        "evaluation": labelled.evaluation and evaluation_to_json(labelled.evaluation),
    }


def labelled_to_csv(labelled: Labelled, most: int | None = None) -> str:
    """Return the result as a table, a picture a row.

    Columns are ``path``, ``label``, ``certainty``, ``truth`` where it is known, and one for each
    label; with `most`, ``label_1``, ``score_1`` and so on, most probable first.
    """
    result = labelled.result
    known = labelled.truth is not None
    ranked = [f"{what}_{i}" for i in range(1, (most or 0) + 1) for what in ("label", "score")]
    rows = [
        ["path", "label", "certainty", *(["truth"] if known else []), *(ranked or result.labels)]
    ]
    for i, record in enumerate(labelled.dataset):
        cells = [record.file_name, "; ".join(result.assigned(i)), f"{result.certainty[i]:.6f}"]
        if labelled.truth is not None:
            cells.append(labelled.truth[i] or "")
        scores = result.scores(i, most)
        if most is None:
            cells += [f"{scores[label]:.6f}" for label in result.labels]
        else:
            cells += [cell for label, p in scores.items() for cell in (label, f"{p:.6f}")]
        rows.append(cells)
    return table(rows)


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as plain values, without NaN."""
    return {
        "outside": evaluation.outside,
        "unlabelled": evaluation.unlabelled,
        "empty": list(evaluation.empty),
        **(scores_to_json(evaluation.scores) if evaluation.scores else {}),
        **(_several(evaluation.several) if evaluation.several else {}),
        "unknown": evaluation.rejection and _rejection(evaluation.rejection),
    }


def estimate_to_json(estimate: Estimate | None) -> dict[str, Any] | None:
    """Return a number and its interval; null where there is none."""
    return (
        None if estimate is None else {"value": estimate.value, "ci": [estimate.low, estimate.high]}
    )


def scores_to_json(scores: ClassificationScores) -> dict[str, Any]:
    """Return the measures of a classification as plain values."""
    bins = scores.reliability
    return {
        "images": scores.n_images,
        **{
            name: estimate_to_json(getattr(scores, name))
            for name in ("top1", "top5", "balanced_accuracy", "macro_f1", "ece")
        },
        "honest_ece": scores.honest_ece,
        "chance": {"top1": scores.chance_top1, "top5": scores.chance_top5},
        "majority": scores.majority,
        "classes": {
            found.label: {
                "images": found.n_images,
                **{
                    name: estimate_to_json(getattr(found, name))
                    for name in ("precision", "recall", "f1")
                },
            }
            for found in scores.classes
        },
        "confusion": scores.confusion.tolist(),
        "reliability": [
            {
                "from": float(bins.edges[b]),
                "to": float(bins.edges[b + 1]),
                "images": int(n),
                "confidence": float(bins.confidence[b]),
                "accuracy": float(bins.accuracy[b]),
            }
            for b, n in enumerate(bins.count)
            if n
        ],
    }


def _several(scores: MultiLabelScores) -> dict[str, Any]:
    return {
        "images": scores.n_images,
        **{
            name: estimate_to_json(getattr(scores, name))
            for name in ("mean_average_precision", "micro_f1", "macro_f1")
        },
        "chance": {"mean_average_precision": scores.chance_map},
        "average_precision": dict(scores.average_precision),
        "threshold": scores.threshold,
    }


def _rejection(scores: RejectionScores) -> dict[str, Any]:
    return {
        "known": scores.n_known,
        "unknown": scores.n_unknown,
        "threshold": scores.threshold,
        **{name: estimate_to_json(getattr(scores, name)) for name in ("auroc", "kept", "refused")},
    }
