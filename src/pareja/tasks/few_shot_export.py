"""Learning curves as JSON."""

from __future__ import annotations

from typing import Any

from pareja.analysis.repeated import RepeatedAccuracy
from pareja.tasks.examples import Examples
from pareja.tasks.labelling_export import estimate_to_json
from pareja.tasks.learning_curves import LearningCurves


def curves_to_json(curves: LearningCurves, examples: Examples) -> dict[str, Any]:
    """Return what was measured as plain values.

    Returns
    -------
    dict
        ``features`` (what the examples were embedded by), ``labels``, ``left_out``, ``unlabelled``,
        ``skipped``, ``images``, ``tests``, ``seeds``, ``shots``, ``chance``, ``zero_shot`` (null
        without words) and ``curves``: by method, one entry for each number of shots.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for point in curves.points:
        found.setdefault(point.method, []).append(
            {
                "shots": point.shots,
                **_scores(point.scores),
                "settings": [dict(settings) for settings in point.settings],
            }
        )
    return {
        "features": examples.encoder,
        "labels": list(curves.labels),
        "left_out": [{"label": label, "images": n} for label, n in examples.left_out],
        "unlabelled": examples.unlabelled,
        "skipped": [{"path": path, "reason": reason} for path, reason in examples.skipped],
        "images": curves.n_images,
        "tests": curves.n_tests,
        "seeds": curves.seeds,
        "shots": list(curves.shots),
        "chance": {"balanced_accuracy": 1 / len(curves.labels)},
        "zero_shot": curves.zero_shot and _scores(curves.zero_shot),
        "curves": found,
    }


def _scores(scores: RepeatedAccuracy) -> dict[str, Any]:
    values = {
        "balanced_accuracy": estimate_to_json(scores.balanced),
        "accuracy": estimate_to_json(scores.accuracy),
    }
    if scores.gain is not None:
        values["gain"] = estimate_to_json(scores.gain)
    return values
