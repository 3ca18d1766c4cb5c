"""Training the last matrix of each tower alone, on features that are embedded once and cached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from pareja.encoders.backends.network import Modality, Network
from pareja.encoders.protocols import Embeddings
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError
from pareja.training.heads import MODALITIES
from pareja.training.lora import Towers, save_changes
from pareja.training.losses import Loss
from pareja.training.methods import Adaptation, repository_of, write_notes
from pareja.training.sides import Side, feature_reader

# In transformers' CLIP, MetaCLIP 2 and AIMv2.
_NAMES: dict[Modality, str] = {"image": "visual_projection", "text": "text_projection"}


class _Matrix(torch.nn.Module):
    """What is left to run where only the last matrix is trained."""

    def __init__(self, weight: torch.Tensor, *, trained: bool) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weight.clone(), requires_grad=trained)
        self._start = weight

    def change(self) -> torch.Tensor:
        """Return what was added to the matrix."""
        return self.weight.detach().cpu() - self._start

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features @ self.weight.T


class Projections:
    """The last matrix of each tower, and the encoder before it.

    Parameters
    ----------
    base
        What is adapted. It stays as it is: its networks are built anew.

    Raises
    ------
    EncoderError
        If a tower does not end in a matrix.
    """

    def __init__(self, base: NetworkDualEncoder) -> None:
        self.base = base
        self._weights: dict[Modality, torch.Tensor] = {}
        networks = [self._without(n) for n in (base.image_network, base.text_network)]
        fingerprint = base.fingerprint
        self.before = replace(
            base,
            fingerprint=replace(fingerprint, pooling=f"{fingerprint.pooling}, not projected"),
            image_network=networks[0],
            text_network=networks[1],
        )
        """Embeds as the base does, but stops before the matrices. Its vectors have length 1 as all
        have, and may: a matrix maps a longer vector to the same direction."""

    def _without(self, network: Network) -> Network:
        name, module = _NAMES[network.modality], network.build()
        layer = dict(module.named_children()).get(name)
        if not isinstance(layer, torch.nn.Linear) or layer.bias is not None:
            raise EncoderError(
                f"{self.base.name} has no {name}: its {network.modality} network ends otherwise. "
                "Use `method='lora'`."
            )
        self._weights[network.modality] = layer.weight.detach().clone()
        setattr(module, name, torch.nn.Identity())
        return replace(
            network,
            key=f"{network.key}-not-projected",
            dim=layer.in_features,
            build=lambda: module,
        )

    def over(
        self,
        images: Embeddings,
        texts: Embeddings,
        *,
        loss: Loss,
        towers: Towers = "both",
        device: str = "cpu",
    ) -> Adaptation:
        """Return the matrices over vectors of `before`, ready to be trained.

        Parameters
        ----------
        images, texts
            ``(n, image_width)`` and ``(m, text_width)``.
        loss
            How they are trained.
        towers
            Whose matrix is trained.
        device
            ``"cpu"``, ``"cuda"`` or ``"mps"``.
        """
        matrices = {
            name: _Matrix(weight, trained=towers in ("both", name))
            for name, weight in self._weights.items()
        }
        image, text = (
            Side(matrices[name], feature_reader(rows), len(rows), device=device)
            for name, rows in zip(MODALITIES, (images, texts), strict=True)
        )

        def save(folder: Path, terms: tuple[float, float]) -> None:
            changes = {
                _NAMES[name]: matrix.change()
                for name, matrix in matrices.items()
                if towers in ("both", name)
            }
            save_changes(folder, changes, repository_of(self.base))
            write_notes(folder, self.base, "projection", terms, loss)

        return Adaptation(image, text, save, self.base)
