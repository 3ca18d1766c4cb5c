"""Linear maps on two frozen encoders, trained into a common space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from pareja.analysis.ridge import ridge_map
from pareja.encoders.adapters import NOTES
from pareja.encoders.backends.network import Modality
from pareja.encoders.heads import HeadEncoder, fingerprint_of, head_notes, write_head
from pareja.encoders.origins import origin_of
from pareja.encoders.protocols import DualEncoder, Embeddings, Encoder
from pareja.training.lora import Towers
from pareja.training.losses import Loss
from pareja.training.methods import Adaptation
from pareja.training.sides import Side, feature_reader

Indices = NDArray[np.intp]
Floats = NDArray[np.float64]

MODALITIES: tuple[Modality, ...] = ("image", "text")

DROPOUT = 0.5
"""Share of a vector's numbers that is dropped in training: maps of a million weights learn a few
hundred pairs by heart."""

START: Mapping[Loss, tuple[float, float]] = {"softmax": (5.0, 0.0), "sigmoid": (10.0, -10.0)}
"""Scale and bias that a pair's logits begin with (sigmoid: Zhai et al. 2023, section 3.2)."""


class Map(torch.nn.Module):
    """``W (x - centre)`` of vectors ``(n, width)``, some of whose numbers are dropped in training.

    Parameters
    ----------
    weight
        W at the start, ``(dim, width)``.
    centre
        Taken away first, ``(width,)``.
    trained
        Whether W is trained.
    """

    def __init__(self, weight: Floats, centre: Floats, *, trained: bool) -> None:
        super().__init__()
        start = torch.from_numpy(weight.astype(np.float32))
        self.weight = torch.nn.Parameter(start, requires_grad=trained)
        self.centre = torch.nn.Buffer(torch.from_numpy(centre.astype(np.float32)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map rows of features, ``(n, width)``, to ``(n, dim)``."""
        rows = functional.dropout(features - self.centre, DROPOUT, self.training)
        return rows @ self.weight.T

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the matrix, ``(dim, width)``, and the offset, ``(dim,)``."""
        weight, centre = self.weight.detach().cpu(), self.centre.cpu()
        return weight.numpy(), (-weight @ centre).numpy()


@dataclass(frozen=True)
class Head:
    """The two maps of an encoder while they are trained.

    Parameters
    ----------
    base
        What embeds.
    maps
        What its vectors go through.
    terms, loss
        What the logits begin with, and how the maps are trained.
    """

    base: Encoder
    maps: Mapping[Modality, Map]
    terms: tuple[float, float]
    loss: Loss

    @classmethod
    def begun(
        cls,
        base: Encoder,
        images: Embeddings,
        texts: Embeddings,
        owned: Sequence[Indices],
        train: Indices,
        *,
        loss: Loss,
        terms: tuple[float, float],
        towers: Towers = "both",
    ) -> Head:
        """Return the maps that training begins with.

        Those of a dual encoder are the identity. Those of a pair are the ridge regression from its
        pictures to its texts, so that training can only be kept where it is better than that.

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
        """
        if base.kind == "dual":
            size = images.shape[1]
            starts = [(np.eye(size), np.zeros(size))] * 2
        else:
            pictures = np.repeat(train, [len(owned[i]) for i in train])
            said = np.concatenate([owned[i] for i in train])
            found = ridge_map(images[pictures].astype(np.float64), texts[said].astype(np.float64))
            of_texts = np.eye(texts.shape[1]), found.target_mean
            starts = [(found.matrix.T, found.input_mean), of_texts]
        maps = {
            side: Map(*start, trained=towers in ("both", side))
            for side, start in zip(MODALITIES, starts, strict=True)
        }
        return cls(base, maps, terms, loss)

    def matrices(self) -> dict[str, NDArray[np.float32]]:
        """Return the maps as they are now, by the names that their file gives them."""
        parts = {side: each.affine() for side, each in self.maps.items()}
        return {
            f"{side}.{what}": array
            for side, part in parts.items()
            for what, array in zip(("weight", "bias"), part, strict=True)
        }

    def before(self) -> DualEncoder:
        """Return what the trained encoder is measured against, called before it is trained."""
        if self.base.kind == "dual":
            return cast(DualEncoder, self.base)
        start = self.matrices()
        revision = hashlib.sha256(b"".join(m.tobytes() for m in start.values())).hexdigest()[:40]
        return HeadEncoder(
            name=f"{self.base.name}, ridge regression",
            base=self.base,
            matrices={name: matrix.copy() for name, matrix in start.items()},
            fingerprint=fingerprint_of(self.base, revision),
            logit_terms=self.terms,
            loss=self.loss,
        )

    def save(
        self, folder: Path, terms: tuple[float, float], adapted: Encoder | None = None
    ) -> None:
        """Write the maps and what they belong to into a folder that exists.

        Parameters
        ----------
        folder
            Where.
        terms
            The logits' scale and bias.
        adapted
            The base with what was trained in its networks; None where that is nothing.
        """
        write_head(folder, self.matrices())
        method = "head" if adapted is None else "lora"
        notes = head_notes(adapted or self.base, origin_of(self.base), terms, self.loss, method)
        (folder / NOTES).write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")

    def over(self, images: Embeddings, texts: Embeddings, device: str = "cpu") -> Adaptation:
        """Return the maps over the vectors that they were begun with, ready to be trained.

        Parameters
        ----------
        images, texts
            ``(n, image_dim)`` and ``(m, text_dim)``.
        device
            ``"cpu"``, ``"cuda"`` or ``"mps"``.
        """
        image, text = (
            Side(self.maps[side], feature_reader(rows), len(rows), device=device)
            for side, rows in zip(MODALITIES, (images, texts), strict=True)
        )
        return Adaptation(image, text, self.save, self.before())
