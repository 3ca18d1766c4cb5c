"""What is particular about OMDet-Turbo: its processor, and which of its boxes stay.

transformers' processor of it asks for torchvision, of which it needs only the removal of boxes that
overlap. torchvision's packages fit one build of torch each, and that on PyPI does not fit torch for
the CPU, so that it is done here.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.checkpoint import Checkpoint
from pareja.errors import MissingDependencyError

_OVERLAP = 0.5
"""Share of the union from which the weaker one of two boxes goes, as transformers has it."""


def require_timm(checkpoint: Checkpoint) -> None:
    """Raise `MissingDependencyError` if the picture network is one of timm's, and timm not here."""
    config = checkpoint.config
    backbone = config.get("backbone_config")
    # As transformers reads it: a config that says nothing means timm.
    timm = config.get("use_timm_backbone", True)
    if backbone is not None:
        timm = backbone.get("model_type") == "timm_backbone"
    if timm and find_spec("timm") is None:
        raise MissingDependencyError("timm", f"to load {checkpoint.name}", "open-clip")


def read_processor(folder: Path, **options: bool) -> Any:
    """Read what prepares pictures and words.

    Parameters
    ----------
    folder
        Of the checkpoint.
    options
        How transformers reads files.
    """
    auto: Any = import_module("transformers")
    processing = import_module("transformers.models.omdet_turbo.processing_omdet_turbo")
    return processing.OmDetTurboProcessor(
        image_processor=auto.AutoImageProcessor.from_pretrained(folder, **options),
        tokenizer=auto.AutoTokenizer.from_pretrained(folder, **options),
    )


def strongest(
    logits: NDArray[np.floating],
    places: NDArray[np.floating],
    threshold: float,
    size: tuple[int, int],
) -> list[tuple[float, list[float]]]:
    """Return the boxes of one thing that stay, best first.

    Parameters
    ----------
    logits
        Of each proposal, ``(n,)``.
    places
        Middle, width and height as shares of the picture's sides, ``(n, 4)``.
    threshold
        The probability above which a proposal is kept.
    size
        Width and height of the picture.

    Returns
    -------
    list of tuple
        Probability, and left, top, right and bottom in pixels, which may lie out of the picture.

    Examples
    --------
    >>> same = np.array([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2]])
    >>> [(score, box)] = strongest(np.array([0.0, 2.0]), same, 0.3, (100, 100))
    >>> round(score, 2), box
    (0.88, [40.0, 40.0, 60.0, 60.0])
    """
    scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold]
    middles, halves = places[order, :2], places[order, 2:] / 2
    boxes = np.concatenate([middles - halves, middles + halves], axis=1) * (size + size)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    left = np.ones(len(order), bool)
    for number in range(len(order)):
        if left[number]:
            corners = (
                np.maximum(boxes[number, :2], boxes[:, :2]),
                np.minimum(boxes[number, 2:], boxes[:, 2:]),
            )
            shared = (corners[1] - corners[0]).clip(0).prod(axis=1)
            covered = shared > _OVERLAP * (areas + areas[number] - shared)
            left[number + 1 :] &= ~covered[number + 1 :]
    return [
        (float(scores[index]), box.tolist())
        for index, box in zip(order[left], boxes[left], strict=True)
    ]
