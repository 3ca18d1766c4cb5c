"""A tuned encoder as plain values, for ``--json`` and ``tune.json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pareja.tasks.tuned import Tuned
from pareja.tasks.tuning_measures import Measured


def tuned_to_json(result: Tuned) -> dict[str, Any]:
    """Return a result as plain values; numbers that are none are null."""
    return {
        "base": result.base.name,
        "dataset": result.recipe.dataset,
        "method": result.method,
        "truth": result.learned,
        "folder": str(result.folder),
        "fingerprint": str(result.encoder.image_fingerprint),
        "parts": dict(result.parts),
        "folds": result.folds,
        "kept": result.kept,
        "schedule": asdict(result.recipe.schedule),
        "epochs": [epoch.record() for epoch in result.history],
        "best_epoch": result.best,
        "share": result.share,
        "shares": [
            {"share": share, "validation": score} for share, score in sorted(result.shares.items())
        ],
        "stopped": result.stopped,
        "test": result.test and _measured(result.test),
        "others": [_measured(other) for other in result.others],
        "skipped": [{"path": path, "reason": reason} for path, reason in result.skipped],
        "seconds": round(result.seconds, 3),
    }


def _measured(measured: Measured) -> dict[str, Any]:
    return {
        "name": measured.name,
        "images": len(measured.dataset),
        **{
            measure: {
                "before": change.before.value,
                "before_ci": [change.before.low, change.before.high],
                "after": change.after.value,
                "after_ci": [change.after.low, change.after.high],
                "chance": change.chance,
                "difference": change.agreement.difference.value,
                "difference_ci": [
                    change.agreement.difference.low,
                    change.agreement.difference.high,
                ],
                "p": change.agreement.p_value,
            }
            for measure, change in measured.changes.items()
        },
    }
