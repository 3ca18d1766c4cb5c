"""A comparison of models as JSON."""

from __future__ import annotations

from typing import Any

from pareja.tasks.compare import ModelComparison, ModelResult
from pareja.tasks.labelling_export import estimate_to_json, scores_to_json


def comparison_to_json(comparison: ModelComparison) -> dict[str, Any]:
    """Return a comparison as plain values, without NaN."""
    return {
        "dataset": {"name": comparison.dataset.name, "images": len(comparison.dataset)},
        "labels": list(comparison.labels),
        "left_out": comparison.left_out,
        "skipped": [{"path": path, "reason": reason} for path, reason in comparison.skipped],
        "models": {model.name: _model(model) for model in comparison.models},
        "differences": [
            {
                "a": {"model": found.a.model, "prompts": found.a.prompts},
                "b": {"model": found.b.model, "prompts": found.b.prompts},
                "only_a": found.agreement.only_a,
                "only_b": found.agreement.only_b,
                "difference": estimate_to_json(found.agreement.difference),
                "p": found.agreement.p_value,
            }
            for found in comparison.differences
        ],
        "disagreements": [
            {
                "path": comparison.dataset.records[found.image].file_name,
                "truth": comparison.labels[comparison.truth[found.image]],
                **{
                    name: {"label": label, "probability": p}
                    for name, (label, p) in (
                        (found.model_a, found.a),
                        (found.model_b, found.b),
                    )
                },
            }
            for found in comparison.disputes
        ],
        "settings": {
            "resamples": comparison.resamples,
            "seed": comparison.seed,
            "price": comparison.price,
        },
    }


def _model(model: ModelResult) -> dict[str, Any]:
    ways = {"image_to_text": model.image_to_text, "text_to_image": model.text_to_image}
    return {
        "loss": model.loss,
        "fingerprint": str(model.fingerprint),
        "prompts": {v.prompts: scores_to_json(v.scores) for v in model.variants},
        "ece": {
            "softmax": estimate_to_json(model.softmax_scores.ece),
            "sigmoid": estimate_to_json(model.sigmoid_scores.ece),
        },
        **{
            way: scores
            and {f"R@{k}": estimate_to_json(value) for k, value in scores.recall.items()}
            for way, scores in ways.items()
        },
        "cost": {
            "pictures_per_second": model.cost.pictures_per_second,
            "cpu_seconds_per_1000": model.cost.cpu_seconds,
            "money_per_1000": model.cost.money,
            "size_mb": model.cost.size_mb,
            "timed": model.cost.timed,
        },
    }
