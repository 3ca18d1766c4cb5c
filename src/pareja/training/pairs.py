"""Low-rank adapters in the two networks of a pair, and maps from both into a common space.

A folder of what was learned holds the maps as that of a head does, and one adapter in PEFT's own
layout for each network, in ``image`` and ``text``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from pareja.encoders.adapters import in_halves
from pareja.encoders.backends.network import Modality
from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.protocols import EncoderPair, Pixels
from pareja.encoders.towers import NetworkImageEncoder, NetworkTextEncoder
from pareja.training.heads import MODALITIES, Head, Map
from pareja.training.lora import Rank, Towers, adapt, save_adapter
from pareja.training.losses import Loss
from pareja.training.material import token_rows
from pareja.training.methods import Adaptation, OnRows, repository_of, write_notes
from pareja.training.sides import Side, feature_reader, picture_reader, text_reader

Indices = NDArray[np.intp]


class _Headed(torch.nn.Module):
    """A network, and the map behind it once there is one."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.head: Map | None = None

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        features = functional.normalize(self.network(**inputs), dim=-1)
        return features if self.head is None else self.head(features)

    def train(self, mode: bool = True) -> _Headed:
        super().train(mode)
        # Means over a batch would make a picture's embedding depend on its neighbours, and the
        # running ones would change without being part of the adapter.
        for part in self.network.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.eval()
        return self


class _Known(torch.nn.Module):
    """Stands for a network that is not trained, whose vectors are known."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


class PairTraining:
    """A pair whose networks and maps can be trained.

    Parameters
    ----------
    base
        An image and a text encoder made of networks. They stay as they are: their networks are
        built anew.
    pixels
        Prepared pictures, ``(n, side, side, 3)``.
    texts
        Distinct texts.
    loss, terms
        How it is trained, and what the logits begin with.
    towers
        Which network, and the map on it, is trained.
    rank
        What the adapters look like.
    device
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    seed
        Of the weights that adapters begin with.
    progress
        Called while what is never trained is computed, once for each picture and text.

    Raises
    ------
    EncoderError
        If a network has no layers for adapters.
    """

    def __init__(
        self,
        base: EncoderPair,
        pixels: Pixels,
        texts: Sequence[str],
        *,
        loss: Loss,
        terms: tuple[float, float],
        towers: Towers = "both",
        rank: Rank | None = None,
        device: str = "cpu",
        seed: int = 0,
        progress: OnRows | None = None,
    ) -> None:
        self.base, self._loss, self._terms, self._towers = base, loss, terms, towers
        image = cast(NetworkImageEncoder, base.image_encoder)
        text = cast(NetworkTextEncoder, base.text_encoder)
        tokens = token_rows(text.tokeniser, texts)
        lengths = None if text.tokeniser.pad_to_max else tokens["attention_mask"].sum(axis=1)
        tokens = {name: tokens[name] for name in text.text_network.inputs}
        self._headed: dict[Modality, _Headed] = {}
        self._sides: dict[Modality, Side] = {}
        self._vectors: dict[Modality, NDArray[np.float32]] = {}
        for network, read, count, longest in (
            (image.image_network, picture_reader(pixels, image.preprocessing), len(pixels), None),
            (text.text_network, text_reader(tokens), len(texts), lengths),
        ):
            name = network.modality
            module, below = network.build(), 0
            if towers in ("both", name):
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(seed)
                    module, below = adapt(module, rank or Rank())
            headed = _Headed(module)
            side = Side(headed, read, count, below=below, device=device, lengths=longest)
            shown = progress and partial(progress, f"{name} network")
            side.prepare(shown)
            # Adapters begin with no effect, so that these are the vectors of the base.
            vectors = side.embed_all(np.arange(count), None if below else shown)
            if towers not in ("both", name):
                headed = _Headed(_Known())
                side = Side(headed, feature_reader(vectors), count, device=device)
            self._headed[name], self._sides[name] = headed, side
            self._vectors[name] = vectors

    def begin(self, owned: Sequence[Indices], train: Indices) -> Adaptation:
        """Put maps behind the networks that begin as the ridge regression of some pictures.

        Parameters
        ----------
        owned
            For each picture the rows of its texts.
        train
            The pictures that are learned from, each with a text.
        """
        head = Head.begun(
            self.base,
            self._vectors["image"],
            self._vectors["text"],
            owned,
            train,
            loss=self._loss,
            terms=self._terms,
            towers=self._towers,
        )
        before = head.before()
        for name in MODALITIES:
            self._headed[name].head = head.maps[name].to(self._sides[name].device)

        def save(folder: Path, terms: tuple[float, float]) -> None:
            for name in MODALITIES:
                if self._towers in ("both", name):
                    self._save_adapter(folder / name, name)
            saved = Checkpoint(folder, self.base.name, self.base.name)
            head.save(folder, terms, in_halves(self.base, saved))

        return Adaptation(self._sides["image"], self._sides["text"], save, before)

    def _save_adapter(self, folder: Path, name: Modality) -> None:
        half = self.base.image_encoder if name == "image" else self.base.text_encoder
        networks = cast(NetworkImageEncoder | NetworkTextEncoder, half)
        folder.mkdir()
        save_adapter(folder, [self._headed[name].network], repository_of(networks))
        write_notes(folder, networks, "lora")
