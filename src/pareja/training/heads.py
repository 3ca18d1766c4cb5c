"""Linear maps on two frozen encoders, trained into a common space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from pareja.analysis.ridge import ridge_map
from pareja.encoders.adapters import NOTES
from pareja.encoders.heads import HeadEncoder, fingerprint_of, head_notes, write_head
from pareja.encoders.origins import origin_of
from pareja.encoders.protocols import DualEncoder, Embeddings, Encoder
from pareja.training.lora import Towers
from pareja.training.losses import Loss
from pareja.training.methods import Adaptation
from pareja.training.sides import Side, feature_reader

Indices = NDArray[np.intp]
Floats = NDArray[np.float64]

DROPOUT = 0.5
"""Share of a vector's numbers that is dropped in training: maps of a million weights learn a few
hundred pairs by heart."""

START: Mapping[Loss, tuple[float, float]] = {"softmax": (5.0, 0.0), "sigmoid": (10.0, -10.0)}
"""Scale and bias that a pair's logits begin with (sigmoid: Zhai et al. 2023, section 3.2)."""


class _Map(torch.nn.Module):
    """``W (x - centre)``."""

    def __init__(self, weight: Floats, centre: Floats, *, trained: bool) -> None:
        super().__init__()
        start = torch.from_numpy(weight.astype(np.float32))
        self.weight = torch.nn.Parameter(start, requires_grad=trained)
        self.centre = torch.nn.Buffer(torch.from_numpy(centre.astype(np.float32)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        rows = functional.dropout(features - self.centre, DROPOUT, self.training)
        return rows @ self.weight.T

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the matrix and the offset."""
        weight, centre = self.weight.detach().cpu(), self.centre.cpu()
        return weight.numpy(), (-weight @ centre).numpy()


def begin_head(
    base: Encoder,
    images: Embeddings,
    texts: Embeddings,
    owned: Sequence[Indices],
    train: Indices,
    *,
    loss: Loss,
    terms: tuple[float, float],
    towers: Towers = "both",
    device: str = "cpu",
) -> Adaptation:
    """Put maps onto the vectors of an encoder.

    The maps of a dual encoder begin as the identity. Those of a pair begin as the ridge regression
    from its pictures to its texts, so that training can only be kept where it is better than that.

    Parameters
    ----------
    base
        What embedded the pictures and texts.
    images, texts
        Its vectors, ``(n, image_dim)`` and ``(m, text_dim)``.
    owned
        For each picture the rows of its texts.
    train
        The pictures that are learned from, each with a text.
    loss, terms
        How the maps are trained, and what the logits begin with.
    towers
        Whose map is trained.
    device
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """
    if base.kind == "dual":
        size = images.shape[1]
        starts = [(np.eye(size), np.zeros(size))] * 2
    else:
        pictures = np.repeat(train, [len(owned[i]) for i in train])
        said = np.concatenate([owned[i] for i in train])
        found = ridge_map(images[pictures].astype(np.float64), texts[said].astype(np.float64))
        starts = [(found.matrix.T, found.input_mean), (np.eye(texts.shape[1]), found.target_mean)]
    maps = {
        side: _Map(*start, trained=towers in ("both", side))
        for side, start in zip(("image", "text"), starts, strict=True)
    }
    sides = {
        side: Side(maps[side], feature_reader(rows), len(rows), device=device)
        for side, rows in (("image", images), ("text", texts))
    }

    def matrices() -> dict[str, NDArray[np.float32]]:
        parts = {side: each.affine() for side, each in maps.items()}
        return {
            f"{side}.{what}": array
            for side, part in parts.items()
            for what, array in zip(("weight", "bias"), part, strict=True)
        }

    def save(folder: Path, terms: tuple[float, float]) -> None:
        write_head(folder, matrices())
        notes = head_notes(base, origin_of(base), terms, loss)
        (folder / NOTES).write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")

    if base.kind == "dual":
        before = cast(DualEncoder, base)
    else:
        start = matrices()
        revision = hashlib.sha256(b"".join(m.tobytes() for m in start.values())).hexdigest()[:40]
        before = HeadEncoder(
            name=f"{base.name}, ridge regression",
            base=base,
            matrices={name: matrix.copy() for name, matrix in start.items()},
            fingerprint=fingerprint_of(base, revision),
            logit_terms=terms,
            loss=loss,
        )
    return Adaptation(sides["image"], sides["text"], save, before)
